import * as ForeignText from "../message/ForeignText.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import { DecodeError } from "./DecodeError.ts"
import { setField } from "./ExtFields.ts"
import { type JsonOutput, type JsonValue, parse, rawKeys, stringify } from "./LenientJson.ts"
import { fromBigInt, type Long } from "./Long.ts"

/**
 * A small codec between typed values and JSON bodies. On reading, unknown fields are ignored, null counts as absent as
 * in Java, and what fastjson takes for a number or a boolean is taken; on writing, absent fields are left out.
 *
 * Source: RocketMQ `RemotingSerializable`.
 */

/** Why a value is not what a codec reads; `path` is where. */
export class Mismatch {
  /** Where in the body it is, as names and indexes joined by dots; empty for the body itself. */
  readonly path: string
  /** What should have been there, in a few words: `a number`, `a list`. */
  readonly expected: string
  constructor(path: string, expected: string) {
    this.path = path
    this.expected = expected
  }
}

/** How one value is written and read. */
export interface BodyCodec<A> {
  /** Whether the member may be missing: it is undefined then, and not written. */
  readonly optional: boolean
  /** What an absent field is read as; undefined when it has no default. */
  readonly fallback?: A | undefined
  // Methods, not function properties: so a codec of any type is a `BodyCodec<unknown>`.
  /** Takes a value out of parsed JSON, or says what it is not; undefined for a value that counts as absent. */
  read(value: JsonValue): A | Mismatch | undefined
  /** Puts a value into JSON that is about to be written. */
  write(value: A): JsonOutput
}

/** A field that may be absent. */
export interface OptionalBody<A> extends BodyCodec<A> {
  /** The member may be missing. */
  readonly optional: true
}

/** A field that must be present, or has a default. */
export interface RequiredBody<A> extends BodyCodec<A> {
  /** The member must be there. */
  readonly optional: false
}

/** What a value says that counts as absent. */
const ABSENT = Symbol("absent")

const scalar = <A extends JsonOutput>(
  expected: string,
  read: (value: JsonValue) => A | typeof ABSENT | undefined
): RequiredBody<A> => ({
  optional: false,
  read: (value) => {
    const found = value === null ? ABSENT : read(value)
    return found === ABSENT ? undefined : (found ?? new Mismatch("", expected))
  },
  write: (value) => value
})

/** Text. */
export const string: RequiredBody<string> = scalar("text", (value) => (typeof value === "string" ? value : undefined))

const LONG_MAX = 9_223_372_036_854_775_807n

const saysNothing = (text: string): boolean => text === "" || text.toLowerCase() === "null"

/** A number as JSON writes it, with a fraction or an exponent, and short enough to be no work. */
const decimal = /^[+-]?[0-9]{1,400}(?:\.[0-9]{0,400})?(?:[eE][+-]?[0-9]{1,4})?$/

/** Without the fraction, and at most what fits into 64 bits. */
const truncated = (value: number): Long => {
  // `+ 0` makes a negative zero a plain one.
  const whole = Math.trunc(value) + 0
  if (Number.isSafeInteger(whole)) return whole
  return (Math.abs(whole) < 2 ** 63 ? fromBigInt(BigInt(whole)) : undefined) ?? (whole > 0 ? LONG_MAX : -LONG_MAX - 1n)
}

/**
 * The integer that fastjson reads: digits in a text count, also with commas between them, a fraction is cut off, true is 1
 * and false 0; an empty text and the text null say nothing.
 */
const integerOf = (value: JsonValue): Long | typeof ABSENT | undefined => {
  switch (typeof value) {
    case "bigint":
      return fromBigInt(value)
    case "number":
      return truncated(value)
    case "boolean":
      return value ? 1 : 0
    case "string": {
      if (saysNothing(value)) return ABSENT
      const text = value.replaceAll(",", "")
      if (/^[+-]?[0-9]{1,64}$/.test(text)) return fromBigInt(BigInt(text.replace("+", "")))
      return decimal.test(text) ? truncated(Number(text)) : undefined
    }
    default:
      return undefined
  }
}

/** Any 64-bit int: what a client of another kind may fill. */
export const int64: RequiredBody<Long> = scalar("a 64-bit int", integerOf)

/** An int of 32 bits, or of 64 that a number holds exactly. */
export const long: RequiredBody<number> = scalar("an integer within 2^53", (value) => {
  const found = integerOf(value)
  return typeof found === "bigint" ? undefined : found
})

/** A 32-bit int. */
export const int: RequiredBody<number> = scalar("a 32-bit int", (value) => {
  const found = integerOf(value)
  if (typeof found === "number") return (found | 0) === found ? found : undefined
  return typeof found === "bigint" ? undefined : found
})

/** Any number. */
export const double: RequiredBody<number> = scalar("a number", (value) => {
  if (typeof value === "number" || typeof value === "bigint" || typeof value === "boolean") return Number(value)
  if (typeof value !== "string") return undefined
  if (saysNothing(value)) return ABSENT
  return decimal.test(value) ? Number(value) : undefined
})

const flags: ReadonlyMap<JsonValue, boolean> = new Map<JsonValue, boolean>([
  [true, true],
  [false, false],
  ["true", true],
  ["false", false],
  ["1", true],
  ["0", false],
  ["y", true],
  ["n", false]
])

/** true or false, also as a text or as a number, of which only 1 is true. */
export const boolean: RequiredBody<boolean> = scalar("a boolean", (value) => {
  if (typeof value === "number" || typeof value === "bigint") return value === 1
  if (typeof value === "string" && saysNothing(value)) return ABSENT
  return flags.get(typeof value === "string" ? value.toLowerCase() : value)
})

/** The field may be absent. */
export const optional = <A>(codec: BodyCodec<A>): OptionalBody<A> => ({ ...codec, optional: true })

/** A field that some senders leave out: it is read as `fallback` then, and always written. */
export const withDefault = <A>(codec: RequiredBody<A>, fallback: A): RequiredBody<A> => ({ ...codec, fallback })

const inside = (mismatch: Mismatch, step: string): Mismatch => {
  const separator = mismatch.path === "" || mismatch.path.startsWith("[") ? "" : "."
  return new Mismatch(`${step}${separator}${mismatch.path}`, mismatch.expected)
}

/** A list. */
export const list = <A>(item: BodyCodec<A>): RequiredBody<ReadonlyArray<A>> => ({
  optional: false,
  read: (value) => {
    if (!Array.isArray(value)) return new Mismatch("", "a list")
    const out: Array<A> = []
    for (const [index, element] of value.entries()) {
      const read = item.read(element)
      if (read instanceof Mismatch) return inside(read, `[${index}]`)
      if (read !== undefined) out.push(read)
    }
    return out
  },
  write: (value) => value.map((element) => item.write(element))
})

/** A map with text as keys. */
export const map = <A>(item: BodyCodec<A>): RequiredBody<ReadonlyMap<string, A>> => ({
  optional: false,
  read: (value) => readEntries(value, item, (key) => key),
  write: (value) => new Map(Array.from(value, ([key, element]) => [key, item.write(element)]))
})

/** A map with ints as keys; `bare` writes them without quotes, which Java readers accept and other JSON readers do not. */
export const intMap = <A>(
  item: BodyCodec<A>,
  options?: { readonly bare: boolean }
): RequiredBody<ReadonlyMap<number, A>> => ({
  optional: false,
  read: (value) => readEntries(value, item, (key) => (/^-?[0-9]{1,15}$/.test(key) ? Number(key) : undefined)),
  write: (value) => {
    const entries = Array.from(value, ([key, element]): [string, JsonOutput] => [String(key), item.write(element)])
    return options?.bare === true ? rawKeys(entries) : new Map(entries)
  }
})

/** A key is a text of the peer: so many characters of it stand in an error. */
const MAX_SHOWN_KEY = 80

const shownKey = (name: string): string => ForeignText.clean(name, MAX_SHOWN_KEY)

const readEntries = <K, A>(
  value: JsonValue,
  item: BodyCodec<A>,
  readKey: (key: string) => K | undefined
): ReadonlyMap<K, A> | Mismatch => {
  if (!(value instanceof Map)) return new Mismatch("", "an object")
  const out = new Map<K, A>()
  for (const [name, element] of value as ReadonlyMap<string, JsonValue>) {
    const key = readKey(name)
    if (key === undefined) return new Mismatch(shownKey(name), "another kind of key")
    const read = item.read(element)
    if (read instanceof Mismatch) return inside(read, shownKey(name))
    if (read !== undefined) out.set(key, read)
  }
  return out
}

/** A small object of texts, such as topic attributes. */
export const textRecord: RequiredBody<Readonly<Record<string, string>>> = {
  optional: false,
  read: (value) => {
    const entries = readEntries(value, string, (key) => key)
    if (entries instanceof Mismatch) return entries
    const out: Record<string, string> = {}
    for (const [name, text] of entries) setField(out, name, text)
    return out
  },
  write: (value) => new Map(Object.entries(value))
}

/** The fields of a JSON object. */
export type Fields = Readonly<Record<string, RequiredBody<unknown> | OptionalBody<unknown>>>

/** The names of the members that must be there. */
type RequiredNames<F> = { [K in keyof F]: F[K] extends RequiredBody<unknown> ? K : never }[keyof F]

/** What a codec reads and writes. */
type TypeOf<F> = F extends BodyCodec<infer A> ? A : never

/** The object that a set of fields describes. */
export type ObjectOf<F> = {
  readonly [K in RequiredNames<F>]: TypeOf<F[K]>
} & {
  readonly [K in Exclude<keyof F, RequiredNames<F>>]?: TypeOf<F[K]> | undefined
}

/** An object; its fields are written in the order given, which for Java's sake is the alphabetical one. */
export function struct<const F extends Fields>(fields: F): RequiredBody<ObjectOf<F>>
export function struct(fields: Fields): RequiredBody<Readonly<Record<string, unknown>>> {
  const entries = Object.entries<BodyCodec<unknown>>(fields)
  return {
    optional: false,
    read: (value) => {
      if (!(value instanceof Map)) return new Mismatch("", "an object")
      const present: ReadonlyMap<string, JsonValue> = value
      const out: Record<string, unknown> = {}
      for (const [name, codec] of entries) {
        const item = present.get(name)
        const read = item === undefined || item === null ? undefined : codec.read(item)
        if (read instanceof Mismatch) return inside(read, name)
        if (read !== undefined) out[name] = read
        else if (codec.fallback !== undefined) out[name] = codec.fallback
        else if (!codec.optional) return new Mismatch(name, "it, and it is absent")
      }
      return out
    },
    write: (value) => {
      const out = new Map<string, JsonOutput>()
      for (const [name, codec] of entries) {
        const item = value[name]
        if (item !== undefined) out.set(name, codec.write(item))
      }
      return out
    }
  }
}

/** A queue as Java writes it, alone or as the key of a map. */
export const messageQueue: RequiredBody<MessageQueue> = struct({ brokerName: string, queueId: int, topic: string })

/** A map whose keys are queues: fastjson writes the queue's object in the place of the key. */
export const queueMap = <A>(
  item: BodyCodec<A>
): RequiredBody<ReadonlyArray<readonly [queue: MessageQueue, value: A]>> => ({
  optional: false,
  read: (value) => {
    const entries = readEntries(value, item, readQueueKey)
    return entries instanceof Mismatch ? entries : [...entries]
  },
  write: (value) =>
    rawKeys(value.map(([queue, element]) => [stringify(messageQueue.write(queue)), item.write(element)]))
})

const readQueueKey = (key: string): MessageQueue | undefined => {
  const parsed = parse(key)
  if (parsed instanceof DecodeError) return undefined
  const queue = messageQueue.read(parsed)
  return queue instanceof Mismatch ? undefined : queue
}

const encoder = new TextEncoder()

/** Writes a body. */
export const encode = <A>(codec: BodyCodec<A>, value: A): Uint8Array => encoder.encode(stringify(codec.write(value)))

/** Reads a body; `code` is the request code to name in the error. */
export const decode = <A>(codec: BodyCodec<A>, code: number, body: Uint8Array): A | DecodeError => {
  if (body.length === 0) return new DecodeError({ code, field: "body", detail: "it is absent" })
  const json = parse(body, code)
  if (json instanceof DecodeError) return json
  const value = codec.read(json) ?? new Mismatch("", "a value")
  if (!(value instanceof Mismatch)) return value
  const path = value.path === "" ? "body" : `body.${value.path}`
  return new DecodeError({ code, field: path, detail: `expected ${value.expected}` })
}
