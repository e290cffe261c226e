import { Effect, FiberSet, References } from "effect"
import type { Consumption, ConsumptionTools } from "../consume/Consumption.ts"
import type { Received } from "../consume/Settle.ts"
import * as ConsumeResult from "../ConsumeResult.ts"
import { ReadyList } from "../queue/ReadyList.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import * as ConsumeWatch from "../telemetry/ConsumeWatch.ts"

/** Gives pulled messages to whoever polls. */
export interface PollBuffer extends Consumption {
  /**
   * Up to `max` messages of queues that are not paused, those of a queue in order, and as many as possible of the same; waits
   * for the first of them for `timeoutMillis`, and gives none then. Polls are served in their order. Interrupted, it has
   * taken nothing.
   */
  readonly poll: (max: number, timeoutMillis: number) => Effect.Effect<ReadonlyArray<ReceivedMessage>>
}

/** Somebody who waits for messages. */
interface Poller {
  readonly max: number
  readonly end: (messages: ReadonlyArray<ReceivedMessage>) => void
}

/**
 * Makes it in the current scope. What a poll gives is finished in its queue: it counts in no cache any more, and the queue's
 * position is behind it; what of that is committed is said elsewhere.
 *
 * Source: RocketMQ `DefaultLitePullConsumerImpl.poll`.
 */
export const make = Effect.fnUntraced(function* (
  tools: Pick<ConsumptionTools, "counters" | "isPaused" | "now" | "observer">
) {
  const { counters, isPaused, now, observer } = tools
  const ready = new ReadyList<Received>()
  const queues = new Set<Received["queue"]>()
  /** In the order in which they came. */
  const pollers = new Set<Poller>()
  const fork = Effect.runForkWith(yield* Effect.context())
  /** Runs hooks, for which nobody waits: whoever polls must lose nothing when it is interrupted. */
  const runHooks = yield* FiberSet.makeRuntime()
  let suspended = false

  const handOver = ({ message }: Received) => {
    if (message.attempt > 1) counters.redelivered++
    counters.succeeded++
    observer.delivered?.(message)
    const watched = observer.handedOut?.(message)
    if (watched !== undefined) {
      runHooks(Effect.andThen(watched.before, watched.after(ConsumeWatch.outcomeOf(ConsumeResult.success, false))))
    }
  }

  const take = (max: number): ReadonlyArray<ReceivedMessage> => {
    const taken: Array<ReceivedMessage> = []
    if (suspended) return taken
    const at = now()
    while (taken.length < max) {
      const some = ready.takeMany(max - taken.length)
      const [first] = some
      if (first === undefined) break
      for (const received of some) {
        received.queue.begin(received)
        handOver(received)
        taken.push(received.message)
      }
      first.queue.lastConsumeAt = at
      first.queue.stats.consumed(at, 0, some.length, 0)
      // There may be room then, and a loop that pulls again.
      for (const received of some) received.queue.finish(received)
    }
    return taken
  }

  /** Gives those who wait what there is. */
  const look = () => {
    for (const poller of pollers) {
      const found = take(poller.max)
      if (found.length === 0) return
      poller.end(found)
    }
  }

  const self: PollBuffer = {
    poll: (max, timeoutMillis) =>
      Effect.callback<ReadonlyArray<ReceivedMessage>>((resume) => {
        const found = pollers.size === 0 ? take(max) : []
        if (found.length > 0 || timeoutMillis <= 0) {
          resume(Effect.succeed(found))
          return undefined
        }
        const leave = () => {
          pollers.delete(poller)
          timer.interruptUnsafe()
        }
        const poller: Poller = {
          max,
          end: (messages) => {
            leave()
            resume(Effect.succeed(messages))
          }
        }
        pollers.add(poller)
        const timer = fork(
          Effect.andThen(
            Effect.sleep(timeoutMillis),
            Effect.sync(() => poller.end([]))
          )
        )
        return Effect.sync(leave)
        // From taking the messages to giving them nothing comes between: an interruption there would lose them.
      }).pipe(Effect.provideService(References.PreventSchedulerYield, true)),
    taken: (queue) => {
      queues.add(queue)
      ready.hold(queue, isPaused(queue.messageQueue))
    },
    offer: (queue, messages) => {
      ready.offer(queue, messages)
      look()
    },
    drop: (queue) => {
      queues.delete(queue)
      return ready.drop(queue)
    },
    paused: () => {
      for (const queue of queues) ready.hold(queue, isPaused(queue.messageQueue))
      look()
    },
    suspend: (value) => {
      suspended = value
      if (!value) look()
    },
    // What a poll gave is in nobody's hands here.
    awaitIdle: () => Effect.void,
    interrupt: (queue) => {
      // The end: nothing comes any more.
      if (queue === undefined) for (const poller of pollers) poller.end([])
      return 0
    },
    setConcurrency: () => {},
    concurrency: () => 0,
    running: () => 0,
    jobs: () => [],
    waiting: () => ready.size,
    wants: () => true
  }
  return self
})
