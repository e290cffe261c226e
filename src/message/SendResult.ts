import type { MessageQueue } from "./MessageQueue.ts"

/**
 * How durable an accepted message is. All four mean that the broker stored it.
 *
 * - `SEND_OK`: stored as the broker's configuration asks.
 * - `FLUSH_DISK_TIMEOUT`: stored, but the synchronous flush to disk was not confirmed in time.
 * - `FLUSH_SLAVE_TIMEOUT`: stored, but the replica did not confirm in time.
 * - `SLAVE_NOT_AVAILABLE`: stored, but the broker asks for a replica and has none.
 *
 * Source: RocketMQ `SendStatus`.
 */
export type SendStatus = "SEND_OK" | "FLUSH_DISK_TIMEOUT" | "FLUSH_SLAVE_TIMEOUT" | "SLAVE_NOT_AVAILABLE"

/** What a broker answered to a send. Source: RocketMQ `SendResult`. */
export interface SendResult {
  /**
   * How durably it is stored. Anything but SEND_OK is no failure: the message is stored, and may be lost with its
   * broker.
   */
  readonly status: SendStatus
  /** The id this client made (property `UNIQ_KEY`); the same over all attempts, so consumers can de-duplicate by it. */
  readonly msgId: string
  /** The id the broker made: its address and the commit log offset, in hex. */
  readonly offsetMsgId: string
  /** Where the message lies. */
  readonly queue: MessageQueue
  /** Its position in that queue. */
  readonly queueOffset: number
  /** How many times the message was sent, 1 for a send that succeeded at once. More than 1 may mean a duplicate. */
  readonly attempts: number
  /** Whether the topic was unknown and the route was borrowed from the template topic TBW102. */
  readonly borrowedRoute: boolean
  /** The broker's region, `DefaultRegion` unless configured. */
  readonly regionId: string
  /** Whether the broker allows message traces. */
  readonly traceOn: boolean
  /** The transaction id; equals `msgId`. Absent when the broker sends none (4.x). */
  readonly transactionId?: string | undefined
  /** By which a message with an exact time can be recalled (`producer.recallMessage`); brokers from 5.3 on send it. */
  readonly recallHandle?: string | undefined
}
