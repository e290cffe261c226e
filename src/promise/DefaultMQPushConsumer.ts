import { Effect, Stream } from "effect"
import type { ServiceState } from "../client/ServiceState.ts"
import type { CaughtUpOptions } from "../consumer/run/CaughtUp.ts"
import type { DrainReport } from "../consumer/run/RunOptions.ts"
import type { ConsumeResult } from "../consumer/ConsumeResult.ts"
import type { ConsumerState } from "../consumer/ConsumerState.ts"
import { DefaultMQPushConsumer as Service, type DefaultMQPushConsumerShape } from "../consumer/DefaultMQPushConsumer.ts"
import { asUnordered } from "../consumer/consume/Settle.ts"
import * as MessageListener from "../consumer/MessageListener.ts"
import type { OrderlyResult } from "../consumer/MessageListener.ts"
import type { ReceivedMessage } from "../consumer/ReceivedMessage.ts"
import type { Subscription } from "../consumer/subscription/Subscription.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import { type PlainConsumerOptions, plain } from "./ConsumerOptions.ts"
import type { CallOptions } from "./Run.ts"
import { lifeCalls, start, type Started } from "./Start.ts"

/**
 * Handles one message. It is consumed when the promise is fulfilled without a value or with `ConsumeResult.success`; when it is
 * rejected, the message comes again. Of `OrderlyResult` what `ConsumeResult` has not got is for `order: "queue"` only. The signal is aborted when the handler takes longer than `consumeTimeout`, and when the
 * consumer ends and does not wait any longer.
 */
export type PlainHandler = (
  message: ReceivedMessage,
  signal: AbortSignal
) => OrderlyResult | void | Promise<OrderlyResult | void>

/**
 * Handles several messages of one queue together. Fulfilled without a value they are all consumed; a `BatchResult` says it of
 * each; rejected, all come again. The signal is aborted as a {@link PlainHandler}'s.
 */
export type PlainBatchHandler = (
  messages: MessageListener.Batch,
  signal: AbortSignal
) => MessageListener.BatchResult | void | Promise<MessageListener.BatchResult | void>

/** How a consumer of batches is started. */
export interface StartBatchOptions extends CallOptions, MessageListener.BatchOptions {
  /** What a handler's rejection means for all messages of the batch; without it they come again, and the log tells of the error. */
  readonly onFailure?: ((error: unknown, messages: MessageListener.Batch) => ConsumeResult) | undefined
}

/** How a consumer is started. */
export interface StartConsumerOptions extends CallOptions {
  /**
   * What a handler's rejection means. Without it the message comes again, and the error is told in the log once a minute; with
   * it nothing is told. If it throws, the message comes again.
   */
  readonly onFailure?: ((error: unknown, message: ReceivedMessage) => OrderlyResult) | undefined
  /**
   * In which order messages are handled; by default in any. `queue`: those of each queue one after the other, under a broker's
   * lock, as by `MessageListener.orderly`. A function gives a message's key: those of each key one after the other within this
   * consumer, as by `MessageListener.keyed`.
   */
  readonly order?: "queue" | ((message: ReceivedMessage) => string) | undefined
  /** With `order: "queue"`: whether what succeeds is committed without an `OrderlyResult.commit`; default true. */
  readonly autoCommit?: boolean | undefined
}

/** A started push consumer; `await using` shuts it down. */
export interface DefaultMQPushConsumer extends AsyncDisposable {
  /** Its group, without the namespace. */
  readonly consumerGroup: string
  /** RUNNING, and SHUTDOWN_ALREADY after the shutdown. */
  readonly serviceState: () => Promise<ServiceState>
  /** Everything there is to see of the consumer now. */
  readonly state: () => Promise<ConsumerState>
  /** {@link state} now and after each change of a queue, a problem or the service state; it ends with the consumer. */
  readonly stateChanges: () => AsyncIterable<ConsumerState>
  /** The queues that it owns, sorted. */
  readonly assignment: () => Promise<ReadonlyArray<MessageQueue>>
  /** {@link assignment} now and after each change of it. */
  readonly assignments: () => AsyncIterable<ReadonlyArray<MessageQueue>>
  /** Subscribes to one more topic, or to a topic with another filter. Rejected with `InvalidConfig` when it cannot be used. */
  readonly subscribe: (subscription: Subscription, options?: CallOptions) => Promise<void>
  /** Ends the subscription to a topic; its queues are given up. */
  readonly unsubscribe: (topic: string, options?: CallOptions) => Promise<void>
  /** Lets no pull and no handler begin; what runs goes on. */
  readonly suspend: () => Promise<void>
  /** Ends {@link suspend}. */
  readonly resume: () => Promise<void>
  /** Lets no pull of the queues, or of all queues of the topics, begin. What is cached of them is still handled. */
  readonly pause: (...which: ReadonlyArray<MessageQueue | string>) => Promise<void>
  /** Ends {@link pause} for the queues or topics. */
  readonly unpause: (...which: ReadonlyArray<MessageQueue | string>) => Promise<void>
  /** Changes how many handlers run at once. */
  readonly setConcurrency: (concurrency: number) => Promise<void>
  /** Whether it runs and nothing is wrong with it. */
  readonly healthy: () => Promise<boolean>
  /**
   * Waits until all that lies in its queues at the call is finished: for tests. With `redeliveries` also for the messages that
   * it has given back, until they have come again and are finished.
   */
  readonly caughtUp: (options?: CallOptions & CaughtUpOptions) => Promise<void>
  /** Never fulfilled; rejected with `ConsumerFailed` when `onProblem` says `fail` of a problem. */
  readonly failed: (options?: CallOptions) => Promise<never>
  /** What the last shutdown left; undefined before. */
  readonly lastDrain: () => Promise<DrainReport | undefined>
  /**
   * Lets handlers go on for `drainTimeoutMillis`, interrupts the rest, writes the group's offsets and releases everything. Never
   * rejected; may be repeated.
   */
  readonly shutdown: () => Promise<void>
}

/** What a handler was rejected with. */
class Thrown {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

/** A handler as the other face has it: what nobody classifies is a defect there, and told in the log. */
const listenerOf = (handler: PlainHandler, { autoCommit, onFailure, order }: StartConsumerOptions) => {
  const call = (message: ReceivedMessage) => async (signal: AbortSignal) => handler(message, signal)
  const handle = (message: ReceivedMessage): Effect.Effect<OrderlyResult | void, Thrown> =>
    onFailure === undefined
      ? Effect.promise(call(message))
      : Effect.tryPromise({ try: call(message), catch: (error) => new Thrown(error) })
  const meaning = ({ error }: Thrown, message: ReceivedMessage) =>
    onFailure?.(error, message) ?? MessageListener.OrderlyResult.suspend()
  if (order === "queue") return MessageListener.orderly(handle, { autoCommit, onFailure: meaning })
  const unordered = (message: ReceivedMessage) => Effect.map(handle(message), asUnordered)
  const options = { onFailure: (error: Thrown, message: ReceivedMessage) => asUnordered(meaning(error, message)) }
  return order === undefined
    ? MessageListener.concurrently(unordered, options)
    : MessageListener.keyed(order, unordered, options)
}

/** {@link listenerOf} of a handler of batches. */
const batchesOf = (handler: PlainBatchHandler, { maxSize, onFailure, within }: StartBatchOptions) => {
  const call = (messages: MessageListener.Batch) => async (signal: AbortSignal) => handler(messages, signal)
  return MessageListener.batch<Thrown, never>(
    {
      maxSize,
      within,
      onFailure: onFailure === undefined ? undefined : ({ error }, messages) => onFailure(error, messages)
    },
    (messages) =>
      onFailure === undefined
        ? Effect.promise(call(messages))
        : Effect.tryPromise({ try: call(messages), catch: (error) => new Thrown(error) })
  )
}

const calls = (started: Started<DefaultMQPushConsumerShape>): DefaultMQPushConsumer => {
  const { context, run, service: consumer } = started
  return {
    ...lifeCalls(started),
    consumerGroup: consumer.consumerGroup,
    assignment: () => run(consumer.assignment, undefined),
    assignments: () => Stream.toAsyncIterableWith(consumer.assignments, context),
    subscribe: (subscription, options) => run(consumer.subscribe(subscription), options?.signal),
    unsubscribe: (topic, options) => run(consumer.unsubscribe(topic), options?.signal),
    suspend: () => run(consumer.suspend, undefined),
    resume: () => run(consumer.resume, undefined),
    pause: (...which) => run(consumer.pause(...which), undefined),
    unpause: (...which) => run(consumer.unpause(...which), undefined),
    setConcurrency: (concurrency) => run(consumer.setConcurrency(concurrency), undefined),
    healthy: () => run(consumer.healthy, undefined),
    caughtUp: (options) => run(consumer.caughtUp(options), options?.signal),
    failed: (options) => run(consumer.failed, options?.signal),
    lastDrain: () => run(consumer.lastDrain, undefined)
  }
}

/**
 * The push consumer for code without Effect.
 *
 * @example
 * ```ts
 * import { DefaultMQPushConsumer, Subscription } from "effect-rocketmq/promise"
 *
 * await using consumer = await DefaultMQPushConsumer.start(
 *   { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr: "127.0.0.1:9876" },
 *   async (message, signal) => {
 *     await fetch(`https://billing.example/${message.keys[0]}`, { method: "POST", signal })
 *   }
 * )
 * process.stdout.write(`${consumer.consumerGroup} is running\n`)
 * ```
 */
export const DefaultMQPushConsumer = {
  /** A started consumer. Rejected with a `StartError` when it cannot start, and has released everything then. */
  start: async (
    options: PlainConsumerOptions,
    handler: PlainHandler,
    call: StartConsumerOptions = {}
  ): Promise<DefaultMQPushConsumer> =>
    calls(
      await start(Service, Service.layer(plain(options), listenerOf(handler, call)), options.services, call.signal)
    ),
  /** {@link start} with a handler that gets up to `maxSize` messages of one queue at once (`MessageListener.batch`). */
  startBatch: async (
    options: PlainConsumerOptions,
    handler: PlainBatchHandler,
    batch: StartBatchOptions
  ): Promise<DefaultMQPushConsumer> =>
    calls(
      await start(Service, Service.layer(plain(options), batchesOf(handler, batch)), options.services, batch.signal)
    ),
  /** A started consumer with what is not given read from the environment; the names are in docs/configuration.md. */
  startConfig: async (
    handler: PlainHandler,
    options: Partial<PlainConsumerOptions> = {},
    call: StartConsumerOptions = {}
  ): Promise<DefaultMQPushConsumer> =>
    calls(
      await start(
        Service,
        Service.layerConfig(listenerOf(handler, call), plain(options)),
        options.services,
        call.signal
      )
    )
}
