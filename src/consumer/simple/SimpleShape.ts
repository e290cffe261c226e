import type { Duration, Effect, Result, Stream } from "effect"
import type {
  AccessDenied,
  FilterRefused,
  IllegalServiceState,
  InvalidConfig,
  StartError
} from "../../client/ClientError.ts"
import type { InstanceState } from "../../client/InstanceState.ts"
import type { ServiceState } from "../../client/ServiceState.ts"
import type { StepRecord } from "../../client/StartStep.ts"
import type { TraceState } from "../../client/telemetry/TraceDispatcher.ts"
import type { TopicDecodeError } from "../../message/Topic.ts"
import type { ConsumerProblem } from "../ConsumerState.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { Subscription } from "../subscription/Subscription.ts"
import type { ConsumeHookCounters } from "../telemetry/Hooks.ts"
import type { ReceiveError, SettleError } from "./SimpleError.ts"

/** What one `receive` is to give. */
export interface ReceiveOptions {
  /** Messages that it gives at most, 1 to 32; default `popBatchNums`. */
  readonly max?: number | undefined
  /** For how long they are hidden from other members, 1 second to 12 hours; default `popInvisibleTime`. */
  readonly invisible?: Duration.Input | undefined
  /** How long it waits for its first message; default `awaitDuration`. 0 gives what is there. */
  readonly wait?: Duration.Input | undefined
}

/** What an acknowledgement came to. */
export type PopAckOutcome =
  | {
      /** A broker has answered it in time. */
      readonly _tag: "Acked"
      /**
       * Whether it may come again all the same, because the answer to an extension before was lost. Almost always false.
       */
      readonly mayComeAgain: boolean
    }
  | {
      /** It was acknowledged before; nothing was sent. */
      readonly _tag: "AlreadyAcked"
    }
  | {
      /** Its invisible time was over, or was over before a broker answered: it comes again, or has. */
      readonly _tag: "Expired"
      /** What kept it from being acknowledged in time; undefined when nothing was tried. */
      readonly lastFailure: string | undefined
    }

/** What an extension came to. */
export type ExtendOutcome =
  | {
      /** It stays hidden, and is acknowledged as before. */
      readonly _tag: "Extended"
      /** Until when, in milliseconds since the epoch by this machine's clock. */
      readonly expiresAt: number
    }
  | {
      /** It was acknowledged before, or an acknowledgement is on its way; nothing was sent. */
      readonly _tag: "AlreadyAcked"
    }
  | {
      /** Its invisible time was over, or was over before a broker answered: it comes again, or has. */
      readonly _tag: "Expired"
      /** What kept it from being extended in time; undefined when nothing was tried. */
      readonly lastFailure: string | undefined
    }

/**
 * A message that was received: hidden from the other members of the group for a while, after which it comes again unless it is
 * acknowledged. It keeps the handle that its broker knows it by, the newest one; several at once take turns.
 */
export interface PoppedMessage {
  /** The message. Its `attempt` says how often the group got it. */
  readonly message: ReceivedMessage
  /** Until when it is hidden, by this machine's clock in milliseconds since the epoch; it moves with each extension. */
  readonly expiresAt: Effect.Effect<number>
  /** For how long it is hidden in all since it was received or last extended, in milliseconds. */
  readonly invisibleMillis: Effect.Effect<number>
  /**
   * Says that it is consumed (gRPC `ack`). Tried again, where trying may help, until its time is over; what is expected is an
   * outcome, and fails with `SettleError` otherwise.
   */
  readonly ack: Effect.Effect<PopAckOutcome, SettleError>
  /**
   * Hides it for so long from now on, 1 second to 12 hours; shorter than what is left makes it come again sooner (gRPC
   * `changeInvisibleDuration`). Tried again as an acknowledgement is. What comes again counts as another attempt.
   */
  readonly extend: (invisible: Duration.Input) => Effect.Effect<ExtendOutcome, SettleError>
  /**
   * Runs its handler, extends its time by as much again whenever two thirds of it are over, and acknowledges it when the handler
   * has succeeded. Fails as the handler does, and ends with it when it is interrupted; the message then comes again when its
   * time is over. However long it takes it is one delivery: bound a handler that may hang by `Effect.timeout`.
   */
  readonly process: <A, E, R>(handler: Effect.Effect<A, E, R>) => Effect.Effect<PopAckOutcome, E | SettleError, R>
}

/** A message of a typed topic, and what its schema reads in it. */
export interface TypedPoppedMessage<out A> extends PoppedMessage {
  /** What the schema reads, or why it can not. */
  readonly value: Result.Result<A, TopicDecodeError>
}

/** What a simple consumer has counted since it was started. */
export interface SimpleConsumerCounters {
  /** Messages that it gave. */
  readonly received: number
  /** Those of them that the group had been given before. */
  readonly redelivered: number
  /** Acknowledgements that brokers answered in time. */
  readonly acked: number
  /** Extensions that brokers answered in time. */
  readonly extended: number
  /** Acknowledgements and extensions that came, or were answered, too late. */
  readonly expired: number
  /** Acknowledgements and extensions that failed. */
  readonly settleFailures: number
  /** Messages that were left out, by a filter hook or since their tags only have a hash in common with a wanted one; they are acknowledged. */
  readonly filtered: number
  /** Messages that came without a handle: left out, they come again. */
  readonly withoutHandle: number
}

/** Everything there is to see of a simple consumer, in one value that can be printed as JSON. */
export interface SimpleConsumerState {
  /** The consumer group. */
  readonly consumerGroup: string
  /** Where the consumer stands. */
  readonly serviceState: ServiceState
  /** The steps of its start, in the order in which they ended. */
  readonly steps: ReadonlyArray<StepRecord>
  /** What it subscribes to. */
  readonly subscriptions: ReadonlyArray<Subscription>
  /** Calls of `receive` that are under way. */
  readonly receiving: number
  /** Handlers of `process`, acknowledgements and extensions that are under way. */
  readonly running: number
  /** What it has counted since its start. */
  readonly counters: SimpleConsumerCounters
  /** What became of the runs of hooks. */
  readonly hooks: ConsumeHookCounters
  /** What became of the message traces; undefined unless `enableTrace` is set, and before the start. */
  readonly trace: TraceState | undefined
  /** What is wrong now; empty when all is well. */
  readonly problems: ReadonlyArray<ConsumerProblem>
  /** The client instance under it; undefined unless it is RUNNING. */
  readonly instance: InstanceState | undefined
}

/** A simple consumer: what `SimpleConsumer.make` and the layers give. */
export interface SimpleConsumerShape {
  /** The consumer group, without the namespace. */
  readonly consumerGroup: string
  /** Where the consumer stands. */
  readonly serviceState: Effect.Effect<ServiceState>
  /** The service state now and each one after it. */
  readonly serviceStateChanges: Stream.Stream<ServiceState>
  /**
   * Starts the consumer. Fails with a `StartError` that names the step and the reason, and has then released everything. After
   * a duplicate group the state is CREATE_JUST, after any other failure START_FAILED.
   */
  readonly start: Effect.Effect<void, StartError>
  /**
   * Ends the consumer: calls of `receive` that wait give nothing, handlers of `process`, acknowledgements and extensions have
   * `drainTimeoutMillis`, and the brokers are told. What was received and not acknowledged comes again when its time is over.
   * In any state but RUNNING it does nothing.
   */
  readonly shutdown: Effect.Effect<void>
  /** Everything there is to see of the consumer now. */
  readonly state: Effect.Effect<SimpleConsumerState>
  /** {@link state} now and after each change of a problem or the service state; never for a message. */
  readonly stateChanges: Stream.Stream<SimpleConsumerState>
  /** Whether it runs and nothing is wrong with it. */
  readonly healthy: Effect.Effect<boolean>
  /**
   * Subscribes to topics, or to topics with other filters, from the next `receive` on; before the start it counts from the
   * start on. Fails with `InvalidConfig` and `FilterRefused` when a subscription cannot be used (gRPC `subscribe`).
   */
  readonly subscribe: (
    ...subscriptions: ReadonlyArray<Subscription>
  ) => Effect.Effect<void, InvalidConfig | IllegalServiceState | FilterRefused | AccessDenied>
  /** Ends the subscription to a topic. One that there is not is no error (gRPC `unsubscribe`). */
  readonly unsubscribe: (topic: string) => Effect.Effect<void, IllegalServiceState>
  /**
   * The next messages of one broker of one topic, up to `max`; topics and brokers take turns. Waits for the first of them, and
   * gives none when the time is over. Any number may be under way at once. One that is interrupted while messages are on their
   * way has taken them: they come again when their time is over (gRPC `receive`).
   */
  readonly receive: (options?: ReceiveOptions) => Effect.Effect<ReadonlyArray<PoppedMessage>, ReceiveError>
}
