import { Context, Effect, Layer, Random, Stream } from "effect"
import { StartError } from "../client/ClientError.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import { accept, type Resolution } from "../client/options/OptionTable.ts"
import * as ServiceLife from "../client/ServiceLife.ts"
import type { ServiceState } from "../client/ServiceState.ts"
import type * as ProducerConfig from "./ProducerConfig.ts"
import { inEndpointNamespace, resolve } from "./ProducerOptions.ts"
import { reader } from "./ReadProducerConfig.ts"
import * as ProducerSends from "./ProducerSends.ts"
import { type ProducerState, viewOf } from "./ProducerState.ts"
import * as TopicPublishInfo from "./queue/TopicPublishInfo.ts"
import { acquire, changesOf, type ProducerExtension, type RunningProducer } from "./RunningProducer.ts"
import { notSent, type SendError } from "./send/SendError.ts"

/** A producer: what `DefaultMQProducer.make` and the layers give. */
export interface DefaultMQProducerShape extends ProducerSends.ProducerSends {
  /** Its group, without the namespace. */
  readonly producerGroup: string
  /** Where it is between CREATE_JUST and SHUTDOWN_ALREADY. */
  readonly serviceState: Effect.Effect<ServiceState>
  /** The service state now and each one after it. */
  readonly serviceStateChanges: Stream.Stream<ServiceState>
  /**
   * Starts the producer: steps 2.1 to 2.7 of docs/startup.md. Fails with a `StartError` that names the step and the
   * reason, and has then released everything. Callers that come while a start is under way share its outcome; one that
   * comes later is refused, and the running producer stays unharmed. After an interruption or a failure the state is
   * START_FAILED (CREATE_JUST after a duplicate group, as in Java) and a new producer of the same identity can be
   * started; an interruption that comes after the last step shuts the producer down, unless others share the start.
   */
  readonly start: Effect.Effect<void, StartError>
  /**
   * Ends the producer: no send begins, those under way have `drainTimeoutMillis` to end, the brokers are told, and
   * everything it held is released. Sends that are left over end with their own deadline, or at once with `ClientClosed`
   * when nobody else uses the client instance; queued sends and automatic batches, which run in the producer's fibers, end
   * with `IllegalServiceState`. In any state but RUNNING it does nothing; while a start is under way it
   * waits for that first.
   */
  readonly shutdown: Effect.Effect<void>
  /** Everything there is to see of the producer now. */
  readonly state: Effect.Effect<ProducerState>
  /**
   * {@link state} now and after each change of the service state, a step of the start, or the client instance under the
   * producer (its routes, heartbeats, connections, timers, groups). Counters alone are no change. A slow reader gets one
   * state for several changes and misses none; the stream ends with the state after a shutdown or a failed start.
   */
  readonly stateChanges: Stream.Stream<ProducerState>
}

/**
 * A RocketMQ producer.
 *
 * @example
 * ```ts
 * import { Effect, Layer } from "effect"
 * import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
 *
 * const program = Effect.gen(function* () {
 *   const producer = yield* DefaultMQProducer
 *   const result = yield* producer.send(Message.make({ topic: "orders", body: "hello" }))
 *   yield* Effect.log(`stored as ${result.offsetMsgId}`)
 * })
 *
 * const producer = DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr: "127.0.0.1:9876" })
 *
 * Effect.runPromise(program.pipe(Effect.provide(producer.pipe(Layer.provide(MQClientManager.layerTcp)))))
 * ```
 *
 * Source: RocketMQ `DefaultMQProducer`, `DefaultMQProducerImpl`.
 */
export class DefaultMQProducer extends Context.Service<DefaultMQProducer, DefaultMQProducerShape>()(
  "effect-rocketmq/producer/DefaultMQProducer"
) {
  /** A producer in Java's shape: made in CREATE_JUST, with `start` and `shutdown` of its own. It acquires nothing. */
  static readonly make = (
    options: ProducerConfig.ProducerOptions
  ): Effect.Effect<DefaultMQProducerShape, never, MQClientManager> => make(options)

  /** A started producer for as long as the layer's scope is open; closing it is the shutdown. */
  static readonly layer = (
    options: ProducerConfig.ProducerOptions
  ): Layer.Layer<DefaultMQProducer, StartError, MQClientManager> =>
    Layer.effect(
      DefaultMQProducer,
      Effect.suspend(() => started(resolve(options)))
    )

  /**
   * {@link layer} with options from `Config`, under the names in docs/configuration.md (`ROCKETMQ_PRODUCER_GROUP`,
   * `NAMESRV_ADDR`, ...). Options given here win; each may be a value or a `Config` of its own. Everything that cannot be
   * used is told at once, by an `InvalidConfig`.
   */
  static readonly layerConfig = (
    options?: ProducerConfig.Overrides
  ): Layer.Layer<DefaultMQProducer, StartError, MQClientManager> =>
    Layer.effect(
      DefaultMQProducer,
      Effect.flatMap(reader.readConfig(options), (resolution) =>
        Effect.andThen(acceptRead(resolution), started(resolution))
      )
    )
}

/** Refuses options that were read and cannot be used, as a start that names where each was found. */
export const acceptRead = <C>(resolution: Resolution<C>): Effect.Effect<void, StartError> =>
  Effect.asVoid(accept(resolution)).pipe(
    Effect.mapError((reason) => new StartError({ step: "2.2", name: "check the configuration and the group", reason }))
  )

const started = Effect.fnUntraced(function* (resolution: Resolution<ProducerConfig.ProducerConfig>) {
  const { producer } = yield* makeExtended(resolution)
  // Before the start: it does nothing where nothing runs.
  yield* Effect.addFinalizer(() => producer.shutdown)
  yield* producer.start
  return DefaultMQProducer.of(producer)
})

const make = (options: ProducerConfig.ProducerOptions) =>
  Effect.map(
    Effect.suspend(() => makeExtended(resolve(options))),
    ({ producer }) => producer
  )

/** {@link DefaultMQProducer.make}, and what another kind of producer is built with. */
export const makeExtended = Effect.fnUntraced(function* (
  given: Resolution<ProducerConfig.ProducerConfig>,
  extension?: ProducerExtension
) {
  const manager = yield* MQClientManager
  const resolution = yield* inEndpointNamespace(given)
  const { config } = resolution
  const { producerGroup } = config
  const table = TopicPublishInfo.makeTable(yield* firstTurn)

  const life: ServiceLife.ServiceLife<RunningProducer> = yield* ServiceLife.make<RunningProducer>({
    subject: `producer ${producerGroup}`,
    number: "2",
    startTimeoutMillis: config.startTimeoutMillis,
    acquire: (context) => acquire({ resolution, manager, table, extension }, context),
    isStartableAfter: (reason) => reason._tag === "DuplicateProducerGroup",
    afterRunning: ({ instance }, { step }) =>
      step("2.7", "heartbeat to all brokers", instance.heartbeat.sendHeartbeatToAllBroker),
    drainTimeoutMillis: config.drainTimeoutMillis,
    work: "send(s)",
    drains: ({ engine, requests, sends }, bound) => {
      sends.close()
      return [
        engine.drain(bound, () => life.illegal("send")),
        requests.drain(bound),
        extension?.drain(bound) ?? Effect.succeed(0)
      ]
    },
    flush: ({ telemetry }, left) => telemetry.trace?.flush(left) ?? Effect.void,
    released: table.clear,
    annotations: ({ instance }) => ({ clientId: instance.clientId, group: producerGroup }),
    spanAttributes: { "messaging.system": "rocketmq", "messaging.rocketmq.producer.group": producerGroup }
  })

  const state = Effect.suspend(() => {
    const serviceState = life.serviceStateNow()
    const parts = life.parts()
    const always = { producerGroup, serviceState, steps: life.steps(), topics: [...table.topics()] }
    return parts === undefined || serviceState !== "RUNNING"
      ? Effect.succeed(viewOf({ ...always, instance: undefined }, parts))
      : Effect.map(parts.instance.state, (instance) => viewOf({ ...always, instance }, parts))
  })

  const producer: DefaultMQProducerShape = {
    ...ProducerSends.facade(life.parts, life.illegal, config.namespace),
    producerGroup,
    serviceState: life.serviceState,
    serviceStateChanges: life.serviceStateChanges,
    start: Effect.asVoid(life.start),
    shutdown: life.shutdown,
    state,
    stateChanges: Stream.mapEffect(changesOf(life), () => state)
  }
  const running = (topic: string) =>
    Effect.suspend((): Effect.Effect<RunningProducer, SendError> => {
      const parts = life.parts()
      return parts === undefined ? Effect.fail(notSent(topic, life.illegal("send"))) : Effect.succeed(parts)
    })
  return { producer, config, running }
})

/** Where the round robin of a new topic begins: anywhere, so that many producers do not all begin at one queue. */
const firstTurn = Effect.map(Random.Random, (random) => () => Math.floor(random.nextDoubleUnsafe() * 0x10000))
