import { Effect } from "effect"
import { encodeOffsetMessageId } from "../../message/MessageId.ts"
import * as MixAll from "../../message/MixAll.ts"
import * as RecallHandle from "../../message/RecallHandle.ts"
import { SysFlag } from "../../message/SysFlag.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { add, parseLong } from "../../protocol/Long.ts"
import * as MessageCodec from "../../protocol/MessageCodec.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as MessageProperties from "../../protocol/MessageProperties.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { SendMessageHeader } from "../../protocol/request/SendMessage.ts"
import * as SendMessage from "../../protocol/request/SendMessage.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Broker } from "./Broker.ts"
import type { Handler, Handlers } from "../server/Handler.ts"
import type { PutRefusal } from "../store/DelayedMessages.ts"
import { delayLevel, TIMER_TOPIC } from "../store/DelayedMessages.ts"
import type { MessageInner, StoredEntry } from "../store/StoredMessage.ts"
import * as StoredMessage from "../store/StoredMessage.ts"
import * as TimerProperties from "../store/TimerProperties.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import * as SendChecks from "./SendChecks.ts"

/**
 * Sends (10, 310, 320): checks in the order of a real broker, then stores, or puts aside what is delayed or a half
 * message.
 *
 * Source: RocketMQ `SendMessageProcessor`, `AbstractSendMessageProcessor`.
 */

/** What every message of one send has in common. */
type Arrival = Omit<MessageInner, "topic" | "queueId" | "body" | "flag" | "properties">

/** Where a message goes, and what its delay level becomes. */
interface Target {
  readonly topic: string
  readonly queueId: number
  readonly delay?: string
}

/** Whether it is a half message; a retried one with a delay, of clients before 4.6.1, is none. */
const isHalf = (header: SendMessageHeader, properties: MessageInner["properties"]): boolean =>
  properties[MessageConst.TRANSACTION_PREPARED]?.toLowerCase() === "true" &&
  !(header.reconsumeTimes > 0 && hasDelayLevel(properties))

const hasDelayLevel = (properties: MessageInner["properties"]): boolean => (delayLevel(properties) ?? 0) > 0

/** Builds the handlers. */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  const legacy = config.version < MQVersion.V5_0_0
  const { check, refuse } = SendChecks.make(broker)

  const sizeRefusal = (bodyLength: number, properties: MessageInner["properties"]): Response | undefined =>
    bodyLength > config.maxMessageSize ||
    Buffer.byteLength(MessageProperties.encode(properties)) > MixAll.MAX_PROPERTIES_LENGTH
      ? refuse(ResponseCode.MESSAGE_ILLEGAL, Remarks.messageIllegal(config.maxMessageSize))
      : undefined

  const putRefusal = (reason: PutRefusal, properties: MessageInner["properties"]): Response => {
    switch (reason) {
      case "WHEEL_TIMER_NOT_ENABLE":
        return refuse(ResponseCode.SYSTEM_ERROR, Remarks.TIMER_NOT_ENABLED)
      case "WHEEL_TIMER_MSG_ILLEGAL":
        return refuse(ResponseCode.MESSAGE_ILLEGAL, Remarks.timerIllegal(config.timerMaxDelaySec))
      default:
        // An exception's answer has none of the fields that answers to sends have.
        return Reply.refuse(
          ResponseCode.SYSTEM_ERROR,
          Remarks.numberFormat(properties[MessageConst.DELAY_TIME_LEVEL] ?? "")
        )
    }
  }

  /** A message in a message, for topics of another kind of queue than there is here. Source: RocketMQ `HookUtils.checkInnerBatch`. */
  const innerBatchRefusal = (sysFlag: number, properties: MessageInner["properties"]): Response | undefined =>
    !legacy && ((sysFlag & SysFlag.INNER_BATCH) !== 0 || properties[MessageConst.INNER_NUM] !== undefined)
      ? refuse(ResponseCode.MESSAGE_ILLEGAL, Remarks.messageIllegal(config.maxMessageSize))
      : undefined

  /** Why a retry message cannot be stored, if the group it is for is unknown. */
  const retryRefusal = (topic: string): Response | undefined => {
    const group = topic.slice(MixAll.RETRY_GROUP_TOPIC_PREFIX.length)
    return state.groups.find(group) === undefined
      ? refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, Remarks.groupNotExist(group, legacy))
      : undefined
  }

  /** Where a retry message goes: to the dead letters when it was tried often enough, else where it wants to. */
  const retryTarget = (header: SendMessageHeader, queueId: number): Target => {
    const group = header.topic.slice(MixAll.RETRY_GROUP_TOPIC_PREFIX.length)
    const max = header.maxReconsumeTimes ?? state.groups.get(group)?.retryMaxTimes ?? 16
    const exhausted = legacy
      ? header.reconsumeTimes >= max
      : header.reconsumeTimes > max || broker.locks.isLocked(group, broker.now())
    if (!exhausted) return { topic: header.topic, queueId }
    const topic = MixAll.dlqTopic(group)
    state.topics.ensure(topic, 1, MixAll.PermName.READ | MixAll.PermName.WRITE)
    return { topic, queueId: 0, delay: legacy ? "0" : "-1" }
  }

  const stored = (
    entries: ReadonlyArray<StoredEntry>,
    queueId: number,
    more: { readonly transactionId?: string | undefined; readonly recallHandle?: string | undefined }
  ): Response =>
    SendMessage.response({
      msgId: entries.map((entry) => encodeOffsetMessageId(broker.address(), entry.physicalOffset)).join(","),
      queueId,
      queueOffset: entries[0]?.queueOffset ?? 0,
      ...(legacy || more.transactionId === undefined ? {} : { transactionId: more.transactionId }),
      ...(more.recallHandle === undefined ? {} : { recallHandle: more.recallHandle }),
      regionId: config.regionId,
      traceOn: config.traceOn
    })

  /** 4.x stores what came, less WAIT unless the message is put aside, and adds nothing but the cluster. */
  const legacyProperties = (
    header: SendMessageHeader,
    sent: Readonly<Record<string, string>>
  ): Readonly<Record<string, string>> => {
    const { WAIT: _wait, ...kept } = sent
    const plain = !hasDelayLevel(sent) && !isHalf(header, sent)
    return { ...(plain ? kept : sent), CLUSTER: state.clusterName }
  }

  /**
   * By which a timer message that waits can be recalled; null when its time cannot be read, at which a real broker never
   * answers. Half messages that name such a time get one too.
   *
   * Source: RocketMQ `SendMessageProcessor.attachRecallHandle`.
   */
  const recallHandle = (entry: StoredEntry, uniqueKey: string): string | undefined | null => {
    const { [MessageConst.REAL_TOPIC]: topic, [MessageConst.TIMER_OUT_MS]: outAt } =
      StoredMessage.read(entry)?.properties ?? {}
    if (topic === undefined || outAt === undefined || MixAll.isRetryTopic(topic)) return undefined
    const time = parseLong(outAt)
    if (time === undefined) return null
    return RecallHandle.encode({ topic, brokerName: broker.name, deliverMillis: add(time, 1), msgId: uniqueKey })
  }

  const single = (
    header: SendMessageHeader,
    body: Uint8Array,
    queueId: number,
    inner: Arrival
  ): Response | undefined => {
    const sent = MessageProperties.decode(header.properties ?? "")
    const refusal =
      (body.length === 0 && !legacy ? refuse(ResponseCode.SYSTEM_ERROR, Remarks.EMPTY_BODY) : undefined) ??
      (MixAll.isRetryTopic(header.topic) ? retryRefusal(header.topic) : undefined)
    if (refusal !== undefined) return refusal
    const { delay, ...target } = MixAll.isRetryTopic(header.topic)
      ? retryTarget(header, queueId)
      : { topic: header.topic, queueId, delay: undefined }
    const uniqueKey = sent[MessageConst.UNIQ_KEY] ?? state.uniqueId()
    const properties: Readonly<Record<string, string>> = {
      ...(legacy
        ? legacyProperties(header, sent)
        : {
            ...sent,
            UNIQ_KEY: uniqueKey,
            MSG_REGION: config.regionId,
            CLUSTER: state.clusterName,
            TRACE_ON: String(config.traceOn)
          }),
      ...(delay === undefined ? {} : { DELAY: delay })
    }
    const half = isHalf(header, properties)
    if (half && config.rejectTransactionMessage) {
      return refuse(ResponseCode.NO_PERMISSION, Remarks.brokerForbids(broker.address(), "sending transaction message"))
    }
    const unfit = sizeRefusal(body.length, properties) ?? innerBatchRefusal(inner.sysFlag, properties)
    if (unfit !== undefined) return unfit
    const message = { ...inner, ...target, body, flag: header.flag, properties }
    const entry = half ? state.halves.prepare(message) : state.delayed.put(message)
    if (typeof entry === "string") return putRefusal(entry, properties)
    const mayBeTimed = !legacy && (TimerProperties.isTimed(properties) || MessageConst.TIMER_OUT_MS in properties)
    const handle = mayBeTimed ? recallHandle(entry, uniqueKey) : undefined
    return handle === null ? undefined : stored([entry], queueId, { transactionId: uniqueKey, recallHandle: handle })
  }

  /** A delay is the whole batch's or nobody's; that of a single part is stored and does nothing, as on a real broker. */
  const batchRefusal = (header: SendMessageHeader, own: MessageInner["properties"]): Response | undefined => {
    const level = delayLevel(own)
    if (level === undefined) return putRefusal("DELAY_LEVEL_NO_NUMBER", own)
    if (level > 0 || (header.sysFlag & SysFlag.TRANSACTION_ROLLBACK) !== 0) {
      return refuse(ResponseCode.MESSAGE_ILLEGAL, Remarks.messageIllegal(config.maxMessageSize))
    }
    const timed = state.delayed.timed(own)
    return timed === "now" || timed === "later" ? innerBatchRefusal(header.sysFlag, own) : putRefusal(timed, own)
  }

  const batch = (header: SendMessageHeader, body: Uint8Array, queueId: number, inner: Arrival): Response => {
    if (MixAll.isRetryTopic(header.topic)) {
      return refuse(ResponseCode.MESSAGE_ILLEGAL, `batch request does not support retry group ${header.topic}`)
    }
    const parts = MessageCodec.decodeBatch(body)
    if (parts instanceof DecodeError) return refuse(ResponseCode.SYSTEM_ERROR, parts.message)
    const own = MessageProperties.decode(header.properties ?? "")
    const refusal = batchRefusal(header, own)
    if (refusal !== undefined) return refusal
    // A time of delivery of the whole batch takes its messages to where those wait, and they never come out again.
    const target =
      state.delayed.timed(own) === "later" ? { topic: TIMER_TOPIC, queueId: 0 } : { topic: header.topic, queueId }
    const messages: Array<MessageInner> = []
    for (const part of parts) {
      const sent = MessageProperties.decode(part.properties)
      // 4.x appends the properties of the send to those of each message, and a later value wins; 5.x keeps them apart.
      const properties = legacy ? { ...sent, ...own, CLUSTER: state.clusterName } : sent
      const tooLarge = sizeRefusal(body.length, properties)
      if (tooLarge !== undefined) return tooLarge
      messages.push({ ...inner, ...target, body: part.body, flag: part.flag, properties })
    }
    return stored(state.store.append(messages), queueId, { transactionId: own[MessageConst.UNIQ_KEY] })
  }

  const send = (request: RemotingCommand, channel: Channel): Response | undefined => {
    const header = SendMessage.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const checked = check(header, channel)
    if (!("queueId" in checked)) return checked
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
      ? batch(header, request.body, checked.queueId, inner)
      : single(header, request.body, checked.queueId, inner)
  }

  const handler: Handler = (request, channel) => Effect.sync(() => send(request, channel))
  return new Map([
    [RequestCode.SEND_MESSAGE, handler],
    [RequestCode.SEND_MESSAGE_V2, handler],
    [RequestCode.SEND_BATCH_MESSAGE, handler]
  ])
}
