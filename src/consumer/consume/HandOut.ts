import { Cause, Effect, Exit } from "effect"
import type { ConsumeResult } from "../ConsumeResult.ts"
import * as Results from "../ConsumeResult.ts"
import type { Consumption, ConsumptionTools } from "./Consumption.ts"
import * as Settle from "./Settle.ts"
import type { Received } from "./Settle.ts"
import { ReadyList } from "../queue/ReadyList.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"

/**
 * What a settlement came to:
 * - `settled`: it counts; what was given back is given back until a broker has acknowledged it
 * - `already`: the delivery was settled before
 * - `late`: it took longer than `consumeTimeout` and was given back; the message comes again
 * - `revoked`: the queue belongs to another member, or the stream has ended; the message comes again
 */
export type AckOutcome = "settled" | "already" | "late" | "revoked"

/** A message that was handed out, and that somebody is to settle. */
export interface Handed {
  readonly message: ReceivedMessage
  /** Says what became of it. */
  readonly settle: (result: ConsumeResult) => AckOutcome
}

/** Hands messages out one at a time, to whoever asks. */
export interface HandOut<in out E> extends Consumption {
  /** The next message; waits until there is one. Fails once {@link fail} was called. */
  readonly take: Effect.Effect<Handed, E>
  /** Ends who waits, and who asks later. */
  readonly fail: (error: E) => void
  /** Says whom to tell when more is wanted of the queues. */
  readonly onDemand: (lookForRoom: () => void) => void
}

/** How often deliveries are looked at that take too long, in milliseconds. */
const SCAN_MILLIS = 1_000

interface Open {
  readonly received: Received
  readonly since: number
  outcome: AckOutcome | undefined
}

/**
 * Makes it in the current scope. `prefetch` is how many messages of a queue may wait before no more are pulled; with 0 a pull
 * follows only when somebody waits for a message and there is none.
 */
export const make = Effect.fnUntraced(function* <E>(prefetch: number, tools: ConsumptionTools) {
  const { consumeTimeoutMillis, counters, now, observer, tell } = tools
  const apply = Settle.make(tools)
  const ready = new ReadyList<Received>()
  const open = new Set<Open>()
  const idle = new Set<() => void>()
  let taker: (() => void) | undefined
  let failure: Exit.Exit<never, E> | undefined
  let suspended = false
  let lookForRoom: (() => void) | undefined

  const close = (one: Open, outcome: AckOutcome) => {
    one.outcome = outcome
    open.delete(one)
    if (idle.size > 0) for (const check of idle) check()
  }

  const settleOpen = (one: Open, result: ConsumeResult, error?: string): AckOutcome => {
    if (one.outcome !== undefined) return one.outcome
    const { received, since } = one
    const { queue } = received
    if (queue.dropped) {
      counters.late++
      observer.processed?.(received.message.topic, now() - since, 0, 1, "late")
      close(one, "revoked")
      return "revoked"
    }
    const isConsumed = apply(received, result)
    const at = now()
    queue.lastConsumeAt = at
    const succeeded = isConsumed ? 1 : 0
    queue.stats.consumed(at, at - since, succeeded, 1 - succeeded)
    observer.processed?.(received.message.topic, at - since, succeeded, 1 - succeeded, error ?? Settle.reasonOf(result))
    close(one, "already")
    return "settled"
  }

  const next = (): Handed | undefined => {
    const received = suspended ? undefined : ready.take()
    if (received === undefined) return undefined
    received.queue.begin(received)
    if (received.message.attempt > 1) counters.redelivered++
    observer.delivered?.(received.message)
    const one: Open = { received, since: now(), outcome: undefined }
    open.add(one)
    if (received.queue.waiting === prefetch - 1) lookForRoom?.()
    return { message: received.message, settle: (result) => settleOpen(one, result) }
  }

  /** Gives whoever waits what there is. */
  const wake = () => taker?.()

  const take = Effect.callback<Handed, E>((resume) => {
    const look = (): boolean => {
      if (failure !== undefined) {
        resume(failure)
        return true
      }
      const handed = next()
      if (handed === undefined) return false
      resume(Exit.succeed(handed))
      return true
    }
    if (look()) return undefined
    const wait = () => {
      if (look() && taker === wait) taker = undefined
    }
    taker = wait
    lookForRoom?.()
    return Effect.sync(() => {
      if (taker === wait) taker = undefined
    })
  })

  // One fiber looks after all deliveries; none has a timer of its own.
  yield* Effect.sync(() => {
    for (const one of open) {
      if (now() - one.since < consumeTimeoutMillis) continue
      const { received } = one
      counters.timeouts++
      tell("timeout", Cause.empty, received)
      settleOpen(one, Results.reconsumeLater(), "timeout")
      if (one.outcome === "already") one.outcome = "late"
    }
  }).pipe(Effect.delay(SCAN_MILLIS), Effect.forever, Effect.forkScoped({ startImmediately: true }))

  const isOf = (queue: Received["queue"] | undefined) => (one: Open) =>
    queue === undefined || one.received.queue === queue

  const self: HandOut<E> = {
    take,
    fail: (error) => {
      failure ??= Exit.fail(error)
      wake()
    },
    onDemand: (look) => {
      lookForRoom = look
    },
    offer: (queue, messages) => {
      ready.offer(queue, messages)
      wake()
    },
    drop: (queue) => ready.drop(queue),
    suspend: (value) => {
      suspended = value
      if (!value) wake()
    },
    awaitIdle: (queue) =>
      Effect.callback<void>((resume) => {
        const check = () => {
          if ([...open].some(isOf(queue))) return
          idle.delete(check)
          resume(Exit.void)
        }
        idle.add(check)
        check()
        return Effect.sync(() => {
          idle.delete(check)
        })
      }),
    interrupt: (queue) => {
      const hit = [...open].filter(isOf(queue))
      for (const one of hit) close(one, "revoked")
      return hit.length
    },
    // Whoever reads the stream decides how much is done at once.
    setConcurrency: () => {},
    concurrency: () => open.size,
    running: () => open.size,
    jobs: () => [...open].map(({ received, since }) => ({ received: [received], since })),
    waiting: () => ready.size,
    wants: (queue) => (prefetch === 0 ? taker !== undefined && ready.size === 0 : queue.waiting < prefetch)
  }
  return self
})
