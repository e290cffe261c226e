import type { MessageQueue } from "../message/MessageQueue.ts"
import { brokerNameOf, type TopicPublishInfo } from "./TopicPublishInfo.ts"

/**
 * The next queue in turn, one of another broker than `lastBroker` where there is one. Undefined only when there is no
 * queue at all.
 *
 * Source: RocketMQ `MQFaultStrategy.selectOneMessageQueue` with `sendLatencyEnable` off.
 */
export const selectOneMessageQueue = (
  info: TopicPublishInfo,
  lastBroker: string | undefined
): MessageQueue | undefined => {
  const { queues, turn } = info
  const size = queues.length
  if (size === 0) return undefined
  const avoid = lastBroker !== undefined && info.brokerCount > 1
  for (let i = 0; i < size; i++) {
    const at = turn.next % size
    // Never a count that wraps: where it wraps, some queues would miss a turn.
    turn.next = at + 1
    const queue = queues[at]
    if (queue === undefined || !avoid || brokerNameOf(info, queue) !== lastBroker) return queue
  }
  return undefined
}
