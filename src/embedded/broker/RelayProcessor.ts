import { Effect } from "effect"
import { decodeOffsetMessageId } from "../../message/MessageId.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { fromBigInt } from "../../protocol/Long.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as ConsumeMessageDirectly from "../../protocol/push/ConsumeMessageDirectly.ts"
import * as GetConsumerRunningInfo from "../../protocol/push/GetConsumerRunningInfo.ts"
import type { RemotingError } from "../../transport/RemotingError.ts"
import type { Handler, Handlers } from "../server/Handler.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import type { Broker } from "./Broker.ts"

/** How long a client may take to answer, in milliseconds. Source: RocketMQ `Broker2Client.callClient`. */
const CLIENT_MILLIS = 10_000

/** The first release whose clients answer. Source: RocketMQ `MQVersion`. */
const V3_1_8_SNAPSHOT = 62

const failed = (remark: string): Response => Reply.refuse(ResponseCode.SYSTEM_ERROR, remark)

const sent = (error: RemotingError): boolean =>
  error._tag === "RequestTimeout" || (error._tag === "ConnectionClosed" && error.sent)

/**
 * What a tool asks of one consumer, and the broker passes on: what it does (307), and to process a message now (309).
 *
 * Source: RocketMQ `AdminBrokerProcessor.callConsumer`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { groups, store, topics } = broker.state

  const ask = (
    group: string,
    clientId: string | undefined,
    request: Pick<RemotingCommand, "code" | "extFields" | "body">
  ): Effect.Effect<Response> => {
    const client = broker.clients.consumerGroup(group)?.channels.find((member) => member.clientId === clientId)
    if (client === undefined)
      return Effect.succeed(failed(`The Consumer <${group}> <${clientId ?? "null"}> not online`))
    if (client.version < V3_1_8_SNAPSHOT) {
      const release = `<${client.version}>`
      return Effect.succeed(
        failed(
          `The Consumer <${client.clientId}> Version ${release} too low to finish, please upgrade it to V3_1_8_SNAPSHOT`
        )
      )
    }
    const from = broker.now()
    return client.channel.invoke(request, CLIENT_MILLIS).pipe(
      Effect.map(({ body, code, extFields, remark }): Response => ({ code, remark, extFields, body })),
      Effect.catch((error) =>
        sent(error)
          ? // A connection that ends meanwhile is not noticed: the whole time passes.
            Effect.as(Effect.sleep(Math.max(0, from + CLIENT_MILLIS - broker.now())), {
              code: ResponseCode.CONSUME_MSG_TIMEOUT,
              remark: `consumer <${group}> <${client.clientId}> Timeout: ${Remarks.clientTimeout(client.channel.remoteAddress, CLIENT_MILLIS)}`
            })
          : Effect.succeed(failed(`invoke consumer <${group}> <${client.clientId}> Exception: ${error.message}`))
      )
    )
  }

  const runningInfo: Handler = (request) =>
    Effect.suspend(() => {
      const header = GetConsumerRunningInfo.decodeRequest(request)
      return header instanceof DecodeError
        ? Effect.succeed(Reply.malformed(header))
        : ask(header.consumerGroup, header.clientId, request)
    })

  /** The fields that the broker adds; one of 4.x tells nothing of units. */
  const told = (header: ConsumeMessageDirectly.ConsumeMessageDirectlyHeader): Readonly<Record<string, string>> => {
    const fields = { brokerName: broker.name }
    if (broker.config.version < MQVersion.V5_0_0) return fields
    const topic = header.topic === undefined ? undefined : topics.get(header.topic)
    const group = header.consumerGroup === "" ? undefined : groups.find(header.consumerGroup)
    return {
      ...fields,
      ...(topic === undefined ? {} : { topicSysFlag: String(topic.topicSysFlag) }),
      ...(group === undefined ? {} : { groupSysFlag: String(group.groupSysFlag) })
    }
  }

  const consumeDirectly: Handler = (request) =>
    Effect.suspend(() => {
      const decoded = ConsumeMessageDirectly.decodeRequest(request)
      if (decoded instanceof DecodeError) return Effect.succeed(Reply.malformed(decoded))
      const { header } = decoded
      const id = decodeOffsetMessageId(header.msgId ?? "")
      const entry = id === undefined ? undefined : store.byPhysicalOffset(fromBigInt(id.offset) ?? -1)
      if (entry === undefined) return Effect.succeed(failed(Remarks.nullPointer("the message")))
      return ask(header.consumerGroup, header.clientId, {
        code: request.code,
        extFields: { ...request.extFields, ...told(header) },
        body: entry.bytes
      })
    })

  return new Map([
    [RequestCode.GET_CONSUMER_RUNNING_INFO, runningInfo],
    [RequestCode.CONSUME_MESSAGE_DIRECTLY, consumeDirectly]
  ])
}
