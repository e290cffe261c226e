import * as MixAll from "../../message/MixAll.ts"
import * as RecallHandle from "../../message/RecallHandle.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { RecallMessageHeader } from "../../protocol/request/RecallMessage.ts"
import * as RecallMessage from "../../protocol/request/RecallMessage.ts"
import type { Broker } from "./Broker.ts"
import type { Handlers } from "../server/Handler.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import * as TimerProperties from "../store/TimerProperties.ts"

/** The tag of the message that takes another one back. */
const RECALL_TAG = "_RECALL_TAG_"

/** Takes timer messages back (370). Source: RocketMQ `RecallMessageProcessor`. */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  const region = () => ({ MSG_REGION: config.regionId })

  const refuse = (code: number, remark: string): Response => ({ code, remark, extFields: region() })

  const refusal = (header: RecallMessageHeader): Response | undefined => {
    if (!config.recallMessageEnable) {
      return refuse(ResponseCode.NO_PERMISSION, "recall failed, operation is forbidden")
    }
    if (broker.id !== MixAll.MASTER_ID) {
      return refuse(ResponseCode.SLAVE_NOT_AVAILABLE, "recall failed, broker service not available")
    }
    if ((config.brokerPermission & MixAll.PermName.WRITE) === 0) {
      return refuse(ResponseCode.SERVICE_NOT_AVAILABLE, "recall failed, broker service not available")
    }
    return state.topics.get(header.topic) === undefined
      ? refuse(ResponseCode.TOPIC_NOT_EXIST, `recall failed, the topic[${header.topic}] not exist`)
      : undefined
  }

  const illegal = (remark: string): Response => refuse(ResponseCode.ILLEGAL_OPERATION, remark)

  const handleRefusal = (header: RecallMessageHeader, handle: RecallHandle.RecallHandle): Response | undefined => {
    if (handle.topic !== header.topic) return illegal("recall failed, topic not match")
    if (handle.brokerName !== broker.name) return illegal("recall failed, broker service not available")
    const left = handle.deliverMillis - broker.now()
    return left <= 0 || left >= config.timerMaxDelaySec * 1_000
      ? illegal("recall failed, timestamp invalid")
      : undefined
  }

  const recall = Reply.sync((request, channel) => {
    const header = RecallMessage.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const refused = refusal(header)
    if (refused !== undefined) return refused
    const handle = RecallHandle.decode(header.recallHandle)
    if (handle === undefined) return illegal("recall handle is invalid")
    const unusable = handleRefusal(header, handle)
    if (unusable !== undefined) return unusable
    const now = broker.now()
    const stored = state.delayed.put({
      topic: handle.topic,
      queueId: 0,
      body: new Uint8Array([0x30]),
      flag: 0,
      properties: {
        [MessageConst.TAGS]: RECALL_TAG,
        [MessageConst.TIMER_DEL_UNIQKEY]: TimerProperties.recallKey(handle.topic, handle.msgId),
        [MessageConst.UNIQ_KEY]: handle.msgId,
        [MessageConst.TIMER_DELIVER_MS]: String(handle.deliverMillis),
        [MessageConst.BORN_TIMESTAMP]: String(now),
        [MessageConst.PRODUCER_GROUP]: header.producerGroup ?? ""
      },
      sysFlag: 0,
      bornTimestamp: now,
      bornHost: channel.remoteAddress,
      storeTimestamp: now,
      storeHost: broker.address(),
      reconsumeTimes: 0,
      preparedTransactionOffset: 0
    })
    if (typeof stored === "string") return refuse(ResponseCode.SYSTEM_ERROR, "recall failed, execute error")
    const response = RecallMessage.response({ msgId: handle.msgId })
    // A real broker says so although the recall went well.
    return { ...response, remark: Remarks.NO_CODE_SET, extFields: { ...response.extFields, ...region() } }
  })

  // 4.x has no timers, and does not know the request.
  return config.version < MQVersion.V5_0_0 ? new Map() : new Map([[RequestCode.RECALL_MESSAGE, recall]])
}
