import { decodeBinaryHeader, writeBinaryHeader } from "./BinaryHeader.ts"
import type { ExtFields } from "./ExtFields.ts"
import { FrameError } from "./FrameError.ts"
import { decodeJsonHeader, writeJsonHeader } from "./JsonHeader.ts"
import { make as makeOutputBuffer, type OutputBuffer } from "./OutputBuffer.ts"

export type { ExtFields } from "./ExtFields.ts"

/**
 * Frames and what they carry.
 *
 * ```text
 * offset  size          field
 * 0       4             length of all that follows: 4 + header + body
 * 4       1             serialize type: 0 JSON, 1 ROCKETMQ binary
 * 5       3             header length
 * 8       header length header
 * ...     the rest      body
 * ```
 *
 * Source: RocketMQ `RemotingCommand`.
 */

/** How a frame's header is written. Source: RocketMQ `SerializeType`. */
export type SerializeType = "JSON" | "ROCKETMQ"

/** One frame, decoded: a request, an answer or a one-way request, by its `flag`. */
export interface RemotingCommand {
  /** A `RequestCode` in a request, a `ResponseCode` in an answer. */
  readonly code: number
  /** What the sender is written in, a name of `LanguageCode`; any text in a frame that was received. */
  readonly language: string
  /** The sender's release, see `MQVersion`. */
  readonly version: number
  /** The sender's number for a request; an answer repeats it. A 32-bit int. */
  readonly opaque: number
  /** {@link RESPONSE_FLAG} and {@link ONEWAY_FLAG}. */
  readonly flag: number
  /** Text for people, the reason of a failure in answers; undefined when absent. */
  readonly remark: string | undefined
  /** Undefined when absent, `{}` when present and empty (the binary form knows only absent). */
  readonly extFields: ExtFields | undefined
  /** Zero length when absent: the wire does not tell the two apart. */
  readonly body: Uint8Array
  readonly serializeType: SerializeType
}

/** The `extFields` of a request that can write them as JSON without a record. */
export interface FieldsText {
  /** More bytes than this are not written. */
  readonly maxBytes: number
  /** Appends the JSON object, which must say what the record says; the room is there. */
  readonly put: (out: OutputBuffer) => void
}

/** What a sender builds; `opaque`, `flag`, `version` and `language` are the connection's. */
export interface Request {
  readonly code: number
  /** Text for people; few requests have one. */
  readonly remark?: string | undefined
  readonly extFields: ExtFields | undefined
  /** The same as text, in the requests that are sent most. Hooks get requests without it. */
  readonly fieldsText?: FieldsText | undefined
  readonly body?: Uint8Array | undefined
}

/** What a receiver answers; the connection adds the rest. */
export interface Response {
  readonly code: number
  readonly remark?: string | undefined
  readonly extFields?: ExtFields | undefined
  readonly body?: Uint8Array | undefined
}

/** Bit of `flag`: the frame is an answer. */
export const RESPONSE_FLAG = 1
/** Bit of `flag`: the sender expects no answer. */
export const ONEWAY_FLAG = 2

/** Whether the frame answers a request. */
export const isResponse = (cmd: RemotingCommand): boolean => (cmd.flag & RESPONSE_FLAG) !== 0

/** Whether the sender expects no answer. */
export const isOneway = (cmd: RemotingCommand): boolean => (cmd.flag & ONEWAY_FLAG) !== 0

/** The body of a frame that has none. */
export const emptyBody: Uint8Array = new Uint8Array(0)

/**
 * Appends one whole frame to the buffer. A command that the binary header cannot hold (a code above 32767) is written
 * with a JSON header, which every peer reads.
 */
export const encodeInto = (out: OutputBuffer, cmd: RemotingCommand): void => {
  if (cmd.serializeType === "ROCKETMQ" && writeBinaryHeader(out, cmd)) return
  writeJsonHeader(out, cmd)
}

/** One command as a frame of its own. On a connection use {@link encodeInto}. */
export const encode = (cmd: RemotingCommand): Uint8Array => {
  const out = makeOutputBuffer(1024 + cmd.body.length)
  encodeInto(out, cmd)
  return out.take()
}

/**
 * Decodes a frame that starts behind its length field. The body shares the frame's memory.
 *
 * Returns a {@link FrameError} for anything that is no frame; never throws.
 */
export const decodeFrame = (frame: Uint8Array): RemotingCommand | FrameError =>
  decodeFrameAt(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength), 0, frame.length, readJsonHeader)

/** Reads the JSON header that lies in `buffer` from `start` to `end`; `body` goes into the command as it is. */
export type JsonHeaderReader = (
  buffer: Buffer,
  start: number,
  end: number,
  body: Uint8Array
) => RemotingCommand | FrameError

const readJsonHeader: JsonHeaderReader = (buffer, start, end, body) =>
  decodeJsonHeader(buffer.toString("utf8", start, end), body)

/** Decodes the frame that lies in `buffer` from `start` (behind its length field) to `end`; see {@link decodeFrame}. */
export const decodeFrameAt = (
  buffer: Buffer,
  start: number,
  end: number,
  readJson: JsonHeaderReader
): RemotingCommand | FrameError => {
  if (end - start < 4)
    return new FrameError({ kind: "length", detail: `a frame of ${end - start} bytes has no header` })
  const word = buffer.readUInt32BE(start)
  const type = word >>> 24
  const headerLength = word & 0xffffff
  const header = start + 4
  const headerEnd = header + headerLength
  if (headerEnd > end) {
    return new FrameError({
      kind: "headerLength",
      detail: `a header of ${headerLength} bytes in a frame of ${end - start}`
    })
  }
  const body =
    headerEnd === end ? emptyBody : new Uint8Array(buffer.buffer, buffer.byteOffset + headerEnd, end - headerEnd)
  if (type === 0) return readJson(buffer, header, headerEnd, body)
  if (type === 1) return decodeBinaryHeader(buffer, header, headerEnd, body)
  return new FrameError({ kind: "serializeType", detail: `type ${type} is neither JSON (0) nor ROCKETMQ (1)` })
}
