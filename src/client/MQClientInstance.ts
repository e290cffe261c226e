import { Clock, Context, Effect, Layer, PubSub, Scope, Stream } from "effect"
import { CLIENT_INNER_PRODUCER_GROUP } from "../message/MixAll.ts"
import type { Wire } from "../transport/Wire.ts"
import * as AddressPolicies from "./AddressPolicy.ts"
import { AddressTranslator } from "./AddressTranslator.ts"
import * as ClientConfig from "./ClientConfig.ts"
import {
  DuplicateConsumerGroup,
  DuplicateProducerGroup,
  IllegalServiceState,
  StartError,
  type StartReason
} from "./ClientError.ts"
import { buildMQClientId, changeInstanceNameToPID, HostInfo } from "./ClientId.ts"
import * as ConsumerTasks from "./ConsumerTasks.ts"
import * as ClientMetrics from "./ClientMetrics.ts"
import { makeMembers, type MQConsumerInner, type MQProducerInner } from "./ClientMembers.ts"
import * as Heartbeats from "./Heartbeat.ts"
import * as InstanceRemoting from "./InstanceRemoting.ts"
import type { InstanceState, RouteState } from "./InstanceState.ts"
import * as Api from "./MQClientApi.ts"
import * as NameServers from "./NameServer.ts"
import * as PullMessage from "./PullMessageService.ts"
import * as Rebalance from "./RebalanceService.ts"
import * as ReplyPush from "./push/ReplyPush.ts"
import * as RouteQueues from "./RouteQueues.ts"
import * as Replies from "./push/ReplyTable.ts"
import * as TransactionCheckPush from "./push/TransactionCheckPush.ts"
import { resolve } from "./ResolveConfig.ts"
import type { ServiceState } from "./ServiceState.ts"
import { makeJournal, runStep } from "./StartStep.ts"
import * as Timers from "./Timers.ts"
import * as Routes from "./TopicRoute.ts"

/** What a running client instance offers to the producers and consumers that share it. */
export interface MQClientInstanceShape {
  /** The client's id, unique in the cluster: `ip@instanceName`. */
  readonly clientId: string
  /** The options that the instance was made with, defaults filled in. */
  readonly config: ClientConfig.ClientConfig
  /** The name servers, and requests to the chosen one. */
  readonly nameServer: NameServers.NameServer
  /** Requests to brokers and name servers, with their answers read. */
  readonly api: Api.MQClientApi
  /** The routes of topics, and the addresses of brokers. */
  readonly routes: Routes.TopicRoute
  /** Heartbeats to the brokers that the routes name. */
  readonly heartbeat: Heartbeats.Heartbeat
  /** The loops that pull messages. */
  readonly pullMessageService: PullMessage.PullMessageService
  /** The rounds in which consumers share their queues. */
  readonly rebalanceService: Rebalance.RebalanceService
  /** Who waits for a reply that a broker is to push to this client. */
  readonly replies: Replies.ReplyTable
  /**
   * Registers a producer under its group for as long as the scope is open; closing it tells the brokers. A group that is
   * registered already is refused, and nothing is disturbed.
   */
  readonly registerProducer: (producer: MQProducerInner) => Effect.Effect<void, DuplicateProducerGroup, Scope.Scope>
  /**
   * Registers a consumer under its group for as long as the scope is open; closing it interrupts what the instance has it
   * do, and tells the brokers. A group that is registered already is refused, and nothing is disturbed.
   */
  readonly registerConsumer: (consumer: MQConsumerInner) => Effect.Effect<void, DuplicateConsumerGroup, Scope.Scope>
  /** Everything there is to see of the instance now. */
  readonly state: Effect.Effect<InstanceState>
  /** {@link state} now and whenever a phase, a timer, a route, a group or a connection changes. */
  readonly changes: Stream.Stream<InstanceState>
}

/** How long brokers may take to acknowledge that a group has left; shutdown never waits longer, in milliseconds. */
export const UNREGISTER_TIMEOUT_MILLIS = 500

/** How long a consumer that leaves may take to end what it has been given to do, in milliseconds. */
const LEAVE_TIMEOUT_MILLIS = 500

/** Timer 1's and timer 5's times, which Java does not let be configured, in milliseconds. */
const FETCH_NAME_SERVER = { initialDelayMillis: 10_000, periodMillis: 120_000 }
const ADJUST_THREAD_POOL = { initialDelayMillis: 60_000, periodMillis: 60_000 }

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
   * Starts an instance of its own, with name servers from the options, else from `NAMESRV_ADDR`, else from the resolver or
   * the address server. Producers get theirs, shared, from the `MQClientManager`.
   */
  static readonly layer = (options: ClientConfig.ClientOptions): Layer.Layer<MQClientInstance, StartError, Wire> =>
    Layer.unwrap(
      resolve(ClientConfig.withDefaults(ClientConfig.defaults, options)).pipe(
        Effect.mapError((reason) => new StartError({ step: "3.0", name: "check the configuration", reason })),
        Effect.map(MQClientInstance.layerResolved)
      )
    )

  /** {@link layer} for a configuration that was resolved and checked: what the `MQClientManager` builds as well. */
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
  return yield* Effect.annotateLogs(build(config, clientId), { clientId })
})

const build = Effect.fnUntraced(function* (config: ClientConfig.ClientConfig, clientId: string) {
  const clock = yield* Clock.Clock
  const scope = yield* Effect.scope
  const members = makeMembers()
  const journal = makeJournal()
  const changed = yield* PubSub.sliding<void>(1)
  const notify = Effect.asVoid(PubSub.publish(changed, undefined))
  const timers = new Map<number, Timers.TimerState>()
  let phase: ServiceState = "CREATE_JUST"

  const step = <A, R>(id: string, name: string, self: Effect.Effect<A, StartReason | StartError, R>) =>
    Effect.tap(runStep(journal, id, name, self), () => notify)

  const setPhase = (from: ServiceState, to: ServiceState, action: string) =>
    Effect.suspend(() => {
      if (phase !== from) {
        return Effect.fail(
          new IllegalServiceState({ subject: `client instance ${clientId}`, action, expected: from, actual: phase })
        )
      }
      phase = to
      return notify
    })

  // Reverse order: this runs last, when everything below has been released.
  yield* Scope.addFinalizer(
    scope,
    Effect.suspend(() => {
      if (phase === "RUNNING") phase = "SHUTDOWN_ALREADY"
      return Effect.andThen(notify, PubSub.shutdown(changed))
    })
  )

  yield* step("3.1", "set START_FAILED", setPhase("CREATE_JUST", "START_FAILED", "start"))

  const addresses = yield* NameServers.source(config)
  const initial =
    addresses.fixed.length > 0 ? addresses.fixed : yield* step("3.2", "fetchNameServerAddr", addresses.ask)

  let brokerOf: Routes.TopicRoute["brokerOf"] | undefined
  const remoting = yield* step(
    "3.3",
    "start MQClientAPI, the remoting client",
    InstanceRemoting.make(config, (address) => brokerOf?.(address) !== undefined)
  )
  yield* remoting.onOpened(() => notify)
  yield* remoting.onClosed(() => notify)
  const replies = Replies.make()
  yield* ReplyPush.register(remoting, replies)
  yield* TransactionCheckPush.register(remoting, members.producerTable)
  const nameServer = yield* NameServers.make(addresses, initial, remoting)
  const api = Api.make(remoting, nameServer)
  const routes = yield* Routes.make({
    api,
    members,
    policy: AddressPolicies.make({ allowAddress: config.allowAddress, ...(yield* AddressTranslator) }),
    timeoutMillis: config.mqClientApiTimeout,
    createTopicKey: config.createTopicKey
  })
  brokerOf = routes.brokerOf
  const heartbeat = yield* Heartbeats.make({
    clientId,
    members,
    api,
    routes,
    nameServer,
    remoting,
    timeoutMillis: config.mqClientApiTimeout,
    nowMillis: () => clock.currentTimeMillisUnsafe()
  })

  const timerScope = yield* Scope.fork(scope, "parallel")
  const consumerTasks = (name: "persistConsumerOffset" | "adjustThreadPool", periodMillis: number) =>
    ConsumerTasks.make(members, {
      name,
      limitMillis: Timers.runLimitMillis(periodMillis),
      run: (consumer) => consumer[name]
    }).pipe(Scope.provide(timerScope))
  const persists = yield* consumerTasks("persistConsumerOffset", config.persistConsumerOffsetInterval)
  const adjusts = yield* consumerTasks("adjustThreadPool", ADJUST_THREAD_POOL.periodMillis)

  const specs: ReadonlyArray<Timers.TimerSpec> = [
    {
      number: 1,
      name: "fetchNameServerAddr",
      ...FETCH_NAME_SERVER,
      active: nameServer.refreshable,
      run: nameServer.fetchNameServerAddr
    },
    {
      number: 2,
      name: "updateTopicRouteInfoFromNameServer",
      initialDelayMillis: 10,
      periodMillis: config.pollNameServerInterval,
      active: true,
      run: routes.updateAll
    },
    {
      number: 3,
      name: "cleanOfflineBroker, sendHeartbeatToAllBroker",
      initialDelayMillis: 1_000,
      periodMillis: config.heartbeatBrokerInterval,
      active: true,
      run: heartbeat.cleanAndSend
    },
    {
      number: 4,
      name: "persistAllConsumerOffset",
      initialDelayMillis: 10_000,
      periodMillis: config.persistConsumerOffsetInterval,
      active: true,
      run: persists.startAll
    },
    {
      number: 5,
      name: "adjustThreadPool",
      ...ADJUST_THREAD_POOL,
      active: true,
      run: adjusts.startAll
    }
  ]
  yield* step(
    "3.4",
    "start the five timers",
    Timers.start(specs, (timer) => {
      timers.set(timer.number, timer)
      return notify
    }).pipe(Scope.provide(timerScope))
  )
  const pullMessageService = yield* step("3.5", "start PullMessageService", PullMessage.start)
  const rebalanceService = yield* step("3.6", "start RebalanceService", Rebalance.start(members, remoting))

  /** Puts a member into its table for as long as the scope is open. */
  const register = <M, E>(
    table: Map<string, M>,
    group: string,
    member: M,
    taken: () => E,
    leave: Effect.Effect<void>
  ): Effect.Effect<void, E, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.suspend(() => {
        if (table.has(group)) return Effect.fail(taken())
        table.set(group, member)
        return notify
      }),
      () => Effect.sync(() => table.delete(group)).pipe(Effect.andThen(leave), Effect.andThen(notify))
    )

  const registerProducer = (producer: MQProducerInner) => {
    const { producerGroup: group } = producer
    return register(
      members.producerTable,
      group,
      producer,
      () => new DuplicateProducerGroup({ group, clientId }),
      heartbeat.unregisterClient({ producerGroup: group }, UNREGISTER_TIMEOUT_MILLIS)
    )
  }

  const registerConsumer = (consumer: MQConsumerInner) => {
    const { consumerGroup: group } = consumer
    const stop = [rebalanceService, persists, adjusts].map((tasks) => tasks.leave(group, LEAVE_TIMEOUT_MILLIS))
    return register(
      members.consumerTable,
      group,
      consumer,
      () => new DuplicateConsumerGroup({ group, clientId }),
      Effect.andThen(
        Effect.all(stop, { concurrency: "unbounded", discard: true }),
        heartbeat.unregisterClient({ consumerGroup: group }, UNREGISTER_TIMEOUT_MILLIS)
      )
    )
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
      timers,
      phase: () => phase,
      nowMillis: () => clock.currentTimeMillisUnsafe(),
      monotonicMillis: () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
    })
  }
  // The first thing that a shutdown does: all five at once, so that no heartbeat follows the unregistration.
  yield* Effect.addFinalizer((exit) => Scope.close(timerScope, exit))
  yield* step("3.8", "set RUNNING", setPhase("START_FAILED", "RUNNING", "finish its start"))

  const routeStates = (): ReadonlyArray<RouteState> =>
    [...routes.topicRouteTable.values()].map(({ borrowed, data, topic }) => {
      const { readable, writable } = RouteQueues.count(data)
      return {
        topic,
        borrowed,
        brokers: data.brokerDatas.map((broker) => broker.brokerName).toSorted(),
        writeQueues: writable,
        readQueues: readable,
        warnings: routes.warningsOf(topic)
      }
    })

  const brokerStates = (): ReadonlyArray<Heartbeats.HeartbeatState> =>
    [...routes.brokerAddrTable].flatMap(([brokerName, byId]) =>
      [...byId].map(
        ([brokerId, address]) =>
          heartbeat.table.get(address) ?? {
            brokerName,
            brokerId,
            address,
            lastSuccess: undefined,
            failures: 0,
            lastFailure: undefined,
            version: undefined
          }
      )
    )

  const state = Effect.gen(function* () {
    const sockets = remoting.connections()
    const self: InstanceState = {
      clientId,
      phase,
      nameServers: { addresses: yield* nameServer.addresses, chosen: yield* nameServer.chosen },
      steps: [...journal.records],
      producerGroups: [...members.producerTable.keys()],
      consumerGroups: [...members.consumerTable.keys()],
      routes: routeStates(),
      brokers: brokerStates(),
      sockets,
      inFlight: sockets.reduce((n, socket) => n + socket.inFlight, 0),
      timers: [...timers.values()],
      replies: { waiting: replies.waiting(), ...replies.counters() },
      counters: remoting.counters()
    }
    return self
  })

  return MQClientInstance.of({
    clientId,
    config,
    nameServer,
    api,
    routes,
    heartbeat,
    pullMessageService,
    rebalanceService,
    replies,
    registerProducer,
    registerConsumer,
    state,
    changes: Stream.concat(Stream.make(undefined), Stream.fromPubSub(changed)).pipe(Stream.mapEffect(() => state))
  })
})
