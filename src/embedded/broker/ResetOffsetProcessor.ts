import { Effect } from "effect"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as MixAll from "../../message/MixAll.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import * as ResetConsumerClientOffset from "../../protocol/push/ResetConsumerClientOffset.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import { RequestCode } from "../../protocol/RequestCode.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { ResetOffsetHeader } from "../../protocol/request/ResetOffset.ts"
import * as ResetOffset from "../../protocol/request/ResetOffset.ts"
import type { Broker } from "./Broker.ts"
import type { Handler, Handlers } from "../server/Handler.ts"
import * as Reply from "../server/Reply.ts"

type Offsets = ReadonlyArray<readonly [queue: MessageQueue, offset: number]>

/**
 * Where a group reads on (222): the broker keeps the offsets and tells each queue's next pull, or, without
 * `useServerSideResetOffset` and before 5.0.0, tells the group's consumers at once (220).
 *
 * Source: RocketMQ `AdminBrokerProcessor.resetOffset`, `Broker2Client.resetOffset`.
 */
export const handlers = (broker: Broker): Handlers => {
  const { config, state } = broker
  const serverSide = config.useServerSideResetOffset && config.version >= MQVersion.V5_0_0

  const offsetAt = (topic: string, queueId: number, timestamp: number): number =>
    timestamp < 0
      ? state.store.offsets(topic, queueId).max
      : state.store.offsetByTime(topic, queueId, timestamp, "LOWER")

  const queueAt = (topic: string, queueId: number): MessageQueue => ({ topic, brokerName: broker.name, queueId })

  /** The new offsets, or why there are none. */
  const compute = (header: ResetOffsetHeader, readQueueNums: number): Response | Offsets => {
    const { offset, queueId = -1, timestamp, topic } = header
    if (queueId < 0) {
      return Array.from({ length: readQueueNums }, (_, index) => [
        queueAt(topic, index),
        offsetAt(topic, index, timestamp)
      ])
    }
    if (offset === undefined || offset === -1) return [[queueAt(topic, queueId), offsetAt(topic, queueId, timestamp)]]
    const { max, min } = state.store.offsets(topic, queueId)
    return offset < min || offset > max + 1
      ? Reply.refuse(ResponseCode.SYSTEM_ERROR, `Target offset ${offset} not in consume queue range [${min}-${max}]`)
      : [[queueAt(topic, queueId), offset]]
  }

  const refusal = (header: ResetOffsetHeader): Response | undefined => {
    if (broker.id !== MixAll.MASTER_ID) {
      return Reply.refuse(ResponseCode.SYSTEM_ERROR, "Can not reset offset in slave broker")
    }
    if (state.topics.get(header.topic) === undefined) {
      return Reply.refuse(ResponseCode.TOPIC_NOT_EXIST, `Topic ${header.topic} does not exist`)
    }
    return state.groups.get(header.group) === undefined
      ? Reply.refuse(ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, `Group ${header.group} does not exist`)
      : undefined
  }

  const keep = (group: string, offsets: Offsets): Response => {
    for (const [queue, offset] of offsets) state.offsets.reset(group, queue.topic, queue.queueId, offset)
    return ResetOffset.response({ offsetTable: offsets })
  }

  const tell = (header: ResetOffsetHeader, offsets: Offsets): Effect.Effect<Response> => {
    const channels = broker.clients.consumerGroup(header.group)?.channels ?? []
    if (channels.length === 0) {
      return Effect.succeed(
        Reply.refuse(
          ResponseCode.CONSUMER_NOT_ONLINE,
          `Consumer not online, so can not reset offset, Group: ${header.group} Topic: ${header.topic} Timestamp: ${header.timestamp}`
        )
      )
    }
    const push = ResetConsumerClientOffset.request(header, { offsetTable: offsets })
    return Effect.as(
      Effect.forEach(channels, ({ channel }) => channel.send(push, { oneway: true }), { discard: true }),
      ResetOffset.response({ offsetTable: offsets })
    )
  }

  const reset: Handler = (request) =>
    Effect.suspend(() => {
      const header = ResetOffset.decodeRequest(request)
      if (header instanceof DecodeError) return Effect.succeed(Reply.malformed(header))
      const refused = refusal(header)
      if (refused !== undefined) return Effect.succeed(refused)
      const offsets = compute(header, state.topics.get(header.topic)?.readQueueNums ?? 0)
      if ("code" in offsets) return Effect.succeed(offsets)
      return serverSide ? Effect.sync(() => keep(header.group, offsets)) : tell(header, offsets)
    })

  return new Map([[RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, reset]])
}
