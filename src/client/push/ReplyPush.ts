import { Clock, Effect } from "effect"
import type { Scope } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import * as MessageExts from "../../message/MessageExt.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import { clearCompressed } from "../../protocol/Compression.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { bodyCRC } from "../../protocol/MessageCodec.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as MessageProperties from "../../protocol/MessageProperties.ts"
import * as PushReplyMessageToClient from "../../protocol/push/PushReplyMessageToClient.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { Handlers, RequestHandler } from "../../transport/Handlers.ts"
import type { Inflater } from "../Inflater.ts"
import * as LogLimit from "../LogLimit.ts"
import type { ReplyTable } from "./ReplyTable.ts"

/** The reply as a message. It was not read from a queue, so that its offsets are 0. */
const messageOf = (
  header: PushReplyMessageToClient.PushReplyMessageToClientHeader,
  properties: Readonly<Record<string, string>>,
  pushed: Uint8Array,
  body: Uint8Array,
  arriveTime: number
): MessageExt =>
  MessageExts.make(
    {
      topic: header.topic,
      body,
      properties: { ...properties, [MessageConst.REPLY_MESSAGE_ARRIVE_TIME]: String(arriveTime) },
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

/**
 * Bytes of replies, packed, that may wait for room to be unpacked; one beyond is refused. Each answers a request of this
 * client's own, so that there are no more of them than it has requests waiting.
 */
export const REPLY_HOLD_MAX_BYTES = 64 * 1024 * 1024

/** What a broker is told of a reply that cannot be read; it then tells the replier. */
const failed: Response = { code: ResponseCode.SYSTEM_ERROR, remark: "process reply message fail" }

/**
 * Takes a reply that a broker pushed (326): finds its waiter, unpacks it and hands it over. One that nobody waits for is
 * counted and dropped unread, and the broker is told that all is well, as in Java.
 *
 * Source: RocketMQ `ClientRemotingProcessor.receiveReplyMessage`.
 */
const handler = (replies: ReplyTable, inflater: Pick<Inflater, "inflate">, nowMillis: () => number): RequestHandler => {
  const accepted = PushReplyMessageToClient.response()
  const limit = LogLimit.make()
  let heldBytes = 0

  const unreadable = (address: string, problem: string) => {
    replies.unreadable()
    return Effect.as(limit.warn(`a reply that ${address} pushed cannot be read: ${ForeignText.clean(problem)}`), failed)
  }

  return (address, request) =>
    Effect.suspend(() => {
      const arriveTime = Math.floor(nowMillis())
      const decoded = PushReplyMessageToClient.decodeRequest(request)
      if (decoded instanceof DecodeError) return unreadable(address, decoded.message)
      const { body: pushed, header } = decoded
      const properties = MessageProperties.decode(header.properties ?? "")
      const correlationId = properties[MessageConst.CORRELATION_ID]
      const dropped = Effect.as(
        Effect.logDebug(
          `dropped a reply that nobody waits for, correlation id ${ForeignText.clean(correlationId ?? "(none)")}`
        ),
        accepted
      )
      const claim = replies.claim(correlationId)
      if (claim === undefined) return dropped
      const unread = (problem: string) => {
        claim.giveBack()
        return unreadable(address, problem)
      }
      if (heldBytes > 0 && heldBytes + pushed.length > REPLY_HOLD_MAX_BYTES) {
        return unread(`${heldBytes} bytes of others wait to be unpacked`)
      }
      heldBytes += pushed.length
      return inflater
        .inflate(pushed, header.sysFlag, (body) =>
          Effect.sync(() => claim.complete(messageOf(header, properties, pushed, body, arriveTime)))
        )
        .pipe(
          Effect.matchEffect({
            onFailure: (error) => unread(error.message),
            onSuccess: (taken) => (taken ? Effect.succeed(accepted) : dropped)
          }),
          Effect.ensuring(
            Effect.sync(() => {
              heldBytes -= pushed.length
            })
          )
        )
    })
}

/** Hands the replies that brokers push to the waiters in `replies`, for as long as the scope is open. */
export const register = (
  handlers: Pick<Handlers, "handle">,
  replies: ReplyTable,
  inflater: Pick<Inflater, "inflate">
): Effect.Effect<void, never, Scope.Scope> =>
  Clock.clockWith((clock) =>
    handlers.handle(
      RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT,
      handler(replies, inflater, () => clock.currentTimeMillisUnsafe())
    )
  )
