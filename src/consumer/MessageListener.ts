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

/**
 * What became of a message that is consumed in order, as a handler says it. Made by {@link OrderlyResult}'s constructors; those
 * of `ConsumeResult` mean the same here, and `reconsumeLater` means `suspend`: a message that came again behind others would be
 * out of order.
 *
 * Source: RocketMQ `ConsumeOrderlyStatus`, `ConsumeOrderlyContext.setSuspendCurrentQueueTimeMillis`.
 */
export type OrderlyResult =
  | ConsumeResult.ConsumeResult
  | {
      /** The queue rests, and then the message comes again before all others. */
      readonly _tag: "Suspend"
      /** For how long; undefined leaves it to the consumer's `suspendCurrentQueueTimeMillis`. */
      readonly for: Duration.Input | undefined
    }
  | {
      /** Consumed, with all that was before it. */
      readonly _tag: "Commit"
    }
  | {
      /** All that is not committed comes again. */
      readonly _tag: "Rollback"
    }

/** The constructors of {@link OrderlyResult}. */
export const OrderlyResult = {
  /** The message is consumed (Java `SUCCESS`); with `autoCommit: false` it is not committed before a `commit` follows. */
  success: ConsumeResult.success as OrderlyResult,
  /**
   * The message comes again before all others of its queue, after the given time or, without one, after the consumer's
   * `suspendCurrentQueueTimeMillis` (Java `SUSPEND_CURRENT_QUEUE_A_MOMENT`). It is 10 ms to 30 s long.
   */
  suspend: (for_?: Duration.Input): OrderlyResult => ({ _tag: "Suspend", for: for_ }),
  /** The message is consumed, and all of the queue that succeeded before it is committed with it (Java `COMMIT`). */
  commit: { _tag: "Commit" } as OrderlyResult,
  /**
   * What succeeded since the last commit comes again with the message itself, after `suspendCurrentQueueTimeMillis` (Java
   * `ROLLBACK`). With automatic commits that is the message alone; Java takes it for `SUCCESS` there.
   */
  rollback: { _tag: "Rollback" } as OrderlyResult,
  /** The message is given up and goes to the group's dead-letter topic; then its successors follow. */
  deadLetter: (reason?: string): OrderlyResult => ConsumeResult.deadLetter(reason)
} as const

/** Handles one message of a queue, when the one before has ended. */
export type OrderlyHandler<E, R> = (message: ReceivedMessage) => Effect.Effect<OrderlyResult | void, E, R>

/** Options of every kind of listener. `M` is what a handler gets, `A` what it says of it. */
export interface ListenerOptions<E, M, A = ConsumeResult.ConsumeResult> {
  /** What a typed failure means; by default that the message comes again. If it throws, that is what it means. */
  readonly onFailure?: ((error: E, message: M) => A) | undefined
}

/** Options of {@link orderly}. */
export interface OrderlyOptions<E> extends ListenerOptions<E, ReceivedMessage, OrderlyResult> {
  /**
   * Whether what succeeds is committed; default true. With false a message that succeeds counts only when a later one of its
   * queue ends with `commit` (Java `ConsumeOrderlyContext.setAutoCommit`).
   */
  readonly autoCommit?: boolean | undefined
}

/** How many messages make a batch, and how long the first of them waits for more. */
export interface BatchOptions {
  /** At most so many messages, 1 to 1024 (Java `consumeMessageBatchMaxSize`). */
  readonly maxSize: number
  /** How long a batch that is not full waits for more; by default it does not wait, as in Java. */
  readonly within?: Duration.Input | undefined
}

/**
 * How a consumer handles messages: one at a time in any order ({@link concurrently}; a bare function means the same), several
 * of a queue together ({@link batch}), one after the other in each queue ({@link orderly}), or for each key ({@link keyed}).
 * One for a consumer, as on the wire.
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
  | {
      /** One message of a queue after the other. */
      readonly _tag: "Orderly"
      /** The user's handler. */
      readonly handler: OrderlyHandler<E, R>
      /** Whether what succeeds is committed. */
      readonly autoCommit: boolean
      /** What a typed failure means; undefined: the queue is suspended and the message comes again. */
      readonly onFailure: ((error: E, message: ReceivedMessage) => OrderlyResult) | undefined
    }
  | {
      /** One message of a key after the other. */
      readonly _tag: "Keyed"
      /** The key of a message. */
      readonly key: (message: ReceivedMessage) => string
      /** The user's handler. */
      readonly handler: Handler<E, R>
      /** What a typed failure means; undefined: the message comes again. */
      readonly onFailure: ((error: E, message: ReceivedMessage) => ConsumeResult.ConsumeResult) | undefined
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

/**
 * The messages of each queue one after the other, in the order in which they were stored, over all members of the group (Java
 * `MessageListenerOrderly`): a broker's lock says who may handle a queue. A message that fails is not given back: its queue
 * rests and tries it again, until it is a dead letter after `maxReconsumeTimes`, for which there is no limit by default.
 */
export const orderly = <E, R>(
  handler: OrderlyHandler<E, R>,
  options: OrderlyOptions<E> = {}
): MessageListener<E, R> => ({
  _tag: "Orderly",
  handler,
  autoCommit: options.autoCommit ?? true,
  onFailure: options.onFailure
})

/**
 * The messages of each key one after the other, of whichever queues, and those of different keys side by side. It asks for no
 * lock: the order holds within this consumer, and while its queues are its own. A message that fails is given back as with
 * {@link concurrently}, and its successors do not wait for it.
 */
export const keyed = <E, R>(
  key: (message: ReceivedMessage) => string,
  handler: Handler<E, R>,
  options: ListenerOptions<E, ReceivedMessage> = {}
): MessageListener<E, R> => ({ _tag: "Keyed", key, handler, onFailure: options.onFailure })

/** The listener of a bare function, or the listener as it is. */
export const of = <E, R>(listener: Handler<E, R> | MessageListener<E, R>): MessageListener<E, R> =>
  typeof listener === "function" ? concurrently(listener) : listener

export { replying, type ReplyingOptions } from "./reply/Replying.ts"

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
