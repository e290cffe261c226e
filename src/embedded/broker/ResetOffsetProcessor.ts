import { Effect } from "effect"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import type { Long } from "../../protocol/Long.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import * as ResetConsumerClientOffset from "../../protocol/push/ResetConsumerClientOffset.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { ResetOffsetHeader } from "../../protocol/request/ResetOffset.ts"
import * as ResetOffset from "../../protocol/request/ResetOffset.ts"
import type { TopicConfig } from "../../protocol/TopicConfig.ts"
import type { Broker } from "./Broker.ts"
import type { Handler, Handlers } from "../server/Handler.ts"
import * as JavaNames from "../server/JavaNames.ts"
import * as Remarks from "../server/Remarks.ts"
import * as Reply from "../server/Reply.ts"

type KeptOffsets = ReadonlyArray<readonly [queue: MessageQueue, offset: number]>
type Offsets = ReadonlyArray<readonly [queue: MessageQueue, offset: Long]>

/**
 * Where a group reads on (222): the broker keeps the offsets and tells each queue's next pull, or, without
 * `useServerSideResetOffset` and before 5.0.0, tells the group's consumers at once (220).
 *
 * Source: RocketMQ `AdminBrokerProcessor.resetOffset`, `Broker2Client.resetOffset`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  const { offsets, store } = state
  const legacy = config.version < MQVersion.V5_0_0

  const queueAt = (topic: string, queueId: number): MessageQueue => ({ topic, brokerName: broker.name, queueId })

  /** The offsets that the broker keeps, or why there are none. */
  const kept = (header: ResetOffsetHeader, readQueueNums: number): Response | KeptOffsets => {
    const { offset, queueId = -1, timestamp, topic } = header
    const offsetAt = (id: number): number =>
      timestamp < 0 ? store.offsets(topic, id).max : store.offsetByTime(topic, id, timestamp, "LOWER")
    if (queueId < 0) {
      return Array.from({ length: readQueueNums }, (_, id) => [queueAt(topic, id), offsetAt(id)])
    }
    if (offset === undefined || offset === -1) return [[queueAt(topic, queueId), offsetAt(queueId)]]
    const { max, min } = store.offsets(topic, queueId)
    return offset < min || offset > max + 1
      ? Reply.refuse(ResponseCode.SYSTEM_ERROR, `Target offset ${offset} not in consume queue range [${min}-${max}]`)
      : [[queueAt(topic, queueId), Number(offset)]]
  }

  const keep = (header: ResetOffsetHeader): Response => {
    const { group, topic } = header
    if (broker.id !== MixAll.MASTER_ID) {
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, "Can not reset offset in slave broker")
    }
    const topicConfig = state.topics.get(topic)
    if (topicConfig === undefined) return Reply.refuse(ResponseCode.TOPIC_NOT_EXIST, `Topic ${topic} does not exist`)
    if (state.groups.get(group) === undefined) {
      return Reply.refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${group} does not exist`)
    }
    const found = kept(header, topicConfig.readQueueNums)
    if ("code" in found) return found
    for (const [queue, offset] of found) offsets.reset(group, topic, queue.queueId, offset)
    return ResetOffset.response({ offsetTable: found })
  }

  /** The offsets that consumers are told: without force no group moves forward. Undefined for a group that never committed. */
  const told = (header: ResetOffsetHeader, topicConfig: TopicConfig): Offsets | undefined => {
    const { group, isForce, timestamp, topic } = header
    const found: Array<readonly [MessageQueue, Long]> = []
    for (let id = 0; id < topicConfig.writeQueueNums; id++) {
      const current = offsets.query(group, topic, id)
      if (current === undefined) return undefined
      const boundary = legacy ? "NEAREST" : "LOWER"
      const target =
        timestamp === -1 ? store.offsets(topic, id).max : store.offsetByTime(topic, id, timestamp, boundary)
      found.push([queueAt(topic, id), isForce || target < current ? target : current])
    }
    return found
  }

  const tell = (header: ResetOffsetHeader): Effect.Effect<Response> => {
    const { group, timestamp, topic } = header
    const topicConfig = state.topics.get(topic)
    if (topicConfig === undefined) {
      const remark = `[reset-offset] reset offset failed, no topic in this broker. topic=${topic}`
      return Effect.succeed(Reply.refuse(legacy ? ResponseCode.SYSTEM_ERROR : ResponseCode.TOPIC_NOT_EXIST, remark))
    }
    const found = told(header, topicConfig)
    if (found === undefined) {
      return Effect.succeed(Reply.refuse(ResponseCode.SYSTEM_ERROR, `THe consumer group <${group}> not exist`))
    }
    const channels = broker.clients.consumerGroup(group)?.channels ?? []
    if (channels.length === 0) {
      const remark = `Consumer not online, so can not reset offset, Group: ${group} Topic: ${topic} Timestamp: ${timestamp}`
      return Effect.succeed(Reply.refuse(ResponseCode.CONSUMER_NOT_ONLINE, remark))
    }
    const push = ResetConsumerClientOffset.request({ topic, group, timestamp, isForce: false }, { offsetTable: found })
    // Nobody behind one that is too old is told.
    const old = channels.find(({ version }) => version < JavaNames.V3_0_7_SNAPSHOT)
    return Effect.as(
      Effect.forEach(
        old === undefined ? channels : channels.slice(0, channels.indexOf(old)),
        ({ channel }) => channel.send(push, { oneway: true }),
        { discard: true }
      ),
      old === undefined
        ? { ...ResetOffset.response({ offsetTable: found }), remark: Remarks.NO_CODE_SET }
        : Reply.refuse(ResponseCode.SYSTEM_ERROR, Remarks.clientUnsupported(JavaNames.releaseName(old.version)))
    )
  }

  const reset: Handler = (request) =>
    Effect.suspend(() => {
      const header = ResetOffset.decodeRequest(request)
      if (header instanceof DecodeError) return Effect.succeed(Reply.malformed(header))
      return config.useServerSideResetOffset && !legacy ? Effect.sync(() => keep(header)) : tell(header)
    })

  return new Map([[RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, reset]])
}
