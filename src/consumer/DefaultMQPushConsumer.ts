import { Context, Effect, Layer, type Scope } from "effect"
import { StartError } from "../client/ClientError.ts"
import type { MQClientManager } from "../client/MQClientManager.ts"
import { accept, type Resolution } from "../client/options/OptionTable.ts"
import * as Consumption from "./consume/Consumption.ts"
import * as Direct from "./consume/Direct.ts"
import type * as ConsumerConfig from "./ConsumerConfig.ts"
import type { ConsumerFailed } from "./ConsumerFailed.ts"
import type { ConsumerKind } from "./ConsumerKind.ts"
import * as ConsumerLife from "./ConsumerLife.ts"
import * as ConsumerOptions from "./ConsumerOptions.ts"
import type { DefaultMQPushConsumerShape } from "./ConsumerShape.ts"
import * as Listener from "./MessageListener.ts"
import * as Listeners from "./ListenerContext.ts"
import { reader } from "./ReadConsumerConfig.ts"

export type { DefaultMQPushConsumerShape } from "./ConsumerShape.ts"

/** What a consumer does with messages: a bare function, or a `MessageListener`. */
type AnyListener<E, R> = Listener.Handler<E, R> | Listener.MessageListener<E, R>

/** The layer of a consumer: `Self` is the service that it gives. */
type ConsumerLayer<Self, R, RL = never> = Layer.Layer<Self, StartError, MQClientManager | Exclude<R, Scope.Scope> | RL>

/** A consumer with a name of its own: what {@link DefaultMQPushConsumer.named} gives. */
export interface NamedConsumer<Self, Id extends string> extends Context.ServiceClass<
  Self,
  Id,
  DefaultMQPushConsumerShape
> {
  /** As `DefaultMQPushConsumer.layer`, under this name. */
  readonly layer: <E, R, RL = never>(
    options: ConsumerOptions.PushConsumerOptions<RL>,
    listener: AnyListener<E, R>
  ) => ConsumerLayer<Self, R, RL>
  /** As `DefaultMQPushConsumer.layerConfig`, under this name. */
  readonly layerConfig: <E, R>(
    listener: AnyListener<E, R>,
    overrides?: ConsumerConfig.Overrides
  ) => ConsumerLayer<Self, R>
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
  static readonly make = <E, R, RL = never>(
    options: ConsumerOptions.PushConsumerOptions<RL>,
    listener: AnyListener<E, R>
  ): Effect.Effect<DefaultMQPushConsumerShape, never, MQClientManager | Exclude<R, Scope.Scope> | RL> =>
    Effect.flatMap(resolved(options), (resolution) => make(resolution, listener))

  /**
   * A started consumer for as long as the layer's scope is open; closing it is the shutdown. What the handler needs is taken
   * when the layer is built, not for each message; a handler that needs a `Scope` gets one for each message.
   */
  static readonly layer = <E, R, RL = never>(
    options: ConsumerOptions.PushConsumerOptions<RL>,
    listener: AnyListener<E, R>
  ): ConsumerLayer<DefaultMQPushConsumer, R, RL> => Layer.effect(DefaultMQPushConsumer, startedWith(options, listener))

  /**
   * {@link layer} with options from `Config`, under the names in docs/configuration.md (`ROCKETMQ_CONSUMER_GROUP`,
   * `ROCKETMQ_CONSUMER_TOPIC`, `NAMESRV_ADDR`, ...). Options given here win; each may be a value or a `Config` of its own.
   * Everything that cannot be used is told at once, by an `InvalidConfig`.
   */
  static readonly layerConfig = <E, R>(
    listener: AnyListener<E, R>,
    overrides?: ConsumerConfig.Overrides
  ): ConsumerLayer<DefaultMQPushConsumer, R> =>
    Layer.effect(DefaultMQPushConsumer, startedFromConfig(listener, overrides))

  /** {@link layer} for programs that want nothing of the consumer but that it runs. */
  static readonly layerDiscard = <E, R, RL = never>(
    options: ConsumerOptions.PushConsumerOptions<RL>,
    listener: AnyListener<E, R>
  ): ConsumerLayer<never, R, RL> => Layer.effectDiscard(startedWith(options, listener))

  /**
   * A consumer for as long as the effect runs, which ends only by a failure: of the start, or with `ConsumerFailed` when the
   * option `onProblem` says `fail` of a problem. So a program can end with its consumer.
   */
  static readonly run = <E, R, RL = never>(
    options: ConsumerOptions.PushConsumerOptions<RL>,
    listener: AnyListener<E, R>
  ): Effect.Effect<never, StartError | ConsumerFailed, MQClientManager | Exclude<R, Scope.Scope> | RL> =>
    Effect.scoped(Effect.flatMap(startedWith(options, listener), ({ failed }) => failed))

  /**
   * A service of its own for a program with several consumers, so that no layer takes another's place.
   *
   * @example
   * ```ts
   * import { Effect } from "effect"
   * import { DefaultMQPushConsumer, Subscription } from "effect-rocketmq"
   *
   * class Billing extends DefaultMQPushConsumer.named<Billing>()("shop/Billing") {}
   *
   * export const billing = Billing.layer(
   *   { consumerGroup: "billing", subscriptions: [Subscription.tags("orders", "paid")] },
   *   (message) => Effect.log(message.msgId)
   * )
   * ```
   */
  static readonly named =
    <Self>() =>
    <const Id extends string>(id: Id): NamedConsumer<Self, Id> => {
      class Named extends Context.Service<Self, DefaultMQPushConsumerShape>()(id) {
        static readonly layer = <E, R, RL = never>(
          options: ConsumerOptions.PushConsumerOptions<RL>,
          listener: AnyListener<E, R>
        ): ConsumerLayer<Self, R, RL> => Layer.effect(Named, startedWith(options, listener))
        static readonly layerConfig = <E, R>(
          listener: AnyListener<E, R>,
          overrides?: ConsumerConfig.Overrides
        ): ConsumerLayer<Self, R> => Layer.effect(Named, startedFromConfig(listener, overrides))
      }
      return Named
    }
}

/** Refuses options that were read and cannot be used, as a start that names where each was found. */
const acceptRead = (resolution: Resolution<ConsumerOptions.PushConsumerConfig>): Effect.Effect<void, StartError> =>
  Effect.asVoid(accept(resolution)).pipe(
    Effect.mapError((reason) => new StartError({ step: "5.2", name: "check the configuration and the group", reason }))
  )

const startedFromConfig = Effect.fnUntraced(function* <E, R>(
  listener: AnyListener<E, R>,
  overrides: ConsumerConfig.Overrides | undefined
) {
  const resolution = yield* reader.readConfig(overrides)
  yield* acceptRead(resolution)
  return yield* started(resolution, listener)
})

/** The options, with what their listener needs of the present context. */
const resolved = <RL>({ rebalanceListener, ...options }: ConsumerOptions.PushConsumerOptions<RL>) =>
  Effect.map(Listeners.provided(rebalanceListener), (listener) =>
    ConsumerOptions.resolve({ ...options, rebalanceListener: listener })
  )

const startedWith = <E, R, RL>(options: ConsumerOptions.PushConsumerOptions<RL>, listener: AnyListener<E, R>) =>
  Effect.flatMap(resolved(options), (resolution) => started(resolution, listener))

const started = <E, R>(resolution: Resolution<ConsumerOptions.PushConsumerConfig>, listener: AnyListener<E, R>) =>
  Effect.flatMap(kindOf(listener), (kind) =>
    Effect.map(ConsumerLife.started(resolution, kind), ({ consumer }) => consumer)
  )

const make = <E, R>(resolution: Resolution<ConsumerOptions.PushConsumerConfig>, listener: AnyListener<E, R>) =>
  Effect.flatMap(kindOf(listener), (kind) =>
    Effect.map(ConsumerLife.make(resolution, kind), ({ consumer }) => consumer)
  )

/** A consumer that hands messages to a listener, with what that needs of the present context. */
const kindOf = <E, R>(given: AnyListener<E, R>) =>
  Effect.map(Effect.context<Exclude<R, Scope.Scope>>(), (context): ConsumerKind<Consumption.Consumption> => {
    const listener = Listener.of(given)
    const services = Listeners.withoutSpan(context)
    return {
      batchSize: listener._tag === "Batch" ? listener.options.maxSize : 1,
      isOrderly: listener._tag === "Orderly",
      consumption: (tools) => Consumption.make<E, R>({ ...tools, listener, context: services }),
      directly: (tools) => Direct.make<E, R>(listener, services, tools)
    }
  })
