import type { ReceivedMessage } from "../../consumer/ReceivedMessage.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"

/** What of one queue was acknowledged. */
export interface QueueCount {
  readonly queue: MessageQueue.MessageQueue
  consumed: number
}

/** What a run of `consume` has come to, while it goes on and afterwards. Times are milliseconds of the monotonic clock. */
export interface ConsumeStats {
  /** Messages that were acknowledged. */
  consumed: number
  /** Deliveries that were given back. */
  failed: number
  /** When the first delivery began, and the last one so far; undefined before. */
  firstDelivery: number | undefined
  lastDelivery: number | undefined
  /** When the last acknowledgement was made; undefined before. */
  lastAcknowledged: number | undefined
  /** By queue; of the retry topic for messages that came again. */
  readonly queues: Map<string, QueueCount>
}

/** Nothing consumed yet. */
export const emptyStats = (): ConsumeStats => ({
  consumed: 0,
  failed: 0,
  firstDelivery: undefined,
  lastDelivery: undefined,
  lastAcknowledged: undefined,
  queues: new Map()
})

/** A message was given to the handler. */
export const delivered = (stats: ConsumeStats, now: number): void => {
  stats.firstDelivery ??= now
  stats.lastDelivery = now
}

/** A message was acknowledged. */
export const acknowledged = (stats: ConsumeStats, { queue }: ReceivedMessage, now: number): void => {
  stats.consumed++
  stats.lastAcknowledged = now
  const key = MessageQueue.key(queue)
  const known = stats.queues.get(key)
  if (known === undefined) stats.queues.set(key, { queue, consumed: 1 })
  else known.consumed++
}

/** From the first delivery to the last acknowledgement. */
export const millisOf = ({ firstDelivery, lastAcknowledged }: ConsumeStats): number =>
  firstDelivery === undefined || lastAcknowledged === undefined ? 0 : Math.max(0, lastAcknowledged - firstDelivery)

/** Messages a second over that time. */
export const rateOf = (stats: ConsumeStats): number => {
  const millis = millisOf(stats)
  return millis === 0 ? 0 : stats.consumed / (millis / 1_000)
}
