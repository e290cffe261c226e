import type { Effect, Exit, Fiber } from "effect"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { Outgoing } from "./Outgoing.ts"
import type { SendError, SendReason } from "./SendError.ts"

/** One send as its observer sees it, before the first attempt. */
export interface ObservedSend {
  readonly fiber: Fiber.Fiber<unknown, unknown>
  readonly outgoing: Outgoing
  /** Whether nobody will acknowledge it. */
  readonly oneway: boolean
  /** The queue that was asked for. */
  readonly queue: MessageQueue | undefined
  /** Milliseconds that the send may take in all. */
  readonly timeoutMillis: number
  /** Ends the send before its first attempt, and counts it as failed. */
  readonly refuse: (reason: SendReason) => Effect.Effect<never, SendError>
}

/** Watches the sends of a producer: spans, hooks, traces and metrics hang here, and the send knows none of them. */
export interface SendObserver {
  /** Whether a send of this fiber wants {@link around}; asked for every send, so it must cost next to nothing. */
  readonly active: (fiber: Fiber.Fiber<unknown, unknown>) => boolean
  /** Wraps a send that wants it; `run` sends what it is given, which may carry further properties. */
  readonly around: <A extends SendResult | void>(
    send: ObservedSend,
    run: (outgoing: Outgoing) => Effect.Effect<A, SendError>
  ) => Effect.Effect<A, SendError>
  /** Is told of the end of every send that was begun; undefined when nobody counts. */
  readonly ended: ((outgoing: Outgoing, exit: Exit.Exit<unknown, SendError>, millis: number) => void) | undefined
}
