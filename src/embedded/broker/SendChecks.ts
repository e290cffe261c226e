import * as MixAll from "../../message/MixAll.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { SendMessageHeader } from "../../protocol/request/SendMessage.ts"
import type { TopicConfig } from "../../protocol/TopicConfig.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { Broker } from "./Broker.ts"
import * as JavaNames from "../server/JavaNames.ts"
import * as Names from "../server/Names.ts"
import * as Remarks from "../server/Remarks.ts"
import * as TopicTable from "../store/TopicTable.ts"

/** What every kind of send is checked for, in the order of a real broker. Source: RocketMQ `AbstractSendMessageProcessor`. */
export interface SendChecks {
  /** A refusal, with the fields that are on every answer to a send. */
  readonly refuse: (code: number, remark: string) => Response
  /** The refusal, or the queue the message goes to; a missing topic is created if that is allowed. */
  readonly check: (header: SendMessageHeader, channel: Channel) => Response | { readonly queueId: number }
}

/** Builds the checks of a broker. */
export const make = (broker: Broker): SendChecks => {
  const { config, state } = broker
  const legacy = config.version < MQVersion.V5_0_0
  const invalid = legacy ? ResponseCode.SYSTEM_ERROR : ResponseCode.INVALID_PARAMETER

  const refuse = (code: number, remark: string): Response => ({
    code,
    remark,
    extFields: { MSG_REGION: config.regionId, TRACE_ON: String(config.traceOn) }
  })

  const topicRefusal = (topic: string): Response | undefined => {
    const badName = Names.topicRefusal(topic, legacy)
    if (badName !== undefined) return refuse(invalid, badName)
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
      ? refuse(ResponseCode.NO_PERMISSION, Remarks.brokerForbids(broker.address(), "sending message"))
      : undefined
  }

  const queueRefusal = (header: SendMessageHeader, topic: TopicConfig, channel: Channel): Response | undefined =>
    header.queueId >= Math.max(topic.readQueueNums, topic.writeQueueNums)
      ? refuse(
          invalid,
          `request queueId[${header.queueId}] is illegal, ${TopicTable.describe(topic, legacy)} Producer: ${JavaNames.remoteAddress(channel.remoteAddress)}`
        )
      : undefined

  return {
    refuse,
    check: (header, channel) => {
      const refusal = brokerRefusal(header) ?? topicRefusal(header.topic)
      if (refusal !== undefined) return refusal
      const topic = state.topics.forSend(header)
      if (topic === undefined) return refuse(ResponseCode.TOPIC_NOT_EXIST, Remarks.topicNotExist(header.topic, legacy))
      const wrongQueue = queueRefusal(header, topic, channel)
      if (wrongQueue !== undefined) return wrongQueue
      const { queueId } = header
      return { queueId: queueId >= 0 ? queueId : Math.floor(broker.draw() * Math.max(1, topic.writeQueueNums)) }
    }
  }
}
