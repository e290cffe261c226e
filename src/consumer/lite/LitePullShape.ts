import type { DateTime, Duration, Effect, Result, Stream } from "effect"
import type {
  AccessDenied,
  ApiError,
  FilterRefused,
  IllegalServiceState,
  InvalidConfig,
  RouteUnavailable
} from "../../client/ClientError.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { TopicDecodeError } from "../../message/Topic.ts"
import type { DefaultMQPushConsumerShape } from "../ConsumerShape.ts"
import type { OffsetStoreError } from "../offset/OffsetStore.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { Subscription } from "../subscription/Subscription.ts"
import type { CommitFailed, SeekRefused, SubscriptionConflict } from "./LitePullError.ts"

/** What one poll is to give. */
export interface PollOptions {
  /** How long it waits for its first message; default `pollTimeoutMillis`. 0 gives what is there. */
  readonly timeout?: Duration.Input | undefined
  /** Messages that it gives at most; default `pullBatchSize`. */
  readonly max?: number | undefined
}

/**
 * Where a queue is to be read on: an offset, the oldest message that it has, behind the last one, or the first message that
 * was stored at a time or later.
 */
export type SeekTo =
  | number
  | "begin"
  | "end"
  | {
      /** A `DateTime`, a `Date`, milliseconds since the epoch, or a text such as `2024-02-29T12:00:00Z`, by the broker's clock. */
      readonly timestamp: DateTime.DateTime.Input
    }

/** A message of a typed topic, and what its schema reads in it. */
export interface TypedMessage<out A> {
  /** The message as it was received. */
  readonly message: ReceivedMessage
  /** What the schema reads, or why it can not. */
  readonly value: Result.Result<A, TopicDecodeError>
}

/** How offsets are committed. */
export interface CommitOptions {
  /**
   * Whether they are written at once, and the answers waited for; default true. With false they are only noted, and written
   * with the next that are: every 5 seconds (`persistConsumerOffsetInterval`), and when the queue is given up.
   */
  readonly persist?: boolean | undefined
}

/** What `committed`, `offsetForTimestamp` and `seek` may fail with beside a refusal. */
type AskError = ApiError | RouteUnavailable | IllegalServiceState

/** A lite pull consumer: what `DefaultLitePullConsumer.make` and the layers give. */
export interface DefaultLitePullConsumerShape extends Pick<
  DefaultMQPushConsumerShape,
  | "assignment"
  | "assignments"
  | "consumerGroup"
  | "failed"
  | "healthy"
  | "lastDrain"
  | "serviceState"
  | "serviceStateChanges"
  | "start"
  | "state"
  | "stateChanges"
> {
  /**
   * Ends the consumer: what is to be committed is written and acknowledged, and the brokers are told. What the last poll gave
   * comes again to whoever reads the queue next, unless `commit` was called. Polls that wait give nothing. In any state but
   * RUNNING it does nothing.
   */
  readonly shutdown: Effect.Effect<void>
  /**
   * Subscribes to topics, or to topics with other filters: queues are shared out among the members of the group. Before the
   * start it counts from the start on. What is cached already still comes. Fails with `SubscriptionConflict` after an
   * `assign`, with `InvalidConfig` and `FilterRefused` when a subscription cannot be used (Java `subscribe`).
   */
  readonly subscribe: (
    ...subscriptions: ReadonlyArray<Subscription>
  ) => Effect.Effect<void, SubscriptionConflict | InvalidConfig | IllegalServiceState | FilterRefused | AccessDenied>
  /** Ends the subscription to a topic, or gives its assigned queues up. One that there is not is no error (Java `unsubscribe`). */
  readonly unsubscribe: (topic: string) => Effect.Effect<void, IllegalServiceState>
  /**
   * Reads exactly these queues from now on, whoever else reads them: nothing is shared out. Those that it had and that are
   * among them are read on. Fails with `SubscriptionConflict` after a `subscribe`, with `InvalidConfig` when there is none
   * (Java `assign`).
   */
  readonly assign: (
    queues: Iterable<MessageQueue>
  ) => Effect.Effect<void, SubscriptionConflict | InvalidConfig | IllegalServiceState>
  /**
   * Filters what assigned queues of a topic give; by default all of it comes. In Java only before the start (Java
   * `setSubExpressionForAssign`).
   */
  readonly setSubExpressionForAssign: (
    subscription: Subscription
  ) => Effect.Effect<void, SubscriptionConflict | InvalidConfig | IllegalServiceState>
  /**
   * The next messages: up to `max`, those of a queue in order. Waits for the first of them, and gives none when the time is
   * over. With `autoCommit` it first notes what the polls before it gave as committed. Polls under way at once are served in
   * order; an interrupted one has taken nothing. What is cached of a queue that was given up never comes (Java `poll`).
   */
  readonly poll: (options?: PollOptions) => Effect.Effect<ReadonlyArray<ReceivedMessage>, IllegalServiceState>
  /**
   * Reads a queue on elsewhere: what is cached of it and the pull under way are dropped. The group's offset is not written by
   * it, but by the next commit, with `autoCommit` by the next poll (Java `seek`, `seekToBegin`, `seekToEnd`).
   */
  readonly seek: (queue: MessageQueue, to: SeekTo) => Effect.Effect<void, SeekRefused | AskError>
  /** Lets nothing of the queues, or of all queues of the topics, come, what is cached included; it stays where it is (Java `pause`). */
  readonly pause: (...which: ReadonlyArray<MessageQueue | string>) => Effect.Effect<void>
  /** Ends {@link pause} for the queues or topics (Java `resume`). */
  readonly resume: (...which: ReadonlyArray<MessageQueue | string>) => Effect.Effect<void>
  /**
   * Commits what polls have given so far, the last one included; of some queues, or of some queues at offsets that are named.
   * It ends when the writes were acknowledged. Fails with `CommitFailed`, which names the queues that were not written and
   * why; the others were (Java `commit`).
   */
  readonly commit: (
    offsets?: ReadonlyMap<MessageQueue, number> | ReadonlyArray<MessageQueue>,
    options?: CommitOptions
  ) => Effect.Effect<void, CommitFailed | IllegalServiceState>
  /** The group's offset of a queue, as the brokers or the `offsetStore` have it; undefined when it has none (Java `committed`). */
  readonly committed: (queue: MessageQueue) => Effect.Effect<number | undefined, OffsetStoreError | IllegalServiceState>
  /** The offset of the next message of a queue that a poll gives; undefined for a queue that it does not own, and while it is not known. */
  readonly position: (queue: MessageQueue) => Effect.Effect<number | undefined>
  /** The queues that a topic has now, by its name servers, sorted (Java `fetchMessageQueues`). */
  readonly queues: (
    topic: string
  ) => Effect.Effect<ReadonlyArray<MessageQueue>, ApiError | RouteUnavailable | IllegalServiceState>
  /** The offset of the first message that was stored at a time or later, by the broker's clock (Java `offsetForTimestamp`). */
  readonly offsetForTimestamp: (
    queue: MessageQueue,
    timestamp: DateTime.DateTime.Input
  ) => Effect.Effect<number, SeekRefused | AskError>
  /**
   * {@link queues} now and after each change of them, looked up every `topicMetadataCheckIntervalMillis`; a look-up that fails
   * tells of no change (Java `registerTopicMessageQueueChangeListener`).
   */
  readonly topicMessageQueueChanges: (topic: string) => Stream.Stream<ReadonlyArray<MessageQueue>, IllegalServiceState>
}
