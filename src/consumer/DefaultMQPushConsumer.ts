import { Context, Effect, Layer, type Scope, Stream, Tracer } from "effect"
import { type ApiError, type IllegalServiceState, type RouteUnavailable, StartError } from "../client/ClientError.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import { accept, type Resolution } from "../client/options/OptionTable.ts"
import * as ServiceLife from "../client/ServiceLife.ts"
import type { ServiceState } from "../client/ServiceState.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type * as ConsumerConfig from "./ConsumerConfig.ts"
import * as Counters from "./ConsumerCounters.ts"
import * as ConsumerOptions from "./ConsumerOptions.ts"
import type { DrainReport } from "./ConsumerRun.ts"
import { type ConsumerState, viewOf } from "./ConsumerState.ts"
import * as Listener from "./MessageListener.ts"
import { readConfig } from "./ReadConsumerConfig.ts"
import { acquire, type Running } from "./RunningConsumer.ts"

/** A push consumer: what `DefaultMQPushConsumer.make` and the layers give. */
export interface DefaultMQPushConsumerShape {
  /** The consumer group, without the namespace. */
  readonly consumerGroup: string
  /** Where the consumer stands. */
  readonly serviceState: Effect.Effect<ServiceState>
  /** The service state now and each one after it. */
  readonly serviceStateChanges: Stream.Stream<ServiceState>
  /**
   * Starts the consumer, steps 5.1 to 5.10 of docs/startup.md. Fails with a `StartError` that names the step and the
   * reason, and has then released everything. After a duplicate group the state is CREATE_JUST, after any other failure
   * START_FAILED.
   */
  readonly start: Effect.Effect<void, StartError>
  /**
   * Ends the consumer: no pull and no handler begins, those that run have `drainTimeoutMillis`, the rest is interrupted, the
   * group's offsets are written and acknowledged, and the brokers are told. An interrupted handler's message comes again; it
   * is not counted as a failure. In any state but RUNNING it does nothing.
   */
  readonly shutdown: Effect.Effect<void>
  /** Everything there is to see of the consumer now. */
  readonly state: Effect.Effect<ConsumerState>
  /** {@link state} now and after each change of a queue, a problem or the service state; never for a message. */
  readonly stateChanges: Stream.Stream<ConsumerState>
  /** The queues that it owns, sorted. */
  readonly assignment: Effect.Effect<ReadonlyArray<MessageQueue>>
  /** Lets no pull and no handler begin; what runs goes on (Java `suspend`). */
  readonly suspend: Effect.Effect<void>
  /** Ends {@link suspend}. */
  readonly resume: Effect.Effect<void>
  /** Lets no pull of the queues, or of all queues of the topics, begin. What is cached of them is still handled. */
  readonly pause: (...which: ReadonlyArray<MessageQueue | string>) => Effect.Effect<void>
  /** Ends {@link pause} for the queues or topics. */
  readonly unpause: (...which: ReadonlyArray<MessageQueue | string>) => Effect.Effect<void>
  /** Changes how many handlers run at once, until timer 5 fits it to the backlog; at least 1. */
  readonly setConcurrency: (concurrency: number) => Effect.Effect<void>
  /** Whether it runs and nothing is wrong with it. */
  readonly healthy: Effect.Effect<boolean>
  /**
   * Waits until all that lies in its queues at the call is finished, the retry queue included: for tests. Messages that
   * are still to come again are not waited for. While it is suspended, it waits.
   */
  readonly caughtUp: Effect.Effect<void, ApiError | RouteUnavailable | IllegalServiceState>
  /** What the last shutdown left; undefined before. */
  readonly lastDrain: Effect.Effect<DrainReport | undefined>
}

/**
 * A consumer whose handler is given messages as they come: a member of a group that shares the queues of its topics.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { DefaultMQPushConsumer, MQClientManager, Subscription } from "effect-rocketmq"
 *
 * const consumer = DefaultMQPushConsumer.layer(
 *   { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr: "127.0.0.1:9876" },
 *   (message) => Effect.log(`order ${message.keys.join()} of ${message.body.length} bytes`)
 * )
 *
 * Effect.runFork(Layer.launch(consumer.pipe(Layer.provide(MQClientManager.layerTcp))))
 * ```
 *
 * Source: RocketMQ `DefaultMQPushConsumer`, `DefaultMQPushConsumerImpl`.
 */
export class DefaultMQPushConsumer extends Context.Service<DefaultMQPushConsumer, DefaultMQPushConsumerShape>()(
  "effect-rocketmq/consumer/DefaultMQPushConsumer"
) {
  /** A consumer in Java's shape: made in CREATE_JUST, with `start` and `shutdown` of its own. It acquires nothing. */
  static readonly make = <E, R>(
    options: ConsumerOptions.PushConsumerOptions,
    listener: Listener.Handler<E, R> | Listener.MessageListener<E, R>
  ): Effect.Effect<DefaultMQPushConsumerShape, never, MQClientManager | Exclude<R, Scope.Scope>> =>
    Effect.suspend(() => make(ConsumerOptions.resolve(options), listener))

  /**
   * A started consumer for as long as the layer's scope is open; closing it is the shutdown. What the handler needs is taken
   * when the layer is built, not for each message; a handler that needs a `Scope` gets one for each message.
   */
  static readonly layer = <E, R>(
    options: ConsumerOptions.PushConsumerOptions,
    listener: Listener.Handler<E, R> | Listener.MessageListener<E, R>
  ): Layer.Layer<DefaultMQPushConsumer, StartError, MQClientManager | Exclude<R, Scope.Scope>> =>
    Layer.effect(
      DefaultMQPushConsumer,
      Effect.suspend(() => started(ConsumerOptions.resolve(options), listener))
    )

  /**
   * {@link layer} with options from `Config`, under the names in docs/configuration.md (`ROCKETMQ_CONSUMER_GROUP`,
   * `ROCKETMQ_CONSUMER_TOPIC`, `NAMESRV_ADDR`, ...). Options given here win; each may be a value or a `Config` of its own.
   * Everything that cannot be used is told at once, by an `InvalidConfig`.
   */
  static readonly layerConfig = <E, R>(
    listener: Listener.Handler<E, R> | Listener.MessageListener<E, R>,
    overrides?: ConsumerConfig.Overrides
  ): Layer.Layer<DefaultMQPushConsumer, StartError, MQClientManager | Exclude<R, Scope.Scope>> =>
    Layer.effect(DefaultMQPushConsumer, startedFromConfig(listener, overrides))

  /** {@link layer} for programs that want nothing of the consumer but that it runs. */
  static readonly layerDiscard = <E, R>(
    options: ConsumerOptions.PushConsumerOptions,
    listener: Listener.Handler<E, R> | Listener.MessageListener<E, R>
  ): Layer.Layer<never, StartError, MQClientManager | Exclude<R, Scope.Scope>> =>
    Layer.effectDiscard(Effect.suspend(() => started(ConsumerOptions.resolve(options), listener)))
}

/** Refuses options that were read and cannot be used, as a start that names where each was found. */
const acceptRead = (resolution: Resolution<ConsumerOptions.PushConsumerConfig>): Effect.Effect<void, StartError> =>
  Effect.asVoid(accept(resolution)).pipe(
    Effect.mapError((reason) => new StartError({ step: "5.2", name: "check the configuration and the group", reason }))
  )

const startedFromConfig = Effect.fnUntraced(function* <E, R>(
  listener: Listener.Handler<E, R> | Listener.MessageListener<E, R>,
  overrides: ConsumerConfig.Overrides | undefined
) {
  const resolution = yield* readConfig(overrides)
  yield* acceptRead(resolution)
  return yield* started(resolution, listener)
})

const started = Effect.fnUntraced(function* <E, R>(
  resolution: Resolution<ConsumerOptions.PushConsumerConfig>,
  listener: Listener.Handler<E, R> | Listener.MessageListener<E, R>
) {
  const consumer = yield* make(resolution, listener)
  // Before the start: it does nothing where nothing runs.
  yield* Effect.addFinalizer(() => consumer.shutdown)
  yield* consumer.start
  return DefaultMQPushConsumer.of(consumer)
})

const make = Effect.fnUntraced(function* <E, R>(
  given: Resolution<ConsumerOptions.PushConsumerConfig>,
  handler: Listener.Handler<E, R> | Listener.MessageListener<E, R>
) {
  const manager = yield* MQClientManager
  const context = yield* Effect.context<Exclude<R, Scope.Scope>>()
  const resolution = yield* ConsumerOptions.inEndpointNamespace(given)
  const { config } = resolution
  const { consumerGroup } = config
  let suspended = false
  let lastDrain: DrainReport | undefined

  const life: ServiceLife.ServiceLife<Running> = yield* ServiceLife.make<Running>({
    subject: `consumer ${consumerGroup}`,
    number: "5",
    startTimeoutMillis: config.startTimeoutMillis,
    acquire: (lifeContext) =>
      acquire<E, R>(
        { resolution, manager, listener: Listener.of(handler), context: withoutSpan(context) },
        lifeContext
      ),
    isStartableAfter: (reason) => reason._tag === "DuplicateConsumerGroup",
    drainTimeoutMillis: config.drainTimeoutMillis,
    work: "handler(s)",
    drains: ({ run }, bound) => [
      Effect.map(run.close(bound), (report) => {
        lastDrain = report
        return report.interrupted
      })
    ],
    annotations: ({ instance }) => ({ clientId: instance.clientId, group: consumerGroup }),
    spanAttributes: { "messaging.system": "rocketmq", "messaging.consumer.group.name": consumerGroup }
  })

  const state = Effect.gen(function* () {
    const serviceState = life.serviceStateNow()
    const parts = life.parts()
    const view: ConsumerState = {
      consumerGroup,
      serviceState,
      steps: life.steps(),
      members: parts?.run.members() ?? [],
      queues: (parts?.run.owned() ?? []).map(viewOf),
      running: parts?.consumption.running() ?? 0,
      concurrency: parts?.consumption.concurrency() ?? config.consumeThreadMin,
      suspended,
      counters: { ...(parts?.counters ?? Counters.make()) },
      problems: parts?.problems() ?? [],
      lastDrain,
      instance: serviceState === "RUNNING" && parts !== undefined ? yield* parts.instance.state : undefined
    }
    return view
  })

  const setSuspended = (value: boolean) =>
    Effect.suspend(() => {
      suspended = value
      life.running()?.run.suspend(value)
      return life.notify
    })

  const setPaused = (which: ReadonlyArray<MessageQueue | string>, paused: boolean) =>
    Effect.suspend(() => {
      life
        .running()
        ?.run.pause(
          (queue) =>
            which.some((one) =>
              typeof one === "string"
                ? one === queue.topic
                : one.topic === queue.topic && one.brokerName === queue.brokerName && one.queueId === queue.queueId
            ),
          paused
        )
      return life.notify
    })

  const consumer: DefaultMQPushConsumerShape = {
    consumerGroup,
    serviceState: life.serviceState,
    serviceStateChanges: life.serviceStateChanges,
    start: Effect.asVoid(life.start),
    shutdown: life.shutdown,
    state,
    stateChanges: Stream.mapEffect(life.changes, () => state),
    assignment: Effect.sync(() => (life.parts()?.run.owned() ?? []).map(({ messageQueue }) => messageQueue)),
    suspend: setSuspended(true),
    resume: setSuspended(false),
    pause: (...which) => setPaused(which, true),
    unpause: (...which) => setPaused(which, false),
    setConcurrency: (concurrency) =>
      Effect.suspend(() => {
        life.running()?.consumption.setConcurrency(Math.min(1_000, Math.max(1, Math.floor(concurrency) || 1)))
        return life.notify
      }),
    healthy: Effect.sync(() => life.running()?.problems().length === 0),
    caughtUp: Effect.suspend((): DefaultMQPushConsumerShape["caughtUp"] => {
      const refusal = life.refusal("wait until it has caught up")
      return refusal === undefined ? (life.running()?.run.caughtUp ?? Effect.void) : Effect.fail(refusal)
    }),
    lastDrain: Effect.sync(() => lastDrain)
  }
  return consumer
})

/** The context without the span that the layer is built in, which would be the parent of every message's. */
function withoutSpan<R>(context: Context.Context<R>): Context.Context<R>
function withoutSpan(context: Context.Context<never>): Context.Context<never> {
  return Context.omit(Tracer.ParentSpan)(context)
}
