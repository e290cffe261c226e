import { keysOf, type MessageExt } from "../../message/MessageExt.ts"
import * as MessageCodec from "../../protocol/MessageCodec.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"

/** A message on its way into the log: all but the offsets. Source: RocketMQ `MessageExtBrokerInner`. */
export type MessageInner = Omit<MessageCodec.ExactFields, "queueOffset" | "commitLogOffset" | "storeSize" | "bodyCRC">

/** One message in the log: its bytes as a pull returns them, and what the indexes need. Source: RocketMQ `CommitLog`. */
export interface StoredEntry {
  /** The topic. */
  readonly topic: string
  /** The queue, 0 up. */
  readonly queueId: number
  /** Position in the queue, 0 up. */
  readonly queueOffset: number
  /** Position in the log, in bytes. */
  readonly physicalOffset: number
  /** Milliseconds since the epoch on the broker's clock. */
  readonly storeTimestamp: number
  /** Java hash of the tag, 0 without one; what a pull filters by. */
  readonly tagsCode: number
  /** `U#id`, `K#key` and `T#tag` under which a query finds it. */
  readonly indexKeys: ReadonlyArray<string>
  /** The whole entry as it lies in the log, and as a pull returns it. */
  readonly bytes: Uint8Array
}

/** The bytes of a message as they lie in the log at these offsets. */
export const encode = (message: MessageInner, queueOffset: number, commitLogOffset: number): Uint8Array =>
  MessageCodec.encode({ ...message, queueOffset, commitLogOffset })

/** Reads an entry back, as a client does. */
export const decode = (entry: StoredEntry): ReadonlyArray<MessageExt> => MessageCodec.decodeAll(entry.bytes).messages

/** Reads an entry back to store a message that is made from it. */
export const read = (entry: StoredEntry): MessageCodec.ExactFields | undefined =>
  MessageCodec.decodeExact(entry.bytes).messages[0]

/** The number a pull filters by. Source: RocketMQ `MessageExtBrokerInner.tagsString2tagsCode`. */
export const tagsCode = (properties: MessageExt["properties"]): number => {
  const tags = properties[MessageConst.TAGS]
  return tags === undefined ? 0 : MessageCodec.javaHashCode(tags)
}

/** Under what a query finds the message: its unique id, each of its keys, its tag. Source: RocketMQ `IndexService`. */
export const indexKeys = (properties: MessageExt["properties"]): ReadonlyArray<string> => {
  const found: Array<string> = []
  const unique = properties[MessageConst.UNIQ_KEY]
  if (unique !== undefined) found.push(`U#${unique}`)
  for (const key of new Set(keysOf(properties[MessageConst.KEYS]))) found.push(`K#${key}`)
  const tags = properties[MessageConst.TAGS]
  if (tags !== undefined) found.push(`T#${tags}`)
  return found
}
