import type { Cause, Effect, Fiber } from "effect"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { PreparedMessage } from "./PreparedMessage.ts"
import type { SendError, SendReason } from "./SendError.ts"

/** One send as its observer sees it, before the first attempt. */
export interface ObservedSend {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly prepared: PreparedMessage
  /** Whether nobody will acknowledge it. */
  readonly oneway: boolean
  /** The queue that was asked for. */
  readonly queue: MessageQueue | undefined
  /** Milliseconds that the send may take in all. */
  readonly timeoutMillis: number
  /** Ends the send before its first attempt, and counts it as failed. */
  readonly refuse: (reason: SendReason) => Effect.Effect<never, SendError>
}

/** Counts the sends that have ended, by topic; a send may hold several messages. */
export interface SendRecorder {
  readonly succeeded: (topic: string, millis: number, messages: number) => void
  readonly failed: (topic: string, cause: Cause.Cause<SendError>, millis: number, messages: number) => void
}

/** Watches the sends of a producer: spans, hooks, traces and metrics hang here, and the send knows none of them. */
export interface SendObserver {
  /** Whether a send of this fiber wants {@link around}; asked for every send, so it must cost next to nothing. */
  readonly active: (fiber: Fiber.Fiber<unknown, unknown>) => boolean
  /** Wraps a send that wants it; `run` sends what it is given, which may carry further properties. */
  readonly around: <A extends SendResult | void>(
    send: ObservedSend,
    run: (prepared: PreparedMessage) => Effect.Effect<A, SendError>
  ) => Effect.Effect<A, SendError>
  /** Is told of the end of every send that was begun; undefined when nobody counts. */
  readonly recorder: SendRecorder | undefined
}
