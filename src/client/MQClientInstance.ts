import { Clock, Context, Effect, Layer, Stream } from "effect"
import type { Scope } from "effect"
import { CLIENT_INNER_PRODUCER_GROUP } from "../message/MixAll.ts"
import type { Wire } from "../transport/Wire.ts"
import * as AddressPolicies from "./AddressPolicy.ts"
import { AddressTranslator } from "./AddressTranslator.ts"
import * as BrokerTables from "./BrokerTable.ts"
import * as ClientConfig from "./ClientConfig.ts"
import { DuplicateConsumerGroup, DuplicateProducerGroup, StartError } from "./ClientError.ts"
import { buildMQClientId, changeInstanceNameToPID, HostInfo } from "./ClientId.ts"
import * as ClientMetrics from "./ClientMetrics.ts"
import { makeMembers, register, type MQConsumerInner, type MQProducerInner } from "./ClientMembers.ts"
import * as Heartbeats from "./Heartbeat.ts"
import * as InstanceRemoting from "./InstanceRemoting.ts"
import { type InstanceState, viewOf } from "./InstanceState.ts"
import * as InstanceTimers from "./InstanceTimers.ts"
import * as Api from "./MQClientApi.ts"
import * as NameServers from "./NameServer.ts"
import * as Inflater from "./Inflater.ts"
import * as PulledMessages from "./PulledMessages.ts"
import * as PullMessage from "./PullMessageService.ts"
import * as Rebalance from "./RebalanceService.ts"
import * as ConsumeDirectlyPush from "./push/ConsumeDirectlyPush.ts"
import * as ConsumerStatusPush from "./push/ConsumerStatusPush.ts"
import * as ReplyPush from "./push/ReplyPush.ts"
import * as Replies from "./push/ReplyTable.ts"
import * as ResetOffsetPush from "./push/ResetOffsetPush.ts"
import * as TransactionCheckPush from "./push/TransactionCheckPush.ts"
import { complete } from "./ResolveConfig.ts"
import * as ServiceLife from "./ServiceLife.ts"
import * as Routes from "./TopicRoute.ts"
import { monotonicMillis } from "../transport/Deadline.ts"

/**
 * A running client instance. What is internal serves the producers, consumers and administrators that share it, and is
 * in no type that is published.
 */
export interface MQClientInstanceShape {
  /** The client's id, unique in the cluster: `ip@instanceName`. */
  readonly clientId: string
  /** The options that the instance was made with, defaults filled in. */
  readonly config: ClientConfig.ClientConfig
  /**
   * The name servers, and requests to the chosen one.
   *
   * @internal
   */
  readonly nameServer: NameServers.NameServer
  /**
   * Requests to brokers and name servers, with their answers read.
   *
   * @internal
   */
  readonly api: Api.MQClientApi
  /**
   * The routes of topics, and the addresses of brokers.
   *
   * @internal
   */
  readonly routes: Routes.TopicRoute
  /**
   * Heartbeats to the brokers that the routes name.
   *
   * @internal
   */
  readonly heartbeat: Heartbeats.Heartbeat
  /**
   * The messages that brokers hold, for consumers and administrators.
   *
   * @internal
   */
  readonly pulled: PulledMessages.PulledMessages
  /**
   * The loops that pull messages.
   *
   * @internal
   */
  readonly pullMessageService: PullMessage.PullMessageService
  /**
   * The rounds in which consumers share their queues.
   *
   * @internal
   */
  readonly rebalanceService: Rebalance.RebalanceService
  /**
   * Who waits for a reply that a broker is to push to this client.
   *
   * @internal
   */
  readonly replies: Replies.ReplyTable
  /**
   * Registers a producer under its group for as long as the scope is open; closing it tells the brokers. A group that
   * is registered already is refused, and nothing is disturbed.
   *
   * @internal
   */
  readonly registerProducer: (producer: MQProducerInner) => Effect.Effect<void, DuplicateProducerGroup, Scope.Scope>
  /**
   * Registers a consumer under its group for as long as the scope is open; closing it interrupts what the instance has
   * it do, and tells the brokers. A group that is registered already is refused, and nothing is disturbed.
   *
   * @internal
   */
  readonly registerConsumer: (consumer: MQConsumerInner) => Effect.Effect<void, DuplicateConsumerGroup, Scope.Scope>
  /** Everything there is to see of the instance now. */
  readonly state: Effect.Effect<InstanceState>
  /**
   * {@link state} now and whenever the phase, a timer, a route, a group, a heartbeat or a connection changes; many
   * changes in a row may be one element, and none is lost. The last element is that of the shutdown.
   */
  readonly changes: Stream.Stream<InstanceState>
}

/** How long brokers may take to acknowledge that a group has left; shutdown never waits longer, in milliseconds. */
export const UNREGISTER_TIMEOUT_MILLIS = 500

/** How long a consumer that leaves may take to end what it has been given to do, in milliseconds. */
const LEAVE_TIMEOUT_MILLIS = 500

/**
 * One client of a RocketMQ cluster: its name servers, connections, routes, timers, and the producers and consumers
 * registered in it. It is a scoped resource: what the start acquires is released when the scope closes, and when the
 * start fails or is interrupted.
 *
 * Source: RocketMQ `MQClientInstance`.
 */
export class MQClientInstance extends Context.Service<MQClientInstance, MQClientInstanceShape>()(
  "effect-rocketmq/client/MQClientInstance"
) {
  /**
   * Starts an instance of its own, with name servers from the options, else from `NAMESRV_ADDR`, else from the resolver
   * or the address server. Producers get theirs, shared, from the `MQClientManager`.
   */
  static readonly layer = (options: ClientConfig.ClientOptions): Layer.Layer<MQClientInstance, StartError, Wire> =>
    Layer.unwrap(
      Effect.suspend(() => complete(ClientConfig.resolve(options))).pipe(
        Effect.mapError((reason) => new StartError({ step: "3.0", name: "check the configuration", reason })),
        Effect.map(MQClientInstance.layerResolved)
      )
    )

  /**
   * {@link layer} for a configuration that was resolved and checked: what the `MQClientManager` builds as well.
   *
   * @internal
   */
  static readonly layerResolved = (
    config: ClientConfig.ClientConfig
  ): Layer.Layer<MQClientInstance, StartError, Wire> => Layer.effect(MQClientInstance, make(config))
}

/** Starts an instance in the current scope, steps 3.1 to 3.8 of docs/startup.md. */
const make = Effect.fnUntraced(function* (config: ClientConfig.ClientConfig) {
  const host = yield* HostInfo
  const instanceName = yield* changeInstanceNameToPID(config.instanceName)
  const clientId = buildMQClientId(config.clientIP ?? host.ip, instanceName, config.unitName)
  // Every line of the instance's own fibers says whose it is.
  return yield* Effect.annotateLogs(live(config, clientId), { clientId })
})

const live = Effect.fnUntraced(function* (config: ClientConfig.ClientConfig, clientId: string) {
  const life = yield* ServiceLife.make({
    subject: `client instance ${clientId}`,
    number: "3",
    acquire: (context) => acquire(config, clientId, context)
  })
  const { members, remoting, timers, ...parts } = yield* life.startScoped
  const state = viewOf({
    ...parts,
    clientId,
    members,
    remoting,
    phase: life.serviceStateNow,
    steps: life.steps,
    timers: timers.states
  })
  const changes = Stream.mapEffect(life.changes, () => state)
  return MQClientInstance.of({ ...parts, clientId, config, state, changes })
})

const acquire = Effect.fnUntraced(function* (
  config: ClientConfig.ClientConfig,
  clientId: string,
  { notify, serviceStateNow, step }: ServiceLife.LifeContext
) {
  const clock = yield* Clock.Clock
  const members = makeMembers()

  const addresses = yield* NameServers.source(config)
  const initial =
    addresses.fixed.length > 0 ? addresses.fixed : yield* step("3.2", "fetchNameServerAddr", addresses.ask)

  // Made before those who fill it: the VIP channel has to tell a broker's address from a name server's.
  const brokers = BrokerTables.make()
  const remoting = yield* step(
    "3.3",
    "start MQClientAPI, the remoting client",
    InstanceRemoting.make(config, (address) => brokers.brokerOf(address) !== undefined, addresses.fixed)
  )
  yield* remoting.onOpened(() => notify)
  yield* remoting.onClosed(() => notify)
  const replies = Replies.make()
  const inflater = Inflater.make()
  yield* ReplyPush.register(remoting, replies, inflater)
  yield* TransactionCheckPush.register(remoting, members.producerTable)
  const nameServer = yield* NameServers.make(addresses, initial, remoting)
  yield* ConsumerStatusPush.register(remoting, {
    consumers: members.consumerTable,
    nameServers: nameServer.addresses,
    namespace: config.namespace
  })
  yield* ResetOffsetPush.register(remoting, { consumers: members.consumerTable, namespace: config.namespace })
  const api = Api.make(remoting, nameServer)
  const pulled = PulledMessages.make(api, inflater, config.namespace)
  yield* ConsumeDirectlyPush.register(remoting, {
    consumers: members.consumerTable,
    pulled,
    namespace: config.namespace
  })
  const routes = yield* Routes.make({
    api,
    members,
    brokers,
    policy: AddressPolicies.make({ allowAddress: config.allowAddress, ...(yield* AddressTranslator) }),
    timeoutMillis: config.mqClientApiTimeout,
    createTopicKey: config.createTopicKey,
    changed: notify
  })
  const heartbeat = yield* Heartbeats.make({
    clientId,
    members,
    api,
    routes,
    nameServer,
    remoting,
    timeoutMillis: config.mqClientApiTimeout,
    roundMillis: config.heartbeatBrokerInterval,
    nowMillis: () => clock.currentTimeMillisUnsafe(),
    changed: notify
  })
  const timers = yield* step(
    "3.4",
    "start the five timers",
    InstanceTimers.start({ config, members, nameServer, routes, heartbeat }, notify)
  )
  const pullMessageService = yield* step("3.5", "start PullMessageService", PullMessage.start)
  const rebalanceService = yield* step("3.6", "start RebalanceService", Rebalance.start(members, remoting))

  const registerProducer = (producer: MQProducerInner) => {
    const { producerGroup: group } = producer
    return register({
      table: members.producerTable,
      group,
      member: producer,
      taken: () => new DuplicateProducerGroup({ group, clientId }),
      leave: heartbeat.unregisterClient({ producerGroup: group }, UNREGISTER_TIMEOUT_MILLIS),
      changed: notify
    })
  }

  const registerConsumer = (consumer: MQConsumerInner) => {
    const { consumerGroup: group } = consumer
    return register({
      table: members.consumerTable,
      group,
      member: consumer,
      taken: () => new DuplicateConsumerGroup({ group, clientId }),
      leave: Effect.all(
        [rebalanceService.leave(group, LEAVE_TIMEOUT_MILLIS), timers.leave(group, LEAVE_TIMEOUT_MILLIS)],
        { concurrency: "unbounded" }
      ).pipe(Effect.andThen(heartbeat.unregisterClient({ consumerGroup: group }, UNREGISTER_TIMEOUT_MILLIS))),
      changed: notify
    })
  }

  yield* step(
    "3.7",
    "start the push service, the inner producer",
    registerProducer({
      producerGroup: CLIENT_INNER_PRODUCER_GROUP,
      publishTopicList: () => [],
      updateTopicPublishInfo: () => {}
    })
  )
  if (config.metrics) {
    yield* ClientMetrics.instance({
      clientId,
      remoting,
      routes,
      heartbeat,
      timers: timers.states,
      phase: serviceStateNow,
      nowMillis: () => clock.currentTimeMillisUnsafe(),
      monotonicMillis: monotonicMillis(clock)
    })
  }
  // The first thing that a shutdown does, so that no heartbeat follows the unregistration.
  yield* Effect.addFinalizer(() => timers.stop)
  yield* step("3.8", "everything is held", Effect.void)
  return {
    members,
    remoting,
    timers,
    nameServer,
    api,
    routes,
    heartbeat,
    pulled,
    pullMessageService,
    rebalanceService,
    replies,
    registerProducer,
    registerConsumer
  }
})
