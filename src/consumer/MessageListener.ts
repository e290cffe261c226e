import { type Duration, Effect } from "effect"
import type { Topic, TopicDecodeError } from "../message/Topic.ts"
import * as ConsumeResult from "./ConsumeResult.ts"
import type { ReceivedMessage } from "./ReceivedMessage.ts"

/**
 * Handles one message. Ending without a value, or with `ConsumeResult.success`, means that it is consumed; a handler whose
 * effect ends with another value is mapped with `Effect.asVoid`. A typed failure means RECONSUME_LATER unless `onFailure`
 * says otherwise; so do a defect, an interruption from inside and running out of `consumeTimeout`, which are counted apart.
 * No failure of a handler ends the consumer.
 */
export type Handler<E, R> = (message: ReceivedMessage) => Effect.Effect<ConsumeResult.ConsumeResult | void, E, R>

/** Several messages of one queue, at least one, in the order of their offsets. */
export type Batch = readonly [ReceivedMessage, ...ReadonlyArray<ReceivedMessage>]

/** Handles several messages of one queue together. */
export type BatchHandler<E, R> = (messages: Batch) => Effect.Effect<BatchResult | void, E, R>

/**
 * What became of a batch: the same for all, one result for each, or consumed up to an index. Ending without one means that
 * all are consumed; a failure means RECONSUME_LATER for all. Made by {@link BatchResult}'s constructors only.
 */
export type BatchResult =
  | {
      /** The same for all. */
      readonly _tag: "All"
      /** What became of each message. */
      readonly result: ConsumeResult.ConsumeResult
    }
  | {
      /** One result for each. */
      readonly _tag: "Each"
      /** In the order of the messages; those beyond the list come again. */
      readonly results: ReadonlyArray<ConsumeResult.ConsumeResult>
    }
  | {
      /** Consumed up to an index. */
      readonly _tag: "AckIndex"
      /** Of the last message that is consumed, 0 up; -1 for none. */
      readonly index: number
    }

/** The constructors of {@link BatchResult}. */
export const BatchResult = {
  /** The same for all messages of the batch. */
  all: (result: ConsumeResult.ConsumeResult): BatchResult => ({ _tag: "All", result }),
  /** One result for each message, in their order; a message beyond the list comes again. */
  each: (results: ReadonlyArray<ConsumeResult.ConsumeResult>): BatchResult => ({ _tag: "Each", results }),
  /**
   * Consumed up to and with the message at `index`, 0 up; those behind it come again, -1 means all of them.
   * Source: RocketMQ `ConsumeConcurrentlyContext.setAckIndex`.
   */
  ackIndex: (index: number): BatchResult => ({ _tag: "AckIndex", index })
} as const

/** Options of every kind of listener. `M` is what a handler gets. */
export interface ListenerOptions<E, M> {
  /** What a typed failure means; by default that the message comes again. If it throws, that is what it means. */
  readonly onFailure?: ((error: E, message: M) => ConsumeResult.ConsumeResult) | undefined
}

/** How many messages make a batch, and how long the first of them waits for more. */
export interface BatchOptions {
  /** At most so many messages, 1 to 1024 (Java `consumeMessageBatchMaxSize`). */
  readonly maxSize: number
  /** How long a batch that is not full waits for more; by default it does not wait, as in Java. */
  readonly within?: Duration.Input | undefined
}

/**
 * How a consumer handles messages: one at a time in any order ({@link concurrently}; a bare function means the same), or
 * several of a queue together ({@link batch}). One for a consumer, as on the wire.
 */
export type MessageListener<E, R> =
  | {
      /** One message for each call. */
      readonly _tag: "Concurrently"
      /** The user's handler. */
      readonly handler: Handler<E, R>
      /** What a typed failure means; undefined: the message comes again. */
      readonly onFailure: ((error: E, message: ReceivedMessage) => ConsumeResult.ConsumeResult) | undefined
    }
  | {
      /** Several messages of one queue for each call. */
      readonly _tag: "Batch"
      /** How many, and how long the first waits for more. */
      readonly options: BatchOptions
      /** The user's handler. */
      readonly handler: BatchHandler<E, R>
      /** What a typed failure means; undefined: all messages of the batch come again. */
      readonly onFailure: ((error: E, messages: Batch) => ConsumeResult.ConsumeResult) | undefined
    }

/** One message for each call of the handler, in any order (Java `MessageListenerConcurrently`). */
export const concurrently = <E, R>(
  handler: Handler<E, R>,
  options: ListenerOptions<E, ReceivedMessage> = {}
): MessageListener<E, R> => ({ _tag: "Concurrently", handler, onFailure: options.onFailure })

/** Several messages of one queue for each call of the handler (Java's batch size of `MessageListenerConcurrently`). */
export const batch = <E, R>(
  options: BatchOptions & ListenerOptions<E, Batch>,
  handler: BatchHandler<E, R>
): MessageListener<E, R> => ({ _tag: "Batch", options, handler, onFailure: options.onFailure })

/** The listener of a bare function, or the listener as it is. */
export const of = <E, R>(listener: Handler<E, R> | MessageListener<E, R>): MessageListener<E, R> =>
  typeof listener === "function" ? concurrently(listener) : listener

/** Options of {@link decoded}. */
export interface DecodedOptions {
  /** What a message means whose body the topic's schema cannot read; by default a dead letter: it will not get better. */
  readonly onDecodeError?:
    ((error: TopicDecodeError, message: ReceivedMessage) => ConsumeResult.ConsumeResult) | undefined
}

/** A handler of a typed topic's values. */
export const decoded =
  <A, RD, RE, E, R>(
    topic: Topic<A, RD, RE>,
    handler: (value: A, message: ReceivedMessage) => Effect.Effect<ConsumeResult.ConsumeResult | void, E, R>,
    options: DecodedOptions = {}
  ): Handler<E, R | RD> =>
  (message) =>
    Effect.matchEffect(topic.decode(message), {
      onSuccess: (value) => handler(value, message),
      onFailure: (error) =>
        Effect.sync(() => options.onDecodeError?.(error, message) ?? ConsumeResult.deadLetter(error.message))
    })

/** What {@link byTopic} does with a message of a topic that is not in its record. */
const unknown: Handler<never, never> = () => Effect.succeed(ConsumeResult.reconsumeLater())

/**
 * One handler of several topics: each message goes to the handler under its topic's name. A message of another topic comes
 * again, since some other member may know it.
 */
export function byTopic<H extends Readonly<Record<string, Handler<unknown, unknown>>>>(
  handlers: H
): Handler<Effect.Error<ReturnType<H[keyof H]>>, Effect.Services<ReturnType<H[keyof H]>>>
export function byTopic(handlers: Readonly<Record<string, Handler<unknown, unknown>>>): Handler<unknown, unknown> {
  return (message) => {
    const handler = Object.hasOwn(handlers, message.topic) ? handlers[message.topic] : undefined
    return (handler ?? unknown)(message)
  }
}
