import { DecodeError } from "../../protocol/DecodeError.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { KVConfigHeader } from "../../protocol/request/KVConfig.ts"
import * as KVConfigRequest from "../../protocol/request/KVConfig.ts"
import type { Handlers } from "../server/Handler.ts"
import type { KVConfig } from "./KVConfig.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"

/** Key-value configuration of a name server (100, 101, 102, 219). Source: RocketMQ `DefaultRequestProcessor`. */
export const handlers = (kv: KVConfig): Handlers => {
  const answer = (header: KVConfigHeader): Response => {
    switch (header.operation) {
      case "put":
        return kv.put(header.namespace, header.key, header.value)
          ? KVConfigRequest.response()
          : Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.NO_ROOM_FOR_VALUE)
      case "get": {
        const value = kv.get(header.namespace, header.key)
        return value === undefined
          ? {
              code: ResponseCode.QUERY_NOT_FOUND,
              remark: `No config item, Namespace: ${header.namespace} Key: ${header.key}`
            }
          : KVConfigRequest.response(value)
      }
      case "delete":
        kv.remove(header.namespace, header.key)
        return KVConfigRequest.response()
      default: {
        const table = kv.list(header.namespace)
        return table === undefined
          ? { code: ResponseCode.QUERY_NOT_FOUND, remark: `No config item, Namespace: ${header.namespace}` }
          : KVConfigRequest.response({ table })
      }
    }
  }

  const handler = Reply.sync((request) => {
    const header = KVConfigRequest.decodeRequest(request)
    if (!(header instanceof DecodeError)) return answer(header)
    return request.code === RequestCode.PUT_KV_CONFIG
      ? { code: ResponseCode.SYSTEM_ERROR, remark: "namespace or key is null" }
      : Reply.malformed(header)
  })

  return new Map([
    [RequestCode.PUT_KV_CONFIG, handler],
    [RequestCode.GET_KV_CONFIG, handler],
    [RequestCode.DELETE_KV_CONFIG, handler],
    [RequestCode.GET_KVLIST_BY_NAMESPACE, handler]
  ])
}
