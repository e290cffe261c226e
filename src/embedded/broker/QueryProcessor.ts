import { DecodeError } from "../../protocol/DecodeError.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as QueryMessage from "../../protocol/request/QueryMessage.ts"
import * as ViewMessageById from "../../protocol/request/ViewMessageById.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Reply from "../server/Reply.ts"

/** How many messages a query by unique id returns (Java `defaultQueryMaxNum`). */
const UNIQUE_QUERY_MAX = 32

/** Messages by their place in the log (33) and by key (12). Source: RocketMQ `QueryMessageProcessor`. */
export const handlers = (broker: Broker): Handlers => {
  const { store } = broker.state

  const view = Reply.sync((request) => {
    const header = ViewMessageById.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const entry = store.byPhysicalOffset(header.offset)
    return entry === undefined
      ? { code: ResponseCode.SYSTEM_ERROR, remark: `can not find message by the offset, ${header.offset}` }
      : ViewMessageById.response(entry.bytes)
  })

  const query = Reply.sync((request) => {
    const header = QueryMessage.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const found = store.query({
      topic: header.topic,
      key: header.key,
      indexType: header.uniqueKeyQuery === true ? "U" : header.indexType,
      maxNum: header.uniqueKeyQuery === true ? UNIQUE_QUERY_MAX : header.maxNum,
      begin: Number(header.beginTimestamp),
      end: Number(header.endTimestamp)
    })
    if (found.length === 0) {
      return { code: ResponseCode.QUERY_NOT_FOUND, remark: "can not find message, maybe time range not correct" }
    }
    const { lastPut, maxPhysicalOffset } = store.stats()
    return QueryMessage.response({
      indexLastUpdateTimestamp: lastPut,
      indexLastUpdatePhyoffset: maxPhysicalOffset,
      body: Buffer.concat(found.map((entry) => entry.bytes))
    })
  })

  return new Map([
    [RequestCode.VIEW_MESSAGE_BY_ID, view],
    [RequestCode.QUERY_MESSAGE, query]
  ])
}
