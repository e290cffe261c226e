import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as CleanStore from "../../protocol/request/CleanStore.ts"
import * as GetBrokerHaStatus from "../../protocol/request/GetBrokerHaStatus.ts"
import type { ConsumeQueueData, QueryConsumeQueueHeader } from "../../protocol/request/QueryConsumeQueue.ts"
import * as QueryConsumeQueue from "../../protocol/request/QueryConsumeQueue.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Reply from "../server/Reply.ts"
import type { Broker } from "./Broker.ts"

/** Entries of a queue in one answer; a real broker stops at the end of the file of 300,000 that the first one lies in. */
const MAX_ENTRIES = 300_000

/**
 * A broker's store: what the index of a queue says (321), cleaning (306, 316, 329) and its slaves (907).
 *
 * Source: RocketMQ `AdminBrokerProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { store, topics } = broker.state

  const clean = Reply.sync((request) => {
    switch (CleanStore.decodeRequest(request)) {
      case "expiredConsumeQueue":
        store.dropExpiredQueues()
        break
      case "unusedTopic":
        for (const topic of store.topics()) {
          if (topics.get(topic) === undefined && !MixAll.isSystemTopic(topic)) store.deleteTopic(topic)
        }
        break
      default:
      // The log is one file, and the last one is never deleted.
    }
    return CleanStore.response()
  })

  const entriesOf = ({ count, index, queueId, topic }: QueryConsumeQueueHeader): ReadonlyArray<ConsumeQueueData> => {
    const { max } = store.offsets(topic, queueId)
    const from = Number(index)
    return Array.from({ length: Math.max(0, Math.min(count, max - from, MAX_ENTRIES)) }, (_, position) =>
      store.read(topic, queueId, from + position)
    ).flatMap((entry) =>
      entry === undefined
        ? []
        : {
            physicOffset: entry.physicalOffset,
            physicSize: entry.bytes.length,
            tagsCode: entry.tagsCode,
            eval: false
          }
    )
  }

  const query = Reply.sync((request) => {
    const header = QueryConsumeQueue.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const { consumerGroup, index, queueId, topic } = header
    if (!store.hasQueue(topic, queueId)) {
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, `${queueId}@${topic} is not exist!`)
    }
    const { max, min } = store.offsets(topic, queueId)
    if (index < min || index >= max) {
      return { code: ResponseCode.SUCCESS, remark: `Index ${index} of ${queueId}@${topic} is not exist!` }
    }
    const subscriptionData =
      consumerGroup === undefined ? undefined : broker.clients.consumerGroup(consumerGroup)?.subscriptions.get(topic)
    const filterData =
      consumerGroup === undefined
        ? undefined
        : subscriptionData === undefined
          ? `${consumerGroup}@${topic} is not online!`
          : "null"
    return QueryConsumeQueue.response({
      filterData,
      maxQueueIndex: max,
      minQueueIndex: min,
      queueData: entriesOf(header),
      subscriptionData
    })
  })

  const haStatus = Reply.sync(() => {
    const { maxPhysicalOffset } = store.stats()
    const replicas = broker.replicas()
    if (broker.id !== MixAll.MASTER_ID) {
      return GetBrokerHaStatus.response({
        master: false,
        masterCommitLogMaxOffset: 0,
        inSyncSlaveNums: 0,
        haConnectionInfo: [],
        haClientRuntimeInfo: {
          ...GetBrokerHaStatus.noClient,
          masterAddr: replicas.get(MixAll.MASTER_ID),
          masterFlushOffset: maxPhysicalOffset,
          maxOffset: maxPhysicalOffset
        }
      })
    }
    // Slaves share their master's store and are never behind.
    const slaves = [...replicas].filter(([id]) => id !== MixAll.MASTER_ID)
    return GetBrokerHaStatus.response({
      master: true,
      masterCommitLogMaxOffset: maxPhysicalOffset,
      inSyncSlaveNums: slaves.length,
      haConnectionInfo: slaves.map(([, addr]) => ({
        addr,
        slaveAckOffset: maxPhysicalOffset,
        diff: 0,
        inSync: true,
        transferredByteInSecond: 0,
        transferFromWhere: 0
      })),
      haClientRuntimeInfo: GetBrokerHaStatus.noClient
    })
  })

  return new Map([
    [RequestCode.QUERY_CONSUME_QUEUE, query],
    [RequestCode.CLEAN_EXPIRED_CONSUMEQUEUE, clean],
    [RequestCode.CLEAN_UNUSED_TOPIC, clean],
    [RequestCode.DELETE_EXPIRED_COMMITLOG, clean],
    [RequestCode.GET_BROKER_HA_STATUS, haStatus]
  ])
}
