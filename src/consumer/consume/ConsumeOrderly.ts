import { Duration, Effect, FiberSet, type Scope } from "effect"
import type { ConsumerCounters } from "../ConsumerCounters.ts"
import type { OrderlyResult } from "../MessageListener.ts"
import type { ProcessQueue } from "../queue/ProcessQueue.ts"
import type { SerialList } from "../queue/SerialList.ts"
import { type ReceivedMessage, triedAgain } from "../ReceivedMessage.ts"
import type { GiveBack, Received } from "./Settle.ts"

/** What is particular to messages that are consumed in order. */
export interface OrderlyOptions {
  readonly autoCommit: boolean
  /** How long a queue rests before a message is tried again, in milliseconds. */
  readonly suspendMillis: number
  /** Tries after the first until a message becomes a dead letter; below 0 there is no limit, as in Java. */
  readonly maxReconsumeTimes: number
  readonly counters: ConsumerCounters
  /** Gives a message back, finishes it when that is done, and says then that it is over. */
  readonly giveBack: (received: Received, to: GiveBack, reason: string | undefined, over: () => void) => void
  /** Says that there may be a message to take. */
  readonly wake: () => void
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
}

/** Says what becomes of messages in order. */
export interface ConsumeOrderly {
  /** Whether the queue of a message is not being given up, does not rest, and does not wait for its lock. */
  readonly isOpen: (received: Received) => boolean
  /** Applies a result, lets the next message of the queue follow as that wants it, and gives whether it is consumed. */
  readonly apply: (list: SerialList<Received>, received: Received, result: OrderlyResult) => boolean
  /** Forgets what of a queue is not committed. */
  readonly drop: (queue: ProcessQueue<ReceivedMessage>) => void
}

/** The shortest and the longest rest of a queue, in milliseconds, as in Java. */
const MIN_SUSPEND_MILLIS = 10
const MAX_SUSPEND_MILLIS = 30_000

/**
 * Makes it in the current scope.
 *
 * Source: RocketMQ `ConsumeMessageOrderlyService.processConsumeResult`, `checkReconsumeTimes`.
 */
export const make = Effect.fnUntraced(function* (
  options: OrderlyOptions
): Effect.fn.Return<ConsumeOrderly, never, Scope.Scope> {
  const { autoCommit, counters, giveBack, maxReconsumeTimes, now, suspendMillis, wake } = options
  const run = yield* FiberSet.makeRuntime()
  /** The queues that rest, by name. */
  const resting = new Set<string>()
  /** By queue, what succeeded and is not committed, in order. */
  const held = new Map<ProcessQueue<ReceivedMessage>, Array<Received>>()

  const rest = (list: SerialList<Received>, { name }: Received["queue"], millis: number) => {
    resting.add(name)
    run(
      Effect.andThen(
        Effect.sleep(millis),
        Effect.sync(() => {
          resting.delete(name)
          list.open(name)
          wake()
        })
      )
    )
  }

  const spanOf = (result: OrderlyResult): number => {
    const wanted = result._tag === "Suspend" ? result.for : result._tag === "ReconsumeLater" ? result.after : undefined
    if (wanted === undefined || wanted === "broker") return suspendMillis
    try {
      const millis = Duration.toMillis(Duration.fromInputUnsafe(wanted))
      return Math.min(MAX_SUSPEND_MILLIS, Math.max(MIN_SUSPEND_MILLIS, millis))
    } catch {
      // No time: as if none was said.
      return suspendMillis
    }
  }

  const commit = (received: Received) => {
    const all = held.get(received.queue) ?? []
    held.delete(received.queue)
    for (const one of all) received.queue.finish(one)
    received.queue.finish(received)
  }

  const hold = (received: Received) => {
    const all = held.get(received.queue) ?? []
    held.set(received.queue, all)
    all.push(received)
  }

  return {
    isOpen: ({ queue }) => !queue.revoking && !resting.has(queue.name) && queue.holdsLock(now()),
    drop: (queue) => {
      held.delete(queue)
    },
    apply: (list, received, result) => {
      const { message, queue } = received
      if (queue.dropped) {
        counters.late++
        list.end(received)
        return false
      }
      // With automatic commits nothing but the message itself is taken back, which is a try like any other.
      const tag: string = result._tag === "Rollback" && autoCommit ? "Suspend" : result._tag
      if (tag === "Success" || tag === "Commit") {
        counters.succeeded++
        if (autoCommit || tag === "Commit") commit(received)
        else hold(received)
        list.end(received)
        return true
      }
      const isSpent = maxReconsumeTimes >= 0 && message.reconsumeTimes >= maxReconsumeTimes
      if (tag === "DeadLetter" || (tag !== "Rollback" && isSpent)) {
        counters.deadLettered++
        // The next one follows when a broker has it.
        giveBack(received, "dead-letter", result._tag === "DeadLetter" ? result.reason : undefined, () => {
          list.end(received)
          wake()
        })
        return false
      }
      counters.reconsumeLater++
      if (tag === "Rollback") {
        list.putBack(received, [...(held.get(queue) ?? []), received])
        held.delete(queue)
      } else {
        received.message = triedAgain(message)
        list.putBack(received, [received])
      }
      rest(list, queue, spanOf(result))
      list.end(received)
      return false
    }
  }
})
