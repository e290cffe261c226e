import { type Duration, Effect, Random } from "effect"
import * as Millis from "../message/Millis.ts"
import * as MixAll from "../message/MixAll.ts"
import { RequestCode } from "../protocol/RequestCode.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { EmbeddedCluster } from "../embedded/EmbeddedCluster.ts"
import type { FaultRule } from "../embedded/server/FaultScript.ts"
import * as FaultScript from "../embedded/server/FaultScript.ts"
import { MemoryNetwork } from "../transport/MemoryWire.ts"
import type { WireError } from "../transport/Wire.ts"

/**
 * What goes wrong during a simulated run, as plain data. Servers are called by name: `broker-a`, `namesrv-0`.
 *
 * - `Cut`: all connections to a server are reset, once
 * - `Unreachable`: new connections are refused, or (`blackhole`) nothing gets through in either direction
 * - `Latency`: chunks to and from a server take longer, each by another amount
 * - `Slice`: whatever is written arrives in small pieces, everywhere
 * - `StopBroker`: a broker is gone, with its routes or without; it comes back on its address or on a new port
 * - `StopNameServer`: a name server is gone
 * - `Busy`: a broker refuses sends as an overloaded one
 * - `Permission`: a topic cannot be written on a broker
 * - `Requests`: a rule of a {@link FaultScript} is in force
 */
export type Fault =
  /** All connections to the server are reset, once. */
  | { readonly _tag: "Cut"; readonly server: string }
  /** New connections are refused, or nothing gets through in either direction. */
  | { readonly _tag: "Unreachable"; readonly server: string; readonly how: "refuse" | "blackhole" }
  /** Chunks to and from the server take `millis` longer, and up to `jitterMillis` more. */
  | { readonly _tag: "Latency"; readonly server: string; readonly millis: number; readonly jitterMillis: number }
  /** Whatever is written arrives in pieces of so many bytes, everywhere. */
  | { readonly _tag: "Slice"; readonly bytes: number }
  /** The broker is gone, with its routes at once, after 120 seconds or never; it comes back, on a new port or its old one. */
  | {
      readonly _tag: "StopBroker"
      readonly broker: string
      readonly unregister: "immediate" | "expiry" | "never"
      readonly newPort: boolean
    }
  /** The name server is gone. */
  | { readonly _tag: "StopNameServer"; readonly server: string }
  /** The broker refuses sends with SYSTEM_BUSY. */
  | { readonly _tag: "Busy"; readonly broker: string }
  /** The topic has other permission bits on the broker. */
  | { readonly _tag: "Permission"; readonly topic: string; readonly broker: string; readonly perm: number }
  /** A rule of a fault script is in force. */
  | { readonly _tag: "Requests"; readonly rule: FaultRule }

/** A fault and its time: virtual milliseconds from the begin of the plan, and for how long. */
export interface TimedFault {
  /** When it begins, in virtual milliseconds from the begin of the plan. */
  readonly at: number
  /** How long it lasts, in virtual milliseconds. */
  readonly forMillis: number
  /** What goes wrong. */
  readonly fault: Fault
}

/** A whole run's faults. Every one ends by itself, and {@link heal} ends what overlaps. */
export type FaultPlan = ReadonlyArray<TimedFault>

/** What {@link generate} draws from. */
export interface PlanOptions {
  /** Names of brokers that may fail. */
  readonly brokers: ReadonlyArray<string>
  /** Names of name servers that may fail; default none. */
  readonly nameServers?: ReadonlyArray<string> | undefined
  /** Topics whose permission may be taken away; default none. */
  readonly topics?: ReadonlyArray<string> | undefined
  /** Faults at least and at most; default 0 to 12. */
  readonly count?: { readonly least: number; readonly most: number } | undefined
  /** The virtual time within which they all lie; default 20 seconds, a bare number is milliseconds. */
  readonly withinMillis?: Duration.Input | undefined
  /** How long one lasts at most; default 8 seconds, a bare number is milliseconds. */
  readonly longestMillis?: Duration.Input | undefined
}

const SENDS = [RequestCode.SEND_MESSAGE, RequestCode.SEND_MESSAGE_V2, RequestCode.SEND_BATCH_MESSAGE]

/** What servers answer that have something against a request which is in order. */
const REFUSALS = [
  ResponseCode.SYSTEM_ERROR,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.FLOW_CONTROL,
  ResponseCode.TOPIC_NOT_EXIST,
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.NO_PERMISSION,
  ResponseCode.MESSAGE_ILLEGAL,
  ResponseCode.GO_AWAY
]

/** One of some values; `values` is not empty. */
const oneOf = <A>(values: readonly [A, ...Array<A>]): Effect.Effect<A> => Random.choice(values)

const isFilled = <A>(values: ReadonlyArray<A>): values is readonly [A, ...Array<A>] => values.length > 0

const requestRule = (brokers: readonly [string, ...Array<string>]): Effect.Effect<FaultRule> =>
  Effect.gen(function* () {
    const broker = yield* oneOf(brokers)
    const probability = yield* oneOf([0.1, 0.3, 0.6, 1])
    const code = yield* oneOf<FaultRule["match"]>([{ code: SENDS }, { code: RequestCode.HEART_BEAT }, {}])
    const match = { broker, probability, ...code }
    const millis = yield* Random.nextIntBetween(1, 4_000)
    const refusal = yield* Random.choice(REFUSALS)
    return yield* oneOf<FaultRule>([
      { match, actions: [FaultScript.dropRequest] },
      { match, actions: [FaultScript.dropResponse] },
      { match, actions: [FaultScript.delay(millis)] },
      { match, actions: [FaultScript.duplicateResponse] },
      { match, actions: [FaultScript.delay(millis), FaultScript.duplicateResponse] },
      { match, actions: [FaultScript.corruptResponse] },
      { match, actions: [FaultScript.cut("before")] },
      { match, actions: [FaultScript.cut("after")] },
      { match: { ...match, code: SENDS }, actions: [FaultScript.answer(refusal, "refused by a fault plan")] }
    ])
  }).pipe(Effect.orDie)

/**
 * Draws a plan from `Random`. Its faults lie anywhere within the time and may overlap; the number of them is drawn as
 * well, so that some runs have none.
 */
export const generate = (options: PlanOptions): Effect.Effect<FaultPlan> =>
  Effect.gen(function* () {
    const { brokers, nameServers = [], topics = [] } = options
    const withinMillis = Math.ceil(Millis.pause(options.withinMillis ?? 20_000))
    const longestMillis = Math.ceil(Millis.pause(options.longestMillis ?? 8_000))
    const { least, most } = options.count ?? { least: 0, most: 12 }
    const servers = [...brokers, ...nameServers]
    if (!isFilled(brokers) || !isFilled(servers)) return []
    const drawFault: Effect.Effect<Fault> = Effect.gen(function* () {
      const server = yield* oneOf(servers)
      const broker = yield* oneOf(brokers)
      const how = yield* oneOf(["refuse", "blackhole"] as const)
      const millis = yield* Random.nextIntBetween(1, 500)
      const jitterMillis = yield* Random.nextIntBetween(0, 1_000)
      const bytes = yield* Random.nextIntBetween(1, 64)
      const unregister = yield* oneOf(["immediate", "expiry", "never"] as const)
      const newPort = yield* Random.nextBoolean
      const rule = yield* requestRule(brokers)
      const kinds: [Fault, ...Array<Fault>] = [
        { _tag: "Requests", rule },
        { _tag: "Requests", rule },
        { _tag: "Cut", server },
        { _tag: "Unreachable", server, how },
        { _tag: "Latency", server, millis, jitterMillis },
        { _tag: "Slice", bytes },
        { _tag: "StopBroker", broker, unregister, newPort },
        { _tag: "Busy", broker }
      ]
      if (isFilled(nameServers)) kinds.push({ _tag: "StopNameServer", server: yield* oneOf(nameServers) })
      if (isFilled(topics)) {
        const perm = yield* oneOf([0, MixAll.PermName.READ])
        kinds.push({ _tag: "Permission", topic: yield* oneOf(topics), broker, perm })
      }
      return yield* oneOf(kinds)
    })
    const count = yield* Random.nextIntBetween(least, most)
    const plan = yield* Effect.replicateEffect(
      Effect.gen(function* () {
        const at = yield* Random.nextIntBetween(0, withinMillis)
        const forMillis = yield* Random.nextIntBetween(1, Math.max(1, Math.min(longestMillis, withinMillis - at)))
        return { at, forMillis, fault: yield* drawFault }
      }),
      count
    )
    return plan.toSorted((a, b) => a.at - b.at)
  })

/** What {@link inject} and {@link heal} need. */
type Needs = EmbeddedCluster | MemoryNetwork

const READ_WRITE = MixAll.PermName.READ | MixAll.PermName.WRITE

const addressOf = (cluster: EmbeddedCluster["Service"], server: string): string =>
  [...cluster.brokers, ...cluster.nameServers].find(({ name }) => name === server)?.address ?? server

/** Begins one fault and gives what ends it. A name that the cluster does not have changes nothing. */
const begin = (fault: Fault, name: string) =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const network = yield* MemoryNetwork
    switch (fault._tag) {
      case "Cut": {
        yield* network.cutAll(addressOf(cluster, fault.server))
        return Effect.void
      }
      case "Unreachable": {
        const address = addressOf(cluster, fault.server)
        yield* network.setReachable(address, fault.how)
        return network.setReachable(address, "open")
      }
      case "Latency": {
        const address = addressOf(cluster, fault.server)
        yield* network.setLatency(fault.millis, { address, jitterMillis: fault.jitterMillis })
        return network.setLatency(0, { address })
      }
      case "Slice": {
        yield* network.setSlice(fault.bytes)
        return network.setSlice(Infinity)
      }
      case "StopBroker": {
        yield* Effect.ignore(cluster.stopBroker(fault.broker, { unregister: fault.unregister }))
        return Effect.ignore(cluster.startBroker(fault.broker, { newPort: fault.newPort }))
      }
      case "StopNameServer": {
        const server = cluster.nameServers.find((candidate) => candidate.name === fault.server)
        if (server === undefined) return Effect.void
        yield* server.stop
        return Effect.ignore(server.start)
      }
      case "Busy": {
        yield* Effect.ignore(cluster.setBusy(fault.broker, true))
        return Effect.ignore(cluster.setBusy(fault.broker, false))
      }
      case "Permission": {
        yield* Effect.ignore(cluster.setPermission(fault.topic, fault.perm, fault.broker))
        return Effect.ignore(cluster.setPermission(fault.topic, READ_WRITE, fault.broker))
      }
      default: {
        yield* cluster.faults.add({ ...fault.rule, name })
        return cluster.faults.remove(name)
      }
    }
  })

/** Runs a plan against the cluster in memory, from now on; ends when its last fault has ended. */
export const inject = (plan: FaultPlan): Effect.Effect<void, never, Needs> =>
  Effect.forEach(
    plan,
    ({ at, fault, forMillis }, index) =>
      Effect.gen(function* () {
        yield* Effect.sleep(at)
        const end = yield* begin(fault, `plan-${index}`)
        yield* Effect.sleep(forMillis)
        yield* end
      }),
    { concurrency: "unbounded", discard: true }
  )

/** Ends every fault: all servers run, can be reached at once and take everything. `topics` get their permissions back. */
export const heal = (topics: ReadonlyArray<string> = []): Effect.Effect<void, WireError, Needs> =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const network = yield* MemoryNetwork
    yield* cluster.faults.clear
    yield* network.setSlice(Infinity)
    for (const server of [...cluster.nameServers, ...cluster.brokers]) {
      yield* network.setReachable(server.address, "open")
      yield* network.setLatency(0, { address: server.address })
    }
    for (const server of cluster.nameServers) yield* server.start
    for (const broker of cluster.brokers) {
      yield* broker.start()
      yield* broker.setBusy(false)
    }
    for (const topic of topics) yield* Effect.ignore(cluster.setPermission(topic, READ_WRITE))
  })

/** A fault in a few words, for a report. */
export const describe = ({ at, fault, forMillis }: TimedFault): string => {
  const { _tag, ...rest } = fault
  return `${Millis.text(at)}, for ${Millis.text(forMillis)}: ${_tag} ${JSON.stringify(rest)}`
}
