import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { OffsetWrapper } from "../../protocol/request/GetConsumeStats.ts"
import type { BrokerState } from "../store/BrokerState.ts"

/** How far a group has read one queue, as statistics tell it (208, 317). Source: RocketMQ `AdminBrokerProcessor`. */
export const make = (
  { offsets, store }: BrokerState,
  group: string,
  { queueId, topic }: MessageQueue
): OffsetWrapper => {
  const consumerOffset = offsets.query(group, topic, queueId) ?? 0
  const pulled = offsets.queryPull(group, topic, queueId) ?? 0
  return {
    brokerOffset: store.offsets(topic, queueId).max,
    consumerOffset,
    pullOffset: pulled > consumerOffset ? pulled : consumerOffset,
    lastTimestamp: store.read(topic, queueId, Number(consumerOffset) - 1)?.storeTimestamp ?? 0
  }
}
