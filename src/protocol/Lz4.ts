import { Context, Effect, Schema } from "effect"

/**
 * LZ4 frames: a codec from the optional package `lz4-napi`, and a measure of what a frame unpacks to, because the codec
 * knows no limit.
 */

/** A body that needs LZ4, and no codec for it. */
export class CompressionUnavailable extends Schema.TaggedError<CompressionUnavailable>()("CompressionUnavailable", {
  /** The compression that was asked for. */
  compression: Schema.Literals(["LZ4"]),
  /** The package that was looked for. */
  library: Schema.String,
  /** What loading the library failed with. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    return (
      `${this.compression} needs the package ${this.library}, which cannot be loaded. ` +
      `Install it (npm install ${this.library}), or let producers use ZLIB or ZSTD, which are built in.`
    )
  }
}

/** A codec of LZ4 frames; both functions reject for input that they cannot take. */
export interface Lz4Codec {
  /** Packs into one LZ4 frame (magic 04 22 4d 18), as Java clients write it. */
  readonly compressFrame: (data: Uint8Array) => Promise<Uint8Array>
  /** Unpacks one LZ4 frame; rejects what is none. */
  readonly decompressFrame: (frame: Uint8Array) => Promise<Uint8Array>
}

/** A codec from a module that may be absent; `load` imports it, the first time somebody needs it. */
export const fromModule = (load: () => Promise<Lz4Codec>): Effect.Effect<Lz4Codec, CompressionUnavailable> =>
  Effect.tryPromise({
    try: load,
    catch: (cause) => new CompressionUnavailable({ compression: "LZ4", library: "lz4-napi", cause })
  })

/** Where the LZ4 codec comes from: by default the optional peer dependency `lz4-napi`. Provide it to use another. */
export const Lz4Library: Context.Reference<Effect.Effect<Lz4Codec, CompressionUnavailable>> = Context.Reference<
  Effect.Effect<Lz4Codec, CompressionUnavailable>
>("effect-rocketmq/protocol/Lz4Library", {
  // Bundlers take an import within a `try` for one of something that may be absent: webpack no other, esbuild that as well.
  defaultValue: () =>
    fromModule(async () => {
      try {
        return await import("lz4-napi")
      } catch (cause) {
        return await Promise.reject(cause)
      }
    })
})

const FRAME_MAGIC = 0x184d_2204
const SKIPPABLE_MAGIC = 0x184d_2a50
/** Producers write one frame. Each is a way to another thread and back, and a body has room for a million empty ones. */
const MAX_FRAMES = 1_024

/** One frame within some bytes, and how many bytes it unpacks to. */
export interface Lz4Frame {
  readonly start: number
  readonly end: number
  readonly outputLength: number
}

/**
 * Finds the frames in `bytes` and what they unpack to, without unpacking: linear in the packed length. Stops with
 * `too-large` once they would unpack to more than `maxOutputLength` bytes, and with `corrupt` for anything but whole
 * frames one behind the other.
 *
 * ```text
 * int32LE magic | FLG | BD | int64LE content size, if FLG bit 3 | int32LE dictionary, if FLG bit 0 | header checksum
 * blocks: int32LE size (top bit: stored as it is), data, checksum if FLG bit 4
 * int32 0 | content checksum, if FLG bit 2
 * ```
 */
export const measure = (
  bytes: Uint8Array,
  maxOutputLength: number
): ReadonlyArray<Lz4Frame> | "corrupt" | "too-large" => {
  const b = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const frames: Array<Lz4Frame> = []
  let total = 0
  let at = 0
  while (at < b.length) {
    const start = at
    if (b.length - at < 8) return "corrupt"
    const magic = b.readUInt32LE(at)
    if ((magic & 0xffff_fff0) === SKIPPABLE_MAGIC) {
      at += 8 + b.readUInt32LE(at + 4)
      if (at > b.length) return "corrupt"
      continue
    }
    const flags = b[at + 4] ?? 0
    if (magic !== FRAME_MAGIC || flags >> 6 !== 1) return "corrupt"
    const blockChecksum = (flags & 16) === 0 ? 0 : 4
    at += 7 + ((flags & 8) === 0 ? 0 : 8) + ((flags & 1) === 0 ? 0 : 4)
    const frameStart = total
    for (;;) {
      if (b.length - at < 4) return "corrupt"
      const word = b.readUInt32LE(at)
      at += 4
      if (word === 0) break
      const size = word & 0x7fff_ffff
      if (size > b.length - at) return "corrupt"
      const length = word >= 0x8000_0000 ? size : blockLength(b, at, at + size)
      if (length < 0) return "corrupt"
      total += length
      if (total > maxOutputLength) return "too-large"
      at += size + blockChecksum
    }
    at += (flags & 4) === 0 ? 0 : 4
    if (at > b.length) return "corrupt"
    if (frames.push({ start, end: at, outputLength: total - frameStart }) > MAX_FRAMES) return "corrupt"
  }
  return frames
}

/**
 * What one block unpacks to, or -1. A block is a run of sequences: a token with two lengths of four bits, either of which
 * 15 extends by further bytes up to one below 255; literals; and, but for the last sequence, a match of 4 bytes at least.
 */
const blockLength = (b: Buffer, start: number, end: number): number => {
  let at = start
  let length = 0
  const extended = (nibble: number): number => {
    let value = nibble
    if (nibble < 15) return value
    for (;;) {
      const byte = at < end ? (b[at++] ?? 0) : 0
      value += byte
      if (byte !== 255) return value
    }
  }
  while (at < end) {
    const token = b[at++] ?? 0
    const literals = extended(token >> 4)
    at += literals
    length += literals
    if (at > end) return -1
    if (at === end) return length
    at += 2
    length += extended(token & 15) + 4
    if (at > end) return -1
  }
  return length
}
