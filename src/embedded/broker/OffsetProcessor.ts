import { DecodeError } from "../../protocol/DecodeError.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as GetEarliestMsgStoretime from "../../protocol/request/GetEarliestMsgStoretime.ts"
import * as GetMaxOffset from "../../protocol/request/GetMaxOffset.ts"
import * as GetMinOffset from "../../protocol/request/GetMinOffset.ts"
import * as QueryConsumerOffset from "../../protocol/request/QueryConsumerOffset.ts"
import * as SearchOffsetByTimestamp from "../../protocol/request/SearchOffsetByTimestamp.ts"
import * as UpdateConsumerOffset from "../../protocol/request/UpdateConsumerOffset.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Reply from "../server/Reply.ts"

/**
 * Offsets of groups (14, 15) and of queues (29 to 32).
 *
 * Source: RocketMQ `ConsumerManageProcessor`, `AdminBrokerProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { groups, offsets, store, topics } = broker.state

  const query = Reply.sync((request) => {
    const header = QueryConsumerOffset.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const { consumerGroup, queueId, setZeroIfNotFound, topic } = header
    const offset = offsets.query(consumerGroup, topic, queueId)
    if (offset !== undefined) return QueryConsumerOffset.response({ offset })
    if (setZeroIfNotFound === false) {
      return {
        code: ResponseCode.QUERY_NOT_FOUND,
        remark: "Not found, do not set to zero, maybe this group boot first"
      }
    }
    // A queue that still has its first message is read from the start, whatever the group wants.
    return store.offsets(topic, queueId).min <= 0
      ? QueryConsumerOffset.response({ offset: 0 })
      : {
          code: ResponseCode.QUERY_NOT_FOUND,
          remark: "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"
        }
  })

  const update = Reply.sync((request) => {
    const header = UpdateConsumerOffset.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const { commitOffset, consumerGroup, queueId, topic } = header
    if (groups.get(consumerGroup) === undefined) {
      return { code: ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, remark: `Group ${consumerGroup} not exist!` }
    }
    if (topics.get(topic) === undefined) {
      return { code: ResponseCode.TOPIC_NOT_EXIST, remark: `Topic ${topic} not exist!` }
    }
    // What a consumer committed before it heard of a reset is out of date.
    if (offsets.pendingReset(consumerGroup, topic, queueId) !== undefined) {
      return { ...UpdateConsumerOffset.response(), remark: "Offset has been previously reset" }
    }
    offsets.commit(consumerGroup, topic, queueId, commitOffset)
    return UpdateConsumerOffset.response()
  })

  const search = Reply.sync((request) => {
    const header = SearchOffsetByTimestamp.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const boundary = header.boundaryType?.toUpperCase() === "UPPER" ? "UPPER" : "LOWER"
    const offset = store.offsetByTime(header.topic, header.queueId, header.timestamp, boundary)
    return SearchOffsetByTimestamp.response({ offset })
  })

  const max = Reply.sync((request) => {
    const header = GetMaxOffset.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    return GetMaxOffset.response({ offset: store.offsets(header.topic, header.queueId).max })
  })

  const min = Reply.sync((request) => {
    const header = GetMinOffset.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    return GetMinOffset.response({ offset: store.offsets(header.topic, header.queueId).min })
  })

  const earliest = Reply.sync((request) => {
    const header = GetEarliestMsgStoretime.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const first = store.read(header.topic, header.queueId, store.offsets(header.topic, header.queueId).min)
    return GetEarliestMsgStoretime.response({ timestamp: first?.storeTimestamp ?? -1 })
  })

  return new Map([
    [RequestCode.QUERY_CONSUMER_OFFSET, query],
    [RequestCode.UPDATE_CONSUMER_OFFSET, update],
    [RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, search],
    [RequestCode.GET_MAX_OFFSET, max],
    [RequestCode.GET_MIN_OFFSET, min],
    [RequestCode.GET_EARLIEST_MSG_STORETIME, earliest]
  ])
}
