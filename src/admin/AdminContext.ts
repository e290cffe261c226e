import { type Context, Effect } from "effect"
import type { AddressTranslator } from "../client/AddressTranslator.ts"
import { type ApiError, BrokerNotExist, RouteUnavailable } from "../client/ClientError.ts"
import type { NameServerApiError } from "../client/MQClientApi.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import type { RouteError } from "../client/TopicRoute.ts"
import { unwrapMessage } from "../client/NamespaceRpcHook.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import { MASTER_ID } from "../message/MixAll.ts"
import * as Namespace from "../message/Namespace.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import * as GetBrokerClusterInfo from "../protocol/request/GetBrokerClusterInfo.ts"
import * as GetBrokerRuntimeInfo from "../protocol/request/GetBrokerRuntimeInfo.ts"
import { MQVersion } from "../protocol/MQVersion.ts"
import type { BrokerData, TopicRouteData } from "../protocol/TopicRouteData.ts"
import * as Address from "../transport/Address.ts"
import type { ClientClosed } from "../transport/RemotingError.ts"
import { AddressRefused, AdminError, type AdminReason, NoMaster, UnknownBroker, UnknownCluster } from "./AdminError.ts"

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
  /** The address under which this client reaches a broker that announces another one. */
  readonly translate: Context.Service.Shape<typeof AddressTranslator>["translate"]
  /** Whether the address may be dialled. */
  readonly permit: (address: string) => Effect.Effect<string, AddressRefused>
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
  readonly unwrapMessage: (message: MessageExt) => MessageExt
  readonly unwrapQueue: (queue: MessageQueue) => MessageQueue
  /** The route of a topic. An unknown topic fails with `RouteUnavailable`, `topic-absent`. */
  readonly routeOf: (topic: string) => Effect.Effect<TopicRouteData, NameServerApiError | RouteUnavailable>
  /** The address of a queue's broker: its master, or a slave where there is no master. */
  readonly addressOf: (queue: MessageQueue) => Effect.Effect<string, RouteError | ClientClosed | BrokerNotExist>
  /** The masters of a cluster, sorted by name. The name may be left out where there is only one cluster. */
  readonly masters: (
    clusterName: string | undefined
  ) => Effect.Effect<
    { readonly clusterName: string; readonly brokers: ReadonlyArray<BrokerAddress> },
    NameServerApiError | UnknownCluster | NoMaster | AddressRefused
  >
  /** The masters of all clusters, sorted by name. */
  readonly allMasters: Effect.Effect<ReadonlyArray<BrokerAddress>, NameServerApiError | AddressRefused>
  /** The masters on a topic's route, sorted by name. An unknown topic fails with `RouteUnavailable`. */
  readonly mastersOf: (
    topic: string
  ) => Effect.Effect<ReadonlyArray<BrokerAddress>, NameServerApiError | RouteUnavailable | AddressRefused>
  /** A broker's master by its name, or any broker by its `host:port`. */
  readonly broker: (
    nameOrAddress: string
  ) => Effect.Effect<BrokerAddress, NameServerApiError | UnknownBroker | AddressRefused>
}

/** Gives a failure the name of the call, and the servers on which the call had succeeded by then. */
export const failing =
  (operation: string, done: ReadonlyArray<string> = []) =>
  <A, E extends AdminReason, R>(self: Effect.Effect<A, E, R>): Effect.Effect<A, AdminError, R> =>
    Effect.mapError(self, (reason) => new AdminError({ operation, done: [...done], reason }))

/** Undefined in place of an answer that says the asked thing is not there. */
export const absentOn =
  (...codes: ReadonlyArray<number>) =>
  <A, R>(self: Effect.Effect<A, ApiError, R>): Effect.Effect<A | undefined, ApiError, R> =>
    Effect.catchIf(
      self,
      (error) => error._tag === "BrokerRejected" && codes.includes(error.code),
      () => Effect.succeed(undefined)
    )

/** How many brokers are asked at once. */
export const BROKERS_AT_ONCE = 8

const byName = (a: BrokerAddress, b: BrokerAddress) => (a.brokerName < b.brokerName ? -1 : 1)

/** Puts together what the calls of an administrator share. */
export const make = (
  instance: MQClientInstanceShape,
  options: Pick<AdminContext, "timeoutMillis" | "translate"> & {
    readonly namespace: string | undefined
    readonly allowAddress: ((address: string) => boolean) | undefined
  }
): AdminContext => {
  const { allowAddress, namespace, timeoutMillis, translate } = options
  const { api } = instance

  const permit = (address: string): Effect.Effect<string, AddressRefused> =>
    allowAddress === undefined || allowAddress(address)
      ? Effect.succeed(address)
      : Effect.fail(new AddressRefused({ address }))

  const unwrap = (name: string) => Namespace.unwrap(namespace, name)

  const routeOf: AdminContext["routeOf"] = (topic) =>
    Effect.flatMap(api.getTopicRouteInfo(topic, timeoutMillis), (route) =>
      route === undefined
        ? Effect.fail(new RouteUnavailable({ topic, problem: "topic-absent", tries: [] }))
        : Effect.succeed(route)
    )

  const knownAddress = (brokerName: string) => {
    const addresses = instance.routes.brokerAddrTable.get(brokerName)
    return addresses?.get(MASTER_ID) ?? addresses?.values().next().value
  }

  const addressOf: AdminContext["addressOf"] = Effect.fnUntraced(function* ({ brokerName, topic }) {
    const known = knownAddress(brokerName)
    if (known !== undefined) return known
    yield* instance.routes.updateTopicRouteInfoFromNameServer(topic, undefined)
    return knownAddress(brokerName) ?? (yield* new BrokerNotExist({ topic, brokerName }))
  })

  const clusterInfo = api.callNameServer(
    GetBrokerClusterInfo.request(),
    timeoutMillis,
    GetBrokerClusterInfo.decodeResponse
  )

  /** Those of the brokers that have a master, with its address as this client would reach it. */
  const withMaster = Effect.fnUntraced(function* (brokers: ReadonlyArray<BrokerData>) {
    const found: Array<BrokerAddress> = []
    for (const { brokerAddrs, brokerName } of brokers) {
      const announced = brokerAddrs.get(MASTER_ID)
      if (announced === undefined) continue
      found.push({ brokerName, address: yield* translate({ brokerName, brokerId: MASTER_ID, address: announced }) })
    }
    return found.toSorted(byName)
  })

  /** The same, when all of them may be dialled. */
  const reachable = (brokers: ReadonlyArray<BrokerData>) =>
    Effect.tap(withMaster(brokers), (found) =>
      Effect.forEach(found, ({ address }) => permit(address), { discard: true })
    )

  const allMasters = Effect.flatMap(clusterInfo, ({ brokerAddrTable }) => reachable([...brokerAddrTable.values()]))

  return {
    instance,
    timeoutMillis,
    translate,
    permit,
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
    unwrapMessage: (message) => (namespace === undefined ? message : unwrapMessage(namespace, message)),
    unwrapQueue: (queue) => ({ ...queue, topic: unwrap(queue.topic) }),
    masters: Effect.fnUntraced(function* (wanted) {
      const info = yield* clusterInfo
      const clusters = [...info.clusterAddrTable.keys()].toSorted()
      const clusterName = wanted ?? (clusters.length === 1 ? clusters[0] : undefined)
      const names = clusterName === undefined ? undefined : info.clusterAddrTable.get(clusterName)
      if (clusterName === undefined || names === undefined) {
        return yield* new UnknownCluster({ clusterName: wanted, clusters })
      }
      const brokers = yield* reachable(names.flatMap((name) => info.brokerAddrTable.get(name) ?? []))
      return brokers.length === 0 ? yield* new NoMaster({ clusterName, brokers: [...names] }) : { clusterName, brokers }
    }),
    addressOf,
    allMasters,
    routeOf,
    mastersOf: (topic) => Effect.flatMap(routeOf(topic), ({ brokerDatas }) => reachable(brokerDatas)),
    broker: Effect.fnUntraced(function* (nameOrAddress) {
      if (!("_tag" in Address.parse(nameOrAddress))) {
        return { brokerName: nameOrAddress, address: yield* permit(nameOrAddress) }
      }
      const { brokerAddrTable } = yield* clusterInfo
      const known = yield* withMaster([...brokerAddrTable.values()])
      const found =
        known.find(({ brokerName }) => brokerName === nameOrAddress) ??
        (yield* new UnknownBroker({
          brokerName: nameOrAddress,
          brokers: known.map(({ brokerName }) => brokerName)
        }))
      yield* permit(found.address)
      return found
    })
  }
}
