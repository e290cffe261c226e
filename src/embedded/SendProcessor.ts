import * as MixAll from "../message/MixAll.ts"
import { DecodeError } from "../protocol/DecodeError.ts"
import * as MessageCodec from "../protocol/MessageCodec.ts"
import * as MessageProperties from "../protocol/MessageProperties.ts"
import { MQVersion } from "../protocol/MQVersion.ts"
import type { RemotingCommand, Response } from "../protocol/RemotingCommand.ts"
import { RequestCode } from "../protocol/RequestCode.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import type { SendMessageHeader } from "../protocol/request/SendMessage.ts"
import * as SendMessage from "../protocol/request/SendMessage.ts"
import type { TopicConfig } from "../protocol/TopicConfig.ts"
import type { Channel } from "../transport/RemotingServer.ts"
import type { Broker, Handlers } from "./Broker.ts"
import type { StoredEntry } from "./MessageStore.ts"
import * as OffsetMessageId from "./OffsetMessageId.ts"
import * as Reply from "./Reply.ts"
import * as Remarks from "./Remarks.ts"
import type { MessageInner } from "./StoredMessage.ts"
import * as TopicTable from "./TopicTable.ts"
import * as UniqueId from "./UniqueId.ts"

/**
 * Sends (10, 310, 320): checks in the order of a real broker, then stores.
 *
 * Not in this broker: delayed and timed messages are refused with 13 and half messages with 16, because storing them
 * like plain ones would deliver them too early.
 *
 * Source: RocketMQ `SendMessageProcessor`, `AbstractSendMessageProcessor`.
 */

/** What every message of one send has in common. */
type Arrival = Omit<MessageInner, "topic" | "queueId" | "body" | "flag" | "properties">

const timerProperties = ["TIMER_DELIVER_MS", "TIMER_DELAY_SEC", "TIMER_DELAY_MS"] as const

/** Builds the handlers. */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  const legacy = config.version < MQVersion.V5_0_0

  /** On every answer to a send, refusals too. */
  const baseFields = { MSG_REGION: config.regionId, TRACE_ON: String(config.traceOn) }

  const refuse = (code: number, remark: string): Response => ({ code, remark, extFields: baseFields })

  const topicRefusal = (topic: string): Response | undefined => {
    const code = legacy ? ResponseCode.SYSTEM_ERROR : ResponseCode.INVALID_PARAMETER
    if (topic.trim() === "") return refuse(code, Remarks.TOPIC_BLANK)
    if (!MixAll.isValidName(topic)) return refuse(code, Remarks.topicIllegalCharacters(topic))
    if (topic.length > MixAll.TOPIC_MAX_LENGTH) {
      return refuse(code, Remarks.topicTooLong(topic, MixAll.TOPIC_MAX_LENGTH))
    }
    return MixAll.isForbiddenSendTopic(topic)
      ? refuse(ResponseCode.NO_PERMISSION, `Sending message to topic[${topic}] is forbidden.`)
      : undefined
  }

  /** What a whole broker refuses, before it looks at the topic. */
  const brokerRefusal = (header: SendMessageHeader): Response | undefined => {
    if (broker.busy()) return { code: ResponseCode.SYSTEM_BUSY, remark: Remarks.SYSTEM_BUSY }
    if (broker.id !== MixAll.MASTER_ID) return refuse(ResponseCode.SERVICE_NOT_AVAILABLE, Remarks.SERVICE_NOT_AVAILABLE)
    const writable = (config.brokerPermission & MixAll.PermName.WRITE) !== 0
    return !writable && state.topics.get(header.topic)?.order === true
      ? refuse(ResponseCode.NO_PERMISSION, `the broker[${broker.address()}] sending message is forbidden`)
      : undefined
  }

  const queueRefusal = (header: SendMessageHeader, topic: TopicConfig, channel: Channel): Response | undefined =>
    header.queueId >= Math.max(topic.readQueueNums, topic.writeQueueNums)
      ? refuse(
          legacy ? ResponseCode.SYSTEM_ERROR : ResponseCode.INVALID_PARAMETER,
          `request queueId[${header.queueId}] is illegal, ${TopicTable.describe(topic, legacy)} Producer: ${channel.remoteAddress}`
        )
      : undefined

  const sizeRefusal = (bodyLength: number, properties: MessageInner["properties"]): Response | undefined =>
    bodyLength > config.maxMessageSize ||
    Buffer.byteLength(MessageProperties.encode(properties)) > MixAll.MAX_PROPERTIES_LENGTH
      ? refuse(ResponseCode.MESSAGE_ILLEGAL, Remarks.messageIllegal(config.maxMessageSize))
      : undefined

  /** Messages that need a service this broker does not have. */
  const scheduleRefusal = (properties: Readonly<Record<string, string>>): Response | undefined => {
    const delayed = Number(properties["DELAY"] ?? "0") > 0
    const timed = timerProperties.find((name) => properties[name] !== undefined)
    if (delayed || timed !== undefined) {
      return refuse(
        ResponseCode.MESSAGE_ILLEGAL,
        `the embedded broker does not deliver delayed messages: remove the property ${timed ?? "DELAY"}, or use a real broker`
      )
    }
    return properties["TRAN_MSG"]?.toLowerCase() === "true"
      ? refuse(ResponseCode.NO_PERMISSION, `the broker[${broker.address()}] sending transaction message is forbidden`)
      : undefined
  }

  /** Why a retry message cannot be stored, if the group it is for is unknown. */
  const retryRefusal = (topic: string): Response | undefined => {
    const group = topic.slice(MixAll.RETRY_GROUP_TOPIC_PREFIX.length)
    return state.groups.find(group) === undefined
      ? refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `subscription group not exist, ${group}\n${Remarks.SEE_FAQ}`)
      : undefined
  }

  /** Where a retry message goes: to the dead letters when it was tried often enough, else where it wants to. */
  const retryTarget = (header: SendMessageHeader, queueId: number): { topic: string; queueId: number } => {
    const group = header.topic.slice(MixAll.RETRY_GROUP_TOPIC_PREFIX.length)
    const max = header.maxReconsumeTimes ?? state.groups.get(group)?.retryMaxTimes ?? 16
    if (header.reconsumeTimes < max && !broker.locks.isLocked(group, broker.now())) {
      return { topic: header.topic, queueId }
    }
    const topic = MixAll.dlqTopic(group)
    state.topics.ensure(topic, 1, MixAll.PermName.READ | MixAll.PermName.WRITE)
    return { topic, queueId: 0 }
  }

  const stored = (entries: ReadonlyArray<StoredEntry>, transactionId: string | undefined): Response => {
    const host = broker.address()
    const first = entries[0]
    return SendMessage.response({
      msgId: entries.map((entry) => OffsetMessageId.encode(host, entry.physicalOffset)).join(","),
      queueId: first?.queueId ?? 0,
      queueOffset: first?.queueOffset ?? 0,
      ...(legacy || transactionId === undefined ? {} : { transactionId }),
      regionId: config.regionId,
      traceOn: config.traceOn
    })
  }

  /** 4.x stores what came, less WAIT, and adds nothing but the cluster. */
  const legacyProperties = (sent: Readonly<Record<string, string>>): Readonly<Record<string, string>> => {
    const { WAIT: _wait, ...kept } = sent
    return { ...kept, CLUSTER: state.clusterName }
  }

  const single = (header: SendMessageHeader, body: Uint8Array, queueId: number, inner: Arrival): Response => {
    const sent = MessageProperties.decode(header.properties ?? "")
    const refusal =
      scheduleRefusal(sent) ??
      (body.length === 0 && !legacy ? refuse(ResponseCode.SYSTEM_ERROR, Remarks.EMPTY_BODY) : undefined) ??
      (MixAll.isRetryTopic(header.topic) ? retryRefusal(header.topic) : undefined)
    if (refusal !== undefined) return refusal
    const target = MixAll.isRetryTopic(header.topic) ? retryTarget(header, queueId) : { topic: header.topic, queueId }
    const uniqueKey = sent["UNIQ_KEY"] ?? UniqueId.make(broker.now(), broker.draw)
    const properties: Readonly<Record<string, string>> = legacy
      ? legacyProperties(sent)
      : {
          ...sent,
          UNIQ_KEY: uniqueKey,
          MSG_REGION: config.regionId,
          CLUSTER: state.clusterName,
          TRACE_ON: String(config.traceOn)
        }
    const tooLarge = sizeRefusal(body.length, properties)
    if (tooLarge !== undefined) return tooLarge
    const entries = state.store.append([{ ...inner, ...target, body, flag: header.flag, properties }])
    return stored(entries, uniqueKey)
  }

  const batch = (header: SendMessageHeader, body: Uint8Array, queueId: number, inner: Arrival): Response => {
    if (MixAll.isRetryTopic(header.topic)) {
      return refuse(ResponseCode.MESSAGE_ILLEGAL, `batch request does not support retry group ${header.topic}`)
    }
    const parts = MessageCodec.decodeBatch(body)
    if (parts instanceof DecodeError) return refuse(ResponseCode.SYSTEM_ERROR, parts.message)
    const own = MessageProperties.decode(header.properties ?? "")
    const messages: Array<MessageInner> = []
    for (const part of parts) {
      const sent = MessageProperties.decode(part.properties)
      // 4.x appends the properties of the send to those of each message, and a later value wins; 5.x keeps them apart.
      const properties = legacy ? { ...sent, ...own, CLUSTER: state.clusterName } : sent
      const refusal = scheduleRefusal(properties) ?? sizeRefusal(body.length, properties)
      if (refusal !== undefined) return refusal
      messages.push({ ...inner, topic: header.topic, queueId, body: part.body, flag: part.flag, properties })
    }
    return stored(state.store.append(messages), own["UNIQ_KEY"])
  }

  const send = (request: RemotingCommand, channel: Channel): Response => {
    const header = SendMessage.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const refusal = brokerRefusal(header) ?? topicRefusal(header.topic)
    if (refusal !== undefined) return refusal
    const topic = state.topics.forSend(header)
    if (topic === undefined) return refuse(ResponseCode.TOPIC_NOT_EXIST, Remarks.topicNotExist(header.topic))
    const wrongQueue = queueRefusal(header, topic, channel)
    if (wrongQueue !== undefined) return wrongQueue
    const queueId = header.queueId >= 0 ? header.queueId : Math.floor(broker.draw() * Math.max(1, topic.writeQueueNums))
    const inner = {
      sysFlag: header.sysFlag,
      bornTimestamp: header.bornTimestamp,
      bornHost: channel.remoteAddress,
      storeTimestamp: broker.now(),
      storeHost: broker.address(),
      reconsumeTimes: header.reconsumeTimes,
      preparedTransactionOffset: 0
    }
    return header.batch === true || request.code === RequestCode.SEND_BATCH_MESSAGE
      ? batch(header, request.body, queueId, inner)
      : single(header, request.body, queueId, inner)
  }

  const handler = Reply.sync(send)
  return new Map([
    [RequestCode.SEND_MESSAGE, handler],
    [RequestCode.SEND_MESSAGE_V2, handler],
    [RequestCode.SEND_BATCH_MESSAGE, handler]
  ])
}
