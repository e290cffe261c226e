import { Cause, Effect, Exit } from "effect"
import type { ConsumeResult } from "../ConsumeResult.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { ConsumeHooks, ConsumeMessageOutcome } from "./Hooks.ts"
import type { MessageTraces } from "./MessageTraces.ts"

/** Messages that are handed out, as hooks and message traces see them. */
export interface Watched {
  /** Runs the hooks before. */
  readonly before: Effect.Effect<void>
  /** Tells the message trace at once, and gives the hooks after. */
  readonly after: (outcome: Omit<ConsumeMessageOutcome, "success" | "millis">) => Effect.Effect<void>
}

type Messages = readonly [ReceivedMessage, ...ReadonlyArray<ReceivedMessage>]

/** Watches what is handed out: hooks and message traces. */
export interface ConsumeWatch {
  /** Messages are being handed out. */
  readonly begin: (messages: Messages) => Watched
  /** {@link begin} around a handler; `said` is what its end means for each message. */
  readonly around: <A, E, R>(
    messages: Messages,
    handler: Effect.Effect<A, E, R>,
    said: (exit: Exit.Exit<A, E>) => ReadonlyArray<ConsumeResult>
  ) => Effect.Effect<A, E, R>
}

const isConsumed = ({ _tag }: ConsumeResult) => _tag === "Success"

/** What a handler's end is called. */
const statusOf = (
  exit: Exit.Exit<unknown, unknown>,
  results: ReadonlyArray<ConsumeResult>,
  isLate: boolean
): ConsumeMessageOutcome["status"] => {
  if (isLate && (Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause))) return "TIME_OUT"
  if (Exit.isFailure(exit)) return "EXCEPTION"
  return results.every(isConsumed) ? "SUCCESS" : "FAILED"
}

/** Makes it of what there is; undefined when there is neither. */
export const make = (options: {
  readonly consumerGroup: string
  readonly hooks: ConsumeHooks
  readonly traces: MessageTraces | undefined
  readonly consumeTimeoutMillis: number
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
}): ConsumeWatch | undefined => {
  const { consumeTimeoutMillis, consumerGroup, hooks, now, traces } = options
  const { after, before } = hooks
  if (before === undefined && after === undefined && traces === undefined) return undefined

  const begin: ConsumeWatch["begin"] = (messages) => {
    const context = { consumerGroup, queue: messages[0].queue, messages }
    const tell = traces?.begin(messages)
    const since = now()
    return {
      before: before === undefined ? Effect.void : Effect.suspend(() => before(context)),
      after: (given) => {
        const success = given.results.length > 0 && given.results.every(isConsumed)
        const outcome = { ...given, success, millis: now() - since }
        tell?.(outcome)
        return after === undefined ? Effect.void : after(context, outcome)
      }
    }
  }

  return {
    begin,
    around: (messages, handler, said) =>
      Effect.suspend(() => {
        const since = now()
        const watched = begin(messages)
        return Effect.onExit(Effect.andThen(watched.before, handler), (exit) =>
          Effect.suspend(() => {
            const results = said(exit)
            const status = statusOf(exit, results, now() - since >= consumeTimeoutMillis)
            return watched.after({ status, results, cause: Exit.isFailure(exit) ? exit.cause : undefined })
          })
        )
      })
  }
}

/** What a settlement of a message that was handed out is called. */
export const outcomeOf = (
  result: ConsumeResult,
  isLate: boolean
): Omit<ConsumeMessageOutcome, "success" | "millis"> => ({
  status: isLate ? "TIME_OUT" : isConsumed(result) ? "SUCCESS" : "FAILED",
  results: [result],
  cause: undefined
})

/** What is said of a message that was handed out and is nobody's here any more. */
export const revoked: Omit<ConsumeMessageOutcome, "success" | "millis"> = {
  status: "EXCEPTION",
  results: [],
  cause: Cause.interrupt()
}
