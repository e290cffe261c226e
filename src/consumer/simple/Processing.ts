import { Clock, Deferred, Effect, Exit, Fiber } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import * as ConsumeResult from "../ConsumeResult.ts"
import type { ConsumerObserver } from "../telemetry/ConsumerObserver.ts"
import { LEAST_INVISIBLE_MILLIS } from "./Lease.ts"
import type { SettleError } from "./SimpleError.ts"
import type { PopAckOutcome, PoppedMessage } from "./SimpleShape.ts"

/** A message that is hidden. */
type Held = Omit<PoppedMessage, "process">

/** Of a message's invisible time what is left when it is extended. */
const SHARE_LEFT = 1 / 3

/** The least between two extensions, whatever time a broker gives, in milliseconds. */
const LEAST_PAUSE_MILLIS = 100

/** Extends a message by as much again whenever two thirds of its time are over, until it cannot be or it is `done`. */
const keepHidden = Effect.fnUntraced(function* (
  { expiresAt, extend, invisibleMillis, message }: Held,
  done: Deferred.Deferred<void>
) {
  let isFirst = true
  while (!Deferred.isDoneUnsafe(done)) {
    const period = yield* invisibleMillis
    const left = (yield* expiresAt) - (yield* Clock.currentTimeMillis)
    const due = left - period * SHARE_LEFT
    // More than a rounding error: it was extended by somebody else meanwhile, or this is the begin.
    if (isFirst || due > 2) {
      isFirst = false
      yield* Effect.raceFirst(Effect.sleep(Math.max(LEAST_PAUSE_MILLIS, Math.ceil(due))), Deferred.await(done))
      continue
    }
    const outcome = yield* extend(Math.max(LEAST_INVISIBLE_MILLIS, period))
    if (outcome._tag === "AlreadyAcked") return
    if (outcome._tag === "Expired") {
      yield* Effect.logWarning(
        `message ${ForeignText.clean(message.msgId)} of topic ${message.topic} could not be extended while its handler runs, and comes again: ${outcome.lastFailure ?? "its time was over"}`
      )
      return
    }
    isFirst = true
  }
})

/** Runs a handler, keeps its message hidden meanwhile, and acknowledges it when the handler has succeeded. */
export const process = <A, E, R>(
  popped: Held,
  handler: Effect.Effect<A, E, R>,
  observer: Pick<ConsumerObserver, "process" | "processed">,
  now: () => number
): Effect.Effect<PopAckOutcome, E | SettleError, R> =>
  Effect.suspend(() => {
    const { message } = popped
    const begin = now()
    const watched =
      observer.process === undefined
        ? handler
        : observer.process([message], handler, (exit) => [
            Exit.isSuccess(exit) ? ConsumeResult.success : ConsumeResult.reconsumeLater()
          ])
    const measured = Effect.onExit(watched, (exit) =>
      Effect.sync(() => {
        const succeeded = Exit.isSuccess(exit) ? 1 : 0
        observer.processed?.(message.topic, now() - begin, succeeded, 1 - succeeded, "failure")
      })
    )
    const handle = Effect.gen(function* () {
      const done = yield* Deferred.make<void>()
      const keeping = keepHidden(popped, done).pipe(
        Effect.catch((error) =>
          Effect.logWarning(`a message could not be extended while its handler runs: ${error.message}`)
        )
      )
      const keeper = yield* Effect.forkScoped(keeping, { startImmediately: true })
      yield* measured
      yield* Deferred.succeed(done, undefined)
      // An extension on its way is waited for: its answer has the handle that the acknowledgement is to name.
      yield* Fiber.await(keeper)
    })
    return Effect.andThen(Effect.scoped(handle), popped.ack)
  })
