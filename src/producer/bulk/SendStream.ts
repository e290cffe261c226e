import { Effect, Sink, Stream } from "effect"
import type { Message } from "../../message/Message.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { SendError } from "../send/SendError.ts"
import { type SendOptions, settlesQueue } from "../send/SendOptions.ts"
import type { SendQueued } from "./QueuedSend.ts"
import type { SendEngine } from "../send/SendEngine.ts"
import { startEffect, startOf } from "../send/StartSend.ts"
import { mapStart, type Start } from "./Starts.ts"

/** Options of {@link SendStreams.sendAll}. */
export interface SendAllOptions {
  /** Messages that are sent and not acknowledged, at most; default 64. The stream is pulled no faster. */
  readonly concurrency?: number | undefined
  /**
   * The options of each send. Messages whose options settle the queue (`queue`, `selector`, `orderingKey`) are stored there
   * in the order of the stream.
   */
  readonly options?: ((message: Message) => SendOptions) | undefined
}

/** Sends of streams of messages. */
export interface SendStreams {
  /** The results in the order of the messages. The first failure ends the stream. */
  readonly sendAll: <E, R>(
    messages: Stream.Stream<Message, E, R>,
    options?: SendAllOptions
  ) => Stream.Stream<SendResult, SendError | E, R>
  /** Sends what it is given, 64 messages at once, and gives how many were acknowledged. */
  readonly sink: Sink.Sink<number, Message, never, SendError>
}

const CONCURRENCY = 64

/** What a stream of sends consists of: a message with its options, or one that has its place in the order of its queue. */
type Sending = { readonly message: Message; readonly options: SendOptions } | Effect.Effect<SendResult, SendError>

/** Sends messages of which each has options of its own, in the order of the stream where those settle the queue. */
export const sendEach = (send: SendEngine["send"], sendQueued: SendQueued) => {
  const begin = startOf(send)
  const start: Start<Sending, SendResult, SendError> = (caller, sending, done) =>
    Effect.isEffect(sending)
      ? startEffect(caller, sending, done)
      : begin(caller, sending.message, sending.options, done)
  return <E, R>(
    messages: Stream.Stream<readonly [message: Message, options: SendOptions], E, R>,
    concurrency: number = CONCURRENCY
  ): Stream.Stream<SendResult, SendError | E, R> =>
    messages.pipe(
      Stream.mapEffect(([message, options]): Effect.Effect<Sending, SendError> =>
        settlesQueue(options) ? sendQueued(message, options) : Effect.succeed({ message, options })
      ),
      mapStart(start, concurrency)
    )
}

/** Makes the sends of streams of a producer out of its single ones. */
export const make = (send: SendEngine["send"], sendQueued: SendQueued): SendStreams => {
  const each = sendEach(send, sendQueued)
  const begin = startOf(send)
  const sendAll: SendStreams["sendAll"] = (messages, { concurrency = CONCURRENCY, options } = {}) =>
    options === undefined
      ? mapStart<Message, SendResult, SendError>(
          (caller, message, done) => begin(caller, message, undefined, done),
          concurrency
        )(messages)
      : each(
          Stream.map(messages, (message) => [message, options(message)] as const),
          concurrency
        )
  return { sendAll, sink: Sink.make<Message>()((messages) => Stream.runCount(sendAll(messages))) }
}
