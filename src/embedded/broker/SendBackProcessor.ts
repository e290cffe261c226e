import { encodeOffsetMessageId } from "../../message/MessageId.ts"
import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { RemotingCommand, Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { ConsumerSendMsgBackHeader } from "../../protocol/request/ConsumerSendMsgBack.ts"
import * as ConsumerSendMsgBack from "../../protocol/request/ConsumerSendMsgBack.ts"
import type { SubscriptionGroupConfig } from "../../protocol/request/SubscriptionGroup.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import * as StoredMessage from "../store/StoredMessage.ts"

const READ_WRITE = MixAll.PermName.READ | MixAll.PermName.WRITE

const notBlank = (text: string | undefined): string | undefined => (text?.trim() === "" ? undefined : text)

/** Level of the first repetition; each further one waits a level longer. */
const FIRST_LEVEL = 3

/**
 * Messages that a consumer could not process (36): a copy goes to the group's retry topic after a while, and to its dead
 * letters when it was tried often enough.
 *
 * Source: RocketMQ `AbstractSendMessageProcessor.consumerSendMsgBack`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker

  const storeCopy = (
    request: RemotingCommand,
    header: ConsumerSendMsgBackHeader,
    group: SubscriptionGroupConfig
  ): Response => {
    const retry = state.topics.ensure(MixAll.retryTopic(header.group), group.retryQueueNums, READ_WRITE)
    if ((retry.perm & MixAll.PermName.WRITE) === 0) {
      return Reply.refuse(ResponseCode.NO_PERMISSION, `the topic[${retry.topicName}] sending message is forbidden`)
    }
    const entry = state.store.byPhysicalOffset(header.offset)
    const message = entry === undefined ? undefined : StoredMessage.read(entry)
    if (message === undefined) {
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, `look message by offset failed, ${header.offset}`)
    }
    // Older clients mean nothing by the field.
    const asked = request.version >= MQVersion.V3_4_9 ? header.maxReconsumeTimes : undefined
    const max = asked ?? group.retryMaxTimes
    const dead = message.reconsumeTimes >= max || header.delayLevel < 0
    const level = header.delayLevel === 0 ? (FIRST_LEVEL + message.reconsumeTimes) | 0 : header.delayLevel
    const topic = dead ? state.topics.ensure(MixAll.dlqTopic(header.group), 1, READ_WRITE) : retry
    const stored = state.delayed.put({
      ...message,
      topic: topic.topicName,
      queueId: dead ? 0 : Math.floor(broker.draw() * group.retryQueueNums),
      properties: {
        ...message.properties,
        [MessageConst.RETRY_TOPIC]: message.properties[MessageConst.RETRY_TOPIC] ?? message.topic,
        [MessageConst.WAIT_STORE_MSG_OK]: "false",
        [MessageConst.DELAY_TIME_LEVEL]: dead ? "0" : String(level),
        [MessageConst.ORIGIN_MESSAGE_ID]:
          notBlank(message.properties[MessageConst.ORIGIN_MESSAGE_ID]) ??
          encodeOffsetMessageId(message.storeHost, message.commitLogOffset)
      },
      storeTimestamp: broker.now(),
      storeHost: broker.address(),
      // As an int of Java: what a sender counted to the end begins anew below nothing.
      reconsumeTimes: (message.reconsumeTimes + 1) | 0,
      preparedTransactionOffset: 0
    })
    return typeof stored === "string" ? Reply.refuse(ResponseCode.SYSTEM_ERROR, stored) : ConsumerSendMsgBack.response()
  }

  const sendBack = Reply.sync((request) => {
    const header = ConsumerSendMsgBack.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    if (broker.id !== MixAll.MASTER_ID) {
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.noMaster(broker.address()))
    }
    const group = state.groups.find(header.group)
    if (group === undefined) {
      return Reply.refuse(
        ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
        Remarks.groupNotExist(header.group, config.version < MQVersion.V5_0_0)
      )
    }
    if ((config.brokerPermission & MixAll.PermName.WRITE) === 0) {
      return Reply.refuse(ResponseCode.NO_PERMISSION, Remarks.brokerForbids(broker.address(), "sending message"))
    }
    return group.retryQueueNums <= 0 ? ConsumerSendMsgBack.response() : storeCopy(request, header, group)
  })

  return new Map([[RequestCode.CONSUMER_SEND_MSG_BACK, sendBack]])
}
