import type { MessageExt } from "../message/MessageExt.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"

/**
 * A message as a handler gets it: the body unpacked, the topic the one that was sent to, without the namespace.
 *
 * Source: RocketMQ `MessageExt`, `MessageClientExt`.
 */
export interface ReceivedMessage extends MessageExt {
  /** The broker that it was read from. */
  readonly brokerName: string
  /** Which delivery to the group this is, over all members and restarts: 1 for the first (`reconsumeTimes` + 1). */
  readonly attempt: number
  /** The queue that it was read from: of the group's retry topic when it comes again. */
  readonly queue: MessageQueue
}
