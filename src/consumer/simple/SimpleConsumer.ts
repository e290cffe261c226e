import { Context, Effect, Layer } from "effect"
import { StartError } from "../../client/ClientError.ts"
import type { MQClientManager } from "../../client/MQClientManager.ts"
import { accept, type Resolution } from "../../client/options/OptionTable.ts"
import type { Topic } from "../../message/Topic.ts"
import { reader } from "./ReadSimpleConfig.ts"
import type * as SimpleConsumerConfig from "./SimpleConsumerConfig.ts"
import * as Options from "./SimpleOptions.ts"
import * as SimpleRun from "./SimpleRun.ts"
import type { PoppedMessage, SimpleConsumerShape, TypedPoppedMessage } from "./SimpleShape.ts"

/** A simple consumer with a name of its own: what {@link SimpleConsumer.named} gives. */
export interface NamedSimpleConsumer<Self, Id extends string> extends Context.ServiceClass<
  Self,
  Id,
  SimpleConsumerShape
> {
  /** As `SimpleConsumer.layer`, under this name. */
  readonly layer: (options: Options.SimpleConsumerOptions) => Layer.Layer<Self, StartError, MQClientManager>
  /** As `SimpleConsumer.layerConfig`, under this name. */
  readonly layerConfig: (overrides?: SimpleConsumerConfig.Overrides) => Layer.Layer<Self, StartError, MQClientManager>
}

/**
 * A consumer that is asked for messages and says of each by itself what became of it, as the `SimpleConsumer` of the gRPC
 * clients; by the remoting protocol, over pop, from brokers of 5.0 on. Every member of a group is given messages of all queues:
 * nothing is shared out, and members come and go at no cost.
 *
 * A message that was received is hidden from the others for a while. Acknowledged, it is done; extended, it stays hidden;
 * otherwise it comes again when the time is over, and again: brokers make no dead letters of what is popped.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { MQClientManager, SimpleConsumer, Subscription } from "effect-rocketmq"
 *
 * declare const resize: (image: Uint8Array) => Effect.Effect<void>
 *
 * const consumer = SimpleConsumer.layer({
 *   consumerGroup: "thumbnails",
 *   subscriptions: [Subscription.all("images")],
 *   namesrvAddr: "127.0.0.1:9876"
 * })
 *
 * export const program = Effect.gen(function* () {
 *   const consumer = yield* SimpleConsumer
 *   const messages = yield* consumer.receive({ max: 8, invisible: "30 seconds" })
 *   yield* Effect.forEach(messages, ({ message, process }) => process(resize(message.body)), { concurrency: 8 })
 * }).pipe(Effect.forever, Effect.provide(consumer.pipe(Layer.provide(MQClientManager.layerTcp))))
 * ```
 *
 * Source: apache/rocketmq-clients `SimpleConsumer`; RocketMQ `PopMessageProcessor`, `AckMessageProcessor`,
 * `ChangeInvisibleTimeProcessor`.
 */
export class SimpleConsumer extends Context.Service<SimpleConsumer, SimpleConsumerShape>()(
  "effect-rocketmq/consumer/SimpleConsumer"
) {
  /** A consumer that is made in CREATE_JUST, with `start` and `shutdown` of its own. It acquires nothing. */
  static readonly make = (
    options: Options.SimpleConsumerOptions
  ): Effect.Effect<SimpleConsumerShape, never, MQClientManager> => SimpleRun.make(Options.resolve(options))

  /** A started consumer for as long as the layer's scope is open; closing it is the shutdown. */
  static readonly layer = (
    options: Options.SimpleConsumerOptions
  ): Layer.Layer<SimpleConsumer, StartError, MQClientManager> =>
    Layer.effect(
      SimpleConsumer,
      Effect.suspend(() => started(Options.resolve(options)))
    )

  /**
   * {@link layer} with options from `Config`, under the names in docs/configuration.md (`ROCKETMQ_SIMPLE_CONSUMER_GROUP`,
   * `ROCKETMQ_SIMPLE_CONSUMER_TOPIC`, `NAMESRV_ADDR`, ...). Options given here win; each may be a value or a `Config` of its
   * own. Everything that cannot be used is told at once, by an `InvalidConfig`.
   */
  static readonly layerConfig = (
    overrides?: SimpleConsumerConfig.Overrides
  ): Layer.Layer<SimpleConsumer, StartError, MQClientManager> =>
    Layer.effect(SimpleConsumer, startedFromConfig(overrides))

  /** A service of its own for a program with several consumers, so that no layer takes another's place. */
  static readonly named =
    <Self>() =>
    <const Id extends string>(id: Id): NamedSimpleConsumer<Self, Id> => {
      class Named extends Context.Service<Self, SimpleConsumerShape>()(id) {
        static readonly layer = (
          options: Options.SimpleConsumerOptions
        ): Layer.Layer<Self, StartError, MQClientManager> =>
          Layer.effect(
            Named,
            Effect.suspend(() => started(Options.resolve(options)))
          )
        static readonly layerConfig = (
          overrides?: SimpleConsumerConfig.Overrides
        ): Layer.Layer<Self, StartError, MQClientManager> => Layer.effect(Named, startedFromConfig(overrides))
      }
      return Named
    }

  /**
   * What a typed topic's schema reads in messages that were received, one by one and in their order: a value, or why there is
   * none. A message that cannot be read is not passed over; what becomes of it is the program's to decide.
   */
  static readonly decode = <A, RD, RE>(
    topic: Topic<A, RD, RE>,
    messages: ReadonlyArray<PoppedMessage>
  ): Effect.Effect<ReadonlyArray<TypedPoppedMessage<A>>, never, RD> =>
    Effect.forEach(messages, (popped) =>
      Effect.map(Effect.result(topic.decode(popped.message)), (value) => ({ ...popped, value }))
    )
}

const started = (resolution: Resolution<Options.SimpleConsumerConfig>) =>
  Effect.tap(SimpleRun.make(resolution), (consumer) =>
    // Before the start: it does nothing where nothing runs.
    Effect.andThen(
      Effect.addFinalizer(() => consumer.shutdown),
      consumer.start
    )
  )

const startedFromConfig = Effect.fnUntraced(function* (overrides: SimpleConsumerConfig.Overrides | undefined) {
  const resolution = yield* reader.readConfig(overrides)
  yield* accept(resolution).pipe(
    Effect.mapError((reason) => new StartError({ step: "5.2", name: "check the configuration and the group", reason }))
  )
  return yield* started(resolution)
})
