import type { PublishedRoute } from "../../client/ClientMembers.ts"
import { MASTER_ID, PermName } from "../../message/MixAll.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import type { TopicQueueMappingInfo, TopicRouteData } from "../../protocol/TopicRouteData.ts"

/**
 * Where messages of a topic can be sent to.
 *
 * Source: RocketMQ `TopicPublishInfo`.
 */
export interface TopicPublishInfo {
  readonly topic: string
  /** In the order in which round robin goes through them. */
  readonly queues: ReadonlyArray<MessageQueue.MessageQueue>
  readonly brokerCount: number
  /** Whether the order of the queues is fixed by the topic's order configuration. */
  readonly orderTopic: boolean
  /** Whether the route is the template topic's. */
  readonly borrowed: boolean
  /** The route it was made of; undefined before the first answer. */
  readonly route: PublishedRoute | undefined
  /** Where round robin stands; kept when a new route replaces this one. */
  readonly turn: { next: number }
  /** For a static topic: the broker that has each logical queue at present, by `MessageQueue.key`. */
  readonly leaders: ReadonlyMap<string, string> | undefined
}

/** The entry of a topic whose route is not known yet. `start` is where round robin begins. */
export const empty = (topic: string, start: number): TopicPublishInfo => ({
  topic,
  queues: [],
  brokerCount: 0,
  orderTopic: false,
  borrowed: false,
  route: undefined,
  turn: { next: start },
  leaders: undefined
})

/**
 * The broker that messages for a queue go to: the one that it names, or for a logical queue the one that has it.
 *
 * Source: RocketMQ `MQClientInstance.getBrokerNameFromMessageQueue`.
 */
export const brokerNameOf = (info: TopicPublishInfo, queue: MessageQueue.MessageQueue): string =>
  info.leaders === undefined ? queue.brokerName : (info.leaders.get(MessageQueue.key(queue)) ?? queue.brokerName)

/** More queues than this on one broker are not believed: a route comes from outside. */
const MAX_QUEUES = 65_536

const orderedQueues = (topic: string, orderTopicConf: string) =>
  orderTopicConf.split(";").flatMap((item) => {
    const [brokerName = "", count = ""] = item.split(":")
    const queues = Number(count)
    return brokerName === "" || !Number.isInteger(queues) || queues < 0 || queues > MAX_QUEUES
      ? []
      : Array.from({ length: queues }, (_, id) => MessageQueue.make(topic, brokerName, id))
  })

/** The broker name that all logical queues of a scope have. Source: RocketMQ `TopicQueueMappingUtils.getMockBrokerName`. */
const mockBrokerName = (scope: string): string => `__syslo__${scope}`

/** Where a logical queue goes that no broker has (Java `LOGICAL_QUEUE_MOCK_BROKER_NAME_NOT_EXIST`). */
const NO_LEADER = "__syslo__none__"

/**
 * The logical queues of a static topic, by queue id, each with the broker that has it. Where two say that they have one,
 * the later epoch is right; those that nobody has are in the list all the same, so that a key keeps its queue.
 *
 * Source: RocketMQ `ClientMetadata.topicRouteData2EndpointsForStaticTopic`.
 */
const logicalQueues = (topic: string, mappings: ReadonlyMap<string, TopicQueueMappingInfo>) => {
  const queues: Array<MessageQueue.MessageQueue> = []
  const leaders = new Map<string, string>()
  const scopes = new Set([...mappings.values()].flatMap(({ scope }) => (scope === undefined ? [] : [scope])))
  for (const scope of scopes) {
    const infos = [...mappings.entries()]
      .filter(([, info]) => info.scope === scope)
      .toSorted(([, a], [, b]) => a.epoch - b.epoch)
    const total = Math.max(0, ...infos.map(([, info]) => info.totalQueues))
    const brokers = new Map<number, string>()
    for (const [brokerName, info] of infos) {
      for (const id of info.currIdMap?.keys() ?? []) brokers.set(id, info.bname ?? brokerName)
    }
    for (let id = 0; id < Math.min(total, MAX_QUEUES); id++) {
      const queue = MessageQueue.make(topic, mockBrokerName(scope), id)
      queues.push(queue)
      leaders.set(MessageQueue.key(queue), brokers.get(id) ?? NO_LEADER)
    }
  }
  queues.sort((a, b) => a.queueId - b.queueId || MessageQueue.compare(a, b))
  return { queues, leaders }
}

const writableQueues = (topic: string, data: TopicRouteData) => {
  const masters = new Set(data.brokerDatas.filter((b) => b.brokerAddrs.has(MASTER_ID)).map((b) => b.brokerName))
  return data.queueDatas
    .filter((q) => (q.perm & PermName.WRITE) !== 0 && masters.has(q.brokerName))
    .flatMap((q) =>
      Array.from({ length: Math.min(q.writeQueueNums, MAX_QUEUES) }, (_, id) =>
        MessageQueue.make(topic, q.brokerName, id)
      )
    )
    .toSorted(MessageQueue.compare)
}

/**
 * The queues that a route allows to write: as the topic's order configuration says; else the logical queues of a static
 * topic; else those of brokers with a master, sorted by broker name and queue id.
 *
 * Source: RocketMQ `MQClientInstance.topicRouteData2TopicPublishInfo`.
 */
export const fromRoute = (before: TopicPublishInfo, route: PublishedRoute): TopicPublishInfo => {
  const { borrowed, data, topic } = route
  const { orderTopicConf, topicQueueMappingByBroker: mappings } = data
  const orderTopic = orderTopicConf !== undefined && orderTopicConf !== ""
  const logical =
    orderTopicConf === undefined && mappings !== undefined && mappings.size > 0
      ? logicalQueues(topic, mappings)
      : undefined
  const queues = orderTopic ? orderedQueues(topic, orderTopicConf) : (logical?.queues ?? writableQueues(topic, data))
  const brokers = logical === undefined ? queues.map((q) => q.brokerName) : logical.leaders.values()
  return {
    topic,
    queues,
    brokerCount: new Set(brokers).size,
    orderTopic,
    borrowed,
    route,
    turn: before.turn,
    leaders: logical?.leaders
  }
}
