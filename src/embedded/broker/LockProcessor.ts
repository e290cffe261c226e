import { DecodeError } from "../../protocol/DecodeError.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import * as LockBatch from "../../protocol/request/LockBatch.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Reply from "../server/Reply.ts"

/** Locks of orderly consumers: take (41) and give back (42). Source: RocketMQ `AdminBrokerProcessor`. */
export const handlers = (broker: Broker): Handlers => {
  const lock = Reply.sync((request) => {
    const body = LockBatch.decodeRequest(request)
    if (body instanceof DecodeError) return Reply.malformed(body)
    const lockOKMQSet = broker.locks.lock(body.consumerGroup, body.clientId, body.mqSet, broker.now())
    return LockBatch.response({ lockOKMQSet })
  })

  const unlock = Reply.sync((request) => {
    const body = LockBatch.decodeRequest(request)
    if (body instanceof DecodeError) return Reply.malformed(body)
    broker.locks.unlock(body.consumerGroup, body.clientId, body.mqSet)
    return LockBatch.response()
  })

  return new Map([
    [RequestCode.LOCK_BATCH_MQ, lock],
    [RequestCode.UNLOCK_BATCH_MQ, unlock]
  ])
}
