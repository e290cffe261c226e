import { crc32 } from "node:zlib"
import * as MessageExts from "../message/MessageExt.ts"
import type { MessageExt, StoredFields } from "../message/MessageExt.ts"
import { SysFlag } from "../message/SysFlag.ts"
import { DecodeError } from "./DecodeError.ts"
import { parseHost } from "../message/HostAddress.ts"
import { fromBigInt, type Long } from "./Long.ts"
import * as MessageProperties from "./MessageProperties.ts"
import { SharedTexts } from "./SharedTexts.ts"
import * as Utf8 from "./Utf8.ts"

/**
 * Messages as a broker stores them; answers to pull, view and query carry them one behind the other.
 *
 * ```text
 * int32 size of this entry | int32 magic | int32 body CRC | int32 queueId | int32 flag
 * int64 queueOffset | int64 commitLogOffset | int32 sysFlag
 * int64 bornTimestamp | born host: 4 or 16 bytes, int32 port
 * int64 storeTimestamp | store host: 4 or 16 bytes, int32 port
 * int32 reconsumeTimes | int64 preparedTransactionOffset
 * int32 length, body (as sent, so possibly compressed)
 * int8 length (magic V1) or int16 length (V2), topic
 * int16 length, properties
 * ```
 *
 * Source: RocketMQ `MessageDecoder`, `MessageVersion`.
 */

/** Magic of entries whose topic length is one byte. */
export const MESSAGE_MAGIC_V1 = -626_843_481
/** Magic of entries whose topic length is two bytes; brokers use it for topics of more than 127 bytes. */
export const MESSAGE_MAGIC_V2 = -626_843_477

const MAX_V1_TOPIC_LENGTH = 127
/** Everything but hosts, body, topic and properties, with a topic length of one byte. */
const FIXED_LENGTH = 75

const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)

/** What the log has of a message, and nothing of it rounded. */
export interface ExactFields extends Omit<StoredFields, "bornTimestamp"> {
  /** As the sender filled it, with any 64-bit int: milliseconds since the epoch unless it counts in something else. */
  readonly bornTimestamp: Long
}

/** CRC-32 of a body as it is stored: with the top bit cleared. */
export const bodyCRC = (body: Uint8Array): number => crc32(body) & 0x7fff_ffff

/**
 * Writes a message as a broker stores it. Size, magic, body CRC and the host bits of `sysFlag` are computed, not taken
 * from the message. The encoded properties must not exceed 32767 bytes (`MAX_PROPERTIES_LENGTH`), which a broker checks
 * when it takes the message; a RangeError otherwise.
 */
export const encode = (message: Omit<ExactFields, "storeSize" | "bodyCRC">): Uint8Array => {
  const topic = Buffer.from(message.topic, "utf8")
  const properties = Buffer.from(MessageProperties.encode(message.properties), "utf8")
  const born = parseHost(message.bornHost)
  const store = parseHost(message.storeHost)
  const long = topic.length > MAX_V1_TOPIC_LENGTH
  const size =
    FIXED_LENGTH +
    (born.ip.length + 4) +
    (store.ip.length + 4) +
    message.body.length +
    (long ? 1 : 0) +
    topic.length +
    properties.length
  const out = Buffer.allocUnsafeSlow(size)
  let at = out.writeInt32BE(size, 0)
  at = out.writeInt32BE(long ? MESSAGE_MAGIC_V2 : MESSAGE_MAGIC_V1, at)
  at = out.writeInt32BE(bodyCRC(message.body), at)
  at = out.writeInt32BE(message.queueId, at)
  at = out.writeInt32BE(message.flag, at)
  at = writeLong(out, message.queueOffset, at)
  at = writeLong(out, message.commitLogOffset, at)
  const hostBits =
    (born.ip.length === 16 ? SysFlag.BORNHOST_V6 : 0) | (store.ip.length === 16 ? SysFlag.STOREHOST_V6 : 0)
  at = out.writeInt32BE((message.sysFlag & ~(SysFlag.BORNHOST_V6 | SysFlag.STOREHOST_V6)) | hostBits, at)
  at = writeLong(out, message.bornTimestamp, at)
  out.set(born.ip, at)
  at = out.writeInt32BE(born.port, at + born.ip.length)
  at = writeLong(out, message.storeTimestamp, at)
  out.set(store.ip, at)
  at = out.writeInt32BE(store.port, at + store.ip.length)
  at = out.writeInt32BE(message.reconsumeTimes, at)
  at = writeLong(out, message.preparedTransactionOffset, at)
  at = out.writeInt32BE(message.body.length, at)
  out.set(message.body, at)
  at += message.body.length
  at = long ? out.writeInt16BE(topic.length, at) : out.writeInt8(topic.length, at)
  out.set(topic, at)
  at = out.writeInt16BE(properties.length, at + topic.length)
  out.set(properties, at)
  return new Uint8Array(out.buffer)
}

const writeLong = (out: Buffer, value: Long, at: number): number => {
  if (typeof value === "bigint") return out.writeBigInt64BE(value, at)
  const low = value % 0x1_0000_0000
  const unsigned = low < 0 ? low + 0x1_0000_0000 : low
  out.writeInt32BE((value - unsigned) / 0x1_0000_0000, at)
  return out.writeUInt32BE(unsigned, at + 4)
}

/** What was read: the messages before the first bad entry, and what was wrong with that one. */
export interface DecodedMessages<A = MessageExt> {
  /** Those before the first that cannot be read, in their order. */
  readonly messages: ReadonlyArray<A>
  /** What is wrong with the first that cannot be read; undefined when all that were wanted were read. */
  readonly error: DecodeError | undefined
  /** Whether there are bytes behind the messages: what cannot be read, or more messages than were wanted. */
  readonly more: boolean
}

/** Reads entries one behind the other, up to the first bad one, and no more than `max`. */
const decodeEach = <A>(
  bytes: Uint8Array,
  code: number,
  max: number,
  finish: (fields: ExactFields, buffer: Buffer, start: number, shared: SharedTexts) => A
): DecodedMessages<A> => {
  const buffer = bufferOf(bytes)
  const shared = new SharedTexts()
  const messages: Array<A> = []
  let at = 0
  while (at < buffer.length && messages.length < max) {
    const fields = decodeAt(buffer, at, shared)
    if (typeof fields === "string") {
      const error = new DecodeError({ code, field: `message[${messages.length}]`, detail: fields })
      return { messages, error, more: true }
    }
    messages.push(finish(fields, buffer, at, shared))
    at += fields.storeSize
  }
  return { messages, error: undefined, more: at < buffer.length }
}

const isPlain = (fields: ExactFields): fields is StoredFields => typeof fields.bornTimestamp === "number"

/** The message of an entry, with the broker's id of it: the store host and the commit log offset, as they stand here. */
const messageAt = (fields: ExactFields, b: Buffer, start: number, shared: SharedTexts): MessageExt => {
  const bornV6 = (fields.sysFlag & SysFlag.BORNHOST_V6) !== 0
  const storeV6 = (fields.sysFlag & SysFlag.STOREHOST_V6) !== 0
  const id = shared.offsetMsgId(b, start + (bornV6 ? 76 : 64), storeV6, start + 28)
  const stored = isPlain(fields) ? fields : { ...fields, bornTimestamp: Number(fields.bornTimestamp) }
  return MessageExts.make(stored, id)
}

/**
 * Reads stored messages one behind the other, up to the first bad entry, and no more than `max`. Bodies share memory with
 * `bytes`. A time of birth beyond 2^53 is rounded.
 */
export const decodeAll = (bytes: Uint8Array, code = -1, max = Infinity): DecodedMessages =>
  decodeEach(bytes, code, max, messageAt)

/** The same with nothing rounded, and without what stands in other fields already. */
export const decodeExact = (bytes: Uint8Array, code = -1): DecodedMessages<ExactFields> =>
  decodeEach(bytes, code, Infinity, (fields) => fields)

/** Reads the entry at `start`, or says what is wrong with it. */
const decodeAt = (b: Buffer, start: number, shared: SharedTexts): ExactFields | string => {
  if (b.length - start < 40) return "it ends inside an entry"
  const storeSize = b.readInt32BE(start)
  const end = start + storeSize
  if (storeSize < 0 || end > b.length) return `an entry of ${storeSize} bytes`
  const magic = b.readInt32BE(start + 4)
  const long = magic === MESSAGE_MAGIC_V2
  if (!long && magic !== MESSAGE_MAGIC_V1) return `magic ${magic}`
  const sysFlag = b.readInt32BE(start + 36)
  const bornV6 = (sysFlag & SysFlag.BORNHOST_V6) !== 0
  const storeV6 = (sysFlag & SysFlag.STOREHOST_V6) !== 0
  const bornAt = start + 48
  const storeTimeAt = bornAt + (bornV6 ? 20 : 8)
  const storeAt = storeTimeAt + 8
  const reconsumeAt = storeAt + (storeV6 ? 20 : 8)
  const bodyAt = reconsumeAt + 16
  if (bodyAt > end) return "it ends before the body"
  const bodyLength = b.readInt32BE(bodyAt - 4)
  const topicLengthBytes = long ? 2 : 1
  const topicAt = bodyAt + bodyLength + topicLengthBytes
  if (bodyLength < 0 || topicAt > end) return `a body of ${bodyLength} bytes`
  const topicLength = long ? b.readInt16BE(topicAt - 2) : b.readInt8(topicAt - 1)
  const propertiesAt = topicAt + topicLength + 2
  if (topicLength < 0 || propertiesAt > end) return `a topic of ${topicLength} bytes`
  const propertiesLength = b.readInt16BE(propertiesAt - 2)
  if (propertiesLength < 0 || propertiesAt + propertiesLength > end) return `properties of ${propertiesLength} bytes`

  const queueOffset = readLong(b, start + 20)
  const commitLogOffset = readLong(b, start + 28)
  const born = readLong(b, start + 40)
  const storeTimestamp = readLong(b, storeTimeAt)
  const preparedTransactionOffset = readLong(b, reconsumeAt + 4)
  if (
    !Number.isSafeInteger(queueOffset) ||
    !Number.isSafeInteger(commitLogOffset) ||
    !Number.isSafeInteger(storeTimestamp) ||
    !Number.isSafeInteger(preparedTransactionOffset)
  ) {
    return "an offset or a time above 2^53"
  }
  return {
    topic: shared.topic(b, topicAt, topicAt + topicLength),
    body: new Uint8Array(b.buffer, b.byteOffset + bodyAt, bodyLength),
    properties: shared.properties(b, propertiesAt, propertiesAt + propertiesLength),
    flag: b.readInt32BE(start + 16),
    queueId: b.readInt32BE(start + 12),
    queueOffset,
    commitLogOffset,
    sysFlag,
    // The sender's own; the others are a broker's.
    bornTimestamp: Number.isSafeInteger(born) ? born : (fromBigInt(b.readBigInt64BE(start + 40)) ?? born),
    bornHost: shared.bornHost(b, bornAt, bornV6),
    storeTimestamp,
    storeHost: shared.storeHost(b, storeAt, storeV6),
    bodyCRC: b.readInt32BE(start + 8),
    storeSize,
    reconsumeTimes: b.readInt32BE(reconsumeAt),
    preparedTransactionOffset
  }
}

const readLong = (b: Buffer, at: number): number => b.readInt32BE(at) * 0x1_0000_0000 + b.readUInt32BE(at + 4)

/**
 * One message of a batch send.
 *
 * Source: RocketMQ `MessageDecoder.encodeMessages`.
 */
export interface BatchPart {
  /** The user's number of the message, any 32-bit int; RocketMQ does not look at it. */
  readonly flag: number
  /** The body, never packed: brokers unpack a batch part by part. */
  readonly body: Uint8Array
  /** Encoded by `MessageProperties.encode`. */
  readonly properties: string
}

const BATCH_FIXED_LENGTH = 22

/**
 * Writes the body of a batch send: per message
 *
 * ```text
 * int32 size | int32 magic 0 | int32 CRC 0 | int32 flag | int32 length, body | int16 length, properties
 * ```
 */
export const encodeBatch = (parts: ReadonlyArray<BatchPart>): Uint8Array => {
  let size = 0
  for (const { body, properties } of parts) size += BATCH_FIXED_LENGTH + body.length + Buffer.byteLength(properties)
  const out = roomFor(size)
  let at = 0
  for (const { body, flag, properties } of parts) {
    const start = at
    out.fill(0, at + 4, at + 12)
    at = out.writeInt32BE(flag, start + 12)
    at = out.writeInt32BE(body.length, at)
    out.set(body, at)
    at += body.length
    const length = out.write(properties, at + 2, "utf8")
    out.writeInt16BE(length, at)
    at += 2 + length
    out.writeInt32BE(at - start, start)
  }
  return new Uint8Array(out.buffer, out.byteOffset, out.length)
}

const SLAB_BYTES = 512 * 1024
let slab = Buffer.alloc(0)

/** Room in a piece of memory that several batches share: to get one for each would cost more than to fill it. */
const roomFor = (size: number): Buffer => {
  if (size > SLAB_BYTES / 4) return Buffer.allocUnsafeSlow(size)
  if (slab.length < size) slab = Buffer.allocUnsafeSlow(SLAB_BYTES)
  const room = slab.subarray(0, size)
  slab = slab.subarray(size)
  return room
}

/**
 * Reads the body of a batch send: of its messages those from the `from`th on, counted from 0, and no more than `max`. Bodies
 * share memory with `bytes`.
 */
export const decodeBatch = (
  bytes: Uint8Array,
  code = -1,
  { from = 0, max = Infinity }: { readonly from?: number; readonly max?: number } = {}
): ReadonlyArray<BatchPart> | DecodeError => {
  const b = bufferOf(bytes)
  const parts: Array<BatchPart> = []
  let index = 0
  const bad = (detail: string): DecodeError => new DecodeError({ code, field: `batch[${index}]`, detail })
  let at = 0
  while (at < b.length && parts.length < max) {
    if (b.length - at < BATCH_FIXED_LENGTH) return bad("it ends inside an entry")
    const size = b.readInt32BE(at)
    const end = at + size
    const bodyLength = b.readInt32BE(at + 16)
    const propertiesAt = at + BATCH_FIXED_LENGTH + bodyLength
    if (size < BATCH_FIXED_LENGTH || end > b.length) return bad(`an entry of ${size} bytes`)
    if (bodyLength < 0 || propertiesAt > end) return bad(`a body of ${bodyLength} bytes`)
    const propertiesLength = b.readInt16BE(propertiesAt - 2)
    if (propertiesLength < 0 || propertiesAt + propertiesLength > end) {
      return bad(`properties of ${propertiesLength} bytes`)
    }
    if (index++ >= from) {
      parts.push({
        flag: b.readInt32BE(at + 12),
        body: new Uint8Array(b.buffer, b.byteOffset + at + 20, bodyLength),
        properties: Utf8.read(b, propertiesAt, propertiesAt + propertiesLength)
      })
    }
    at = end
  }
  return parts
}

/** Java's `String.hashCode`, by which brokers filter tags. */
export const javaHashCode = (text: string): number => {
  let hash = 0
  for (let i = 0; i < text.length; i++) hash = (Math.imul(31, hash) + text.charCodeAt(i)) | 0
  return hash
}
