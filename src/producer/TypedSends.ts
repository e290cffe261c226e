import { type Duration, Effect, Stream } from "effect"
import type { Message } from "../message/Message.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import type { SendResult } from "../message/SendResult.ts"
import type { EncodeOptions, Topic } from "../message/Topic.ts"
import type { SendQueued } from "./bulk/QueuedSend.ts"
import type { SendBatchResult } from "./bulk/SendBatch.ts"
import { sendEach } from "./bulk/SendStream.ts"
import type { RequestReplyClosed, RequestReplyTimeout } from "./reply/ReplyError.ts"
import type { ReplyExchange } from "./reply/ReplyExchange.ts"
import type { RequestOptions } from "./reply/RequestReply.ts"
import { notSent, type SendError } from "./send/SendError.ts"
import type { SendOptions } from "./send/SendOptions.ts"
import type { SendEngine } from "./send/SendEngine.ts"

/** The options of a typed send: those of a send, and what a message has that does not come from its value. */
export type TypedSendOptions = SendOptions & EncodeOptions

/** Options of {@link TypedSends.sendAllTo}. */
export interface SendAllToOptions<A> {
  /** Values that are sent and not acknowledged, at most; default 64. The stream is pulled no faster. */
  readonly concurrency?: number | undefined
  /**
   * The options of each send. Values whose options settle the queue (`queue`, `selector`, `orderingKey`) are stored there
   * in the order of the stream.
   */
  readonly options?: ((value: A) => TypedSendOptions) | undefined
}

/**
 * The ways in which values are sent to typed topics: each form of a message's send under its name with `To`. A value that
 * does not fit its topic's schema fails with a `SendError` whose reason is `TopicEncodeError`, and nothing is sent.
 */
export interface TypedSends {
  /** Sends a value and waits until a broker has stored it, as `send` does. */
  readonly sendTo: <A, RD, RE>(
    topic: Topic<A, RD, RE>,
    value: A,
    options?: TypedSendOptions
  ) => Effect.Effect<SendResult, SendError, RE>
  /** Sends a value that nobody acknowledges, as `sendOneway` does. */
  readonly sendOnewayTo: <A, RD, RE>(
    topic: Topic<A, RD, RE>,
    value: A,
    options?: TypedSendOptions
  ) => Effect.Effect<void, SendError, RE>
  /** Sends values together, as `sendBatch` does: all or none, and none when one does not fit. The options are all values'. */
  readonly sendBatchTo: <A, RD, RE>(
    topic: Topic<A, RD, RE>,
    values: ReadonlyArray<A>,
    options?: TypedSendOptions
  ) => Effect.Effect<SendBatchResult, SendError, RE>
  /** Sends a value in two steps, as `sendQueued` does. */
  readonly sendQueuedTo: <A, RD, RE>(
    topic: Topic<A, RD, RE>,
    value: A,
    options?: TypedSendOptions
  ) => Effect.Effect<Effect.Effect<SendResult, SendError>, SendError, RE>
  /** Sends a stream of values, as `sendAll` does; gives the results in their order. The first failure ends it. */
  readonly sendAllTo: <A, RD, RE, E, R>(
    topic: Topic<A, RD, RE>,
    values: Stream.Stream<A, E, R>,
    options?: SendAllToOptions<A>
  ) => Stream.Stream<SendResult, SendError | E, R | RE>
  /** Sends a value and waits for the reply of a consumer, as `request` does; the reply's own topic can read it. */
  readonly requestTo: <A, RD, RE>(
    topic: Topic<A, RD, RE>,
    value: A,
    timeout: Duration.Input,
    options?: RequestOptions & EncodeOptions
  ) => Effect.Effect<MessageExt, SendError | RequestReplyTimeout | RequestReplyClosed, RE>
}

/** The forms of a message's send that typed ones are made of. */
export interface MessageForms extends Pick<SendEngine, "send" | "sendOneway">, Pick<ReplyExchange, "request"> {
  readonly sendQueued: SendQueued
  readonly sendBatch: (
    messages: ReadonlyArray<Message>,
    options?: SendOptions
  ) => Effect.Effect<SendBatchResult, SendError>
}

/** The message of a value; of the options it takes those of a message. */
export const encode = <A, RD, RE>(
  topic: Topic<A, RD, RE>,
  value: A,
  { delay, flag, properties, waitStoreMsgOK }: EncodeOptions = {}
): Effect.Effect<Message, SendError, RE> =>
  Effect.mapError(topic.encode(value, { flag, properties, waitStoreMsgOK, delay }), (reason) =>
    notSent(topic.name, reason)
  )

/** Makes the typed sends of a producer out of those of its messages. */
export const make = (forms: MessageForms): TypedSends => {
  const each = sendEach(forms.send, forms.sendQueued)
  return {
    sendTo: (topic, value, options) =>
      Effect.flatMap(encode(topic, value, options), (message) => forms.send(message, options)),
    sendOnewayTo: (topic, value, options) =>
      Effect.flatMap(encode(topic, value, options), (message) => forms.sendOneway(message, options)),
    sendQueuedTo: (topic, value, options) =>
      Effect.flatMap(encode(topic, value, options), (message) => forms.sendQueued(message, options)),
    sendBatchTo: (topic, values, options) =>
      Effect.flatMap(
        Effect.forEach(values, (value) => encode(topic, value, options)),
        (messages) => forms.sendBatch(messages, options)
      ),
    sendAllTo: (topic, values, { concurrency, options } = {}) =>
      each(
        Stream.mapEffect(values, (value) => {
          const own = options?.(value) ?? {}
          return Effect.map(encode(topic, value, own), (message) => [message, own] as const)
        }),
        concurrency
      ),
    requestTo: (topic, value, timeout, options) =>
      Effect.flatMap(encode(topic, value, options), (message) => forms.request(message, timeout, options))
  }
}
