import { inflateSync, zstdDecompressSync } from "node:zlib"
import { Schema } from "effect"
import { SysFlag } from "../message/SysFlag.ts"

/** Largest body that is unpacked unless told otherwise: 32 MiB. */
export const DEFAULT_MAX_OUTPUT_LENGTH = 33_554_432

/**
 * A compressed body that could not be unpacked.
 *
 * - `unsupported`: LZ4, for which Node has no codec, or a type nobody assigned
 * - `too-large`: it would unpack to more than the limit
 * - `corrupt`: it is not what `sysFlag` says
 */
export class CompressionError extends Schema.TaggedError<CompressionError>()("CompressionError", {
  kind: Schema.Literals(["unsupported", "too-large", "corrupt"]),
  compression: Schema.Literals(["ZLIB", "LZ4", "ZSTD", "UNKNOWN"]),
  detail: Schema.String
}) {
  override get message(): string {
    const remedy =
      this.kind === "unsupported"
        ? "Unpack the body with a codec of your own, or let the producer use ZLIB or ZSTD."
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

/**
 * Unpacks a stored body by its flags; a body that is not packed comes back as it is. `maxOutputLength` is in bytes,
 * default {@link DEFAULT_MAX_OUTPUT_LENGTH}.
 *
 * Source: RocketMQ `CompressionType`, `Compressor`.
 */
export const decompress = (
  body: Uint8Array,
  sysFlag: number,
  options?: { readonly maxOutputLength?: number | undefined }
): Uint8Array | CompressionError => {
  const compression = compressionOf(sysFlag)
  if (compression === undefined || body.length === 0) return body
  if (compression === "LZ4" || compression === "UNKNOWN") {
    return new CompressionError({ kind: "unsupported", compression, detail: "it needs a codec that is not built in" })
  }
  const maxOutputLength = options?.maxOutputLength ?? DEFAULT_MAX_OUTPUT_LENGTH
  try {
    const unpack = compression === "ZLIB" ? inflateSync : zstdDecompressSync
    const out = unpack(body, { maxOutputLength })
    return new Uint8Array(out.buffer, out.byteOffset, out.byteLength)
  } catch (cause) {
    const tooLarge = cause instanceof RangeError
    return new CompressionError({
      kind: tooLarge ? "too-large" : "corrupt",
      compression,
      detail: tooLarge ? `it has more than ${maxOutputLength} bytes` : `its ${body.length} bytes are damaged`
    })
  }
}
