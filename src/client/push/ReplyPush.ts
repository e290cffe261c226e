import { Clock, Effect } from "effect"
import type { Scope } from "effect"
import * as MessageExts from "../../message/MessageExt.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import { clearCompressed, decompressEffect } from "../../protocol/Compression.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { bodyCRC } from "../../protocol/MessageCodec.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as MessageProperties from "../../protocol/MessageProperties.ts"
import * as PushReplyMessageToClient from "../../protocol/push/PushReplyMessageToClient.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { Handlers, RequestHandler } from "../../transport/Handlers.ts"
import type { ReplyTable } from "./ReplyTable.ts"

/** The reply as a message. It was not read from a queue, so that its offsets are 0. */
const messageOf = (
  header: PushReplyMessageToClient.PushReplyMessageToClientHeader,
  pushed: Uint8Array,
  body: Uint8Array,
  arriveTime: number
): MessageExt =>
  MessageExts.make(
    {
      topic: header.topic,
      body,
      properties: {
        ...MessageProperties.decode(header.properties ?? ""),
        [MessageConst.REPLY_MESSAGE_ARRIVE_TIME]: String(arriveTime)
      },
      flag: header.flag,
      queueId: header.queueId,
      queueOffset: 0,
      commitLogOffset: 0,
      sysFlag: clearCompressed(header.sysFlag),
      bornTimestamp: Number(header.bornTimestamp),
      bornHost: header.bornHost,
      storeTimestamp: header.storeTimestamp,
      storeHost: header.storeHost,
      bodyCRC: bodyCRC(pushed),
      storeSize: 0,
      reconsumeTimes: header.reconsumeTimes ?? 0,
      preparedTransactionOffset: 0
    },
    ""
  )

/** What a broker is told of a reply that cannot be read; it then tells the replier. */
const failed: Response = { code: ResponseCode.SYSTEM_ERROR, remark: "process reply message fail" }

/**
 * Takes a reply that a broker pushed (326): unpacks it and hands it to its waiter. One that nobody waits for is
 * counted and dropped, and the broker is told that all is well, as in Java.
 *
 * Source: RocketMQ `ClientRemotingProcessor.receiveReplyMessage`.
 */
const handler = (replies: ReplyTable, nowMillis: () => number): RequestHandler => {
  const unreadable = (address: string, problem: string) => {
    replies.unreadable()
    return Effect.as(Effect.logWarning(`a reply that ${address} pushed cannot be read: ${problem}`), failed)
  }
  return (address, request) =>
    Effect.suspend(() => {
      const arriveTime = Math.floor(nowMillis())
      const decoded = PushReplyMessageToClient.decodeRequest(request)
      if (decoded instanceof DecodeError) return unreadable(address, decoded.message)
      const { body: pushed, header } = decoded
      return Effect.matchEffect(decompressEffect(pushed, header.sysFlag), {
        onFailure: (error) => unreadable(address, error.message),
        onSuccess: (body) => {
          const message = messageOf(header, pushed, body, arriveTime)
          const correlationId = message.properties[MessageConst.CORRELATION_ID]
          return replies.complete(correlationId, message)
            ? Effect.succeed(PushReplyMessageToClient.response())
            : Effect.as(
                Effect.logDebug(`dropped a reply that nobody waits for, correlation id ${correlationId ?? "(none)"}`),
                PushReplyMessageToClient.response()
              )
        }
      })
    })
}

/** Hands the replies that brokers push to the waiters in `replies`, for as long as the scope is open. */
export const register = (
  handlers: Pick<Handlers, "handle">,
  replies: ReplyTable
): Effect.Effect<void, never, Scope.Scope> =>
  Clock.clockWith((clock) =>
    handlers.handle(
      RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT,
      handler(replies, () => clock.currentTimeMillisUnsafe())
    )
  )
