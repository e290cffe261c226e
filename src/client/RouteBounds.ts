import * as ForeignText from "../message/ForeignText.ts"
import type { BrokerData, TopicQueueMappingInfo, TopicRouteData } from "../protocol/TopicRouteData.ts"

/** A route, or the answer about a cluster, names at most so many brokers that are taken. */
export const MAX_BROKERS = 4_096

/** A broker, master and slaves, has at most so many addresses that are taken. */
export const MAX_ADDRESSES = 64

/** A name of a broker, or of what stands in the place of one, has at most so many characters. */
export const MAX_NAME_LENGTH = 255

/** What of a route is not used. */
export type RouteWarning =
  | {
      /** It names more brokers than are taken: those are used that come first by name. */
      readonly _tag: "TooManyBrokers"
      /** How many it names. */
      readonly brokers: number
    }
  | {
      /** Brokers have more addresses than are taken: those with the least ids are used. */
      readonly _tag: "TooManyAddresses"
      /** How many brokers have too many. */
      readonly brokers: number
    }
  | {
      /** Brokers, or scopes of a static topic, are left out, since their names are too long or hold control characters. */
      readonly _tag: "UnusableNames"
      /** How many are left out. */
      readonly names: number
    }

/** A warning as part of a sentence about a route. */
export const describe = (warning: RouteWarning): string =>
  warning._tag === "TooManyBrokers"
    ? `it names ${warning.brokers} brokers, of which the first ${MAX_BROKERS} by name are used`
    : warning._tag === "TooManyAddresses"
      ? `${warning.brokers} of its brokers have more than ${MAX_ADDRESSES} addresses each, of which those with the least ids are used`
      : `${warning.names} of its names are longer than ${MAX_NAME_LENGTH} characters or hold control characters, and are left out`

/** Whether a name can be used: it becomes part of keys, log lines and terminals. */
export const isName = (name: string): boolean => name.length <= MAX_NAME_LENGTH && ForeignText.isClean(name)

/** A broker in a cluster that has no usable name: it is reached by its own. */
const unnamed = (broker: BrokerData): BrokerData => ({ ...broker, cluster: "" })

const byName = (a: BrokerData, b: BrokerData): number => (a.brokerName < b.brokerName ? -1 : 1)

/** What of a list of brokers is used. A broker that is named twice counts with its last entry, as in Java. */
export const boundedBrokers = (
  given: Iterable<BrokerData>
): { readonly brokers: ReadonlyArray<BrokerData>; readonly warnings: ReadonlyArray<RouteWarning> } => {
  const named = new Map<string, BrokerData>()
  let unusable = 0
  for (const broker of given) {
    if (isName(broker.brokerName)) named.set(broker.brokerName, isName(broker.cluster) ? broker : unnamed(broker))
    else unusable++
  }
  const all = [...named.values()]
  const taken = all.length > MAX_BROKERS ? all.toSorted(byName).slice(0, MAX_BROKERS) : all
  let crowded = 0
  const brokers = taken.map((broker) => {
    if (broker.brokerAddrs.size <= MAX_ADDRESSES) return broker
    crowded++
    const first = [...broker.brokerAddrs].toSorted(([a], [b]) => a - b).slice(0, MAX_ADDRESSES)
    return { ...broker, brokerAddrs: new Map(first) }
  })
  const warnings: Array<RouteWarning> = []
  if (all.length > MAX_BROKERS) warnings.push({ _tag: "TooManyBrokers", brokers: all.length })
  if (crowded > 0) warnings.push({ _tag: "TooManyAddresses", brokers: crowded })
  if (unusable > 0) warnings.push({ _tag: "UnusableNames", names: unusable })
  return { brokers, warnings }
}

const isUsable = ([brokerName, { bname, scope }]: readonly [string, TopicQueueMappingInfo]): boolean =>
  isName(brokerName) && isName(bname ?? "") && isName(scope ?? "")

/**
 * What of a route is used. How many queues it has is another matter: see `RouteQueues`. The filter servers, which nobody
 * has had since RocketMQ 4.3, are left out.
 */
export const bounded = (
  route: TopicRouteData
): { readonly route: TopicRouteData; readonly warnings: ReadonlyArray<RouteWarning> } => {
  const { brokers, warnings } = boundedBrokers(route.brokerDatas)
  const tooMany = warnings.some(({ _tag }) => _tag === "TooManyBrokers")
  const kept = new Set(brokers.map(({ brokerName }) => brokerName))
  const { orderTopicConf, topicQueueMappingByBroker: mappings } = route
  const usable = mappings === undefined ? undefined : new Map([...mappings].filter(isUsable))
  const lost = (mappings?.size ?? 0) - (usable?.size ?? 0)
  return {
    route: {
      ...route,
      brokerDatas: brokers,
      queueDatas: route.queueDatas.filter(({ brokerName }) =>
        tooMany ? kept.has(brokerName) : kept.has(brokerName) || isName(brokerName)
      ),
      orderTopicConf: ForeignText.isClean(orderTopicConf ?? "") ? orderTopicConf : undefined,
      topicQueueMappingByBroker: usable,
      filterServerTable: new Map()
    },
    warnings: lost === 0 ? warnings : [...warnings, { _tag: "UnusableNames", names: lost }]
  }
}
