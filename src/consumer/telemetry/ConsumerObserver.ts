import type { Effect, Exit, Tracer } from "effect"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { ConsumeResult } from "../ConsumeResult.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { Watched } from "./ConsumeWatch.ts"

/**
 * What a consumer tells a broker of messages: that they are done up to an offset, or that one is to come again; of one that was
 * popped, that it is done, or that it stays hidden.
 */
export type Settlement = "commit" | "send back" | "ack" | "extend"

/** The span of a delivery, from hand-out to settlement. */
export interface DeliverySpan {
  readonly span: Tracer.Span
  /** Ends it; with why the message was not consumed, in one word. */
  readonly end: (error: string | undefined) => void
}

/**
 * What watches a consumer: metrics, and spans where somebody listens. What is off is not there, so that it costs nothing.
 */
export interface ConsumerObserver {
  /**
   * Runs a handler in its span, between hooks, and tells the message trace; undefined where there is none of these. `said` is
   * what the handler's end means for each message.
   */
  readonly process:
    | (<A, E, R>(
        messages: readonly [ReceivedMessage, ...ReadonlyArray<ReceivedMessage>],
        handler: Effect.Effect<A, E, R>,
        said: (exit: Exit.Exit<A, E>) => ReadonlyArray<ConsumeResult>
      ) => Effect.Effect<A, E, R>)
    | undefined
  /** Opens the span of a delivery that somebody settles later; undefined where nobody listens to spans. */
  readonly delivery: ((message: ReceivedMessage) => DeliverySpan) | undefined
  /** Watches a message that is handed out until it is settled; undefined where there are no hooks and no message traces. */
  readonly handedOut: ((message: ReceivedMessage) => Watched) | undefined
  /** A handler gets the message; undefined without metrics. */
  readonly delivered: ((message: ReceivedMessage) => void) | undefined
  /**
   * A handler has ended after so many milliseconds: of its messages so many were consumed, and so many were not, for a reason
   * of a small set. Undefined without metrics.
   */
  readonly processed:
    ((topic: string, millis: number, succeeded: number, failed: number, error: string) => void) | undefined
  /** A pull brought messages. */
  readonly received: (
    queue: MessageQueue,
    address: string,
    millis: number,
    messages: ReadonlyArray<{ readonly properties: Readonly<Record<string, string>> }>
  ) => void
  /** A pull failed. */
  readonly notReceived: (queue: MessageQueue, millis: number, error: Error) => void
  /** Watches what tells a broker of messages of a topic, or of one message. */
  readonly settle: <A, E extends Error>(
    what: Settlement,
    queue: MessageQueue,
    self: Effect.Effect<A, E>,
    message?: ReceivedMessage
  ) => Effect.Effect<A, E>
}

/** Nobody watches. */
export const nobody: ConsumerObserver = {
  process: undefined,
  delivery: undefined,
  handedOut: undefined,
  delivered: undefined,
  processed: undefined,
  received: () => {},
  notReceived: () => {},
  settle: (_, __, self) => self
}
