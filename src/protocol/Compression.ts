import * as Zlib from "node:zlib"
import { Effect, Schema } from "effect"
import { SysFlag } from "../message/SysFlag.ts"
import { type CompressionUnavailable, type Lz4Codec, Lz4Library, measure } from "./Lz4.ts"

export { CompressionUnavailable, Lz4Library } from "./Lz4.ts"

/** How a body is packed. Source: RocketMQ `CompressionType`. */
export type CompressionType = "ZLIB" | "LZ4" | "ZSTD"

/** Largest body that is unpacked unless told otherwise: 32 MiB. */
export const DEFAULT_MAX_OUTPUT_LENGTH = 33_554_432

/**
 * A compressed body that could not be unpacked.
 *
 * - `unsupported`: a type nobody assigned, or LZ4 where only built-in codecs are used
 * - `too-large`: it would unpack to more than the limit
 * - `corrupt`: it is not what `sysFlag` says
 */
export class CompressionError extends Schema.TaggedError<CompressionError>()("CompressionError", {
  /** Which of the three it is; see above. */
  kind: Schema.Literals(["unsupported", "too-large", "corrupt"]),
  /** The compression that the flags of the message name; `UNKNOWN` for type bits that nobody assigned. */
  compression: Schema.Literals(["ZLIB", "LZ4", "ZSTD", "UNKNOWN"]),
  /** What the codec said, or which limit was passed. */
  detail: Schema.String
}) {
  override get message(): string {
    const remedy =
      this.kind === "unsupported"
        ? "Unpack the body with decompressEffect, which knows LZ4, or let the producer use ZLIB or ZSTD."
        : this.kind === "too-large"
          ? "Raise the limit if the message is meant to be that large."
          : "The message was damaged or its sysFlag is wrong."
    return `A message body packed with ${this.compression} cannot be unpacked (${this.kind}): ${this.detail}. ${remedy}`
  }
}

/** How a body with these flags is packed; undefined when it is not. Type bits 0 are ZLIB, as old clients leave them. */
export const compressionOf = (sysFlag: number): "ZLIB" | "LZ4" | "ZSTD" | "UNKNOWN" | undefined => {
  if ((sysFlag & SysFlag.COMPRESSED) === 0) return undefined
  switch (sysFlag & SysFlag.COMPRESSION_MASK) {
    case 0:
    case SysFlag.COMPRESSION_ZLIB:
      return "ZLIB"
    case SysFlag.COMPRESSION_LZ4:
      return "LZ4"
    case SysFlag.COMPRESSION_ZSTD:
      return "ZSTD"
    default:
      return "UNKNOWN"
  }
}

/** The bits of `sysFlag` that say that a body is packed, and how. */
export const sysFlagOf = (type: CompressionType): number => SysFlag.COMPRESSED | SysFlag[`COMPRESSION_${type}`]

/** `sysFlag` of a body that was unpacked: as in Java the type bits stay. */
export const clearCompressed = (sysFlag: number): number => sysFlag & ~SysFlag.COMPRESSED

/** Limits of {@link decompress} and {@link decompressEffect}. */
export interface DecompressOptions {
  /** In bytes; default {@link DEFAULT_MAX_OUTPUT_LENGTH}. What would be larger is an error, never cut off. */
  readonly maxOutputLength?: number | undefined
}

/**
 * Unpacks a stored body by its flags with what Node has built in; a body that is not packed comes back as it is. LZ4 is
 * `unsupported` here, see {@link decompressEffect}.
 *
 * Source: RocketMQ `CompressionType`, `Compressor`.
 */
export const decompress = (
  body: Uint8Array,
  sysFlag: number,
  options?: DecompressOptions
): Uint8Array | CompressionError => {
  const compression = compressionOf(sysFlag)
  if (compression === undefined || body.length === 0) return body
  if (compression === "LZ4" || compression === "UNKNOWN") return unsupported(compression)
  const maxOutputLength = options?.maxOutputLength ?? DEFAULT_MAX_OUTPUT_LENGTH
  try {
    const unpack = compression === "ZLIB" ? Zlib.inflateSync : Zlib.zstdDecompressSync
    return view(unpack(body, { maxOutputLength }))
  } catch (cause) {
    return unpackError(compression, body, maxOutputLength, cause instanceof RangeError)
  }
}

const view = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)

const unsupported = (compression: "LZ4" | "UNKNOWN"): CompressionError =>
  new CompressionError({ kind: "unsupported", compression, detail: "it needs a codec that is not built in" })

const unpackError = (
  compression: CompressionType,
  body: Uint8Array,
  maxOutputLength: number,
  tooLarge: boolean
): CompressionError =>
  new CompressionError({
    kind: tooLarge ? "too-large" : "corrupt",
    compression,
    detail: tooLarge ? `it has more than ${maxOutputLength} bytes` : `its ${body.length} bytes are damaged`
  })

/** Bodies up to so many bytes are packed at once: that takes less time than to hand them to another thread. */
const INLINE_COMPRESS_BYTES = 32_768
/** The same for unpacking: packed bodies up to so many bytes are tried at once. */
const INLINE_DECOMPRESS_BYTES = 4_096
/**
 * What is unpacked at once may become so long, which takes a tenth of a millisecond. A body may become thirty thousand
 * times as long as it is packed, so that what becomes longer begins again on another thread.
 */
export const INLINE_OUTPUT_BYTES = 65_536
/** Piece by piece a large body is unpacked; each piece is a way to the other thread and back. */
const MIN_CHUNK_BYTES = 16_384
const MAX_CHUNK_BYTES = 262_144

/**
 * Unpacks a stored body by its flags, LZ4 included; a body that is not packed comes back as it is. What is
 * large, packed or unpacked ({@link INLINE_OUTPUT_BYTES}), is unpacked off the main thread.
 *
 * Fails with {@link CompressionUnavailable} for LZ4 without `lz4-napi`.
 *
 * Source: RocketMQ `CompressionType`, `Compressor`.
 */
export const decompressEffect = (
  body: Uint8Array,
  sysFlag: number,
  options?: DecompressOptions
): Effect.Effect<Uint8Array, CompressionError | CompressionUnavailable> =>
  Effect.suspend((): Effect.Effect<Uint8Array, CompressionError | CompressionUnavailable> => {
    const compression = compressionOf(sysFlag)
    if (compression === undefined || body.length === 0) return Effect.succeed(body)
    if (compression === "UNKNOWN") return Effect.fail(unsupported(compression))
    const maxOutputLength = options?.maxOutputLength ?? DEFAULT_MAX_OUTPUT_LENGTH
    if (compression === "LZ4") {
      return Effect.flatMap(Effect.flatten(Lz4Library), (codec) => unpackLz4(codec, body, maxOutputLength))
    }
    if (body.length <= INLINE_DECOMPRESS_BYTES) {
      const limit = Math.min(maxOutputLength, INLINE_OUTPUT_BYTES)
      const out = decompress(body, sysFlag, { maxOutputLength: limit })
      if (!(out instanceof CompressionError)) return Effect.succeed(out)
      if (out.kind !== "too-large" || limit === maxOutputLength) return Effect.fail(out)
    }
    const chunkSize = Math.min(MAX_CHUNK_BYTES, Math.max(MIN_CHUNK_BYTES, maxOutputLength >>> 3))
    return Effect.callback((resume) => {
      const done = (cause: Error | null, out: Buffer) =>
        resume(
          cause === null
            ? Effect.succeed(view(out))
            : Effect.fail(unpackError(compression, body, maxOutputLength, cause instanceof RangeError))
        )
      if (compression === "ZLIB") Zlib.inflate(body, { chunkSize, maxOutputLength }, done)
      else Zlib.zstdDecompress(body, { chunkSize, maxOutputLength }, done)
    })
  })

/** The codec has no limit and reads one frame only, so the frames are found and measured first. */
const unpackLz4 = (
  codec: Lz4Codec,
  body: Uint8Array,
  maxOutputLength: number
): Effect.Effect<Uint8Array, CompressionError> => {
  const error = (tooLarge: boolean) => unpackError("LZ4", body, maxOutputLength, tooLarge)
  const frames = measure(body, maxOutputLength)
  if (typeof frames === "string") return Effect.fail(error(frames === "too-large"))
  const unpackFrame = (frame: (typeof frames)[number]) =>
    Effect.flatMap(
      Effect.tryPromise({
        try: () => codec.decompressFrame(body.subarray(frame.start, frame.end)),
        catch: () => error(false)
      }),
      (out) => (out.length === frame.outputLength ? Effect.succeed(out) : Effect.fail(error(false)))
    )
  return Effect.map(Effect.forEach(frames, unpackFrame), (parts) => {
    const [first] = parts
    return view(parts.length === 1 && first !== undefined ? first : Buffer.concat(parts))
  })
}

/** How {@link compress} packs. */
export interface CompressOptions {
  /** Default `ZLIB` (Java `compressType`). */
  readonly type?: CompressionType | undefined
  /** Default 5 (Java `compressLevel`); kept within 0 to 9 for ZLIB and 1 to 22 for ZSTD. LZ4 has none. */
  readonly level?: number | undefined
}

/**
 * Packs a body; the send then carries {@link sysFlagOf} its type. Equal bodies become equal bytes. Large bodies are
 * packed off the main thread.
 *
 * Fails with {@link CompressionUnavailable} for LZ4 without `lz4-napi`.
 *
 * Source: RocketMQ `Compressor`, `DefaultMQProducerImpl.tryToCompressMessage`.
 */
export const compress = (
  body: Uint8Array,
  options?: CompressOptions
): Effect.Effect<Uint8Array, CompressionUnavailable> =>
  Effect.suspend((): Effect.Effect<Uint8Array, CompressionUnavailable> => {
    const type = options?.type ?? "ZLIB"
    if (type === "LZ4") {
      return Effect.flatMap(Effect.flatten(Lz4Library), (codec) =>
        Effect.map(
          Effect.promise(() => codec.compressFrame(body)),
          view
        )
      )
    }
    const level = Math.trunc(options?.level ?? DEFAULT_LEVEL)
    const zlib = { level: Math.min(9, Math.max(0, level)) }
    const zstd = { params: { [Zlib.constants.ZSTD_c_compressionLevel]: Math.min(22, Math.max(1, level)) } }
    if (body.length <= INLINE_COMPRESS_BYTES) {
      return Effect.succeed(view(type === "ZLIB" ? Zlib.deflateSync(body, zlib) : Zlib.zstdCompressSync(body, zstd)))
    }
    return Effect.callback((resume) => {
      const done = (cause: Error | null, out: Buffer) =>
        resume(cause === null ? Effect.succeed(view(out)) : Effect.die(cause))
      if (type === "ZLIB") Zlib.deflate(body, zlib, done)
      else Zlib.zstdCompress(body, zstd, done)
    })
  })

const DEFAULT_LEVEL = 5
