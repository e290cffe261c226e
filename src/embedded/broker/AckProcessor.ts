import { DecodeError } from "../../protocol/DecodeError.ts"
import * as Long from "../../protocol/Long.ts"
import { ORDER_REVIVE_QUEUE } from "../../protocol/PopHandle.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import * as AckMessage from "../../protocol/request/AckMessage.ts"
import * as BatchAckMessage from "../../protocol/request/BatchAckMessage.ts"
import * as ChangeInvisibleTime from "../../protocol/request/ChangeInvisibleTime.ts"
import type { Handlers } from "../server/Handler.ts"
import * as JavaNames from "../server/JavaNames.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"
import type { Channel } from "../server/RemotingServer.ts"
import type { CheckpointKey } from "../store/PopCheckpoints.ts"
import type { Broker } from "./Broker.ts"
import * as PopChecks from "./PopChecks.ts"
import { REVIVE_QUEUES } from "./PopProcessor.ts"

/** What requests about a popped message name. */
interface Asked {
  readonly consumerGroup: string
  readonly topic: string
  readonly queueId: number
  readonly offset: Long.Long
}

/** The parts of a handle that a broker looks at. */
interface Handle {
  readonly startOffset: Long.Long
  readonly popTime: Long.Long
  readonly reviveQid: number
  readonly brokerName: string
}

const zeros = { popTime: "0", invisibleTime: "0", reviveQid: "0" }

/** What an answer is that nobody filled in. */
const failed: Response = { code: ResponseCode.SYSTEM_ERROR, remark: Remarks.NO_CODE_SET, extFields: zeros }

/** Where the parts of a handle stand, by the name of what reads them. Source: RocketMQ `ExtraInfoUtil`. */
const PLACES = { getCkQueueOffset: 0, getPopTime: 1, getInvisibleTime: 2, getReviveQid: 3, getBrokerName: 5 } as const

type Part = keyof typeof PLACES

/** Java's `split` drops what is empty at the end. */
const partsOf = (extraInfo: string): ReadonlyArray<string> =>
  extraInfo === "" ? [""] : extraInfo.replace(/ +$/, "").split(" ")

/** The first part that a broker cannot read; it asks for one after the other. */
const unreadable = (parts: ReadonlyArray<string>, wanted: ReadonlyArray<Part>): Response | undefined => {
  for (const part of wanted) {
    const text = parts[PLACES[part]]
    if (text === undefined || parts.length <= PLACES[part]) {
      const words = `${part} fail, extraInfoStrs length ${parts.length}`
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, `java.lang.IllegalArgumentException: ${words}`)
    }
    const isReadable =
      part === "getBrokerName" || (part === "getReviveQid" ? Long.parseInt32(text) : Long.parseLong(text)) !== undefined
    if (!isReadable) return Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.numberFormat(text))
  }
  return undefined
}

/** The handle of parts; what cannot be read is 0. */
const handleOf = (parts: ReadonlyArray<string>): Handle => ({
  startOffset: Long.parseLong(parts[PLACES.getCkQueueOffset] ?? "") ?? 0,
  popTime: Long.parseLong(parts[PLACES.getPopTime] ?? "") ?? 0,
  reviveQid: Long.parseInt32(parts[PLACES.getReviveQid] ?? "") ?? 0,
  brokerName: parts[PLACES.getBrokerName] ?? ""
})

const NUMBERS = ["getCkQueueOffset", "getPopTime", "getInvisibleTime"] as const

const keyOf = ({ consumerGroup, queueId, topic }: Omit<Asked, "offset">, handle: Handle): CheckpointKey => ({
  group: consumerGroup,
  topic,
  queueId,
  startOffset: handle.startOffset,
  popTime: handle.popTime,
  reviveQid: handle.reviveQid,
  brokerName: handle.brokerName
})

const changed = (answer: ChangeInvisibleTime.ChangeInvisibleTimeAnswer): Response => ({
  ...ChangeInvisibleTime.response(answer),
  remark: Remarks.NO_CODE_SET
})

/**
 * Acknowledgements of popped messages (200051, 200151) and changes of their invisible time (200053).
 *
 * Source: RocketMQ `AckMessageProcessor`, `ChangeInvisibleTimeProcessor`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { state } = broker

  /** Why the message cannot be one of this broker's. */
  const refusal = ({ queueId, topic }: Asked, channel: Channel): Response | undefined => {
    const config = state.topics.get(topic)
    if (config === undefined) return Reply.refuse(ResponseCode.TOPIC_NOT_EXIST, Remarks.topicNotExistPull(topic))
    return queueId >= config.readQueueNums || queueId < 0
      ? Reply.refuse(
          ResponseCode.MESSAGE_ILLEGAL,
          PopChecks.queueIllegal(queueId, topic, config.readQueueNums, channel.remoteAddress)
        )
      : undefined
  }

  /** Wakes who waits for more of a queue that is popped in order. */
  const wake = (topic: string, group: string, queueId: number): void => {
    if (!broker.pops.wake(topic, group, -1)) broker.pops.wake(topic, group, queueId)
  }

  const acknowledgeInOrder = (
    { consumerGroup: group, offset, queueId, topic }: Asked,
    popTime: Long.Long,
    channel: Channel
  ): Response | undefined => {
    const old = state.offsets.query(group, topic, queueId) ?? -1
    if (offset < old) return undefined
    const queue = { group, topic, queueId }
    const next = state.ordered.acknowledge(queue, popTime, offset)
    if (next === "none") return undefined
    if (next === "illegal") {
      return Reply.refuse(
        ResponseCode.MESSAGE_ILLEGAL,
        `offset is illegal, key:${topic}@${group}@${queueId}, old:${old}, commit:${offset}, next:-1, ${JavaNames.socketAddress(channel.remoteAddress)}`
      )
    }
    if (state.offsets.pendingReset(group, topic, queueId) === undefined) {
      state.offsets.commit(group, topic, queueId, next)
    }
    if (!state.ordered.isBlocked(queue, undefined)) wake(topic, group, queueId)
    return undefined
  }

  const acknowledge = Reply.sync((request, channel) => {
    const header = AckMessage.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const refused = refusal(header, channel)
    if (refused !== undefined) return refused
    const { offset, queueId, topic } = header
    const { max, min } = state.store.offsets(topic, queueId)
    if (offset < min || offset > max) {
      const remark = `offset is illegal, key:${topic}@${queueId}, commit:${offset}, store:${min}~${max}`
      return Reply.refuse(ResponseCode.NO_MESSAGE, remark)
    }
    const parts = partsOf(header.extraInfo)
    const wrong = unreadable(parts, ["getBrokerName", "getReviveQid", ...NUMBERS])
    if (wrong !== undefined) return wrong
    const handle = handleOf(parts)
    if (handle.reviveQid === ORDER_REVIVE_QUEUE) {
      return acknowledgeInOrder(header, handle.popTime, channel) ?? AckMessage.response()
    }
    state.popped.acknowledge(keyOf(header, handle), offset)
    return AckMessage.response()
  })

  /** Acknowledges one entry; what this broker does not have is passed over. */
  const acknowledgeAll = (
    ack: BatchAckMessage.BatchAck,
    brokerName: string,
    channel: Channel
  ): Response | undefined => {
    const topic = BatchAckMessage.realTopicOf(ack)
    const { consumerGroup, popTime, queueId, startOffset } = ack
    const { max, min } = state.store.offsets(topic, queueId)
    const key = { ...ack, group: consumerGroup, topic, reviveQid: ack.reviveQueueId, brokerName }
    let refused: Response | undefined
    for (const index of ack.indexes) {
      const offset = Long.add(startOffset, index)
      if (offset < min || offset > max) continue
      if (ack.reviveQueueId !== ORDER_REVIVE_QUEUE) state.popped.acknowledge(key, offset)
      else refused = acknowledgeInOrder({ consumerGroup, topic, queueId, offset }, popTime, channel) ?? refused
    }
    return refused
  }

  const acknowledgeBatch = Reply.sync((request, channel) => {
    const nothing: Response = { code: ResponseCode.NO_MESSAGE }
    if (request.body.length === 0) return nothing
    const body = BatchAckMessage.decodeRequest(request)
    if (body instanceof DecodeError) return Reply.malformed(body)
    if (body.acks.length === 0) return nothing
    let refused: Response | undefined
    for (const ack of body.acks) refused = acknowledgeAll(ack, body.brokerName, channel) ?? refused
    return refused ?? BatchAckMessage.response()
  })

  const changeInOrder = (header: ChangeInvisibleTime.ChangeInvisibleTimeHeader, handle: Handle): Response => {
    const { consumerGroup: group, offset, queueId, topic } = header
    if (offset < (state.offsets.query(group, topic, queueId) ?? -1)) {
      return changed({ popTime: 0, invisibleTime: 0, reviveQid: 0 })
    }
    const visibleAt = Long.add(broker.now(), header.invisibleTime)
    state.ordered.setVisibleAt({ group, topic, queueId }, handle.popTime, offset, Number(visibleAt))
    // Who waits for the queue waits until another time now.
    wake(topic, group, queueId)
    return changed({
      popTime: handle.popTime,
      invisibleTime: Long.subtract(visibleAt, handle.popTime),
      reviveQid: handle.reviveQid
    })
  }

  /** A checkpoint of its own for the message, and the old handle is acknowledged; nobody asks whether it still held. */
  const changeOne = (header: ChangeInvisibleTime.ChangeInvisibleTimeHeader, handle: Handle): Response => {
    const now = broker.now()
    const key = { ...keyOf(header, handle), startOffset: header.offset }
    // Two handles of one message are never the same here, though no time goes by.
    let popTime = now
    while (state.popped.has({ ...key, popTime })) popTime += 1
    const isKnown = handle.reviveQid >= 0 && handle.reviveQid < REVIVE_QUEUES && handle.brokerName === broker.name
    if (isKnown) {
      if (!state.popped.hasRoom(header.consumerGroup, 1)) {
        return failed
      }
      const visibleAt = Long.add(now, header.invisibleTime)
      state.popped.add({ ...key, popTime, offsets: [Number(header.offset)], visibleAt })
      state.popped.acknowledge(keyOf(header, handle), header.offset)
    }
    return changed({ popTime, invisibleTime: header.invisibleTime, reviveQid: handle.reviveQid })
  }

  const change = Reply.sync((request, channel) => {
    const header = ChangeInvisibleTime.decodeRequest(request)
    if (header instanceof DecodeError) return Reply.malformed(header)
    const refused = refusal(header, channel)
    if (refused !== undefined) return PopChecks.withFields(refused, zeros)
    const { max, min } = state.store.offsets(header.topic, header.queueId)
    if (header.offset < min || header.offset >= max) {
      return { code: ResponseCode.NO_MESSAGE, remark: Remarks.NO_CODE_SET, extFields: zeros }
    }
    const parts = partsOf(header.extraInfo)
    const handle = handleOf(parts)
    const isInOrder = handle.reviveQid === ORDER_REVIVE_QUEUE
    const wrong = unreadable(parts, ["getReviveQid", isInOrder ? "getPopTime" : "getBrokerName"])
    if (wrong !== undefined) return wrong
    if (isInOrder) return changeInOrder(header, handle)
    const answer = changeOne(header, handle)
    // Read too late: the message is hidden by then, and nothing is acknowledged.
    return unreadable(parts, NUMBERS) === undefined ? answer : failed
  })

  return new Map([
    [RequestCode.ACK_MESSAGE, acknowledge],
    [RequestCode.BATCH_ACK_MESSAGE, acknowledgeBatch],
    [RequestCode.CHANGE_MESSAGE_INVISIBLETIME, change]
  ])
}
