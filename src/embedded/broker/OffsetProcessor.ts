import { DecodeError } from "../../protocol/DecodeError.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
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
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"

/** There is no offset; the answer has a header, if only an empty one. */
const none = (remark: string): Response => ({ code: ResponseCode.QUERY_NOT_FOUND, remark, extFields: {} })

/**
 * Offsets of groups (14, 15) and of queues (29 to 32).
 *
 * Source: RocketMQ `ConsumerManageProcessor`, `AdminBrokerProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { groups, offsets, store, topics } = broker.state
  const legacy = broker.config.version < MQVersion.V5_0_0

  /**
   * A group that never committed reads a queue from the start while the queue has its first message; 4.x says so of queues
   * without a message too, and does not know that a client may not want it.
   */
  const readsFromStart = (topic: string, queueId: number): boolean =>
    legacy ? store.offsets(topic, queueId).min <= 0 : store.read(topic, queueId, 0) !== undefined

  const query = Reply.sync((request) => {
    const header = QueryConsumerOffset.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const { consumerGroup, queueId, setZeroIfNotFound, topic } = header
    const offset = offsets.query(consumerGroup, topic, queueId)
    if (offset !== undefined) return QueryConsumerOffset.response({ offset })
    if (setZeroIfNotFound === false && !legacy) {
      return none("Not found, do not set to zero, maybe this group boot first")
    }
    return readsFromStart(topic, queueId)
      ? QueryConsumerOffset.response({ offset: 0 })
      : none("Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first")
  })

  /** Why 5.x does not take a commit; 4.x takes one for any group and topic. */
  const refusal = (group: string, topic: string): Response | undefined => {
    if (legacy) return undefined
    if (groups.get(group) === undefined) {
      return { code: ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, remark: `Group ${group} not exist!`, extFields: {} }
    }
    return topics.get(topic) === undefined
      ? { code: ResponseCode.TOPIC_NOT_EXIST, remark: `Topic ${topic} not exist!`, extFields: {} }
      : undefined
  }

  /** 5.x looks at the numbers last, and what is no number is none. */
  const unreadable = (request: RemotingCommand, error: DecodeError): Response => {
    const { consumerGroup = "null", topic } = request.extFields ?? {}
    const what = error.field === "queueId" ? "QueueId" : error.field === "commitOffset" ? "Offset" : undefined
    if (legacy || topic === undefined || what === undefined) return Reply.malformed(error)
    const remark = `${what} is null, topic is ${topic}`
    return refusal(consumerGroup, topic) ?? { code: ResponseCode.INVALID_PARAMETER, remark, extFields: {} }
  }

  const update = Reply.sync((request) => {
    const header = UpdateConsumerOffset.decodeRequest(request)
    if (header instanceof DecodeError) return unreadable(request, header)
    const { commitOffset, consumerGroup, queueId, topic } = header
    const refused = refusal(consumerGroup, topic)
    if (refused !== undefined) return refused
    // What a consumer committed before it heard of a reset is out of date.
    if (offsets.pendingReset(consumerGroup, topic, queueId) !== undefined) {
      return UpdateConsumerOffset.response({ reset: true })
    }
    return offsets.commit(consumerGroup, topic, queueId, commitOffset)
      ? UpdateConsumerOffset.response()
      : Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.NO_ROOM_FOR_OFFSET)
  })

  const search = Reply.sync((request) => {
    const header = SearchOffsetByTimestamp.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const boundary = legacy ? "NEAREST" : (header.boundaryType ?? "LOWER")
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
    const response = GetMinOffset.response({ offset: store.offsets(header.topic, header.queueId).min })
    return legacy ? response : { ...response, remark: "" }
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
