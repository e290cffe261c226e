/** Real RocketMQ for tests: name servers and brokers as child processes in a temporary folder, ended with the scope. */
import { Context, Effect, Layer } from "effect"
import { randomBytes } from "node:crypto"
import * as Fs from "node:fs/promises"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { classPath, type RocketMQVersion } from "./Jars.ts"
import { temporaryFolder } from "./Processes.ts"
import { request, routeBrokers } from "./RawRemoting.ts"
import type { RigError } from "./RigError.ts"
import { make as makeNode, type ServerNode } from "./ServerNode.ts"

/** What to start. */
export interface RocketMQOptions {
  readonly version: RocketMQVersion
  /** The brokers; default one master named broker-a. A slave is a second broker of the same name with `brokerId` and `brokerRole` properties. */
  readonly brokers?: ReadonlyArray<{ readonly name: string; readonly properties?: Readonly<Record<string, string>> }>
  /** How many name servers; default 1. */
  readonly nameServers?: number
  /** Properties of every broker, over the rig's own. */
  readonly brokerProperties?: Readonly<Record<string, string>>
  /** Properties of every name server, over the rig's own. */
  readonly nameServerProperties?: Readonly<Record<string, string>>
  /** The cluster name; by default a random one, so that a route naming it can only come from this cluster. */
  readonly clusterName?: string
  /** JVM options of every server, after the rig's own. */
  readonly jvmOptions?: ReadonlyArray<string>
  /** Further files of every server: path in its folder (which is its ROCKETMQ_HOME), and text. */
  readonly files?: Readonly<Record<string, string>>
}

/** A running RocketMQ cluster. */
export class RocketMQ extends Context.Service<
  RocketMQ,
  {
    readonly version: RocketMQVersion
    /** "host:port;host:port", as a client's `namesrvAddr`. */
    readonly namesrvAddr: string
    readonly clusterName: string
    readonly brokers: ReadonlyArray<ServerNode>
    readonly nameServers: ReadonlyArray<ServerNode>
    /** The temporary folder; one folder a server below it. */
    readonly home: string
    /** The end of every server's log and output, for diagnostics of a failed test. */
    readonly logs: Effect.Effect<string>
  }
>()("effect-rocketmq/test/rocketmq/RocketMQ") {
  /**
   * Starts a cluster and waits until every name server has every broker's route. Fails with a RigError that carries the
   * logs when Maven, Java or a server does not work. Several may run at once.
   */
  static readonly layer = (options: RocketMQOptions): Layer.Layer<RocketMQ, RigError> =>
    Layer.effect(RocketMQ, startCluster(options))
}

const startCluster = Effect.fnUntraced(function* (options: RocketMQOptions) {
  const { brokers = [{ name: "broker-a" }], nameServers = 1, version } = options
  const clusterName = options.clusterName ?? `rig-${randomBytes(4).toString("hex")}`
  const path = yield* classPath(version)
  const home = yield* temporaryFolder(`effect-rocketmq-${version}-`, tmpdir())

  const startNode = Effect.fnUntraced(function* (
    name: string,
    node: Pick<Parameters<typeof makeNode>[0], "mainClass" | "jvmOptions" | "portDistances" | "missing"> & {
      readonly properties: (port: number, folder: string) => Readonly<Record<string, string>>
    }
  ) {
    const folder = yield* Effect.promise(() => makeFolder(home, name))
    yield* Effect.promise(() => writeFiles(folder, options.files ?? {}))
    return yield* makeNode({
      ...node,
      operation: `start ${name} of RocketMQ ${version}`,
      name,
      folder,
      classPath: path,
      jvmOptions: [...node.jvmOptions, ...(options.jvmOptions ?? [])],
      properties: (port) => node.properties(port, folder)
    })
  })

  const names = yield* Effect.forEach(
    Array.from({ length: nameServers }, (_, index) => `namesrv-${index}`),
    (name) =>
      startNode(name, {
        mainClass: "org.apache.rocketmq.namesrv.NamesrvStartup",
        jvmOptions: nameServerJvm,
        portDistances: [0],
        properties: (port, folder) => ({
          listenPort: String(port),
          bindAddress: "127.0.0.1",
          kvConfigPath: Path.join(folder, "kvConfig.json"),
          configStorePath: Path.join(folder, "namesrv.properties"),
          ...options.nameServerProperties
        }),
        // GET_KVLIST_BY_NAMESPACE of an unknown namespace: any answer says that requests are served.
        missing: (address) =>
          Effect.map(request(address, { code: 219, extFields: { namespace: "rig" } }), (answer) =>
            answer === undefined ? `${address} does not answer` : undefined
          )
      }),
    { concurrency: "unbounded" }
  )
  const addresses = names.map((node) => node.address)
  const namesrvAddr = addresses.join(";")

  const servers = yield* Effect.forEach(
    brokers,
    (broker) => {
      const own = { ...options.brokerProperties, ...broker.properties }
      const brokerId = own["brokerId"] ?? "0"
      return startNode(broker.name, {
        mainClass: "org.apache.rocketmq.broker.BrokerStartup",
        jvmOptions: brokerJvm,
        // The fast (VIP) listener is at port - 2, replication at port + 1.
        portDistances: [-2, 0, 1],
        properties: (port, folder) => ({
          ...brokerDefaults(port, folder),
          brokerClusterName: clusterName,
          brokerName: broker.name,
          brokerId,
          namesrvAddr,
          ...own
        }),
        missing: (address) => {
          const announced = own["brokerIP1"] === undefined ? address : `${own["brokerIP1"]}:${address.split(":")[1]}`
          return unregisteredAt(addresses, clusterName, broker.name, brokerId, { address, announced })
        }
      })
    },
    { concurrency: "unbounded" }
  )

  return RocketMQ.of({
    version,
    namesrvAddr,
    clusterName,
    brokers: servers,
    nameServers: names,
    home,
    logs: Effect.map(
      Effect.forEach([...names, ...servers], (node) => Effect.map(node.log, (log) => `=== ${node.name}\n${log}`)),
      (logs) => logs.join("\n")
    )
  })
})

const makeFolder = async (home: string, name: string): Promise<string> => {
  for (let index = 0; ; index++) {
    const folder = Path.join(home, index === 0 ? name : `${name}-${index}`)
    // Two brokers of one name are master and slave; `mkdir` of an existing folder gives undefined when recursive.
    if ((await Fs.mkdir(folder, { recursive: true })) !== undefined) return folder
  }
}

const writeFiles = async (folder: string, files: Readonly<Record<string, string>>): Promise<void> => {
  for (const [name, text] of Object.entries(files)) {
    const path = Path.join(folder, name)
    await Fs.mkdir(Path.dirname(path), { recursive: true })
    await Fs.writeFile(path, text)
  }
}

const nameServerJvm = ["-Xms64m", "-Xmx256m", "-XX:MaxDirectMemorySize=64m", "-XX:+UseSerialGC"]

const brokerJvm = [
  "-Xms128m",
  "-Xmx512m",
  // Each thread that stores something, as pops and their acknowledgements do, keeps a buffer for the largest message: 4 MiB.
  "-XX:MaxDirectMemorySize=1g",
  "-XX:+UseSerialGC",
  "-Drocketmq.broker.diskSpaceWarningLevelRatio=0.99",
  "-Drocketmq.broker.diskSpaceCleanForciblyRatio=0.98"
]

const brokerDefaults = (port: number, folder: string): Record<string, string> => ({
  brokerIP1: "127.0.0.1",
  brokerIP2: "127.0.0.1",
  bindAddress: "127.0.0.1",
  listenPort: String(port),
  fastListenPort: String(port - 2),
  haListenPort: String(port + 1),
  storePathRootDir: Path.join(folder, "store"),
  storePathCommitLog: Path.join(folder, "store", "commitlog"),
  storePathConsumeQueue: Path.join(folder, "store", "consumequeue"),
  storePathIndex: Path.join(folder, "store", "index"),
  storeCheckpoint: Path.join(folder, "store", "checkpoint"),
  abortFile: Path.join(folder, "store", "abort"),
  // Small files; a commit log file must hold the largest message, 4 MiB.
  mappedFileSizeCommitLog: String(16 * 1024 * 1024),
  mappedFileSizeConsumeQueue: String(20 * 20_000),
  mappedFileSizeTimerLog: String(4 * 1024 * 1024),
  maxHashSlotNum: "50000",
  maxIndexNum: "200000",
  // A full disk of the test machine is no matter of the test.
  diskMaxUsedSpaceRatio: "95",
  diskSpaceWarningLevelRatio: "99",
  diskSpaceCleanForciblyRatio: "98",
  // A loaded test machine answers late; that is no "broker busy".
  waitTimeMillsInSendQueue: "5000",
  osPageCacheBusyTimeOutMills: "5000",
  // The shortest period RocketMQ allows: how soon a restarted name server knows the brokers again.
  registerNameServerPeriod: "10000",
  autoCreateTopicEnable: "true",
  autoCreateSubscriptionGroup: "true"
})

/**
 * A broker is registered when every name server's route of the topic that is named like the cluster (each broker
 * creates it) has the address that it announces. The broker itself must answer as well: after a kill -9 a name server may still have the
 * old entry for a moment.
 */
const unregisteredAt = (
  nameServers: ReadonlyArray<string>,
  clusterName: string,
  brokerName: string,
  brokerId: string,
  { address, announced }: { readonly address: string; readonly announced: string }
): Effect.Effect<string | undefined> =>
  Effect.gen(function* () {
    // GET_MAX_OFFSET; any answer will do. (GET_BROKER_RUNTIME_INFO throws in a broker younger than a second.)
    const answer = yield* request(address, { code: 30, extFields: { topic: clusterName, queueId: "0" } })
    if (answer === undefined) return `${address} does not answer`
    for (const nameServer of nameServers) {
      const brokers = yield* routeBrokers(nameServer, clusterName)
      const registered = brokers.some(
        (broker) =>
          broker.cluster === clusterName &&
          broker.brokerName === brokerName &&
          broker.brokerAddrs[brokerId] === announced
      )
      if (!registered) return `${brokerName} (${announced}) is not registered at name server ${nameServer}`
    }
    return undefined
  })
