import { Cause, Effect, Exit, FiberSet, type Tracer } from "effect"
import type { ConsumeResult } from "../ConsumeResult.ts"
import * as Results from "../ConsumeResult.ts"
import * as ConsumeWatch from "../telemetry/ConsumeWatch.ts"
import type { Consumption, ConsumptionTools } from "./Consumption.ts"
import * as Settle from "./Settle.ts"
import type { Received } from "./Settle.ts"
import { ReadyList } from "../queue/ReadyList.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { DeliverySpan } from "../telemetry/ConsumerObserver.ts"
import * as Waiters from "../queue/Waiters.ts"

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
  /** From now until it is settled; undefined where nobody listens to spans. */
  readonly span: Tracer.Span | undefined
  /** Runs the hooks before; undefined where nobody watches. */
  readonly before: Effect.Effect<void> | undefined
  /** Says what became of it, and runs the hooks after. */
  readonly settle: (result: ConsumeResult) => Effect.Effect<AckOutcome>
}

/** Hands messages out one at a time, to whoever asks. */
export interface HandOut<in out E> extends Consumption {
  /** The next message; waits until there is one. Fails once {@link fail} was called. */
  readonly take: Effect.Effect<Handed, E>
  /** The next message of one queue; is done when the queue is given up, and once {@link fail} was called. */
  readonly takeOf: (queue: Received["queue"]) => Effect.Effect<Handed, Cause.Done>
  /** The next queue that was taken and is still owned; waits until there is one. Fails once {@link fail} was called. */
  readonly takeQueue: Effect.Effect<Received["queue"], E>
  /** Ends who waits, and who asks later. */
  readonly fail: (error: E) => void
  /** Says whom to tell when more is wanted of the queues. */
  readonly onDemand: (lookForRoom: () => void) => void
}

const exitOf = <A>(found: A | undefined): Exit.Exit<A> | undefined =>
  found === undefined ? undefined : Exit.succeed(found)

/** How often deliveries are looked at that take too long, in milliseconds. */
const SCAN_MILLIS = 1_000

interface Open {
  readonly received: Received
  readonly since: number
  readonly span: DeliverySpan | undefined
  readonly watched: ConsumeWatch.Watched | undefined
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
  const idle = Waiters.make()
  /** Queues that were taken and that {@link HandOut.takeQueue} has not given. */
  const fresh = new Set<Received["queue"]>()
  /** Who waits: for a message of one queue, of any, or for a queue. */
  const takers = new Map<Received["queue"] | "message" | "queue", () => void>()
  let failure: Exit.Exit<never, E> | undefined
  let suspended = false
  let lookForRoom: (() => void) | undefined

  /** Runs hooks after that nobody is there to wait for. */
  const runAfter = yield* FiberSet.makeRuntime()

  const close = (one: Open, outcome: AckOutcome, error?: string) => {
    one.outcome = outcome
    open.delete(one)
    one.span?.end(error)
    idle.ask()
  }

  /** Ends a delivery that is nobody's here any more. */
  const revoke = (one: Open) => {
    close(one, "revoked", "revoked")
    if (one.watched !== undefined) runAfter(one.watched.after(ConsumeWatch.revoked))
  }

  const settleOpen = (one: Open, result: ConsumeResult, error?: string): AckOutcome => {
    if (one.outcome !== undefined) return one.outcome
    const { received, since } = one
    const { queue } = received
    if (queue.dropped) {
      counters.late++
      observer.processed?.(received.message.topic, now() - since, 0, 1, "late")
      revoke(one)
      return "revoked"
    }
    const isConsumed = apply(received, result)
    const at = now()
    queue.lastConsumeAt = at
    const succeeded = isConsumed ? 1 : 0
    queue.stats.consumed(at, at - since, succeeded, 1 - succeeded)
    const reason = isConsumed ? undefined : (error ?? Settle.reasonOf(result))
    observer.processed?.(received.message.topic, at - since, succeeded, 1 - succeeded, reason ?? "_OTHER")
    close(one, "already", reason)
    return "settled"
  }

  const settle = (one: Open, result: ConsumeResult) =>
    Effect.suspend(() => {
      const outcome = settleOpen(one, result)
      return outcome !== "settled" || one.watched === undefined
        ? Effect.succeed(outcome)
        : Effect.as(one.watched.after(ConsumeWatch.outcomeOf(result, false)), outcome)
    })

  const next = (queue?: Received["queue"]): Handed | undefined => {
    const received = suspended ? undefined : queue === undefined ? ready.take() : ready.takeOf(queue)
    if (received === undefined) return undefined
    const { message } = received
    received.queue.begin(received)
    if (message.attempt > 1) counters.redelivered++
    observer.delivered?.(message)
    const span = observer.delivery?.(message)
    const watched = observer.handedOut?.(message)
    const one: Open = { received, since: now(), span, watched, outcome: undefined }
    open.add(one)
    if (received.queue.waiting === prefetch - 1) lookForRoom?.()
    return { message, span: span?.span, before: watched?.before, settle: (result) => settle(one, result) }
  }

  /** Gives whoever waits what there is. */
  const wake = () => {
    const waiting = [...takers.values()]
    for (const look of waiting) look()
  }

  const waitFor = <A, E2>(key: Received["queue"] | "message" | "queue", find: () => Exit.Exit<A, E2> | undefined) =>
    Effect.callback<A, E2>((resume) => {
      const look = (): boolean => {
        const found = find()
        if (found === undefined) return false
        if (takers.get(key) === look) takers.delete(key)
        resume(found)
        return true
      }
      if (look()) return undefined
      takers.set(key, look)
      lookForRoom?.()
      return Effect.sync(() => {
        if (takers.get(key) === look) takers.delete(key)
      })
    })

  // One fiber looks after all deliveries; none has a timer of its own.
  yield* Effect.sync(() => {
    for (const one of open) {
      if (now() - one.since < consumeTimeoutMillis) continue
      const { received } = one
      counters.timeouts++
      tell("timeout", Cause.empty, received)
      const result = Results.reconsumeLater()
      settleOpen(one, result, "timeout")
      if (one.outcome !== "already") continue
      one.outcome = "late"
      if (one.watched !== undefined) runAfter(one.watched.after(ConsumeWatch.outcomeOf(result, true)))
    }
  }).pipe(Effect.delay(SCAN_MILLIS), Effect.forever, Effect.forkScoped({ startImmediately: true }))

  const isOf = (queue: Received["queue"] | undefined) => (one: Open) =>
    queue === undefined || one.received.queue === queue

  /** What is handed out when the hooks before have run. */
  const prefaced = <E2>(taken: Effect.Effect<Handed, E2>) =>
    observer.handedOut === undefined
      ? taken
      : Effect.flatMap(taken, (handed) => Effect.as(handed.before ?? Effect.void, handed))

  const self: HandOut<E> = {
    take: prefaced(waitFor("message", () => failure ?? exitOf(next()))),
    takeOf: (queue) =>
      prefaced(
        waitFor(queue, () =>
          failure !== undefined || queue.revoking || queue.dropped ? Exit.fail(Cause.Done()) : exitOf(next(queue))
        )
      ),
    takeQueue: waitFor("queue", () => {
      const [queue] = fresh
      if (queue !== undefined) fresh.delete(queue)
      return failure ?? exitOf(queue)
    }),
    fail: (error) => {
      failure ??= Exit.fail(error)
      wake()
    },
    onDemand: (look) => {
      lookForRoom = look
    },
    taken: (queue) => {
      fresh.add(queue)
      takers.get("queue")?.()
    },
    offer: (queue, messages) => {
      ready.offer(queue, messages)
      takers.get(queue)?.()
      takers.get("message")?.()
    },
    drop: (queue) => {
      fresh.delete(queue)
      takers.get(queue)?.()
      return ready.drop(queue)
    },
    suspend: (value) => {
      suspended = value
      if (!value) wake()
    },
    awaitIdle: (queue) => idle.until(() => ![...open].some(isOf(queue))),
    interrupt: (queue) => {
      const hit = [...open].filter(isOf(queue))
      for (const one of hit) revoke(one)
      return hit.length
    },
    // Whoever reads the stream decides how much is done at once.
    setConcurrency: () => {},
    concurrency: () => open.size,
    running: () => open.size,
    jobs: () => [...open].map(({ received, since }) => ({ received: [received], since })),
    waiting: () => ready.size,
    wants: (queue) =>
      prefetch > 0
        ? queue.waiting < prefetch
        : (takers.has(queue) && queue.waiting === 0) || (takers.has("message") && ready.size === 0)
  }
  return self
})
