import { decodeBinaryHeader, writeBinaryHeader } from "./BinaryHeader.ts"
import { FrameError } from "./FrameError.ts"
import { decodeJsonHeader, type JsonHeaderReader, writeJsonHeader } from "./JsonHeader.ts"
import { make as makeOutputBuffer, type OutputBuffer } from "./OutputBuffer.ts"
import { emptyBody, type RemotingCommand } from "./RemotingCommand.ts"

/**
 * A command as a frame, and back.
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
