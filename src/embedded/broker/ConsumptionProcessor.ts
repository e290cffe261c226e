import type { MessageQueue } from "../../message/MessageQueue.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import * as Long from "../../protocol/Long.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { ConsumeStats } from "../../protocol/request/GetConsumeStats.ts"
import * as GetAllProducerInfo from "../../protocol/request/GetAllProducerInfo.ts"
import * as GetBrokerConsumeStats from "../../protocol/request/GetBrokerConsumeStats.ts"
import type { QueueTimeSpan } from "../../protocol/request/QueryConsumeTimeSpan.ts"
import * as QueryConsumeTimeSpan from "../../protocol/request/QueryConsumeTimeSpan.ts"
import * as QuerySubscriptionByConsumer from "../../protocol/request/QuerySubscriptionByConsumer.ts"
import * as QueryTopicConsumeByWho from "../../protocol/request/QueryTopicConsumeByWho.ts"
import * as QueryTopicsByConsumer from "../../protocol/request/QueryTopicsByConsumer.ts"
import type { TopicConfig } from "../../protocol/TopicConfig.ts"
import type { Broker } from "./Broker.ts"
import * as ConsumeProgress from "./ConsumeProgress.ts"
import type { Handlers } from "../server/Handler.ts"
import * as JavaNames from "../server/JavaNames.ts"
import * as Reply from "../server/Reply.ts"

/**
 * Who produces and who consumes, and how far: by topic (300), by group (343, 345), in time (303), for the whole broker
 * (317, 328).
 *
 * Source: RocketMQ `AdminBrokerProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { clients, state } = broker
  const { groups, offsets, store, topics } = state

  const queuesOf = (config: TopicConfig): ReadonlyArray<MessageQueue> =>
    Array.from({ length: config.writeQueueNums }, (_, queueId) => ({
      topic: config.topicName,
      brokerName: broker.name,
      queueId
    }))

  /** When the message at an offset was stored; -1 for none. */
  const storedAt = ({ queueId, topic }: MessageQueue, offset: Long.Long): number =>
    store.read(topic, queueId, offset)?.storeTimestamp ?? -1

  const byWhom = Reply.sync((request) => {
    const header = QueryTopicConsumeByWho.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const live = clients.consumerGroups().filter(({ subscriptions }) => subscriptions.has(header.topic))
    const names = new Set([...live.map(({ group }) => group), ...offsets.groupsOf(header.topic)])
    return QueryTopicConsumeByWho.response({ groupList: [...names] })
  })

  const topicsOf = Reply.sync((request) => {
    const header = QueryTopicsByConsumer.decodeRequest(request)
    return header instanceof DecodeError
      ? Reply.malformed(header)
      : QueryTopicsByConsumer.response({ topicList: offsets.topicsOf(header.group), brokerAddr: broker.announced() })
  })

  const subscription = Reply.sync((request) => {
    const header = QuerySubscriptionByConsumer.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const { group, topic } = header
    const subscriptionData = clients.consumerGroup(group)?.subscriptions.get(topic)
    return QuerySubscriptionByConsumer.response({ group, topic, subscriptionData })
  })

  const timeSpan = Reply.sync((request) => {
    const header = QueryConsumeTimeSpan.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const config = topics.get(header.topic)
    if (config === undefined) {
      return { code: ResponseCode.TOPIC_NOT_EXIST, remark: `topic[${header.topic}] not exist` }
    }
    const spans = queuesOf(config).map((queue): QueueTimeSpan => {
      const { max, min } = store.offsets(queue.topic, queue.queueId)
      const read = offsets.query(header.group, queue.topic, queue.queueId) ?? -1
      const minTimeStamp = storedAt(queue, min)
      const unread = storedAt(queue, read)
      return {
        messageQueue: queue,
        minTimeStamp,
        maxTimeStamp: storedAt(queue, max - 1),
        consumeTimeStamp: read > 0 ? storedAt(queue, Long.subtract(read, 1)) : minTimeStamp,
        // A queue of which nothing was read, and one without a message, wait since a millisecond before the epoch.
        delayTime: read < max ? broker.now() - unread : 0
      }
    })
    return QueryConsumeTimeSpan.response({ consumeTimeSpanSet: spans })
  })

  /** How far a group has read one topic. */
  const stats = (group: string, config: TopicConfig): ConsumeStats => ({
    consumeTps: 0,
    offsetTable: queuesOf(config).map((queue) => [queue, ConsumeProgress.make(state, group, queue)] as const)
  })

  const subscribes = (group: string, topic: string): boolean => {
    const subscriptions = clients.consumerGroup(group)?.subscriptions
    return subscriptions === undefined || subscriptions.size === 0 || subscriptions.has(topic)
  }

  const everyGroup = Reply.sync((request) => {
    const header = GetBrokerConsumeStats.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const list = groups.all().map(({ groupName }) => ({
      groupName,
      stats: offsets
        .topicsOf(groupName)
        .flatMap((topic) => topics.get(topic) ?? [])
        .filter((config) => (!header.isOrder || config.order) && subscribes(groupName, config.topicName))
        .map((config) => stats(groupName, config))
    }))
    const backlog = list
      .flatMap((group) => group.stats.flatMap(({ offsetTable }) => offsetTable))
      .map(([, { brokerOffset, consumerOffset }]) => Long.subtract(brokerOffset, consumerOffset))
    return GetBrokerConsumeStats.response({
      brokerAddr: broker.announced(),
      consumeStatsList: list.map((group) => new Map([[group.groupName, group.stats]])),
      totalDiff: backlog.reduce(Long.add, 0),
      totalInflightDiff: 0
    })
  })

  const producers = Reply.sync(() =>
    GetAllProducerInfo.response({
      data: new Map(
        [...clients.producerGroups()]
          .filter(([, members]) => members.length > 0)
          .map(([group, members]) => [
            group,
            members.map(({ channel, clientId, language, lastUpdate, version }) => ({
              clientId,
              remoteIP: JavaNames.socketAddress(channel.remoteAddress),
              language,
              version,
              lastUpdateTimestamp: lastUpdate
            }))
          ])
      )
    })
  )

  return new Map([
    [RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, byWhom],
    [RequestCode.QUERY_TOPICS_BY_CONSUMER, topicsOf],
    [RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER, subscription],
    [RequestCode.QUERY_CONSUME_TIME_SPAN, timeSpan],
    [RequestCode.GET_BROKER_CONSUME_STATS, everyGroup],
    [RequestCode.GET_ALL_PRODUCER_INFO, producers]
  ])
}
