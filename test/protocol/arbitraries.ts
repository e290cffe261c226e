import { Arbitrary, Schema } from "effect"
import { type ExtFields, setField } from "../../src/protocol/ExtFields.ts"
import { emptyBody, type RemotingCommand, type SerializeType } from "../../src/protocol/RemotingCommand.ts"

/** Pieces that a careless codec gets wrong. */
const pieces = [
  "a",
  "Z",
  "0",
  " ",
  '"',
  "\\",
  "/",
  "\u0000",
  "\u0001",
  "\u0002",
  "\n",
  "\u007f",
  "\u2028",
  "é",
  "标签",
  "🚀",
  "{",
  "[",
  ":",
  ",",
  "null",
  "\\u0041"
] as const

/** Text of awkward pieces; well-formed UTF-16. */
export const text: Arbitrary.Arbitrary<string> = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Literals(pieces)), { maxLength: 20 }),
  (chosen) => chosen.join("")
)

/** Names of fields, those of prototypes among them. */
export const fieldName: Arbitrary.Arbitrary<string> = Arbitrary.flatMap(
  Arbitrary.schema(
    Schema.Literals(["__proto__", "constructor", "toString", "hasOwnProperty", "toJSON", "1", "topic", "?", "??"])
  ),
  (name) => (name.startsWith("?") ? text : Arbitrary.Constant(name))
)

/** An object of texts, its fields own ones whatever their names. */
export const record = (entries: ReadonlyArray<readonly [string, string]>): ExtFields => {
  const out: Record<string, string> = {}
  for (const [name, value] of entries) setField(out, name, value)
  return out
}

const extFields: Arbitrary.Arbitrary<ExtFields> = Arbitrary.map(
  Arbitrary.array(Arbitrary.all([fieldName, text] as const), { maxLength: 8 }),
  record
)

const optional = <A>(some: Arbitrary.Arbitrary<A>): Arbitrary.Arbitrary<A | undefined> =>
  Arbitrary.flatMap(Arbitrary.schema(Schema.Boolean), (present): Arbitrary.Arbitrary<A | undefined> =>
    present ? some : Arbitrary.Constant(undefined)
  )

const int32 = Arbitrary.schema(Schema.Int.check(Schema.isInt32()))
const int16 = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -32_768, maximum: 32_767 })))

/** Bytes. */
export const bytes: Arbitrary.Arbitrary<Uint8Array> = Arbitrary.map(
  Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 255 }))), {
    maxLength: 40
  }),
  (values) => (values.length === 0 ? emptyBody : Uint8Array.from(values))
)

/** A command that the header form can hold. */
export const command = (serializeType: SerializeType): Arbitrary.Arbitrary<RemotingCommand> =>
  Arbitrary.map(
    Arbitrary.all({
      code: serializeType === "JSON" ? int32 : int16,
      language: Arbitrary.schema(Schema.Literals(["JAVA", "CPP", "OTHER", "GO", "NODE_JS"])),
      version: serializeType === "JSON" ? int32 : int16,
      opaque: int32,
      flag: int32,
      remark: optional(text),
      extFields: optional(extFields),
      body: bytes
    }),
    (fields) => ({ ...fields, serializeType })
  )
