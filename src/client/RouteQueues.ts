import { MASTER_ID, PermName } from "../message/MixAll.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import type { QueueData, TopicQueueMappingInfo, TopicRouteData } from "../protocol/TopicRouteData.ts"
import { MAX_NAME_LENGTH } from "./RouteBounds.ts"
import type { RouteProblem } from "./RouteProblem.ts"

/**
 * The queues that a route has, to write and to read. A route comes from outside and a few bytes of it may name billions of
 * queues, so nothing is laid out before it is counted: time and memory are linear in the route and in {@link MAX_QUEUES}.
 *
 * Source: RocketMQ `MQClientInstance.topicRouteData2TopicPublishInfo`, `topicRouteData2TopicSubscribeInfo`.
 */

/** A topic has at most so many queues that are written, and as many that are read, over all its brokers. */
export const MAX_QUEUES = 65_536

/** The queues `from` up to `to`, exclusive, of one broker. */
interface Span {
  readonly brokerName: string
  readonly from: number
  readonly to: number
}

/** The queues that can be written. */
export interface WritableQueues {
  /** In the order in which round robin goes through them. */
  readonly queues: ReadonlyArray<MessageQueue.MessageQueue>
  /** Whether that order is the topic's order configuration. */
  readonly orderTopic: boolean
  /** For a static topic: the broker that has each logical queue at present, by `MessageQueue.key`. */
  readonly leaders: ReadonlyMap<string, string> | undefined
}

const sizeOf = (spans: ReadonlyArray<Span>): number => spans.reduce((sum, { from, to }) => sum + to - from, 0)

/** The queues of the spans; none when they are more than {@link MAX_QUEUES}. */
const laidOut = (topic: string, spans: ReadonlyArray<Span>): ReadonlyArray<MessageQueue.MessageQueue> => {
  const queues: Array<MessageQueue.MessageQueue> = []
  if (sizeOf(spans) > MAX_QUEUES) return queues
  for (const { brokerName, from, to } of spans) {
    for (let id = from; id < to; id++) queues.push(MessageQueue.make(topic, brokerName, id))
  }
  return queues
}

const byName = (a: Span, b: Span): number => (a.brokerName < b.brokerName ? -1 : 1)

/** One span for each broker, sorted by name. A broker that is named twice has the more queues of the two. */
const spansOf = (
  queueDatas: ReadonlyArray<QueueData>,
  perm: number,
  count: (data: QueueData) => number,
  has: (brokerName: string) => boolean
): ReadonlyArray<Span> => {
  const most = new Map<string, number>()
  for (const data of queueDatas) {
    const { brokerName } = data
    const queues = count(data)
    if ((data.perm & perm) !== 0 && queues > (most.get(brokerName) ?? 0) && has(brokerName)) {
      most.set(brokerName, queues)
    }
  }
  return Array.from(most, ([brokerName, to]): Span => ({ brokerName, from: 0, to })).toSorted(byName)
}

/** The names of the brokers with a master. */
const mastersOf = ({ brokerDatas }: TopicRouteData): ReadonlySet<string> =>
  new Set(brokerDatas.flatMap(({ brokerAddrs, brokerName }) => (brokerAddrs.has(MASTER_ID) ? [brokerName] : [])))

const writeSpans = (data: TopicRouteData, has: (brokerName: string) => boolean): ReadonlyArray<Span> =>
  spansOf(data.queueDatas, PermName.WRITE, (queue) => queue.writeQueueNums, has)

const readSpans = (data: TopicRouteData): ReadonlyArray<Span> =>
  spansOf(
    data.queueDatas,
    PermName.READ,
    (queue) => queue.readQueueNums,
    () => true
  )

/**
 * The queues of an order configuration, in its order: `brokerA:4;brokerB:2`. What cannot be read is passed over, and a
 * queue that is named twice counts once. Beyond {@link MAX_QUEUES} it is not read on.
 */
const orderedSpans = (orderTopicConf: string): ReadonlyArray<Span> => {
  const spans: Array<Span> = []
  const next = new Map<string, number>()
  let total = 0
  for (let begin = 0; begin < orderTopicConf.length && total <= MAX_QUEUES;) {
    const end = orderTopicConf.indexOf(";", begin)
    const item = orderTopicConf.slice(begin, end < 0 ? undefined : end)
    begin = end < 0 ? orderTopicConf.length : end + 1
    const [brokerName = "", count = ""] = item.split(":", 2)
    const from = next.get(brokerName) ?? 0
    const to = /^\d{1,10}$/.test(count) ? Number(count) : 0
    if (brokerName === "" || brokerName.length > MAX_NAME_LENGTH || to <= from) continue
    next.set(brokerName, to)
    spans.push({ brokerName, from, to })
    total += to - from
  }
  return spans
}

/** The broker name that all logical queues of a scope have. Source: RocketMQ `TopicQueueMappingUtils.getMockBrokerName`. */
const mockBrokerName = (scope: string): string => `__syslo__${scope}`

/** Where a logical queue goes that no broker has (Java `LOGICAL_QUEUE_MOCK_BROKER_NAME_NOT_EXIST`). */
const NO_LEADER = "__syslo__none__"

type Mappings = ReadonlyMap<string, TopicQueueMappingInfo>

/** The mappings of a static topic; undefined for any other. */
const mappingsOf = ({ topicQueueMappingByBroker: mappings }: TopicRouteData): Mappings | undefined =>
  mappings === undefined || mappings.size === 0 ? undefined : mappings

/** How many logical queues each scope has: as many as the mapping with most says. */
const scopesOf = (mappings: Mappings): ReadonlyMap<string, number> => {
  const totals = new Map<string, number>()
  for (const { scope, totalQueues } of mappings.values()) {
    if (scope !== undefined && totalQueues > (totals.get(scope) ?? 0)) totals.set(scope, totalQueues)
  }
  return totals
}

const logicalSpans = (mappings: Mappings): ReadonlyArray<Span> =>
  Array.from(scopesOf(mappings), ([scope, to]): Span => ({ brokerName: mockBrokerName(scope), from: 0, to }))

const byId = (a: MessageQueue.MessageQueue, b: MessageQueue.MessageQueue): number =>
  a.queueId - b.queueId || MessageQueue.compare(a, b)

/** Scope and logical queue id -> the broker that has it. Where two say so, the later epoch is right. */
const ownersOf = (mappings: Mappings, totals: ReadonlyMap<string, number>) => {
  const owners = new Map<string, Map<number, { readonly brokerName: string; readonly epoch: number }>>()
  for (const [name, { bname: brokerName = name, currIdMap, epoch, scope }] of mappings) {
    if (scope === undefined || currIdMap === undefined) continue
    const total = totals.get(scope) ?? 0
    const ofScope = owners.get(scope) ?? new Map<number, { readonly brokerName: string; readonly epoch: number }>()
    owners.set(scope, ofScope)
    for (const id of currIdMap.keys()) {
      if (id >= 0 && id < total && (ofScope.get(id)?.epoch ?? -Infinity) <= epoch)
        ofScope.set(id, { brokerName, epoch })
    }
  }
  return owners
}

/**
 * The logical queues of a static topic, by queue id, each with the broker that has it; those that nobody has are in the
 * list all the same, so that a key keeps its queue.
 *
 * Source: RocketMQ `ClientMetadata.topicRouteData2EndpointsForStaticTopic`.
 */
const logicalQueues = (topic: string, mappings: Mappings) => {
  const queues = laidOut(topic, logicalSpans(mappings)).toSorted(byId)
  const leaders = new Map<string, string>()
  if (queues.length === 0) return { queues, leaders }
  const totals = scopesOf(mappings)
  const owners = ownersOf(mappings, totals)
  for (const [scope, total] of totals) {
    const ofScope = owners.get(scope)
    for (let id = 0; id < total; id++) {
      const key = MessageQueue.key(MessageQueue.make(topic, mockBrokerName(scope), id))
      leaders.set(key, ofScope?.get(id)?.brokerName ?? NO_LEADER)
    }
  }
  return { queues, leaders }
}

const isOrdered = ({ orderTopicConf }: TopicRouteData): boolean => orderTopicConf !== undefined && orderTopicConf !== ""

/** The spans of what can be written, as {@link writable} lays it out. */
const publishSpans = (data: TopicRouteData): ReadonlyArray<Span> => {
  const { orderTopicConf } = data
  if (orderTopicConf !== undefined && orderTopicConf !== "") return orderedSpans(orderTopicConf)
  const mappings = orderTopicConf === undefined ? mappingsOf(data) : undefined
  const masters = mastersOf(data)
  return mappings === undefined ? writeSpans(data, (name) => masters.has(name)) : logicalSpans(mappings)
}

/** The spans of what can be read, as {@link readable} lays it out. */
const subscribeSpans = (data: TopicRouteData): ReadonlyArray<Span> => {
  const mappings = mappingsOf(data)
  return mappings === undefined ? readSpans(data) : logicalSpans(mappings)
}

/**
 * The queues that a route allows to write: as the topic's order configuration says; else the logical queues of a static
 * topic; else those of brokers with a master, sorted by broker name and queue id. None when there are more than
 * {@link MAX_QUEUES}.
 */
export const writable = (topic: string, data: TopicRouteData): WritableQueues => {
  const mappings = data.orderTopicConf === undefined ? mappingsOf(data) : undefined
  return mappings === undefined
    ? { queues: laidOut(topic, publishSpans(data)), orderTopic: isOrdered(data), leaders: undefined }
    : { ...logicalQueues(topic, mappings), orderTopic: false }
}

/**
 * The queues that a route allows to read: the logical queues of a static topic; else those that are readable, sorted by
 * broker name and queue id, with or without a master. None when there are more than {@link MAX_QUEUES}.
 */
export const readable = (topic: string, data: TopicRouteData): ReadonlyArray<MessageQueue.MessageQueue> => {
  const mappings = mappingsOf(data)
  return mappings === undefined ? laidOut(topic, readSpans(data)) : logicalQueues(topic, mappings).queues
}

/** The broker of each logical queue of a static topic, by `MessageQueue.key`; undefined for any other topic. */
export const leadersOf = (topic: string, data: TopicRouteData): ReadonlyMap<string, string> | undefined => {
  const mappings = mappingsOf(data)
  return mappings === undefined ? undefined : logicalQueues(topic, mappings).leaders
}

/** How many queues a route has to write and to read; above {@link MAX_QUEUES} it may have more than that. */
export const count = (data: TopicRouteData): { readonly writable: number; readonly readable: number } => ({
  writable: sizeOf(publishSpans(data)),
  readable: sizeOf(subscribeSpans(data))
})

/** Why a route cannot be sent over, or undefined when it can. */
export const problemOf = (data: TopicRouteData): RouteProblem | undefined => {
  const counts = count(data)
  if (Math.max(counts.writable, counts.readable) > MAX_QUEUES) return "too-many-queues"
  if (writeSpans(data, () => true).length === 0) return "no-writable-queue"
  const masters = mastersOf(data)
  return writeSpans(data, (name) => masters.has(name)).length === 0 ? "no-master" : undefined
}
