import { Clock, Context, Effect, Layer, Random, Schema } from "effect"
import type { Scope } from "effect"
import type { MessageExt } from "../message/MessageExt.ts"
import { makeUniqueIds } from "../message/MessageId.ts"
import * as MixAll from "../message/MixAll.ts"
import { MQVersion } from "../protocol/MQVersion.ts"
import type { TopicConfig } from "../protocol/TopicConfig.ts"
import * as MemoryWire from "../transport/MemoryWire.ts"
import * as TcpWire from "../transport/TcpWire.ts"
import type { TlsServerOptions } from "../transport/Tls.ts"
import type { Wire, WireError } from "../transport/Wire.ts"
import * as AccessControl from "./server/AccessControl.ts"
import * as BrokerConfig from "./store/BrokerConfig.ts"
import * as BrokerState from "./store/BrokerState.ts"
import type { DelayedMessage, HalfMessage, LiveClient } from "./ClusterView.ts"
import * as ClusterView from "./ClusterView.ts"
import type { BrokerNode, EmbeddedBroker, Registry, StopOptions } from "./broker/EmbeddedBroker.ts"
import * as EmbeddedBrokers from "./broker/EmbeddedBroker.ts"
import type { EmbeddedNameServer, NameServerNode } from "./nameserver/EmbeddedNameServer.ts"
import * as EmbeddedNameServers from "./nameserver/EmbeddedNameServer.ts"
import type { FaultRule, FaultScript, FiredFault } from "./server/FaultScript.ts"
import * as FaultEngine from "./server/FaultEngine.ts"
import * as StoredMessage from "./store/StoredMessage.ts"
import * as TopicTable from "./store/TopicTable.ts"
import type { Traffic } from "./server/Traffic.ts"
import * as Traffics from "./server/Traffic.ts"

/** A topic to create; what is left out is 4 queues, readable and writable. */
export interface TopicOptions {
  /** Queues on each broker that consumers see; default 4. */
  readonly readQueueNums?: number | undefined
  /** Queues on each broker that producers see; default 4. */
  readonly writeQueueNums?: number | undefined
  /** Bits of `PermName`; 6 is read and write. */
  readonly perm?: number | undefined
  /** Whether it is an ordered topic; default false. */
  readonly order?: boolean | undefined
  /** For instance `{ "message.type": "DELAY" }`. A broker keeps them; it does not check sends by them. */
  readonly attributes?: Readonly<Record<string, string>> | undefined
}

/** A broker to start. */
export interface BrokerOptions {
  /** The broker's name; masters and slaves of one name belong together. */
  readonly name: string
  /** 0 (default) makes a master; a slave has the name of its master and an id from 1 up. */
  readonly id?: number | undefined
  /** Settings of this broker that differ from the defaults, and from those of the cluster. */
  readonly config?: Partial<BrokerConfig.BrokerConfig> | undefined
}

/** How an embedded cluster looks; everything may be left out. */
export interface EmbeddedClusterOptions {
  /** Default `DefaultCluster`. */
  readonly clusterName?: string | undefined
  /** How many masters (`broker-a`, `broker-b`, ...), or each broker by name; default one master. */
  readonly brokers?: number | ReadonlyArray<BrokerOptions> | undefined
  /** Topics that exist from the start, on every master. */
  readonly topics?: Readonly<Record<string, TopicOptions>> | undefined
  /** Whether a send creates an unknown topic (Java `autoCreateTopicEnable`); default true. */
  readonly autoCreateTopicEnable?: boolean | undefined
  /** How many name servers; default 1. */
  readonly nameServers?: number | undefined
  /**
   * Where to listen; default `127.0.0.1` with free ports, in memory from 9876 and 10911 on. A fixed port is for the first
   * server, the next take the next. A broker also listens two ports below its own when that is free.
   */
  readonly listen?: { readonly host?: string; readonly namesrvPort?: number; readonly brokerPort?: number } | undefined
  /** The release the servers speak as, see `MQVersion`; default 513 (5.5.0). Below 5.0.0 they answer as 4.9.7 does. */
  readonly version?: number | undefined
  /**
   * Whether routes carry the configuration of ordered topics, namespace ORDER_TOPIC_CONFIG of the name servers' key-value
   * store (Java `orderMessageEnable` of the name server); default false.
   */
  readonly orderMessageEnable?: boolean | undefined
  /** The users of the cluster, whose signatures are checked then; by default everybody may do everything. */
  readonly acl?: AccessControl.AclOptions | undefined
  /** Speaks TLS; only on a wire that has it, which the one in memory has not. */
  readonly tls?: TlsServerOptions | undefined
  /** Faults in force from the start. */
  readonly faults?: FaultScript | undefined
  /** Makes the servers' random choices repeat themselves; default: drawn from the `Random` service. */
  readonly seed?: string | number | undefined
  /**
   * Whether the servers record requests: the newest of them (default 10000), of these as many as take `maxBytes` (default
   * 64 MiB, by their texts and bodies), and whether with their bodies. Default true.
   */
  readonly recordTraffic?:
    boolean | { readonly limit?: number; readonly maxBytes?: number; readonly bodies?: boolean } | undefined
}

/** A name that belongs to no broker of the cluster. */
export class NoSuchBroker extends Schema.TaggedError<NoSuchBroker>()("NoSuchBroker", {
  /** The name that was asked for. */
  name: Schema.String,
  /** The names that there are. */
  brokers: Schema.Array(Schema.String)
}) {
  override get message(): string {
    return `the embedded cluster has no broker ${this.name}; it has ${this.brokers.join(", ")}`
  }
}

/** The faults of a cluster, which can be changed while it runs. */
export interface ClusterFaults {
  /** Puts rules in force, after those that are. */
  readonly add: (...rules: ReadonlyArray<FaultRule>) => Effect.Effect<void>
  /** Removes the rules of that name. */
  readonly remove: (name: string) => Effect.Effect<void>
  /** Removes all rules; what fired stays listed. */
  readonly clear: Effect.Effect<void>
  /** The rules in force, in the order in which they are tried. */
  readonly rules: Effect.Effect<FaultScript>
  /** What fired, oldest first. */
  readonly fired: Effect.Effect<ReadonlyArray<FiredFault>>
}

/**
 * Name servers and brokers of RocketMQ inside this process. They speak the real protocol over the `Wire` they are given:
 * TCP, where any client can use them, or memory, where they share the virtual clock of a test.
 *
 * Delayed, timed and half messages wait on the `Clock`: on a test's clock a message delayed by a day arrives as soon as the
 * test turns it by a day. Nothing polls; a broker sleeps until whatever is due first. Pop consumption and filters other
 * than tags are not served.
 */
export class EmbeddedCluster extends Context.Service<
  EmbeddedCluster,
  {
    /** `host:port;host:port`, as a client wants it. */
    readonly namesrvAddr: string
    /** `DefaultCluster`, unless the options say otherwise. */
    readonly clusterName: string
    /** The brokers, those that are stopped at present too. */
    readonly brokers: ReadonlyArray<EmbeddedBroker>
    /** The name servers, those that are stopped at present too. */
    readonly nameServers: ReadonlyArray<EmbeddedNameServer>
    /** Creates or changes a topic on every master, or on one. */
    readonly createTopic: (
      topic: string,
      options?: TopicOptions & { readonly broker?: string | undefined }
    ) => Effect.Effect<void, NoSuchBroker>
    /** Takes a topic with its messages from every broker and name server. */
    readonly deleteTopic: (topic: string) => Effect.Effect<void>
    /** Changes what a topic allows, bits of `PermName`, on every master that has it, or on one. */
    readonly setPermission: (topic: string, perm: number, broker?: string) => Effect.Effect<void, NoSuchBroker>
    /** Every message of a topic that can still be read: by broker, in the order it was stored, the body as it is stored. */
    readonly messages: (topic: string) => Effect.Effect<ReadonlyArray<MessageExt>>
    /** The messages that wait for their time: by broker, the next first. */
    readonly delayedMessages: Effect.Effect<ReadonlyArray<DelayedMessage>>
    /** The half messages that nobody ended yet: by broker, in the order of their offsets. */
    readonly halfMessages: Effect.Effect<ReadonlyArray<HalfMessage>>
    /** The live clients of every broker. */
    readonly clients: Effect.Effect<ReadonlyArray<LiveClient>>
    /** Stops a broker: its master unless an id is given. */
    readonly stopBroker: (
      name: string,
      options?: StopOptions & { readonly id?: number | undefined }
    ) => Effect.Effect<void, NoSuchBroker>
    /** Starts a stopped broker again, on the address it had or on a new port. */
    readonly startBroker: (
      name: string,
      options?: { readonly newPort?: boolean | undefined; readonly id?: number | undefined }
    ) => Effect.Effect<void, NoSuchBroker | WireError>
    /** Makes a broker refuse sends with code 2 as an overloaded one does, or not. */
    readonly setBusy: (name: string, busy: boolean) => Effect.Effect<void, NoSuchBroker>
    /** The faults in force on the servers, which can be changed at any time. */
    readonly faults: ClusterFaults
    /** What the servers were asked, for assertions. */
    readonly traffic: Traffic
  }
>()("effect-rocketmq/embedded/EmbeddedCluster") {
  /** A cluster on whichever `Wire` is provided; it stops with the layer's scope. Fails when a port is taken. */
  static readonly layer = (options?: EmbeddedClusterOptions): Layer.Layer<EmbeddedCluster, WireError, Wire> =>
    Layer.effect(EmbeddedCluster, start(options ?? {}))

  /** A cluster on real sockets, which clients of other processes and languages can use. */
  static readonly layerTcp = (options?: EmbeddedClusterOptions): Layer.Layer<EmbeddedCluster | Wire, WireError> =>
    this.layer(options).pipe(Layer.provideMerge(TcpWire.layer))

  /**
   * A cluster in memory, together with the `Wire` and the network on which clients of the same test reach it. Its first
   * name server is at `127.0.0.1:9876` and its first broker at port 10911, as RocketMQ's own defaults are: nobody else
   * can have the ports of a network that is only this cluster's.
   */
  static readonly layerMemory = (
    options?: EmbeddedClusterOptions
  ): Layer.Layer<EmbeddedCluster | Wire | MemoryWire.MemoryNetwork, WireError> =>
    this.layer({ ...options, listen: { namesrvPort: 9876, brokerPort: 10_911, ...options?.listen } }).pipe(
      Layer.provideMerge(MemoryWire.layer)
    )
}

const DEFAULT_TRAFFIC_LIMIT = 10_000
/** Bytes that the recorded requests may take. */
const DEFAULT_TRAFFIC_BYTES = 64 * 1024 * 1024

/** `broker-a` ... `broker-z`, `broker-26`, ... */
const brokerName = (index: number): string => `broker-${index < 26 ? String.fromCharCode(97 + index) : index}`

const brokerOptions = (brokers: EmbeddedClusterOptions["brokers"]): ReadonlyArray<BrokerOptions> =>
  brokers === undefined || typeof brokers === "number"
    ? Array.from({ length: brokers ?? 1 }, (_, index) => ({ name: brokerName(index) }))
    : brokers

/** A fixed port counts up from server to server; 0 stays 0. */
const portOf = (first: number | undefined, index: number): number =>
  first === undefined || first === 0 ? 0 : first + index

const register = (routes: NameServerNode["routes"], node: BrokerNode, topics: ReadonlyArray<TopicConfig>): void =>
  routes.register(
    { clusterName: node.state.clusterName, brokerName: node.name, brokerId: node.id, address: node.announced },
    topics.map((topic) => registered(topic, node.config.brokerPermission))
  )

/** A topic as a broker tells it to a name server: not more than the broker itself allows. */
const registered = (topic: TopicConfig, brokerPermission: number): TopicConfig => {
  const both = MixAll.PermName.READ | MixAll.PermName.WRITE
  return (brokerPermission & both) === both ? topic : { ...topic, perm: topic.perm & brokerPermission }
}

const putTopic = (state: BrokerState.BrokerState, topic: string, topicOptions: TopicOptions): void =>
  state.topics.put(TopicTable.topicConfig(topic, topicOptions))

const start = (
  options: EmbeddedClusterOptions
): Effect.Effect<EmbeddedCluster["Service"], WireError, Wire | Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const random = yield* options.seed === undefined
      ? Random.Random
      : Random.withSeed(
          Effect.gen(function* () {
            return yield* Random.Random
          }),
          options.seed
        )
    const now = () => clock.currentTimeMillisUnsafe()
    const draw = () => random.nextDoubleUnsafe()
    const { acl, tls } = options
    const clusterName = options.clusterName ?? "DefaultCluster"
    const version = options.version ?? MQVersion.V5_5_0
    const host = options.listen?.host ?? "127.0.0.1"
    // One generator, as for a process; the same seed gives the same ids, whatever the number of this process.
    const uniqueIds = makeUniqueIds({ ip: host, pid: 0, random: Math.floor(draw() * 2 ** 32) })
    const record = typeof options.recordTraffic === "object" ? options.recordTraffic : {}
    const recorder = Traffics.make({
      limit: options.recordTraffic === false ? 0 : (record.limit ?? DEFAULT_TRAFFIC_LIMIT),
      maxBytes: record.maxBytes ?? DEFAULT_TRAFFIC_BYTES,
      bodies: record.bodies ?? false,
      now
    })
    const faults = FaultEngine.make({ script: options.faults, draw, now })

    const nodes: Array<BrokerNode> = []
    const ports = new Set<number>()
    const nameServers: Array<NameServerNode> = []
    const running = (): ReadonlyArray<NameServerNode> => nameServers.filter((server) => server.running)

    const registry: Registry = {
      register: (node) => {
        for (const { routes } of running()) register(routes, node, node.state.topics.all())
      },
      unregister: (name, id, address) => {
        for (const { routes } of nameServers) routes.unregister(name, id, address)
      },
      route: (topic) => running()[0]?.routes.route(topic)
    }

    const onTopicChange = (name: string, config: TopicConfig): void => {
      const master = nodes.find((node) => node.name === name && node.id === MixAll.MASTER_ID && node.running)
      if (master === undefined) return
      for (const { routes } of running()) register(routes, master, [config])
    }

    const states = new Map<string, BrokerState.BrokerState>()
    const wanted = brokerOptions(options.brokers)
    for (const [index, { config: overrides, id = MixAll.MASTER_ID, name }] of wanted.entries()) {
      const live = BrokerConfig.live(
        BrokerConfig.make({
          ...(options.autoCreateTopicEnable === undefined
            ? {}
            : { autoCreateTopicEnable: options.autoCreateTopicEnable }),
          version,
          ...overrides
        })
      )
      const config = live.current
      const state =
        states.get(name) ??
        BrokerState.make({
          clusterName,
          brokerName: name,
          config,
          now,
          uniqueId: () => uniqueIds(now()),
          onTopicChange: (topic) => onTopicChange(name, topic)
        })
      states.set(name, state)
      const port = portOf(options.listen?.brokerPort, index)
      nodes.push(
        yield* EmbeddedBrokers.make({
          name,
          id,
          config: live,
          state,
          host,
          port,
          now,
          draw,
          faults,
          recorder,
          registry,
          ports,
          access: acl === undefined ? undefined : AccessControl.make(acl, clusterName, config.version),
          tls
        })
      )
    }

    for (let index = 0; index < (options.nameServers ?? 1); index++) {
      nameServers.push(
        yield* EmbeddedNameServers.make({
          name: `namesrv-${index}`,
          host,
          port: portOf(options.listen?.namesrvPort, index),
          version,
          orderMessageEnable: options.orderMessageEnable ?? false,
          now,
          faults,
          recorder,
          access: acl?.nameServer === true ? AccessControl.make(acl, clusterName, version) : undefined,
          tls,
          ports,
          onStarted: (routes) => {
            for (const node of nodes) if (node.running) register(routes, node, node.state.topics.all())
          }
        })
      )
    }

    for (const [topic, topicOptions] of Object.entries(options.topics ?? {})) {
      for (const state of states.values()) putTopic(state, topic, topicOptions)
    }

    for (const server of nameServers) yield* server.start
    for (const node of nodes) yield* node.start()

    const unknown = (name: string) => new NoSuchBroker({ name, brokers: [...states.keys()] })

    const nodeOf = (name: string, id?: number): Effect.Effect<BrokerNode, NoSuchBroker> =>
      Effect.suspend(() => {
        const found = nodes.filter((node) => node.name === name && (id === undefined || node.id === id))
        const node = found.find((candidate) => candidate.id === MixAll.MASTER_ID) ?? found[0]
        return node === undefined ? Effect.fail(unknown(name)) : Effect.succeed(node)
      })

    /** The states of every broker, or of the named one. */
    const statesOf = (name: string | undefined): Effect.Effect<ReadonlyArray<BrokerState.BrokerState>, NoSuchBroker> =>
      name === undefined ? Effect.sync(() => [...states.values()]) : Effect.map(nodeOf(name), (node) => [node.state])

    return EmbeddedCluster.of({
      get namesrvAddr() {
        return nameServers.map((server) => server.address).join(";")
      },
      clusterName,
      brokers: nodes,
      nameServers,
      createTopic: (topic, topicOptions) =>
        Effect.map(statesOf(topicOptions?.broker), (found) => {
          for (const state of found) putTopic(state, topic, topicOptions ?? {})
        }),
      deleteTopic: (topic) =>
        Effect.sync(() => {
          for (const state of states.values()) {
            state.topics.remove(topic)
            state.store.deleteTopic(topic)
            state.offsets.deleteTopic(topic)
          }
          for (const { routes } of nameServers) routes.deleteTopic(topic)
        }),
      setPermission: (topic, perm, name) =>
        Effect.map(statesOf(name), (found) => {
          for (const state of found) {
            const config = state.topics.get(topic)
            if (config !== undefined) state.topics.put({ ...config, perm })
          }
        }),
      messages: (topic) =>
        Effect.sync(() =>
          [...states.values()].flatMap((state) => state.store.entries(topic).flatMap(StoredMessage.decode))
        ),
      delayedMessages: Effect.sync(() => [...states.values()].flatMap(ClusterView.delayedMessages)),
      halfMessages: Effect.sync(() => [...states.values()].flatMap(ClusterView.halfMessages)),
      clients: Effect.sync(() => nodes.flatMap(ClusterView.liveClients)),
      stopBroker: (name, stopOptions) =>
        Effect.flatMap(nodeOf(name, stopOptions?.id), (node) => node.stop(stopOptions)),
      startBroker: (name, startOptions) =>
        Effect.flatMap(nodeOf(name, startOptions?.id), (node) => node.start(startOptions)),
      setBusy: (name, busy) => Effect.flatMap(nodeOf(name), (node) => node.setBusy(busy)),
      faults: {
        add: (...rules) =>
          Effect.sync(() => {
            for (const rule of rules) faults.add(rule)
          }),
        remove: (name) => Effect.sync(() => faults.remove(name)),
        clear: Effect.sync(() => faults.clear()),
        rules: Effect.sync(() => faults.rules()),
        fired: Effect.sync(() => faults.fired())
      },
      traffic: recorder.traffic
    })
  })
