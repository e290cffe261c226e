/**
 * A message as a broker stored it: what a pull, a view or a query returns.
 *
 * Source: RocketMQ `MessageExt`.
 */
export interface MessageExt {
  readonly topic: string
  readonly body: Uint8Array
  /** All properties, those of the system (`UNIQ_KEY`, `KEYS`, `TAGS`, ...) included. */
  readonly properties: Readonly<Record<string, string>>
  readonly flag: number
  readonly queueId: number
  /** Position in the queue, 0 up. */
  readonly queueOffset: number
  /** Position in the broker's commit log, in bytes. */
  readonly commitLogOffset: number
  /** See `SysFlag`. */
  readonly sysFlag: number
  /** Milliseconds since the epoch on the sender's clock. */
  readonly bornTimestamp: number
  /** `ip:port` of the sender as the broker saw it. */
  readonly bornHost: string
  /** Milliseconds since the epoch on the broker's clock. */
  readonly storeTimestamp: number
  /** `ip:port` of the broker. */
  readonly storeHost: string
  /** CRC-32 of the stored (possibly compressed) body, with the top bit cleared. */
  readonly bodyCRC: number
  /** Bytes that the entry takes in the broker's log. */
  readonly storeSize: number
  readonly reconsumeTimes: number
  readonly preparedTransactionOffset: number
}
