import { Cause, type Context, Effect, Exit, Fiber, FiberSet, Option, type Scope } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import * as Millis from "../../message/Millis.ts"
import type { ConsumeMessageDirectlyResult } from "../../protocol/push/ConsumeMessageDirectly.ts"
import { reconsumeLater, success } from "../ConsumeResult.ts"
import type { MessageListener, OrderlyResult } from "../MessageListener.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { ConsumerObserver } from "../telemetry/ConsumerObserver.ts"
import { type ConsumptionTools, resultOf } from "./Consumption.ts"

/** Hands one message to the listener, whatever comes of it. */
export type Directly = (message: ReceivedMessage) => Effect.Effect<ConsumeMessageDirectlyResult>

/** What is needed for it of a consumer. */
export type DirectTools = Pick<ConsumptionTools, "group" | "consumeTimeoutMillis" | "now"> & {
  readonly observer: Pick<ConsumerObserver, "process">
}

/** A broker waits ten seconds for the answer; a handler that takes longer than this is interrupted, and the tool told so. */
const MOST_MILLIS = 9_000
/** Characters of what the handler failed with. */
const MAX_REMARK = 512

/** What a listener said of the message. */
type Said = Pick<ConsumeMessageDirectlyResult, "consumeResult" | "remark">

const ofResult = (result: OrderlyResult | void): Said => {
  if (result === undefined || result._tag === "Success") return { consumeResult: "CR_SUCCESS" }
  if (result._tag === "Commit") return { consumeResult: "CR_COMMIT" }
  if (result._tag === "Rollback") return { consumeResult: "CR_ROLLBACK" }
  if (result._tag !== "DeadLetter") return { consumeResult: "CR_LATER" }
  const reason = ForeignText.clean(result.reason, MAX_REMARK)
  return { consumeResult: "CR_LATER", remark: reason === "" ? "a dead letter" : `a dead letter: ${reason}` }
}

const thrown = (remark: string): Said => ({ consumeResult: "CR_THROW_EXCEPTION", remark })

/** Calls the listener once. */
const call = <E, R>(listener: MessageListener<E, R>, message: ReceivedMessage): Effect.Effect<Said, E, R> => {
  if (listener._tag === "Batch") {
    return Effect.map(listener.handler([message]), (outcome) =>
      ofResult(outcome === undefined ? undefined : resultOf(outcome, 0))
    )
  }
  const handled: Effect.Effect<OrderlyResult | void, E, R> = listener.handler(message)
  return Effect.map(handled, ofResult)
}

/** What a failure that the handler's type names means to the listener. */
const ofFailure = <E, R>(listener: MessageListener<E, R>, error: E, message: ReceivedMessage): Said => {
  const remark = ForeignText.ofThrownWithName(error, MAX_REMARK)
  try {
    const meant =
      listener._tag !== "Batch" ? listener.onFailure?.(error, message) : listener.onFailure?.(error, [message])
    return meant === undefined ? thrown(remark) : { remark, ...ofResult(meant) }
  } catch {
    return thrown(remark)
  }
}

const ofExit = <E, R>(
  listener: MessageListener<E, R>,
  message: ReceivedMessage,
  exit: Exit.Exit<Option.Option<Said>, E>,
  millis: number
): Said => {
  if (Exit.isSuccess(exit)) {
    return Option.getOrElse(exit.value, () =>
      thrown(`the handler took longer than ${Millis.text(millis)} and was interrupted`)
    )
  }
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure !== undefined) return ofFailure(listener, failure.error, message)
  return thrown(
    Cause.hasInterruptsOnly(exit.cause)
      ? "the handler was interrupted"
      : ForeignText.ofThrownWithName(Cause.squash(exit.cause), MAX_REMARK)
  )
}

/**
 * Makes what hands single messages to a listener beside what was pulled: nothing is counted, no offset moves, and nothing is
 * given back. The handlers run in the current scope, which interrupts them when it closes.
 *
 * Source: RocketMQ `ConsumeMessageService.consumeMessageDirectly`.
 */
export const make = Effect.fnUntraced(function* <E, R>(
  listener: MessageListener<E, R>,
  context: Context.Context<Exclude<R, Scope.Scope>>,
  { consumeTimeoutMillis, group, now, observer }: DirectTools
) {
  const run = yield* FiberSet.makeRuntime<never, Option.Option<Said>, E>()
  const millis = Math.min(MOST_MILLIS, consumeTimeoutMillis)

  const handled = (message: ReceivedMessage) => {
    const said = Effect.suspend(() => call(listener, message))
    // Hooks and message traces see it as any other: a handler has had the message.
    const scoped = Effect.scoped(
      observer.process === undefined
        ? said
        : observer.process([message], said, (exit) => [
            Exit.isSuccess(exit) &&
            exit.value.consumeResult !== "CR_LATER" &&
            exit.value.consumeResult !== "CR_ROLLBACK"
              ? success
              : reconsumeLater()
          ])
    )
    return Effect.timeoutOption(Effect.provideContext(scoped, context), millis).pipe(
      Effect.annotateLogs({
        group,
        topic: ForeignText.clean(message.topic),
        msgId: ForeignText.clean(message.msgId),
        attempt: message.attempt
      })
    )
  }

  const directly: Directly = Effect.fnUntraced(function* (message) {
    const since = now()
    const fiber = run(handled(message))
    const exit = yield* Effect.onInterrupt(Fiber.await(fiber), () => Fiber.interrupt(fiber))
    const result: ConsumeMessageDirectlyResult = {
      order: listener._tag === "Orderly",
      autoCommit: listener._tag !== "Orderly" || listener.autoCommit,
      ...ofExit(listener, message, exit, millis),
      spentTimeMills: Math.round(now() - since)
    }
    return result
  })
  return directly
})
