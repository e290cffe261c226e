import { Effect } from "effect"
import { absence } from "../client/AbsentTopic.ts"
import type { BrokerEndpoint } from "../client/AddressTranslator.ts"
import { type AddressRefused, type BrokerNotExist, RouteUnavailable } from "../client/ClientError.ts"
import { addressOf } from "../client/ConsumerOffsets.ts"
import type { NameServerApiError } from "../client/MQClientApi.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import { boundedBrokers, isName } from "../client/RouteBounds.ts"
import type { RouteError } from "../client/TopicRoute.ts"
import * as ForeignText from "../message/ForeignText.ts"
import { MASTER_ID } from "../message/MixAll.ts"
import * as Namespace from "../message/Namespace.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import * as GetBrokerClusterInfo from "../protocol/request/GetBrokerClusterInfo.ts"
import * as GetBrokerRuntimeInfo from "../protocol/request/GetBrokerRuntimeInfo.ts"
import { MQVersion } from "../protocol/MQVersion.ts"
import type { BrokerData, TopicRouteData } from "../protocol/TopicRouteData.ts"
import * as Address from "../transport/Address.ts"
import type { ClientClosed } from "../transport/RemotingError.ts"
import { AdminError, type AdminReason, NoMaster, TooManyBrokers, UnknownBroker, UnknownCluster } from "./AdminError.ts"

/** A broker and where to ask it. */
export interface BrokerAddress {
  /** The name that a master and its slaves share. */
  readonly brokerName: string
  /** `host:port` at which this client reaches it. */
  readonly address: string
}

/**
 * What creating something does where a master has it already: `replace` sets it anew, with the defaults for all that is
 * not named (Java's way); `keep` leaves it as it is there and creates it on the others; `fail` changes nothing anywhere.
 */
export type IfExists = "replace" | "keep" | "fail"

/** Which masters were left as they were, for the result of a call that was asked to. */
export const keptOf = (ifExists: IfExists, kept: ReadonlySet<string>): { readonly kept?: ReadonlyArray<string> } =>
  ifExists === "keep" ? { kept: [...kept] } : {}

/** What the parts of an `MQAdmin` work with. */
export interface AdminContext {
  readonly instance: MQClientInstanceShape
  readonly timeoutMillis: number
  /** The address under which this client dials a broker, translated, if it may be dialled. */
  readonly dialled: (endpoint: BrokerEndpoint) => Effect.Effect<string, AddressRefused>
  /**
   * Whether a broker is one of 5.x, by the release in its answers; one that has not answered yet is asked for what every
   * release can tell. Brokers before 5.0 refuse what they do not know, and some (4.3.2) leave it without an answer.
   */
  readonly isModern: (address: string) => Effect.Effect<boolean>
  /** The name of a topic or group on the wire, where the requests' own fields do not take care of it. */
  readonly wrap: (name: string) => string
  /** The name of a topic or group as users know it. */
  readonly unwrap: (name: string) => string
  /** Whether a topic or group of this name is to be shown. */
  readonly isOurs: (name: string) => boolean
  readonly unwrapQueue: (queue: MessageQueue) => MessageQueue
  /** The route of a topic. An unknown topic fails with `RouteUnavailable`, `topic-absent` or `no-broker`. */
  readonly routeOf: (topic: string) => Effect.Effect<TopicRouteData, NameServerApiError | RouteUnavailable>
  /** The address of a queue's broker: its master, or a slave where there is no master. */
  readonly addressOf: (queue: MessageQueue) => Effect.Effect<string, RouteError | ClientClosed | BrokerNotExist>
  /** The masters of a cluster, sorted by name. The name may be left out where there is only one cluster. */
  readonly masters: (
    clusterName: string | undefined
  ) => Effect.Effect<
    { readonly clusterName: string; readonly brokers: ReadonlyArray<BrokerAddress> },
    NameServerApiError | UnknownCluster | NoMaster | AddressRefused | TooManyBrokers
  >
  /** Every broker of a cluster, slaves too, as {@link AdminContext.masters} names it; slaves keep what they are told themselves. */
  readonly members: (
    clusterName: string | undefined
  ) => Effect.Effect<
    ReadonlyArray<BrokerAddress & { readonly brokerId: number }>,
    NameServerApiError | UnknownCluster | NoMaster | AddressRefused | TooManyBrokers
  >
  /** The masters of all clusters, sorted by name. */
  readonly allMasters: Effect.Effect<ReadonlyArray<BrokerAddress>, NameServerApiError | AddressRefused | TooManyBrokers>
  /** The masters on a topic's route, sorted by name. An unknown topic fails with `RouteUnavailable`. */
  readonly mastersOf: (
    topic: string
  ) => Effect.Effect<
    ReadonlyArray<BrokerAddress>,
    NameServerApiError | RouteUnavailable | AddressRefused | TooManyBrokers
  >
  /** A broker's master by its name, or any broker by its `host:port`. */
  readonly broker: (
    nameOrAddress: string
  ) => Effect.Effect<BrokerAddress, NameServerApiError | UnknownBroker | AddressRefused>
}

/** What was asked for may hold ids and names that came from messages: at most so many characters of it are told. */
const MAX_OPERATION = 400

/** Gives a failure the name of the call, and the servers on which the call had succeeded by then. */
export const failing =
  (operation: string, done: ReadonlyArray<string> = []) =>
  <A, E extends AdminReason, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, AdminError, R> =>
    Effect.mapError(
      self,
      (reason) => new AdminError({ operation: ForeignText.clean(operation, MAX_OPERATION), done: [...done], reason })
    )

const isMaster = (brokerId: number): boolean => brokerId === MASTER_ID

const byName = (a: BrokerAddress, b: BrokerAddress) => (a.brokerName < b.brokerName ? -1 : 1)

/** How many names an error gives of those that there are. */
const MAX_NAMED = 20

/** The first names, of those that can be shown. */
const named = (names: Iterable<string>): ReadonlyArray<string> =>
  [...names].filter(isName).toSorted().slice(0, MAX_NAMED)

/** Puts together what the calls of an administrator share. */
export const make = (
  instance: MQClientInstanceShape,
  options: Pick<AdminContext, "timeoutMillis"> & { readonly namespace: string | undefined }
): AdminContext => {
  const { namespace, timeoutMillis } = options
  const { api, routes } = instance
  const { policy } = routes

  const dialled: AdminContext["dialled"] = (endpoint) =>
    Effect.flatMap(policy.resolve(endpoint), (address) =>
      typeof address === "string" ? Effect.succeed(address) : Effect.fail(address)
    )

  const unwrap = (name: string) => Namespace.unwrap(namespace, name)

  const routeOf: AdminContext["routeOf"] = (topic) =>
    Effect.flatMap(api.getTopicRouteInfo(topic, timeoutMillis), (route) =>
      route === undefined
        ? Effect.flatMap(absence(api, timeoutMillis), (problem) =>
            Effect.fail(new RouteUnavailable({ topic, problem, tries: [] }))
          )
        : Effect.succeed(route)
    )

  const clusterInfo = api.callNameServer(
    GetBrokerClusterInfo.request(),
    timeoutMillis,
    GetBrokerClusterInfo.decodeResponse
  )

  /** The brokers whose id passes, with their addresses, when all of these may be dialled. */
  const reachable = Effect.fnUntraced(function* (
    subject: string,
    given: Iterable<BrokerData>,
    passes: (brokerId: number) => boolean = isMaster
  ) {
    const { brokers, warnings } = boundedBrokers(given)
    for (const warning of warnings) {
      if (warning._tag === "TooManyBrokers") return yield* new TooManyBrokers({ subject, brokers: warning.brokers })
    }
    const found: Array<BrokerAddress & { readonly brokerId: number }> = []
    for (const { brokerAddrs, brokerName } of brokers) {
      for (const [brokerId, address] of [...brokerAddrs].toSorted(([a], [b]) => a - b)) {
        if (!passes(brokerId)) continue
        found.push({ brokerName, brokerId, address: yield* dialled({ brokerName, brokerId, address }) })
      }
    }
    return found.toSorted(byName)
  })

  const masters = (subject: string, given: Iterable<BrokerData>) =>
    Effect.map(reachable(subject, given), (found) =>
      found.map(({ address, brokerName }): BrokerAddress => ({ brokerName, address }))
    )

  /** The brokers of a cluster; the name may be left out where there is only one. */
  const clusterOf = Effect.fnUntraced(function* (wanted: string | undefined) {
    const info = yield* clusterInfo
    const clusters = named(info.clusterAddrTable.keys())
    const clusterName = wanted ?? (clusters.length === 1 ? clusters[0] : undefined)
    const names = clusterName === undefined ? undefined : info.clusterAddrTable.get(clusterName)
    if (clusterName === undefined || names === undefined) {
      return yield* new UnknownCluster({ clusterName: wanted, clusters })
    }
    const brokers = [...new Set(names)].flatMap((name) => info.brokerAddrTable.get(name) ?? [])
    return { clusterName, subject: `cluster ${clusterName}`, names, brokers }
  })

  const allMasters = Effect.flatMap(clusterInfo, ({ brokerAddrTable }) =>
    masters("the name server's clusters", brokerAddrTable.values())
  )

  return {
    instance,
    timeoutMillis,
    dialled,
    isModern: (address) =>
      Effect.suspend(() =>
        api.releaseOf(address) === undefined
          ? Effect.ignore(api.call(address, GetBrokerRuntimeInfo.request(), timeoutMillis, () => undefined))
          : Effect.void
      ).pipe(Effect.map(() => (api.releaseOf(address) ?? MQVersion.CURRENT) >= MQVersion.V5_0_0)),
    wrap: (name) => Namespace.wrap(namespace, name),
    unwrap,
    isOurs: (name) =>
      namespace === undefined || Namespace.isWrapped(namespace, name) || Namespace.isSystemResource(name),
    unwrapQueue: (queue) => ({ ...queue, topic: unwrap(queue.topic) }),
    masters: Effect.fnUntraced(function* (wanted) {
      const { clusterName, names, subject, ...found } = yield* clusterOf(wanted)
      const brokers = yield* masters(subject, found.brokers)
      return brokers.length === 0
        ? yield* new NoMaster({ clusterName, brokers: named(names) })
        : { clusterName, brokers }
    }),
    members: Effect.fnUntraced(function* (wanted) {
      const { clusterName, names, subject, ...found } = yield* clusterOf(wanted)
      const brokers = yield* reachable(subject, found.brokers, () => true)
      return brokers.length === 0 ? yield* new NoMaster({ clusterName, brokers: named(names) }) : brokers
    }),
    addressOf: (queue) => addressOf(routes, queue),
    allMasters,
    routeOf,
    mastersOf: (topic) => Effect.flatMap(routeOf(topic), ({ brokerDatas }) => masters(`topic ${topic}`, brokerDatas)),
    broker: Effect.fnUntraced(function* (nameOrAddress) {
      if (!("_tag" in Address.parse(nameOrAddress))) {
        const address = policy.permit(nameOrAddress)
        return typeof address === "string" ? { brokerName: nameOrAddress, address } : yield* address
      }
      const { brokerAddrTable } = yield* clusterInfo
      const known = [...brokerAddrTable.values()].filter(({ brokerAddrs }) => brokerAddrs.has(MASTER_ID))
      const address = known.find(({ brokerName }) => brokerName === nameOrAddress)?.brokerAddrs.get(MASTER_ID)
      if (address === undefined) {
        const brokers = named(known.map(({ brokerName }) => brokerName))
        return yield* new UnknownBroker({ brokerName: nameOrAddress, brokers })
      }
      const endpoint = { brokerName: nameOrAddress, brokerId: MASTER_ID, address }
      return { brokerName: nameOrAddress, address: yield* dialled(endpoint) }
    })
  }
}
