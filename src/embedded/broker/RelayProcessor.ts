import { Effect } from "effect"
import { decodeOffsetMessageId } from "../../message/MessageId.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { fromBigInt } from "../../protocol/Long.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { Long } from "../../protocol/Long.ts"
import * as ConsumeMessageDirectly from "../../protocol/push/ConsumeMessageDirectly.ts"
import * as GetConsumerStatusFromClient from "../../protocol/push/GetConsumerStatusFromClient.ts"
import * as GetConsumerStatus from "../../protocol/request/GetConsumerStatus.ts"
import type { RemotingError } from "../../transport/RemotingError.ts"
import type { Handler, Handlers } from "../server/Handler.ts"
import * as JavaNames from "../server/JavaNames.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import type { StoredEntry } from "../store/StoredMessage.ts"
import type { Broker } from "./Broker.ts"
import type { ClientChannel } from "./ClientTable.ts"

/** How long a client may take to answer, in milliseconds. Source: RocketMQ `Broker2Client.callClient`. */
const CLIENT_MILLIS = 10_000

/** The same for its offsets. Source: RocketMQ `Broker2Client.getConsumeStatus`. */
const STATUS_MILLIS = 5_000

/** Characters of the shortest offset id: of an IPv4 address, a port and an offset. */
const OFFSET_ID_LENGTH = 32

const failed = (remark: string): Response => Reply.refuse(ResponseCode.SYSTEM_ERROR, remark)

const tooOld = ({ clientId, version }: ClientChannel): Response =>
  failed(
    version < 0
      ? Remarks.indexOutOfBounds(version, JavaNames.RELEASES)
      : `The Consumer <${clientId}> Version <${JavaNames.releaseName(version)}> too low to finish, please upgrade it to V3_1_8_SNAPSHOT`
  )

const sent = (error: RemotingError): boolean =>
  error._tag === "RequestTimeout" || (error._tag === "ConnectionClosed" && error.sent)

/**
 * What a tool asks of consumers, and the broker passes on: what one does (307), that it process a message now (309), and how
 * far those of a group are (223, which asks them 221).
 *
 * Source: RocketMQ `AdminBrokerProcessor.callConsumer`, `Broker2Client.getConsumeStatus`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { groups, store, topics } = broker.state

  const legacy = broker.config.version < MQVersion.V5_0_0

  /** 5.x writes the slash that Java puts in front of an address, 4.x takes it away. */
  const addressOf = ({ channel }: ClientChannel): string =>
    legacy ? JavaNames.remoteAddress(channel.remoteAddress) : JavaNames.socketAddress(channel.remoteAddress)

  const ask = (
    group: string | undefined,
    clientId: string | undefined,
    request: Pick<RemotingCommand, "code" | "extFields" | "body">
  ): Effect.Effect<Response> => {
    if (group === undefined) return Effect.succeed(failed(Remarks.nullPointer("the group")))
    const client = broker.clients.consumerGroup(group)?.channels.find((member) => member.clientId === clientId)
    if (client === undefined) {
      return Effect.succeed(failed(`The Consumer <${group}> <${clientId ?? "null"}> not online`))
    }
    if (client.version < JavaNames.V3_1_8_SNAPSHOT) return Effect.succeed(tooOld(client))
    const from = broker.now()
    return client.channel.invoke(request, CLIENT_MILLIS).pipe(
      Effect.map(({ body, code, extFields, remark }): Response => ({ code, remark, extFields, body })),
      Effect.catch((error) =>
        sent(error)
          ? // A connection that ends meanwhile is not noticed: the whole time passes.
            Effect.as(Effect.sleep(Math.max(0, from + CLIENT_MILLIS - broker.now())), {
              code: ResponseCode.CONSUME_MSG_TIMEOUT,
              remark: `consumer <${group}> <${client.clientId}> Timeout: ${Remarks.clientTimeout(addressOf(client), CLIENT_MILLIS)}`
            })
          : Effect.succeed(
              failed(
                `invoke consumer <${group}> <${client.clientId}> Exception: ${Remarks.clientSendFailed(addressOf(client))}`
              )
            )
      )
    )
  }

  // Neither field has to be there.
  const runningInfo: Handler = (request) =>
    Effect.suspend(() => ask(request.extFields?.["consumerGroup"], request.extFields?.["clientId"], request))

  /** The fields that the broker adds; one of 4.x tells nothing of units. */
  const told = (header: ConsumeMessageDirectly.ConsumeMessageDirectlyHeader): Readonly<Record<string, string>> => {
    const fields = { brokerName: broker.name }
    if (legacy) return fields
    const topic = header.topic === undefined ? undefined : topics.get(header.topic)
    const group = header.consumerGroup === "" ? undefined : groups.find(header.consumerGroup)
    return {
      ...fields,
      ...(topic === undefined ? {} : { topicSysFlag: String(topic.topicSysFlag) }),
      ...(group === undefined ? {} : { groupSysFlag: String(group.groupSysFlag) })
    }
  }

  /** The stored message that an offset id names, or what Java throws at that id. */
  const messageOf = (msgId: string): StoredEntry | string => {
    if (msgId.length > 0 && msgId.length < OFFSET_ID_LENGTH) return Remarks.BUFFER_UNDERFLOW
    const id = decodeOffsetMessageId(msgId)
    const entry = id === undefined ? undefined : store.byPhysicalOffset(fromBigInt(id.offset) ?? -1)
    return entry ?? Remarks.nullPointer("the message")
  }

  const consumeDirectly: Handler = (request) =>
    Effect.suspend(() => {
      const decoded = ConsumeMessageDirectly.decodeRequest(request)
      const entry = messageOf(request.extFields?.["msgId"] ?? "")
      if (typeof entry === "string") return Effect.succeed(failed(entry))
      if (decoded instanceof DecodeError) return ask(request.extFields?.["consumerGroup"], undefined, request)
      const { header } = decoded
      return ask(header.consumerGroup, header.clientId, {
        code: request.code,
        extFields: { ...request.extFields, ...told(header) },
        body: entry.bytes
      })
    })

  /** The positions of a group's members, asked one after the other; one that fails is left out. */
  const consumerStatus: Handler = Effect.fnUntraced(function* (request) {
    const header = GetConsumerStatus.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const { clientAddr = "", group, topic } = header
    const members = broker.clients.consumerGroup(group)?.channels
    if (members === undefined) return failed(Remarks.nullPointer("the consumer group"))
    const wanted = clientAddr.trim()
    const consumerTable = new Map<string, ReadonlyArray<readonly [MessageQueue, Long]>>()
    for (const { channel, clientId, version } of members) {
      if (version < JavaNames.V3_0_7_SNAPSHOT) return failed(Remarks.clientUnsupported(JavaNames.releaseName(version)))
      if (wanted !== "" && clientAddr !== clientId) continue
      const answer = yield* Effect.result(
        channel.invoke(GetConsumerStatusFromClient.request({ topic, group }), STATUS_MILLIS)
      )
      if (answer._tag === "Failure" || answer.success.code !== ResponseCode.SUCCESS) continue
      const status = GetConsumerStatusFromClient.decodeResponse(answer.success)
      if (!(status instanceof DecodeError)) consumerTable.set(clientId, status.messageQueueTable)
    }
    return { ...GetConsumerStatus.response({ consumerTable }), remark: Remarks.NO_CODE_SET }
  })

  return new Map([
    [RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, consumerStatus],
    [RequestCode.GET_CONSUMER_RUNNING_INFO, runningInfo],
    [RequestCode.CONSUME_MESSAGE_DIRECTLY, consumeDirectly]
  ])
}
