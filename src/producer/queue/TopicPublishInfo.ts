import type { PublishedRoute } from "../../client/ClientMembers.ts"
import { writable } from "../../client/RouteQueues.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"

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

/** What an attempt is made at: for a logical queue, the broker that has it. */
export const placeOf = (info: TopicPublishInfo, queue: MessageQueue.MessageQueue): MessageQueue.MessageQueue => {
  const brokerName = brokerNameOf(info, queue)
  return brokerName === queue.brokerName ? queue : { ...queue, brokerName }
}

/** What a route allows to write, in place of what was known before. */
export const fromRoute = (before: TopicPublishInfo, route: PublishedRoute): TopicPublishInfo => {
  const { borrowed, data, topic } = route
  const { leaders, orderTopic, queues } = writable(topic, data)
  const brokers = leaders === undefined ? queues.map((q) => q.brokerName) : leaders.values()
  return {
    topic,
    queues,
    brokerCount: new Set(brokers).size,
    orderTopic,
    borrowed,
    route,
    turn: before.turn,
    leaders
  }
}

/** The next queue in turn whose broker suits; undefined when none does. */
export const nextWhere = (
  info: TopicPublishInfo,
  suits: (brokerName: string) => boolean
): MessageQueue.MessageQueue | undefined => {
  const { queues, turn } = info
  const size = queues.length
  for (let i = 0; i < size; i++) {
    const at = turn.next % size
    // Never a count that wraps: where it wraps, some queues would miss a turn.
    turn.next = at + 1
    const queue = queues[at]
    if (queue !== undefined && suits(brokerNameOf(info, queue))) return queue
  }
  return undefined
}

const anyBroker = () => true

/**
 * The next queue in turn, one of another broker than `lastBroker` where there is one. Undefined only when there is no
 * queue at all.
 *
 * Source: RocketMQ `TopicPublishInfo.selectOneMessageQueue`.
 */
export const selectOneMessageQueue = (
  info: TopicPublishInfo,
  lastBroker: string | undefined
): MessageQueue.MessageQueue | undefined =>
  lastBroker === undefined || info.brokerCount < 2
    ? nextWhere(info, anyBroker)
    : nextWhere(info, (brokerName) => brokerName !== lastBroker)

/**
 * What a producer knows of the topics it sends to (Java `topicPublishInfoTable`). A topic is in it from the first look-up
 * on, so that timer 2 keeps its route fresh.
 */
export interface TopicPublishInfoTable {
  readonly get: (topic: string) => TopicPublishInfo | undefined
  /** The entry of a topic, an empty one when it is new. */
  readonly getOrPut: (topic: string) => TopicPublishInfo
  /** Takes a route for a topic that is in the table; others are not this producer's business. */
  readonly update: (route: PublishedRoute) => void
  readonly topics: () => Iterable<string>
  readonly clear: () => void
}

/** An empty table; `firstTurn` says where the round robin of a new topic begins. */
export const makeTable = (firstTurn: () => number): TopicPublishInfoTable => {
  const table = new Map<string, TopicPublishInfo>()
  return {
    get: (topic) => table.get(topic),
    getOrPut: (topic) => {
      const known = table.get(topic)
      if (known !== undefined) return known
      const fresh = empty(topic, firstTurn())
      table.set(topic, fresh)
      return fresh
    },
    update: (route) => {
      const known = table.get(route.topic)
      if (known !== undefined) table.set(route.topic, fromRoute(known, route))
    },
    topics: () => table.keys(),
    clear: () => table.clear()
  }
}
