import type { PublishedRoute } from "../client/ClientMembers.ts"
import { MASTER_ID, PermName } from "../message/MixAll.ts"
import * as MessageQueue from "../message/MessageQueue.ts"

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
}

/** The entry of a topic whose route is not known yet. `start` is where round robin begins. */
export const empty = (topic: string, start: number): TopicPublishInfo => ({
  topic,
  queues: [],
  brokerCount: 0,
  orderTopic: false,
  borrowed: false,
  route: undefined,
  turn: { next: start }
})

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

/**
 * The queues that a route allows to write: of brokers with a master, sorted by broker name and queue id, or as the
 * topic's order configuration says.
 *
 * Source: RocketMQ `MQClientInstance.topicRouteData2TopicPublishInfo`.
 */
export const fromRoute = (before: TopicPublishInfo, route: PublishedRoute): TopicPublishInfo => {
  const { borrowed, data, topic } = route
  const orderTopic = data.orderTopicConf !== undefined && data.orderTopicConf !== ""
  const masters = new Set(data.brokerDatas.filter((b) => b.brokerAddrs.has(MASTER_ID)).map((b) => b.brokerName))
  const queues = orderTopic
    ? orderedQueues(topic, data.orderTopicConf ?? "")
    : data.queueDatas
        .filter((q) => (q.perm & PermName.WRITE) !== 0 && masters.has(q.brokerName))
        .flatMap((q) =>
          Array.from({ length: Math.min(q.writeQueueNums, MAX_QUEUES) }, (_, id) =>
            MessageQueue.make(topic, q.brokerName, id)
          )
        )
        .toSorted(MessageQueue.compare)
  return {
    topic,
    queues,
    brokerCount: new Set(queues.map((q) => q.brokerName)).size,
    orderTopic,
    borrowed,
    route,
    turn: before.turn
  }
}
