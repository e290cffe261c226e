import { DecodeError } from "./DecodeError.ts"
import * as Utf8 from "./Utf8.ts"

/**
 * The JSON that RocketMQ servers write: JSON, except that a map may have bare integers or whole objects as keys.
 *
 * ```text
 * {"brokerAddrs":{0:"10.0.0.1:10911"}}
 * {"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"t"}:{"maxOffset":1}}}
 * ```
 *
 * Source: fastjson, as RocketMQ's `RemotingSerializable` uses it.
 */

/**
 * A parsed value. Objects are Maps, so that no key can reach a prototype. A bare integer key is its digits; an object
 * key is its JSON text with the names sorted ({@link canonicalKey}). An integer that a number cannot hold exactly is a
 * bigint. When a key occurs twice the last one counts.
 */
export type JsonValue =
  null | boolean | number | bigint | string | ReadonlyArray<JsonValue> | ReadonlyMap<string, JsonValue>

/** What {@link stringify} writes: a {@link JsonValue}, and maps whose keys are written as they are given. */
export type JsonOutput =
  null | boolean | number | bigint | string | ReadonlyArray<JsonOutput> | ReadonlyMap<string, JsonOutput> | RawKeys

/** A map for {@link stringify} whose keys are already JSON text: `0`, or `{"brokerName":...}`. */
export interface RawKeys {
  /** Tells it from a plain object. */
  readonly _tag: "RawKeys"
  /** The members in the order in which they are written; a key is JSON text itself. */
  readonly entries: ReadonlyArray<readonly [key: string, value: JsonOutput]>
}

/** Makes a map whose keys are written without quotes, as a Java server does for integer and object keys. */
export const rawKeys = (entries: ReadonlyArray<readonly [key: string, value: JsonOutput]>): RawKeys => ({
  _tag: "RawKeys",
  entries
})

/** Arrays and objects inside each other, at most. The deepest body of RocketMQ has 6. */
export const MAX_DEPTH = 64

interface Cursor {
  readonly text: string
  at: number
  /** Why and where parsing ended; once set every function returns undefined up to the top. */
  failure: string | undefined
}

const fail = (c: Cursor, what: string): undefined => {
  c.failure ??= `${what} at character ${c.at}`
  return undefined
}

const skipSpace = (c: Cursor): number => {
  for (;;) {
    const code = c.text.charCodeAt(c.at)
    if (code !== 32 && code !== 10 && code !== 13 && code !== 9) return code
    c.at++
  }
}

const QUOTE = 34
const BACKSLASH = 92

const escapes: ReadonlyMap<string, string> = new Map([
  ['"', '"'],
  ["\\", "\\"],
  ["/", "/"],
  ["b", "\b"],
  ["f", "\f"],
  ["n", "\n"],
  ["r", "\r"],
  ["t", "\t"]
])

const hex4 = /[0-9a-fA-F]{4}/y

const parseString = (c: Cursor): string | undefined => {
  const { text } = c
  let start = ++c.at
  let out = ""
  for (;;) {
    const code = text.charCodeAt(c.at)
    if (code === QUOTE) {
      out += text.slice(start, c.at++)
      return out
    }
    if (code === BACKSLASH) {
      out += text.slice(start, c.at)
      const escape = text.charAt(c.at + 1)
      const plain = escapes.get(escape)
      if (plain !== undefined) {
        out += plain
        c.at += 2
      } else if (escape === "u") {
        hex4.lastIndex = c.at + 2
        if (!hex4.test(text)) return fail(c, "bad unicode escape")
        out += String.fromCharCode(Number.parseInt(text.slice(c.at + 2, c.at + 6), 16))
        c.at += 6
      } else return fail(c, "bad escape")
      start = c.at
    } else if (Number.isNaN(code)) return fail(c, "text ends inside a string")
    else c.at++
  }
}

/** With a plus in front, and with a letter for its kind behind it, fastjson reads a number too. */
const numeral = /[+-]?[0-9]+(\.[0-9]*)?([eE][+-]?[0-9]+)?[LSBFD]?/y
const MAX_NUMERAL_LENGTH = 64

const parseNumber = (c: Cursor): number | bigint | undefined => {
  numeral.lastIndex = c.at
  const match = numeral.exec(c.text)
  if (match === null) return fail(c, "unexpected character")
  const literal = match[0]
  // Turning digits into a bigint takes more than linear time; no Java number is this long.
  if (literal.length > MAX_NUMERAL_LENGTH) return fail(c, "number too long")
  c.at += literal.length
  const digits = literal.replace(/^\+|[LSBFD]$/g, "")
  const value = Number(digits)
  const whole = match[1] === undefined && match[2] === undefined
  return whole && !Number.isSafeInteger(value) ? BigInt(digits) : value
}

const parseWord = <A>(c: Cursor, word: string, value: A): A | undefined => {
  if (!c.text.startsWith(word, c.at)) return fail(c, "unexpected character")
  c.at += word.length
  return value
}

const parseArray = (c: Cursor, depth: number): ReadonlyArray<JsonValue> | undefined => {
  const out: Array<JsonValue> = []
  c.at++
  if (skipSpace(c) === 93) {
    c.at++
    return out
  }
  for (;;) {
    const item = parseValue(c, depth)
    if (item === undefined) return undefined
    out.push(item)
    const code = skipSpace(c)
    c.at++
    if (code === 93) return out
    if (code !== 44) return fail(c, "expected , or ]")
  }
}

const parseKey = (c: Cursor): string | undefined => {
  const code = skipSpace(c)
  if (code === QUOTE) return parseString(c)
  if (code === 123) {
    const key = parseObject(c, MAX_DEPTH)
    return key === undefined ? undefined : canonicalKey(key)
  }
  const number = parseNumber(c)
  if (number === undefined) return undefined
  return typeof number === "bigint" || Number.isInteger(number) ? String(number) : fail(c, "expected a key")
}

const parseObject = (c: Cursor, depth: number): ReadonlyMap<string, JsonValue> | undefined => {
  const out = new Map<string, JsonValue>()
  c.at++
  if (skipSpace(c) === 125) {
    c.at++
    return out
  }
  for (;;) {
    // At the last level only plain values fit. A key that is an object is read at that level, so keys do not nest.
    if (depth >= MAX_DEPTH && skipSpace(c) === 123) return fail(c, "nested too deeply")
    const key = parseKey(c)
    if (key === undefined) return undefined
    if (skipSpace(c) !== 58) return fail(c, "expected :")
    c.at++
    const value = parseValue(c, depth)
    if (value === undefined) return undefined
    out.set(key, value)
    const code = skipSpace(c)
    c.at++
    if (code === 125) return out
    if (code !== 44) return fail(c, "expected , or }")
  }
}

const parseValue = (c: Cursor, depth: number): JsonValue | undefined => {
  const code = skipSpace(c)
  switch (code) {
    case QUOTE:
      return parseString(c)
    case 123:
      return depth >= MAX_DEPTH ? fail(c, "nested too deeply") : parseObject(c, depth + 1)
    case 91:
      return depth >= MAX_DEPTH ? fail(c, "nested too deeply") : parseArray(c, depth + 1)
    case 116:
      return parseWord(c, "true", true)
    case 102:
      return parseWord(c, "false", false)
    case 110:
      return parseWord(c, "null", null)
    default:
      return parseNumber(c)
  }
}

/**
 * Reads text, or bytes as UTF-8, in linear time and at most {@link MAX_DEPTH} levels deep. `code` is the request code
 * to name in the DecodeError, -1 when none is known.
 */
export const parse = (input: string | Uint8Array, code = -1): JsonValue | DecodeError => {
  const text =
    typeof input === "string"
      ? input
      : Utf8.read(Buffer.from(input.buffer, input.byteOffset, input.byteLength), 0, input.byteLength)
  const c: Cursor = { text, at: 0, failure: undefined }
  const value = parseValue(c, 0)
  if (value !== undefined) {
    skipSpace(c)
    if (c.at === text.length) return value
    fail(c, "more text after the value")
  }
  return new DecodeError({ code, field: "body", detail: c.failure ?? "no JSON" })
}

/** The text by which {@link parse} names an object key: its fields sorted by name, without spaces. */
export const canonicalKey = (key: ReadonlyMap<string, JsonValue>): string =>
  stringify(new Map([...key].toSorted(([a], [b]) => (a < b ? -1 : 1))))

const isList = (value: JsonOutput): value is ReadonlyArray<JsonOutput> => Array.isArray(value)

/** Writes JSON without spaces, in the order given; fastjson's dialect where {@link rawKeys} are used. */
export const stringify = (value: JsonOutput): string => {
  if (typeof value === "string") return JSON.stringify(value)
  if (typeof value === "number") return Number.isFinite(value) ? String(value) : "null"
  if (value === null || typeof value !== "object") return String(value)
  if (isList(value)) return `[${value.map(stringify).join(",")}]`
  if ("_tag" in value) return `{${value.entries.map(([key, item]) => `${key}:${stringify(item)}`).join(",")}}`
  return `{${Array.from(value, ([key, item]) => `${JSON.stringify(key)}:${stringify(item)}`).join(",")}}`
}
