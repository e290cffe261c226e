import type { Effect, Stream } from "effect"
import type {
  AccessDenied,
  ApiError,
  FilterRefused,
  IllegalServiceState,
  InvalidConfig,
  RouteUnavailable,
  StartError
} from "../client/ClientError.ts"
import type { ServiceState } from "../client/ServiceState.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type { ConsumerFailed } from "./ConsumerFailed.ts"
import type { CaughtUpOptions } from "./run/CaughtUp.ts"
import type { DrainReport } from "./run/RunOptions.ts"
import type { ConsumerState } from "./ConsumerState.ts"
import type { Subscription } from "./subscription/Subscription.ts"

/** A push consumer: what `DefaultMQPushConsumer.make` and the layers give. */
export interface DefaultMQPushConsumerShape {
  /** The consumer group, without the namespace. */
  readonly consumerGroup: string
  /** Where the consumer stands. */
  readonly serviceState: Effect.Effect<ServiceState>
  /** The service state now and each one after it. */
  readonly serviceStateChanges: Stream.Stream<ServiceState>
  /**
   * Starts the consumer, steps 5.1 to 5.9 of docs/startup.md. Fails with a `StartError` that names the step and the
   * reason, and has then released everything. After a duplicate group the state is CREATE_JUST, after any other failure
   * START_FAILED.
   */
  readonly start: Effect.Effect<void, StartError>
  /**
   * Ends the consumer: no pull and no handler begins, those that run have `drainTimeoutMillis`, the rest is interrupted, the
   * group's offsets are written and acknowledged, and the brokers are told. An interrupted handler's message comes again; it
   * is not counted as a failure. One that cannot be interrupted is waited for no longer than a second. In any state but RUNNING it does nothing.
   */
  readonly shutdown: Effect.Effect<void>
  /** Everything there is to see of the consumer now. */
  readonly state: Effect.Effect<ConsumerState>
  /** {@link state} now and after each change of a queue, a problem or the service state; never for a message. */
  readonly stateChanges: Stream.Stream<ConsumerState>
  /** The queues that it owns, sorted. */
  readonly assignment: Effect.Effect<ReadonlyArray<MessageQueue>>
  /** {@link assignment} now and after each change of it. */
  readonly assignments: Stream.Stream<ReadonlyArray<MessageQueue>>
  /**
   * Subscribes to one more topic, or to a topic with another filter, from now on: the brokers are told, and its queues are
   * shared out. What is cached already is still handled. Before the start it counts from the start on. Fails with
   * `InvalidConfig` when the subscription cannot be used, and with `FilterRefused` when a broker of the topic cannot serve its
   * filter; nothing has changed then (Java `subscribe`).
   */
  readonly subscribe: (
    subscription: Subscription
  ) => Effect.Effect<void, InvalidConfig | IllegalServiceState | FilterRefused | AccessDenied>
  /** Ends the subscription to a topic; its queues are given up as at a rebalance. One that there is not is no error (Java `unsubscribe`). */
  readonly unsubscribe: (topic: string) => Effect.Effect<void, IllegalServiceState>
  /** Lets no pull and no handler begin; what runs goes on (Java `suspend`). */
  readonly suspend: Effect.Effect<void>
  /** Ends {@link suspend}. */
  readonly resume: Effect.Effect<void>
  /**
   * Lets no pull of the queues, or of all queues of the topics, begin until {@link unpause}, those that it takes later
   * included. What is cached of them is still handled.
   */
  readonly pause: (...which: ReadonlyArray<MessageQueue | string>) => Effect.Effect<void>
  /** Ends {@link pause} for the queues or topics. */
  readonly unpause: (...which: ReadonlyArray<MessageQueue | string>) => Effect.Effect<void>
  /** Changes how many handlers run at once, until timer 5 fits it to the backlog; at least 1. */
  readonly setConcurrency: (concurrency: number) => Effect.Effect<void>
  /** Whether it runs and nothing is wrong with it. */
  readonly healthy: Effect.Effect<boolean>
  /**
   * Waits until all that lies in its queues at the call is finished, the retry queue included: for tests. With
   * `{ redeliveries: true }` also for the messages that it has given back, until they have come again and are finished. While
   * it is suspended, it waits.
   */
  readonly caughtUp: (
    options?: CaughtUpOptions
  ) => Effect.Effect<void, ApiError | RouteUnavailable | IllegalServiceState>
  /**
   * Never ends, but fails when the option `onProblem` says `fail` of a problem: for a program that is to end with its
   * consumer. The consumer itself goes on until it is shut down.
   */
  readonly failed: Effect.Effect<never, ConsumerFailed>
  /** What the last shutdown left; undefined before. */
  readonly lastDrain: Effect.Effect<DrainReport | undefined>
}
