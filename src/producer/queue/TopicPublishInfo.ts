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
