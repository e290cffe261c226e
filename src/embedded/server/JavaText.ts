import { isUtf8 } from "node:buffer"
import { type ExtFields, setField } from "../../protocol/ExtFields.ts"
import * as Utf8 from "../../protocol/Utf8.ts"
import type { RemotingCommand } from "../../protocol/RemotingCommand.ts"

/**
 * What a broker makes of half of a surrogate pair, which a header in JSON can hold as an escape: Java has no bytes for it
 * either and writes `?`, into its log and into what it compares a signature with.
 *
 * Source: `String.getBytes(UTF_8)`; both releases keep the same.
 */
const written = (text: string): string => (text.isWellFormed() ? text : text.replace(/\p{Cs}/gu, "?"))

const fieldsWritten = (fields: ExtFields): ExtFields => {
  const out: Record<string, string> = {}
  for (const [name, value] of Object.entries(fields)) setField(out, written(name), written(value))
  return out
}

const isWellFormed = (fields: ExtFields): boolean => {
  for (const name in fields) {
    if (!name.isWellFormed() || fields[name]?.isWellFormed() === false) return false
  }
  return true
}

/** The request as Java writes what it read of it; the same where all its text is well-formed. */
export const asWritten = (command: RemotingCommand): RemotingCommand => {
  const { extFields } = command
  return extFields === undefined || isWellFormed(extFields)
    ? command
    : { ...command, extFields: fieldsWritten(extFields) }
}

/** How many bytes a character has by its first one; 0 for a byte that none begins with. */
const lengthOf = (first: number): number =>
  first < 0x80 ? 1 : first < 0xc0 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf8 ? 4 : 0

/** A character that came in several bytes stands in a string, whichever it is: also one that would end the string. */
const inString = (code: number): string =>
  code < 0x20 || code === 0x22 || code === 0x5c ? `\\u${code.toString(16).padStart(4, "0")}` : String.fromCharCode(code)

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80

/**
 * The text of a header as a server of 5.x reads it. It takes what follows the first of two or three bytes for the rest of a
 * character, whatever it is, and reads nothing where no character can begin: the connection ends then. Observed with 5.5.0.
 *
 * Source: fastjson2 `JSONReaderUTF8.readString`.
 */
export const headerText: Utf8.TextReader = (bytes, start, end) => {
  const text = Utf8.read(bytes, start, end)
  if (!text.includes("\ufffd")) return text
  const parts: Array<string> = []
  for (let at = start; at < end;) {
    const [first = 0, second = 0, third = 0, fourth = 0] = bytes.subarray(at, Math.min(at + 4, end))
    const length = lengthOf(first)
    if (length === 0 || at + length > end) return undefined
    if (length === 1) parts.push(String.fromCharCode(first))
    else if (length < 4) {
      const high = length === 2 ? first & 0x1f : ((first & 0x0f) << 6) | (second & 0x3f)
      parts.push(inString((high << 6) | ((length === 2 ? second : third) & 0x3f)))
    } else {
      const code = ((first & 0x07) << 18) | ((second & 0x3f) << 12) | ((third & 0x3f) << 6) | (fourth & 0x3f)
      const whole = [second, third, fourth].every(isContinuation)
      if (!whole || code < 0x1_0000 || code > 0x10_ffff) return undefined
      parts.push(String.fromCodePoint(code))
    }
    at += length
  }
  return parts.join("")
}

/**
 * Where the JSON of a body has a byte with which no character can begin: a server of 5.x reads nothing of it then. What else
 * is no UTF-8 comes out as U+FFFD, as in 4.x. Undefined where there is none. Observed with 5.5.0.
 *
 * Source: fastjson2 `JSONReaderUTF8.readString`.
 */
export const malformedAt = (body: Uint8Array): number | undefined => {
  if (isUtf8(body)) return undefined
  for (let at = 0; at < body.length;) {
    const length = lengthOf(body[at] ?? 0)
    if (length === 0) return at
    at += length
  }
  return undefined
}
