import type { OutputBuffer } from "./OutputBuffer.ts"

/**
 * Pieces of JSON text, written straight into a buffer. For texts that are written for every message: what stays the same
 * is kept as bytes, and what changes is written without a string in between.
 */

/** The bytes of a text that is written often. */
export const fixed = (text: string): Uint8Array => new TextEncoder().encode(text)

/** Appends bytes; the room for them must have been reserved. */
export const putBytes = (out: OutputBuffer, bytes: Uint8Array): void => {
  out.bytes.set(bytes, out.end)
  out.end += bytes.length
}

/** The longest text of a number. */
export const MAX_NUMBER_BYTES = 25

const ZERO = 48

/** Appends a number as `String` writes it; the room for {@link MAX_NUMBER_BYTES} must have been reserved. */
export const putNumber = (out: OutputBuffer, value: number): void => {
  const { bytes } = out
  if (!Number.isSafeInteger(value) || value < 0) {
    out.end += bytes.write(String(value), out.end, "latin1")
    return
  }
  let end = out.end + 1
  for (let more = value; more >= 10; more = Math.floor(more / 10)) end++
  out.end = end
  let left = value
  do {
    const rest = Math.floor(left / 10)
    bytes[--end] = ZERO + (left - rest * 10)
    left = rest
  } while (left > 0)
}

/** The most bytes that a UTF-16 unit takes inside JSON text: `\u0001`. */
export const MAX_UNIT_BYTES = 6

/** Appends the inside of a JSON string, as `JSON.stringify` writes it; the room must have been reserved. */
export const putText = (out: OutputBuffer, text: string): void => {
  const { bytes } = out
  let at = out.end
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i)
    if (unit === 1 || unit === 2) {
      // What separates properties.
      bytes[at] = 92
      bytes[at + 1] = 117
      bytes[at + 2] = ZERO
      bytes[at + 3] = ZERO
      bytes[at + 4] = ZERO
      bytes[at + 5] = ZERO + unit
      at += 6
    } else if (unit === 34 || unit === 92) {
      bytes[at] = 92
      bytes[at + 1] = unit
      at += 2
    } else if (unit >= 32 && unit < 127) {
      bytes[at++] = unit
    } else {
      const quoted = JSON.stringify(text)
      out.end += bytes.write(quoted.slice(1, -1), out.end, "utf8")
      return
    }
  }
  out.end = at
}
