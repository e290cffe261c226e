import { Effect, Result } from "effect"
import { encodeOffsetMessageId } from "../../message/MessageId.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as MessageProperties from "../../protocol/MessageProperties.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import * as PushReplyMessageToClient from "../../protocol/push/PushReplyMessageToClient.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { SendMessageHeader } from "../../protocol/request/SendMessage.ts"
import * as SendMessage from "../../protocol/request/SendMessage.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Reply from "../server/Reply.ts"
import * as SendChecks from "./SendChecks.ts"

/** Milliseconds a client has to take a reply (Java `Broker2Client.callClient`). */
const PUSH_TIMEOUT_MILLIS = 10_000

/** Where a reply was stored. */
interface Place {
  readonly msgId: string
  readonly queueOffset: number
}

/**
 * Replies (324, 325): each is pushed to the client that waits for it (326), and stored in its topic whatever comes of
 * that.
 *
 * Source: RocketMQ `ReplyMessageProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  const checks = SendChecks.make(broker)

  /** 5.x adds where the reply came in and whether it may be traced. */
  const propertiesOf = (header: SendMessageHeader): Readonly<Record<string, string>> => {
    const sent = MessageProperties.decode(header.properties ?? "")
    return config.version < MQVersion.V5_0_0
      ? sent
      : {
          ...sent,
          [MessageConst.MSG_REGION]: config.regionId,
          [MessageConst.TRACE_SWITCH]: String(config.traceOn)
        }
  }

  /** Why the reply did not arrive; `undefined` when it did. */
  const push = (header: SendMessageHeader, body: Uint8Array, channel: Channel): Effect.Effect<string | undefined> => {
    const properties = propertiesOf(header)
    const clientId = properties[MessageConst.MESSAGE_REPLY_TO_CLIENT]
    if (clientId === undefined) {
      return Effect.succeed(`reply message properties[${MessageConst.MESSAGE_REPLY_TO_CLIENT}] is null`)
    }
    const requester = broker.clients.producerChannel(clientId)
    if (requester === undefined) {
      return Effect.succeed(`push reply message fail, channel of <${clientId}> not found.`)
    }
    const now = broker.now()
    const request = PushReplyMessageToClient.request(
      {
        producerGroup: header.producerGroup,
        topic: header.topic,
        defaultTopic: header.defaultTopic,
        defaultTopicQueueNums: header.defaultTopicQueueNums ?? 0,
        queueId: header.queueId,
        sysFlag: header.sysFlag,
        bornTimestamp: header.bornTimestamp,
        flag: header.flag,
        properties: MessageProperties.encode({ ...properties, [MessageConst.PUSH_REPLY_TIME]: String(now) }),
        reconsumeTimes: header.reconsumeTimes,
        unitMode: header.unitMode,
        bornHost: channel.remoteAddress,
        storeHost: broker.address(),
        storeTimestamp: now
      },
      body
    )
    return requester.invoke(request, PUSH_TIMEOUT_MILLIS).pipe(
      Effect.result,
      Effect.map((answer) =>
        Result.isSuccess(answer) && answer.success.code === ResponseCode.SUCCESS
          ? undefined
          : `push reply message to ${clientId}fail.`
      )
    )
  }

  /** Stored as if it were not compressed, as a real broker does. */
  const store = (header: SendMessageHeader, body: Uint8Array, queueId: number, channel: Channel): Place | undefined => {
    if (!config.storeReplyMessageEnable) return undefined
    const entry = state.delayed.put({
      topic: header.topic,
      queueId,
      body,
      flag: header.flag,
      properties: propertiesOf(header),
      sysFlag: 0,
      bornTimestamp: header.bornTimestamp,
      bornHost: channel.remoteAddress,
      storeTimestamp: broker.now(),
      storeHost: broker.address(),
      reconsumeTimes: header.reconsumeTimes,
      preparedTransactionOffset: 0
    })
    return typeof entry === "string"
      ? undefined
      : { msgId: encodeOffsetMessageId(broker.address(), entry.physicalOffset), queueOffset: entry.queueOffset }
  }

  const respond = (failure: string | undefined, place: Place | undefined, queueId: number): Response => {
    if (failure !== undefined && place === undefined) return checks.refuse(ResponseCode.SYSTEM_ERROR, failure)
    const response = SendMessage.response(
      {
        ...(place ?? { msgId: "0", queueOffset: 0 }),
        queueId,
        regionId: config.regionId,
        traceOn: config.traceOn
      },
      failure === undefined ? ResponseCode.SUCCESS : ResponseCode.SYSTEM_ERROR
    )
    return failure === undefined ? response : { ...response, remark: failure }
  }

  const reply = (request: RemotingCommand, channel: Channel): Effect.Effect<Response> =>
    Effect.suspend(() => {
      const header = SendMessage.decodeRequest(request)
      if (header instanceof DecodeError) return Effect.succeed(Reply.malformed(header))
      const checked = checks.check(header, channel)
      if (!("queueId" in checked)) return Effect.succeed(checked)
      const { queueId } = checked
      return Effect.map(push(header, request.body, channel), (failure) =>
        respond(failure, store(header, request.body, queueId, channel), queueId)
      )
    })

  return new Map([
    [RequestCode.SEND_REPLY_MESSAGE, reply],
    [RequestCode.SEND_REPLY_MESSAGE_V2, reply]
  ])
}
