import { FrameError } from "./FrameError.ts"
import { makeShapeReader } from "./HeaderShape.ts"
import { decodeFrameAt } from "./FrameCodec.ts"
import type { RemotingCommand } from "./RemotingCommand.ts"

export { FrameError, type FrameErrorKind } from "./FrameError.ts"

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
 * {@link MAX_FRAME_LENGTH}.
 *
 * Work is linear in the bytes received however they are cut; the length of a frame is checked before anything of it is
 * kept, and memory for an unfinished frame is taken as its bytes arrive.
 */
export const makeFrameDecoder = (options?: { readonly maxFrameLength?: number | undefined }): FrameDecoder => {
  const limit = options?.maxFrameLength ?? MAX_FRAME_LENGTH
  // An unfinished frame: its first bytes, length field included, lie in partial[0..filled).
  let partial = Buffer.allocUnsafeSlow(0)
  let filled = 0
  let failed: FrameError | undefined
  const readJson = makeShapeReader()

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
