import { Effect, Sink, Stream } from "effect"
import type { Message } from "../../message/Message.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { SendError } from "../send/SendError.ts"
import { type SendOptions, settlesQueue } from "../send/SendOptions.ts"
import type { SendQueued } from "./QueuedSend.ts"
import type { SendEngine } from "../send/SendEngine.ts"

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

/** Sends messages of which each has options of its own, in the order of the stream where those settle the queue. */
export const sendEach =
  (send: SendEngine["send"], sendQueued: SendQueued) =>
  <E, R>(
    messages: Stream.Stream<readonly [message: Message, options: SendOptions], E, R>,
    concurrency: number = CONCURRENCY
  ): Stream.Stream<SendResult, SendError | E, R> =>
    messages.pipe(
      Stream.mapEffect(([message, options]) =>
        settlesQueue(options) ? sendQueued(message, options) : Effect.succeed(send(message, options))
      ),
      Stream.mapEffect((acknowledged) => acknowledged, { concurrency })
    )

/** Makes the sends of streams of a producer out of its single ones. */
export const make = (send: SendEngine["send"], sendQueued: SendQueued): SendStreams => {
  const each = sendEach(send, sendQueued)
  const sendAll: SendStreams["sendAll"] = (messages, { concurrency = CONCURRENCY, options } = {}) =>
    options === undefined
      ? Stream.mapEffect(messages, (message) => send(message), { concurrency })
      : each(
          Stream.map(messages, (message) => [message, options(message)] as const),
          concurrency
        )
  return { sendAll, sink: Sink.make<Message>()((messages) => Stream.runCount(sendAll(messages))) }
}
