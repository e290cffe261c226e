import type { MessageQueue } from "../../message/MessageQueue.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as GetBrokerRuntimeInfo from "../../protocol/request/GetBrokerRuntimeInfo.ts"
import * as GetConsumerConnectionList from "../../protocol/request/GetConsumerConnectionList.ts"
import * as GetConsumeStats from "../../protocol/request/GetConsumeStats.ts"
import type { Connection } from "../../protocol/request/GetProducerConnectionList.ts"
import * as GetProducerConnectionList from "../../protocol/request/GetProducerConnectionList.ts"
import * as GetTopicStats from "../../protocol/request/GetTopicStats.ts"
import * as ViewBrokerStatsData from "../../protocol/request/ViewBrokerStatsData.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import type { ClientChannel } from "./ClientTable.ts"
import * as ConsumeProgress from "./ConsumeProgress.ts"
import * as JavaNames from "../server/JavaNames.ts"
import * as Reply from "../server/Reply.ts"
import * as RuntimeInfo from "./RuntimeInfo.ts"

const connections = (clients: ReadonlyArray<ClientChannel>): ReadonlyArray<Connection> =>
  clients.map(({ channel, clientId, language, version }) => ({
    clientId,
    clientAddr: JavaNames.remoteAddress(channel.remoteAddress),
    language,
    version
  }))

/**
 * What administrators ask of a broker: topic and group statistics (202, 208), who is connected (203, 204), its
 * counters (28, 315).
 *
 * Source: RocketMQ `AdminBrokerProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { clients, state } = broker
  const { offsets, store, topics } = state

  /** The queues of a topic on this broker. */
  const queuesOf = (topic: string): ReadonlyArray<MessageQueue> => {
    const config = topics.get(topic)
    const count = config === undefined ? 0 : Math.max(config.readQueueNums, config.writeQueueNums)
    return Array.from({ length: count }, (_, queueId) => ({ topic, brokerName: broker.name, queueId }))
  }

  const readQueuesOf = (topic: string): ReadonlyArray<MessageQueue> =>
    queuesOf(topic).slice(0, topics.get(topic)?.readQueueNums)

  const lastStored = (queue: MessageQueue): number =>
    store.read(queue.topic, queue.queueId, store.offsets(queue.topic, queue.queueId).max - 1)?.storeTimestamp ?? 0

  const topicStats = Reply.sync((request) => {
    const header = GetTopicStats.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    if (topics.get(header.topic) === undefined) {
      return { code: ResponseCode.TOPIC_NOT_EXIST, remark: `topic[${header.topic}] not exist` }
    }
    return GetTopicStats.response({
      offsetTable: queuesOf(header.topic).map((queue) => {
        const { max, min } = store.offsets(queue.topic, queue.queueId)
        return [queue, { minOffset: min, maxOffset: max, lastUpdateTimestamp: lastStored(queue) }] as const
      }),
      topicPutTps: 0
    })
  })

  const consumeStats = Reply.sync((request) => {
    const header = GetConsumeStats.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const group = header.consumerGroup
    const named = header.topic === undefined || header.topic === "" ? offsets.topicsOf(group) : [header.topic]
    return GetConsumeStats.response({
      consumeTps: 0,
      offsetTable: named
        .flatMap(readQueuesOf)
        .map((queue) => [queue, ConsumeProgress.make(state, group, queue)] as const)
    })
  })

  const consumers = Reply.sync((request) => {
    const header = GetConsumerConnectionList.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const group = clients.consumerGroup(header.consumerGroup)
    return group === undefined
      ? {
          code: ResponseCode.CONSUMER_NOT_ONLINE,
          remark: `the consumer group[${header.consumerGroup}] not online`
        }
      : GetConsumerConnectionList.response({
          connectionSet: connections(group.channels),
          consumeFromWhere: group.consumeFromWhere,
          consumeType: group.consumeType,
          messageModel: group.messageModel,
          subscriptionTable: group.subscriptions
        })
  })

  const producers = Reply.sync((request) => {
    const header = GetProducerConnectionList.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const group = clients.producerGroups().get(header.producerGroup)
    return group === undefined
      ? { code: ResponseCode.SYSTEM_ERROR, remark: `the producer group[${header.producerGroup}] not exist` }
      : GetProducerConnectionList.response({ connectionSet: connections(group) })
  })

  /** Whether there was ever anything to count; the counts themselves are of times, which an embedded broker does not measure. */
  const isCounted = (name: string, key: string): boolean => {
    const [topic = "", group] = key.split("@", 2)
    return group === undefined
      ? (name === "TOPIC_PUT_NUMS" || name === "TOPIC_PUT_SIZE") && store.topics().includes(topic)
      : (name === "GROUP_GET_NUMS" || name === "GROUP_GET_SIZE") && offsets.topicsOf(group).includes(topic)
  }

  const statistics = Reply.sync((request) => {
    const header = ViewBrokerStatsData.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const { statsKey, statsName } = header
    if (!isCounted(statsName, statsKey)) {
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, `The stats <${statsName}> <${statsKey}> not exist`)
    }
    const { nothing } = ViewBrokerStatsData
    return ViewBrokerStatsData.response({ statsDay: nothing, statsHour: nothing, statsMinute: nothing })
  })

  return new Map([
    [RequestCode.VIEW_BROKER_STATS_DATA, statistics],
    [RequestCode.GET_TOPIC_STATS_INFO, topicStats],
    [RequestCode.GET_CONSUME_STATS, consumeStats],
    [RequestCode.GET_CONSUMER_CONNECTION_LIST, consumers],
    [RequestCode.GET_PRODUCER_CONNECTION_LIST, producers],
    [
      RequestCode.GET_BROKER_RUNTIME_INFO,
      Reply.sync(() => GetBrokerRuntimeInfo.response({ table: RuntimeInfo.table(broker) }))
    ]
  ])
}
