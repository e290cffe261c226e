import * as ForeignText from "../message/ForeignText.ts"
import { DecodeError } from "./DecodeError.ts"
import { type ExtFields, setField } from "./ExtFields.ts"
import { type Long, parseInt32, parseLong } from "./Long.ts"

export { DecodeError } from "./DecodeError.ts"

/**
 * A small codec between typed header fields and the texts of `extFields`. It converts as Java does for header classes:
 * fields that are absent are not sent, and fields that a codec does not know are ignored.
 *
 * Source: RocketMQ `RemotingCommand.decodeCommandCustomHeader`, `makeCustomHeaderToNet`.
 */

/** How one field is written and read. */
export interface Field<A> {
  /** Whether the field may be missing: it is undefined then, and not written. */
  readonly optional: boolean
  /** The name on the wire, when it is another than the property's. */
  readonly wireName?: string | undefined
  // Methods, not function properties: so a field of any type is a `Field<unknown>`.
  /** The value as it goes on the wire: header fields are texts, whatever their type. */
  write(value: A): string
  /** Undefined when the text is no such value. */
  read(text: string): A | undefined
  /** What the text should have been, for errors. */
  readonly expected: string
  /** Whether a text that is no such value counts as absent. */
  readonly tolerant?: boolean | undefined
  /** What an absent field is read as; undefined when it has no default. */
  readonly fallback?: A | undefined
}

/** A field that may be absent. */
export interface OptionalField<A> extends Field<A> {
  /** The field may be missing. */
  readonly optional: true
}

/** A field that must be present. */
export interface RequiredField<A> extends Field<A> {
  /** The field must be there. */
  readonly optional: false
}

const required = <A>(
  expected: string,
  read: (text: string) => A | undefined,
  write: (value: A) => string = String
): RequiredField<A> => ({ optional: false, write, read, expected })

/** Text as it is. */
export const string: RequiredField<string> = required(
  "text",
  (text) => text,
  (value) => value
)

/** A 32-bit int, as Java reads it. */
export const int: RequiredField<number> = required("a 32-bit int", parseInt32)

/** A 64-bit int that a number holds exactly: the offsets and times of a broker. */
export const long: RequiredField<number> = required("a 64-bit int within 2^53", (text) => {
  const value = parseLong(text)
  return typeof value === "number" ? value : undefined
})

/** Any 64-bit int: what a client of another kind may fill. */
export const int64: RequiredField<Long> = required("a 64-bit int", parseLong)

/** Any 64-bit int as a bigint, for fields where Java sends `Long.MAX_VALUE`. */
export const bigint: RequiredField<bigint> = required("a 64-bit int", (text) => {
  const value = parseLong(text)
  return value === undefined ? undefined : BigInt(value)
})

/** `true` in any case of letters is true, anything else false, as in Java's `parseBoolean`. */
export const boolean: RequiredField<boolean> = required("true or false", (text) => text.toLowerCase() === "true")

/** One of some words. */
export const literal = <const A extends string>(...words: ReadonlyArray<A>): RequiredField<A> =>
  required(
    words.join(" or "),
    (text) => words.find((word) => word === text),
    (value) => value
  )

/** The field may be absent: undefined is not sent, and an absent field is an absent property. */
export const optional = <A>(field: Field<A>): OptionalField<A> => ({ ...field, optional: true })

/** The field may be absent, and a text that is no such value counts as absent: Java leaves such a field null. */
export const nullable = <A>(field: Field<A>): OptionalField<A> => ({ ...field, optional: true, tolerant: true })

/** An absent field, and one that is no such value, is read as `fallback`: Java leaves a primitive field what it was. */
export const withDefault = <A>(field: RequiredField<A>, fallback: A): RequiredField<A> => ({
  ...field,
  tolerant: true,
  fallback
})

/** The field has another name on the wire than the property. */
export const named = <F extends Field<unknown>>(wireName: string, field: F): F => ({ ...field, wireName })

/** The broker a request is meant for: `brokerName` in Java's getters, `bname` on the wire. */
export const brokerName: OptionalField<string> = named("bname", optional(string))

/** The names and codecs of a header's fields. */
export type Fields = Readonly<Record<string, RequiredField<unknown> | OptionalField<unknown>>>

/** The names of the fields that must be there. */
type RequiredNames<F> = { [K in keyof F]: F[K] extends RequiredField<unknown> ? K : never }[keyof F]

/** What a field reads and writes. */
type TypeOf<F> = F extends Field<infer A> ? A : never

/** The header that a set of fields describes. */
export type HeaderOf<F> = {
  readonly [K in RequiredNames<F>]: TypeOf<F[K]>
} & {
  readonly [K in Exclude<keyof F, RequiredNames<F>>]?: TypeOf<F[K]> | undefined
}

/** Converts a header to `extFields` and back. */
export interface Codec<A> {
  /** The fields of a header; absent optional ones are left out. */
  readonly encode: (value: A) => ExtFields
  /** `code` is the request code to name in the error. */
  readonly decode: (code: number, fields: ExtFields | undefined) => A | DecodeError
}

/** Makes the codec of a header from its fields; they are written in the order given. */
export function struct<const F extends Fields>(fields: F): Codec<HeaderOf<F>>
export function struct(fields: Fields): Codec<Readonly<Record<string, unknown>>> {
  const entries = Object.entries<Field<unknown>>(fields)
  return {
    encode: (value) => {
      const out: Record<string, string> = {}
      for (const [name, field] of entries) {
        const item = value[name]
        if (item !== undefined) setField(out, field.wireName ?? name, field.write(item))
      }
      return out
    },
    decode: (code, present) => {
      const out: Record<string, unknown> = {}
      for (const [name, field] of entries) {
        const wireName = field.wireName ?? name
        const text = present !== undefined && Object.hasOwn(present, wireName) ? present[wireName] : undefined
        const item = text === undefined ? undefined : field.read(text)
        if (item !== undefined) {
          out[name] = item
        } else if (text !== undefined && field.tolerant !== true) {
          return new DecodeError({ code, field: wireName, detail: `expected ${field.expected}, got ${quote(text)}` })
        } else if (field.fallback !== undefined) {
          out[name] = field.fallback
        } else if (!field.optional) {
          return new DecodeError({ code, field: wireName, detail: "it is absent" })
        }
      }
      return out
    }
  }
}

const quote = (text: string): string => JSON.stringify(ForeignText.clean(text, 40))
