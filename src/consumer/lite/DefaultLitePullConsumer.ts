import { Context, Effect, Layer } from "effect"
import { StartError } from "../../client/ClientError.ts"
import type { MQClientManager } from "../../client/MQClientManager.ts"
import { accept, type Resolution } from "../../client/options/OptionTable.ts"
import type { Topic } from "../../message/Topic.ts"
import { provided } from "../ListenerContext.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import * as LitePull from "./LitePull.ts"
import type * as LitePullConfig from "./LitePullConfig.ts"
import * as Options from "./LitePullOptions.ts"
import type { DefaultLitePullConsumerShape, TypedMessage } from "./LitePullShape.ts"
import { reader } from "./ReadLitePullConfig.ts"

/** A lite pull consumer with a name of its own: what {@link DefaultLitePullConsumer.named} gives. */
export interface NamedLitePullConsumer<Self, Id extends string> extends Context.ServiceClass<
  Self,
  Id,
  DefaultLitePullConsumerShape
> {
  /** As `DefaultLitePullConsumer.layer`, under this name. */
  readonly layer: <RL = never>(
    options: Options.LitePullOptions<RL>
  ) => Layer.Layer<Self, StartError, MQClientManager | RL>
  /** As `DefaultLitePullConsumer.layerConfig`, under this name. */
  readonly layerConfig: (overrides?: LitePullConfig.Overrides) => Layer.Layer<Self, StartError, MQClientManager>
}

/**
 * A consumer that is asked for messages. It shares the queues of its topics out among the members of its group (`subscribe`),
 * or reads queues of the program's choice (`assign`); it says itself when it wants messages (`poll`), where it reads on
 * (`seek`) and what is done (`commit`).
 *
 * Nothing comes again by itself: there are no redeliveries and no dead letters here. A program that fails in the middle of
 * what a poll gave gets it again when it starts anew, unless that was committed.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { DefaultLitePullConsumer, MQClientManager, Subscription } from "effect-rocketmq"
 *
 * const consumer = DefaultLitePullConsumer.layer({
 *   consumerGroup: "reports",
 *   subscriptions: [Subscription.all("orders")],
 *   autoCommit: false,
 *   namesrvAddr: "127.0.0.1:9876"
 * })
 *
 * export const program = Effect.gen(function* () {
 *   const consumer = yield* DefaultLitePullConsumer
 *   const messages = yield* consumer.poll({ max: 100 })
 *   yield* Effect.log(`${messages.length} orders`)
 *   yield* consumer.commit()
 * }).pipe(Effect.forever, Effect.provide(consumer.pipe(Layer.provide(MQClientManager.layerTcp))))
 * ```
 *
 * Source: RocketMQ `DefaultLitePullConsumer`, `DefaultLitePullConsumerImpl`.
 */
export class DefaultLitePullConsumer extends Context.Service<DefaultLitePullConsumer, DefaultLitePullConsumerShape>()(
  "effect-rocketmq/consumer/DefaultLitePullConsumer"
) {
  /** A consumer in Java's shape: made in CREATE_JUST, with `start` and `shutdown` of its own. It acquires nothing. */
  static readonly make = <RL = never>(
    options: Options.LitePullOptions<RL>
  ): Effect.Effect<DefaultLitePullConsumerShape, never, MQClientManager | RL> =>
    Effect.flatMap(resolved(options), LitePull.make)

  /** A started consumer for as long as the layer's scope is open; closing it is the shutdown. */
  static readonly layer = <RL = never>(
    options: Options.LitePullOptions<RL>
  ): Layer.Layer<DefaultLitePullConsumer, StartError, MQClientManager | RL> =>
    Layer.effect(DefaultLitePullConsumer, Effect.flatMap(resolved(options), started))

  /**
   * {@link layer} with options from `Config`, under the names in docs/configuration.md (`ROCKETMQ_PULL_CONSUMER_GROUP`,
   * `ROCKETMQ_PULL_CONSUMER_TOPIC`, `NAMESRV_ADDR`, ...). Options given here win; each may be a value or a `Config` of its
   * own. Everything that cannot be used is told at once, by an `InvalidConfig`.
   */
  static readonly layerConfig = (
    overrides?: LitePullConfig.Overrides
  ): Layer.Layer<DefaultLitePullConsumer, StartError, MQClientManager> =>
    Layer.effect(DefaultLitePullConsumer, startedFromConfig(overrides))

  /** A service of its own for a program with several consumers, so that no layer takes another's place. */
  static readonly named =
    <Self>() =>
    <const Id extends string>(id: Id): NamedLitePullConsumer<Self, Id> => {
      class Named extends Context.Service<Self, DefaultLitePullConsumerShape>()(id) {
        static readonly layer = <RL = never>(
          options: Options.LitePullOptions<RL>
        ): Layer.Layer<Self, StartError, MQClientManager | RL> =>
          Layer.effect(Named, Effect.flatMap(resolved(options), started))
        static readonly layerConfig = (
          overrides?: LitePullConfig.Overrides
        ): Layer.Layer<Self, StartError, MQClientManager> => Layer.effect(Named, startedFromConfig(overrides))
      }
      return Named
    }

  /**
   * What a typed topic's schema reads in messages that a poll gave, one by one and in their order: a value, or why there is
   * none. A message that cannot be read is not passed over; what becomes of it is the program's to decide.
   */
  static readonly decode = <A, RD, RE>(
    topic: Topic<A, RD, RE>,
    messages: ReadonlyArray<ReceivedMessage>
  ): Effect.Effect<ReadonlyArray<TypedMessage<A>>, never, RD> =>
    Effect.forEach(messages, (message) =>
      Effect.map(Effect.result(topic.decode(message)), (value) => ({ message, value }))
    )
}

/** The options, with what their listener needs of the present context. */
const resolved = <RL>({ rebalanceListener, ...options }: Options.LitePullOptions<RL>) =>
  Effect.map(provided(rebalanceListener), (listener) => Options.resolve({ ...options, rebalanceListener: listener }))

const started = (resolution: Resolution<Options.LitePullConfig>) =>
  Effect.tap(LitePull.make(resolution), (consumer) =>
    // Before the start: it does nothing where nothing runs.
    Effect.andThen(
      Effect.addFinalizer(() => consumer.shutdown),
      consumer.start
    )
  )

const startedFromConfig = Effect.fnUntraced(function* (overrides: LitePullConfig.Overrides | undefined) {
  const resolution = yield* reader.readConfig(overrides)
  yield* accept(resolution).pipe(
    Effect.mapError((reason) => new StartError({ step: "5.2", name: "check the configuration and the group", reason }))
  )
  return yield* started(resolution)
})
