import type { MessageQueue } from "../../message/MessageQueue.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as GetConsumerListByGroup from "../../protocol/request/GetConsumerListByGroup.ts"
import * as LockBatch from "../../protocol/request/LockBatch.ts"
import * as PullMessage from "../../protocol/request/PullMessage.ts"
import * as QueryConsumerOffset from "../../protocol/request/QueryConsumerOffset.ts"
import * as UpdateConsumerOffset from "../../protocol/request/UpdateConsumerOffset.ts"
import type { FaultAction } from "./FaultAction.ts"
import * as Remarks from "./Remarks.ts"

/** Where a queue stands by a scripted answer to a pull; what is left out is 0. */
export interface ScriptedPosition {
  /** Where the next pull is to begin. */
  readonly nextBeginOffset: number
  /** Offset of the oldest message that the queue still has. */
  readonly minOffset?: number | undefined
  /** Offset of the next message that the queue will get. */
  readonly maxOffset?: number | undefined
  /** The broker id to pull from next; 0 is the master. */
  readonly suggestWhichBrokerId?: number | undefined
}

const refuse = (code: number, remark: string): FaultAction => ({
  _tag: "Answer",
  response: { code, remark, extFields: {} }
})

const pulled = (
  status: PullMessage.PullStatus,
  remark: string,
  { maxOffset = 0, minOffset = 0, nextBeginOffset, suggestWhichBrokerId = 0 }: ScriptedPosition,
  body?: Uint8Array
): FaultAction => ({
  _tag: "Answer",
  response: PullMessage.response(
    {
      status,
      nextBeginOffset,
      minOffset,
      maxOffset,
      suggestWhichBrokerId,
      topicSysFlag: 0,
      groupSysFlag: 0,
      body
    },
    remark
  )
})

/** What a broker is overloaded with, and answers to any request. */
const overloaded = {
  /** 2 SYSTEM_BUSY: it sheds load. */
  busy: refuse(ResponseCode.SYSTEM_BUSY, Remarks.SYSTEM_BUSY),
  /** 215 FLOW_CONTROL: too many requests. */
  flowControl: refuse(ResponseCode.FLOW_CONTROL, "flow control"),
  /** 1 SYSTEM_ERROR, with what Java threw as its remark. */
  systemError: (remark = "java.lang.RuntimeException: a bug"): FaultAction => refuse(ResponseCode.SYSTEM_ERROR, remark)
} as const

/** The group is not there, and may not be made (26). */
const groupNotExist = (group: string) =>
  refuse(
    ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST,
    `subscription group [${group}] does not exist, \n${Remarks.SEE_FAQ}`
  )

/**
 * Every answer of a broker to a pull (11), in the words of a real one. Source: RocketMQ `PullMessageProcessor`,
 * `DefaultPullMessageResultHandler`.
 */
export const pull = {
  ...overloaded,
  /** 0 FOUND with these stored messages, which may be damaged; see `MessageCodec`. */
  found: (stored: Uint8Array, position: ScriptedPosition): FaultAction => pulled("FOUND", "FOUND", position, stored),
  /** 19: nothing is stored at the offset yet. Here it is answered at once, where a broker would have held the pull. */
  noNewMessage: (position: ScriptedPosition): FaultAction => pulled("NO_NEW_MSG", "OFFSET_OVERFLOW_ONE", position),
  /** 20: what is stored up to `nextBeginOffset` does not pass the filter. */
  noMatchedMessage: (position: ScriptedPosition): FaultAction =>
    pulled("NO_MATCHED_MSG", "NO_MATCHED_MESSAGE", position),
  /** 21: the offset is not in the queue, and the next pull has to begin elsewhere. */
  offsetIllegal: (
    position: ScriptedPosition,
    remark:
      "OFFSET_TOO_SMALL" | "OFFSET_OVERFLOW_BADLY" | "OFFSET_RESET" | "NO_MESSAGE_IN_QUEUE" = "OFFSET_OVERFLOW_BADLY"
  ): FaultAction => pulled("OFFSET_ILLEGAL", remark, position),
  /** 24: the broker knows no member of the group, as after its start. */
  groupUnknown: refuse(ResponseCode.SUBSCRIPTION_NOT_EXIST, `the consumer's group info not exist\n${Remarks.SEE_FAQ}`),
  /** 24: no member of the group subscribes to the topic. */
  subscriptionUnknown: refuse(
    ResponseCode.SUBSCRIPTION_NOT_EXIST,
    `the consumer's subscription not exist\n${Remarks.SEE_FAQ}`
  ),
  /** 25: the broker has an older subscription of the group than the pull's. */
  subscriptionOld: refuse(ResponseCode.SUBSCRIPTION_NOT_LATEST, "the consumer's subscription not latest"),
  /** 23: the filter cannot be read. */
  filterUnreadable: refuse(ResponseCode.SUBSCRIPTION_PARSE_FAILED, "parse the consumer's subscription failed"),
  /** 26: the group is not there, and may not be made. */
  groupNotExist,
  /** 17: the topic is not there. */
  topicNotExist: (topic: string): FaultAction => refuse(ResponseCode.TOPIC_NOT_EXIST, Remarks.topicNotExistPull(topic)),
  /** 16: the topic is not readable. */
  topicForbidden: (topic: string): FaultAction =>
    refuse(ResponseCode.NO_PERMISSION, `the topic[${topic}] pulling message is forbidden`),
  /** 16: the group may not consume (`consumeEnable=false`). */
  groupForbidden: (group: string): FaultAction =>
    refuse(ResponseCode.NO_PERMISSION, `subscription group no permission, ${group}`),
  /** 29: the topic has no queue of that number; 4.x answers 1. */
  queueIllegal: (topic: string, queueId: number, readQueueNums: number): FaultAction =>
    refuse(
      ResponseCode.INVALID_PARAMETER,
      `queueId[${queueId}] is illegal, topic:[${topic}] topicConfig.readQueueNums:[${readQueueNums}] consumer:[/127.0.0.1:0]`
    )
} as const

/**
 * Every answer of a broker that is asked for a group's offset (14) or told one (15). Source: RocketMQ
 * `ConsumerManageProcessor`.
 */
export const offset = {
  ...overloaded,
  /** 14, 0: this offset, whatever the group has. */
  stored: (value: number): FaultAction => ({
    _tag: "Answer",
    response: QueryConsumerOffset.response({ offset: value })
  }),
  /** 14, 22: the group has none. */
  notFound: refuse(ResponseCode.QUERY_NOT_FOUND, "Not found, do not set to zero, maybe this group boot first"),
  /** 15, 0: taken, but it is not: the write is lost. */
  lost: { _tag: "Answer", response: UpdateConsumerOffset.response() } satisfies FaultAction,
  /** 15, 0: refused, since the offset was reset on the broker meanwhile. */
  reset: {
    _tag: "Answer",
    response: UpdateConsumerOffset.response({ reset: true })
  } satisfies FaultAction,
  /** 15, 26: the group is not there; 4.x takes the offset all the same. */
  groupNotExist: (group: string): FaultAction =>
    refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} not exist!`),
  /** 15, 17: the topic is not there; 4.x takes the offset all the same. */
  topicNotExist: (topic: string): FaultAction => refuse(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} not exist!`)
} as const

/** Every answer of a broker that is given a message back (36). Source: RocketMQ `AbstractSendMessageProcessor`. */
export const sendBack = {
  ...overloaded,
  /** 0, but nothing is stored: the message is lost, as with `retryQueueNums` 0. */
  lost: { _tag: "Answer", response: { code: ResponseCode.SUCCESS } } satisfies FaultAction,
  /** 26: the group is not there, and may not be made. */
  groupNotExist: (group: string): FaultAction =>
    refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, Remarks.groupNotExist(group)),
  /** 16: nothing may be written. */
  forbidden: refuse(ResponseCode.NO_PERMISSION, "the broker[127.0.0.1] sending message is forbidden"),
  /** 1: the message is not in the log any more. */
  messageNotFound: (commitLogOffset: number): FaultAction =>
    refuse(ResponseCode.SYSTEM_ERROR, `look message by offset failed, ${commitLogOffset}`)
} as const

/** Every answer of a broker that is asked for locks of queues (41) or given them back (42). Source: RocketMQ `AdminBrokerProcessor`. */
export const lock = {
  ...overloaded,
  /** 41, 0: these queues are locked, whoever has them; none of them makes it the answer when others have all. */
  granted: (...queues: ReadonlyArray<MessageQueue>): FaultAction => ({
    _tag: "Answer",
    response: LockBatch.response({ lockOKMQSet: queues })
  }),
  /** 42, 0: given back, but it is not: the lock stays until it expires. */
  lost: { _tag: "Answer", response: LockBatch.response() } satisfies FaultAction
} as const

/** The members of a group (38), whoever is there; none makes it the answer for a group without members. */
export const members = (group: string, ...clientIds: ReadonlyArray<string>): FaultAction =>
  clientIds.length === 0
    ? refuse(ResponseCode.SYSTEM_ERROR, `no consumer for this group, ${group}`)
    : { _tag: "Answer", response: GetConsumerListByGroup.response({ consumerIdList: clientIds }) }
