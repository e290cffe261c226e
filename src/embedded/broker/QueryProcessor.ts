import { DecodeError } from "../../protocol/DecodeError.ts"
import { MAX_FRAME_LENGTH } from "../../protocol/Frame.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as QueryMessage from "../../protocol/request/QueryMessage.ts"
import * as ViewMessageById from "../../protocol/request/ViewMessageById.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Reply from "../server/Reply.ts"
import type { StoredEntry } from "../store/StoredMessage.ts"

/** How many messages a query by unique id returns (Java `defaultQueryMaxNum`). */
const UNIQUE_QUERY_MAX = 32
/** How many messages any query returns (Java `maxMsgsNumBatch`). */
const QUERY_MAX = 64
/** Bytes of messages that fit into an answer, behind its header. */
const MAX_BODY_BYTES = MAX_FRAME_LENGTH - 65_536

/** The bytes of the first messages, as many as fit and at least one. */
const fitting = (entries: ReadonlyArray<StoredEntry>): ReadonlyArray<Uint8Array> => {
  const found: Array<Uint8Array> = []
  let length = 0
  for (const { bytes } of entries) {
    length += bytes.length
    if (found.length > 0 && length > MAX_BODY_BYTES) break
    found.push(bytes)
  }
  return found
}

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
    const unique = header.uniqueKeyQuery === true
    if (!unique && header.maxNum < 0) {
      return Reply.refuse(
        ResponseCode.SYSTEM_ERROR,
        `java.lang.IllegalArgumentException: Illegal Capacity: ${header.maxNum}`
      )
    }
    const found = store.query({
      topic: header.topic,
      key: header.key,
      indexType: unique ? "U" : header.indexType,
      maxNum: unique ? UNIQUE_QUERY_MAX : Math.min(header.maxNum, QUERY_MAX),
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
      body: Buffer.concat(fitting(found))
    })
  })

  return new Map([
    [RequestCode.VIEW_MESSAGE_BY_ID, view],
    [RequestCode.QUERY_MESSAGE, query]
  ])
}
