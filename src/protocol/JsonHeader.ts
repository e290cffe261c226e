import { type ExtFields, setField } from "./ExtFields.ts"
import { FrameError } from "./FrameError.ts"
import { languageName } from "./LanguageCode.ts"
import { type JsonValue, parse } from "./LenientJson.ts"
import type { OutputBuffer } from "./OutputBuffer.ts"
import type { RemotingCommand } from "./RemotingCommand.ts"

/**
 * The JSON header: the command's fields in alphabetical order, absent ones left out, as Java writes it. On reading,
 * the order is free, unknown fields are ignored, and numbers and booleans as values of `extFields` become text.
 *
 * ```text
 * {"code":105,"extFields":{"topic":"t"},"flag":0,"language":"JAVA","opaque":0,"serializeTypeCurrentRPC":"JSON","version":513}
 * ```
 *
 * Source: RocketMQ `RemotingSerializable`.
 */

/** Appends the frame of a command with a JSON header. */
export const writeJsonHeader = (out: OutputBuffer, cmd: RemotingCommand): void => {
  // One stringify of the whole object: measured as fast as any mixture with concatenation. Undefined fields are left out.
  const text = JSON.stringify({
    code: cmd.code,
    extFields: cmd.extFields,
    flag: cmd.flag,
    language: cmd.language,
    opaque: cmd.opaque,
    remark: cmd.remark,
    serializeTypeCurrentRPC: "JSON",
    version: cmd.version
  })
  const { body } = cmd
  // A UTF-16 unit takes at most 3 bytes of UTF-8.
  out.reserve(8 + text.length * 3 + body.length)
  const { bytes, end } = out
  const headerLength = bytes.write(text, end + 8, "utf8")
  bytes.writeInt32BE(4 + headerLength + body.length, end)
  bytes.writeInt32BE(headerLength & 0xffffff, end + 4)
  if (body.length > 0) bytes.set(body, end + 8 + headerLength)
  out.end = end + 8 + headerLength + body.length
}

// Above this a header is read by the depth-limited reader: JSON.parse takes memory for each level of nesting.
const FAST_HEADER_LENGTH = 65_536

const bad = (detail: string): FrameError => new FrameError({ kind: "header", detail })

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const isInt = (value: unknown): value is number => typeof value === "number" && (value | 0) === value

/** Reads the JSON header that lies in `buffer` from `start` to `end`; `body` goes into the command as it is. */
export type JsonHeaderReader = (
  buffer: Buffer,
  start: number,
  end: number,
  body: Uint8Array
) => RemotingCommand | FrameError

/** Reads a JSON header; `body` goes into the command as it is. */
export const decodeJsonHeader = (text: string, body: Uint8Array): RemotingCommand | FrameError => {
  if (text.length > FAST_HEADER_LENGTH) return decodeAnyHeader(text, body)
  let header: unknown
  try {
    header = JSON.parse(text)
  } catch {
    return bad("it is no JSON")
  }
  if (!isObject(header)) return bad("it is no JSON object")
  const { code, opaque, flag, version, language, remark, extFields } = header
  if (
    isInt(code) &&
    isInt(opaque) &&
    isInt(flag) &&
    isInt(version) &&
    typeof language === "string" &&
    (remark === undefined || typeof remark === "string") &&
    (extFields === undefined || isTextRecord(extFields, text.includes("\\")))
  ) {
    return { code, language, version, opaque, flag, remark, extFields, body, serializeType: "JSON" }
  }
  return decodeAnyHeader(text, body)
}

/**
 * With escapes in the text, a name that has a backslash is left to the tolerant way: V8 13 can take an escaped name for
 * one that it met in an earlier text (after `{"a":1,"\\\\":2}` it reads the name `\\u` as `\\\\`).
 */
const isTextRecord = (value: unknown, escapes: boolean): value is ExtFields => {
  if (!isObject(value) || Array.isArray(value)) return false
  for (const name in value) {
    if (typeof value[name] !== "string" || (escapes && name.includes("\\"))) return false
  }
  return true
}

/** The tolerant way, for headers that Java would not write but Java servers accept. */
const decodeAnyHeader = (text: string, body: Uint8Array): RemotingCommand | FrameError => {
  const header = parse(text)
  if (!(header instanceof Map)) return bad("it is no JSON object")
  const fields: ReadonlyMap<string, JsonValue> = header
  const code = fields.get("code")
  const opaque = fields.get("opaque")
  const flag = fields.get("flag") ?? 0
  const version = fields.get("version") ?? 0
  if (!isInt(code)) return bad("code is no 32-bit int")
  if (!isInt(opaque)) return bad("opaque is no 32-bit int")
  if (!isInt(flag)) return bad("flag is no 32-bit int")
  if (!isInt(version)) return bad("version is no 32-bit int")
  // Java's field starts as JAVA, and a sender may give the number of its language.
  const language = fields.get("language") ?? "JAVA"
  const remark = scalarText(fields.get("remark"))
  if (remark === null) return bad("remark is no text")
  const extFields = readExtFields(fields.get("extFields"))
  if (extFields === null) return bad("extFields is no object of texts")
  return {
    code,
    language: typeof language === "string" ? language : isInt(language) ? languageName(language) : "OTHER",
    version,
    opaque,
    flag,
    remark,
    extFields,
    body,
    serializeType: "JSON"
  }
}

/** Undefined for an absent value, null for one that is no scalar. */
const scalarText = (value: JsonValue | undefined): string | undefined | null => {
  if (value === undefined || value === null) return undefined
  return typeof value === "object" ? null : String(value)
}

const readExtFields = (value: JsonValue | undefined): ExtFields | undefined | null => {
  if (value === undefined || value === null) return undefined
  if (!(value instanceof Map)) return null
  const out: Record<string, string> = {}
  for (const [name, item] of value as ReadonlyMap<string, JsonValue>) {
    const text = scalarText(item)
    if (text === null) return null
    if (text !== undefined) setField(out, name, text)
  }
  return out
}
