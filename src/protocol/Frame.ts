import { decodeBinaryHeader, writeBinaryHeader } from "./BinaryHeader.ts"
import { FrameError } from "./FrameError.ts"
import { makeShapeReader } from "./HeaderShape.ts"
import { decodeJsonHeader, type JsonHeaderReader, writeJsonHeader } from "./JsonHeader.ts"
import { fixed, LENT_BYTES, make as makeOutputBuffer, MAX_NUMBER_BYTES, type OutputBuffer } from "./OutputBuffer.ts"
import { emptyBody, ONEWAY_FLAG, type RemotingCommand, type Request, type SerializeType } from "./RemotingCommand.ts"
import * as Utf8 from "./Utf8.ts"

export { FrameError, type FrameErrorKind } from "./FrameError.ts"

/**
 * A command as a frame, and back: one by one, or all of a connection.
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
  return out.bytes.subarray(out.start, out.end)
}

/** What a connection puts into each of its requests. */
export interface RequestEncoderOptions {
  /** The sender's language, a name of `LanguageCode`. */
  readonly language: string
  /** The sender's release as RocketMQ numbers it, a value of `MQVersion`. */
  readonly version: number
  /** How headers are written. */
  readonly serializeType: SerializeType
}

/**
 * Appends a request as one frame. The body of one that is answered is lent where it is large; that of a one-way request is
 * copied, as nobody hears when it has left.
 */
export type RequestEncoder = (out: OutputBuffer, request: Request, opaque: number, flag: number) => void

/**
 * Makes the encoder of a connection. It writes what `encodeInto` would write; the header of a request that can write its
 * own fields is put together from bytes, without a record, a text or a copy in between.
 */
export const makeRequestEncoder = (options: RequestEncoderOptions): RequestEncoder => {
  const { language, serializeType, version } = options
  const code = fixed('{"code":')
  const extFields = fixed(',"extFields":')
  const flagField = fixed(',"flag":')
  const opaqueField = fixed(`,"language":${JSON.stringify(language)},"opaque":`)
  const end = fixed(`,"serializeTypeCurrentRPC":"JSON","version":${version}}`)
  const room =
    8 + code.length + extFields.length + flagField.length + opaqueField.length + end.length + 3 * MAX_NUMBER_BYTES

  return (out, request, opaque, flag) => {
    const { fieldsText } = request
    const body = request.body ?? emptyBody
    if (fieldsText === undefined || serializeType !== "JSON" || request.remark !== undefined) {
      const { code: requestCode, extFields: fields, remark } = request
      encodeInto(out, {
        code: requestCode,
        language,
        version,
        opaque,
        flag,
        remark,
        extFields: fields,
        body,
        serializeType
      })
      return
    }
    const lent = body.length >= LENT_BYTES && (flag & ONEWAY_FLAG) === 0
    out.reserve(room + fieldsText.maxBytes + (lent ? 0 : body.length))
    const start = out.end
    try {
      out.end = start + 8
      out.putBytes(code)
      out.putNumber(request.code)
      out.putBytes(extFields)
      fieldsText.put(out)
      out.putBytes(flagField)
      out.putNumber(flag)
      out.putBytes(opaqueField)
      out.putNumber(opaque)
      out.putBytes(end)
      const headerLength = out.end - start - 8
      out.bytes.writeInt32BE(4 + headerLength + body.length, start)
      out.bytes.writeInt32BE(headerLength & 0xffffff, start + 4)
      if (lent) out.lend(body)
      else if (body.length > 0) out.putBytes(body)
    } catch (error) {
      // Nothing of a frame that is not whole stays behind.
      out.end = start
      throw error
    }
  }
}

/**
 * Decodes a frame that starts behind its length field. The body shares the frame's memory.
 *
 * Returns a {@link FrameError} for anything that is no frame; never throws.
 */
export const decodeFrame = (frame: Uint8Array): RemotingCommand | FrameError =>
  decodeFrameAt(Buffer.from(frame.buffer, frame.byteOffset, frame.byteLength), 0, frame.length, readJsonHeader)

const readJsonHeader: JsonHeaderReader = (buffer, start, end, body) =>
  decodeJsonHeader(Utf8.read(buffer, start, end), body)

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

/**
 * Largest frame in bytes, its length field included: 16 MiB. Source: RocketMQ `com.rocketmq.remoting.frameMaxLength`.
 */
export const MAX_FRAME_LENGTH = 16_777_216

const LENGTH_BYTES = 4
const FIRST_ALLOCATION = 65_536

/** Turns the chunks of one connection into frames. */
export interface FrameDecoder {
  /**
   * Takes the next chunk and returns the frames that are whole now, in order, and the error that ended the stream, if
   * any. After an error every push returns that error and nothing else: the stream has lost its place.
   *
   * The decoder may keep no reference to the chunk, but a frame's body can: the body of a frame that lies whole in one
   * chunk is a view into that chunk, so the caller must not write to the chunk again.
   */
  readonly push: (chunk: Uint8Array) => {
    readonly commands: ReadonlyArray<RemotingCommand>
    readonly error: FrameError | undefined
  }
  /** Bytes of an unfinished frame that wait for the rest. */
  readonly pending: number
}

const checkLength = (length: number, limit: number): FrameError | undefined => {
  if (length >= LENGTH_BYTES && length <= limit - LENGTH_BYTES) return undefined
  return new FrameError({
    kind: "length",
    detail:
      length < LENGTH_BYTES
        ? `the frame says it has ${length} bytes`
        : `the frame says it has ${length} bytes, above the limit of ${limit}`
  })
}

/**
 * Makes a decoder for one connection. `maxFrameLength` is in bytes with the length field, default
 * {@link MAX_FRAME_LENGTH}; `headerText` reads the text of a header in JSON, as Java does unless told otherwise.
 *
 * Work is linear in the bytes received however they are cut; the length of a frame is checked before anything of it is
 * kept, and memory for an unfinished frame is taken as its bytes arrive.
 */
export const makeFrameDecoder = (options?: {
  readonly maxFrameLength?: number | undefined
  readonly headerText?: Utf8.TextReader | undefined
}): FrameDecoder => {
  const limit = options?.maxFrameLength ?? MAX_FRAME_LENGTH
  // An unfinished frame: its first bytes, length field included, lie in partial[0..filled).
  let partial = Buffer.allocUnsafeSlow(0)
  let filled = 0
  let failed: FrameError | undefined
  const readJson = makeShapeReader(options?.headerText)

  /** Copies bytes of the chunk behind the unfinished frame, up to `total` of its bytes. Returns how many were taken. */
  const keep = (bytes: Buffer, from: number, total: number): number => {
    const count = Math.min(total - filled, bytes.length - from)
    const wanted = filled + count
    if (partial.length < wanted) {
      // Doubling up to the frame's length: linear copying, and no allocation ahead of what the peer has really sent.
      const next = Buffer.allocUnsafeSlow(Math.min(total, Math.max(wanted, partial.length * 2, FIRST_ALLOCATION)))
      partial.copy(next, 0, 0, filled)
      partial = next
    }
    bytes.copy(partial, filled, from, from + count)
    filled = wanted
    return count
  }

  const push: FrameDecoder["push"] = (chunk) => {
    const commands: Array<RemotingCommand> = []
    if (failed !== undefined) return { commands, error: failed }
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength)
    let at = 0

    // Finish what the last chunk began.
    while (filled > 0 && at < bytes.length) {
      if (filled < LENGTH_BYTES) {
        at += keep(bytes, at, LENGTH_BYTES)
        if (filled < LENGTH_BYTES) break
      }
      const length = partial.readInt32BE(0)
      failed = checkLength(length, limit)
      if (failed !== undefined) break
      at += keep(bytes, at, LENGTH_BYTES + length)
      if (filled < LENGTH_BYTES + length) break
      const frame = partial
      partial = Buffer.allocUnsafeSlow(0)
      filled = 0
      const command = decodeFrameAt(frame, LENGTH_BYTES, LENGTH_BYTES + length, readJson)
      if (command instanceof FrameError) failed = command
      else commands.push(command)
    }

    // Whole frames are decoded where they lie.
    while (failed === undefined && bytes.length - at >= LENGTH_BYTES) {
      const length = bytes.readInt32BE(at)
      failed = checkLength(length, limit)
      if (failed !== undefined || bytes.length - at - LENGTH_BYTES < length) break
      const command = decodeFrameAt(bytes, at + LENGTH_BYTES, at + LENGTH_BYTES + length, readJson)
      at += LENGTH_BYTES + length
      if (command instanceof FrameError) failed = command
      else commands.push(command)
    }

    if (failed !== undefined) {
      partial = Buffer.allocUnsafeSlow(0)
      filled = 0
    } else if (at < bytes.length) {
      const rest = bytes.length - at
      keep(bytes, at, rest >= LENGTH_BYTES ? LENGTH_BYTES + bytes.readInt32BE(at) : LENGTH_BYTES)
    }
    return { commands, error: failed }
  }

  return {
    push,
    get pending() {
      return filled
    }
  }
}
