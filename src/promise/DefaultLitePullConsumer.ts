import { Stream } from "effect"
import type { ServiceState } from "../client/ServiceState.ts"
import type { ConsumerState } from "../consumer/ConsumerState.ts"
import { DefaultLitePullConsumer as Service } from "../consumer/lite/DefaultLitePullConsumer.ts"
import type { LitePullOptions } from "../consumer/lite/LitePullOptions.ts"
import type {
  CommitOptions,
  DefaultLitePullConsumerShape,
  PollOptions,
  SeekTo
} from "../consumer/lite/LitePullShape.ts"
import type { ReceivedMessage } from "../consumer/ReceivedMessage.ts"
import type { Subscription } from "../consumer/subscription/Subscription.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import { type PlainConsumerParts, plain } from "./ConsumerOptions.ts"
import type { CallOptions } from "./Run.ts"
import { lifeCalls, start, type Started } from "./Start.ts"

/** The options of a lite pull consumer for code without Effect: those of the other face, with plain secrets. */
export interface PlainLitePullOptions
  extends Omit<LitePullOptions, "credentials" | "offsetStore" | "rebalanceListener" | "tls">, PlainConsumerParts {}

/** A started lite pull consumer; `await using` shuts it down. */
export interface DefaultLitePullConsumer extends AsyncDisposable {
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
  /** Subscribes to topics: queues are shared out among the members of the group. Rejected with `SubscriptionConflict` after an `assign`. */
  readonly subscribe: (...subscriptions: ReadonlyArray<Subscription>) => Promise<void>
  /** Ends the subscription to a topic, or gives its assigned queues up. */
  readonly unsubscribe: (topic: string, options?: CallOptions) => Promise<void>
  /** Reads exactly these queues from now on. Rejected with `SubscriptionConflict` after a `subscribe`. */
  readonly assign: (queues: Iterable<MessageQueue>, options?: CallOptions) => Promise<void>
  /** Filters what assigned queues of a topic give. */
  readonly setSubExpressionForAssign: (subscription: Subscription, options?: CallOptions) => Promise<void>
  /** The next messages; none when the time is over. Aborted, it has taken nothing. */
  readonly poll: (options?: PollOptions & CallOptions) => Promise<ReadonlyArray<ReceivedMessage>>
  /** Reads a queue on elsewhere: what is cached of it and the pull under way are dropped. */
  readonly seek: (queue: MessageQueue, to: SeekTo, options?: CallOptions) => Promise<void>
  /** Lets nothing of the queues, or of all queues of the topics, come; it stays where it is. */
  readonly pause: (...which: ReadonlyArray<MessageQueue | string>) => Promise<void>
  /** Ends {@link pause} for the queues or topics. */
  readonly resume: (...which: ReadonlyArray<MessageQueue | string>) => Promise<void>
  /** Commits what polls have given, of some queues, or at offsets that are named. Rejected with `CommitFailed`. */
  readonly commit: (
    offsets?: ReadonlyMap<MessageQueue, number> | ReadonlyArray<MessageQueue>,
    options?: CommitOptions & CallOptions
  ) => Promise<void>
  /** The group's offset of a queue; undefined when it has none. */
  readonly committed: (queue: MessageQueue, options?: CallOptions) => Promise<number | undefined>
  /** The offset of the next message of a queue that a poll gives; undefined while that is not known. */
  readonly position: (queue: MessageQueue) => Promise<number | undefined>
  /** The queues that a topic has now, sorted. */
  readonly queues: (topic: string, options?: CallOptions) => Promise<ReadonlyArray<MessageQueue>>
  /** The offset of the first message that was stored at a time or later. */
  readonly offsetForTimestamp: (
    queue: MessageQueue,
    timestamp: Parameters<DefaultLitePullConsumerShape["offsetForTimestamp"]>[1],
    options?: CallOptions
  ) => Promise<number>
  /** {@link queues} now and after each change of them. */
  readonly topicMessageQueueChanges: (topic: string) => AsyncIterable<ReadonlyArray<MessageQueue>>
  /** Whether it runs and nothing is wrong with it. */
  readonly healthy: () => Promise<boolean>
  /** Never fulfilled; rejected with `ConsumerFailed` when `onProblem` says `fail` of a problem. */
  readonly failed: (options?: CallOptions) => Promise<never>
  /** Writes what was committed, and releases everything. Never rejected; may be repeated. */
  readonly shutdown: () => Promise<void>
}

const calls = (started: Started<DefaultLitePullConsumerShape>): DefaultLitePullConsumer => {
  const { context, run, service: consumer } = started
  return {
    ...lifeCalls(started),
    consumerGroup: consumer.consumerGroup,
    assignment: () => run(consumer.assignment, undefined),
    assignments: () => Stream.toAsyncIterableWith(consumer.assignments, context),
    subscribe: (...subscriptions) => run(consumer.subscribe(...subscriptions), undefined),
    unsubscribe: (topic, options) => run(consumer.unsubscribe(topic), options?.signal),
    assign: (queues, options) => run(consumer.assign(queues), options?.signal),
    setSubExpressionForAssign: (subscription, options) =>
      run(consumer.setSubExpressionForAssign(subscription), options?.signal),
    poll: (options) => run(consumer.poll(options), options?.signal),
    seek: (queue, to, options) => run(consumer.seek(queue, to), options?.signal),
    pause: (...which) => run(consumer.pause(...which), undefined),
    resume: (...which) => run(consumer.resume(...which), undefined),
    commit: (offsets, options) => run(consumer.commit(offsets, options), options?.signal),
    committed: (queue, options) => run(consumer.committed(queue), options?.signal),
    position: (queue) => run(consumer.position(queue), undefined),
    queues: (topic, options) => run(consumer.queues(topic), options?.signal),
    offsetForTimestamp: (queue, timestamp, options) =>
      run(consumer.offsetForTimestamp(queue, timestamp), options?.signal),
    topicMessageQueueChanges: (topic) => Stream.toAsyncIterableWith(consumer.topicMessageQueueChanges(topic), context),
    healthy: () => run(consumer.healthy, undefined),
    failed: (options) => run(consumer.failed, options?.signal)
  }
}

/**
 * The lite pull consumer for code without Effect.
 *
 * @example
 * ```ts
 * import { DefaultLitePullConsumer, Subscription } from "effect-rocketmq/promise"
 *
 * await using consumer = await DefaultLitePullConsumer.start({
 *   consumerGroup: "reports",
 *   subscriptions: [Subscription.all("orders")],
 *   namesrvAddr: "127.0.0.1:9876"
 * })
 * const messages = await consumer.poll({ max: 100 })
 * process.stdout.write(`${messages.length} orders\n`)
 * await consumer.commit()
 * ```
 */
export const DefaultLitePullConsumer = {
  /** A started consumer. Rejected with a `StartError` when it cannot start, and has released everything then. */
  start: async (options: PlainLitePullOptions, call: CallOptions = {}): Promise<DefaultLitePullConsumer> =>
    calls(await start(Service, Service.layer(plain(options)), options.services, call.signal)),
  /** A started consumer with what is not given read from the environment; the names are in docs/configuration.md. */
  startConfig: async (
    options: Partial<PlainLitePullOptions> = {},
    call: CallOptions = {}
  ): Promise<DefaultLitePullConsumer> =>
    calls(await start(Service, Service.layerConfig(plain(options)), options.services, call.signal))
}
