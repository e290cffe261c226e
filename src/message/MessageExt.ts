import { encodeOffsetMessageId } from "./MessageId.ts"

/**
 * What a broker's log has of a message, field by field.
 *
 * Source: RocketMQ `MessageDecoder`.
 */
export interface StoredFields {
  /** The topic that it lies in, which for a retry is the group's retry topic. */
  readonly topic: string
  /** As it was sent: packed if `sysFlag` says so, until a reader unpacks it. */
  readonly body: Uint8Array
  /** All properties, those of the system (`UNIQ_KEY`, `KEYS`, `TAGS`, ...) included. */
  readonly properties: Readonly<Record<string, string>>
  /** A 32-bit int that RocketMQ carries and does not read. */
  readonly flag: number
  /** The queue's number on its broker, 0 up. */
  readonly queueId: number
  /** Position in the queue, 0 up. */
  readonly queueOffset: number
  /** Position in the broker's commit log, in bytes. */
  readonly commitLogOffset: number
  /** See `SysFlag`. */
  readonly sysFlag: number
  /** Milliseconds since the epoch on the sender's clock; rounded beyond 2^53, which a client of another kind may send. */
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
  /** How often consumers of a group have given the message back; 0 for one that none has. */
  readonly reconsumeTimes: number
  /** Where the half message of a committed one lies in the commit log, in bytes; 0 for other messages. */
  readonly preparedTransactionOffset: number
}

/**
 * A message as a broker stored it: what a pull, a view or a query returns. The ids, keys and tags stand in the other
 * fields already and were read out of them when the message was; a copy with other `properties` keeps them as they are.
 *
 * Source: RocketMQ `MessageExt`, `MessageClientExt`.
 */
export interface MessageExt extends StoredFields {
  /**
   * The sender's unique id (`UNIQ_KEY`), the same for all copies of a message; {@link offsetMsgId} where the sender
   * gave none. It is what the sender wrote, so that it may hold any characters.
   */
  readonly msgId: string
  /** The broker's id: its address and the commit log offset, in hex. Empty for a reply, which lies in no log. */
  readonly offsetMsgId: string
  /** The keys by which the message can be queried (`KEYS`, taken apart at spaces); empty when it has none. */
  readonly keys: ReadonlyArray<string>
  /** The tag, by which consumers filter (`TAGS`); undefined when it has none. */
  readonly tags: string | undefined
  /** The id of the transaction that a half or committed message belongs to: the sender's id. Undefined for others. */
  readonly transactionId: string | undefined
}

/** The keys in a `KEYS` property. Source: RocketMQ `IndexService.buildIndex`, which passes over empty ones as well. */
export const keysOf = (text: string | undefined): ReadonlyArray<string> =>
  text === undefined || text === "" ? [] : text.includes(" ") ? text.split(" ").filter((key) => key !== "") : [text]

/** A message of its stored fields and the broker's id of it, which is made of them unless it is given. */
export const make = (
  fields: StoredFields,
  offsetMsgId: string = encodeOffsetMessageId(fields.storeHost, fields.commitLogOffset)
): MessageExt => {
  const { properties } = fields
  const unique = properties["UNIQ_KEY"]
  return {
    ...fields,
    msgId: unique ?? offsetMsgId,
    offsetMsgId,
    keys: keysOf(properties["KEYS"]),
    tags: properties["TAGS"],
    transactionId: properties["TRAN_MSG"] === "true" ? unique : undefined
  }
}
