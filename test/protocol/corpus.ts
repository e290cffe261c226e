import { readdirSync, readFileSync } from "node:fs"
import { encode } from "../../src/protocol/Frame.ts"

/** Bytes as text (UTF-8) or hex, `times` in a row. */
type Part = { readonly text: string; readonly times?: number } | { readonly hex: string; readonly times?: number }

/** What a command must be like; what is left out may be anything. */
export interface ExpectedCommand {
  readonly code: number
  readonly opaque: number
  readonly language?: string
  readonly remark?: string
  readonly extFields?: Readonly<Record<string, string>>
  /** The fields one by one, for names that an object literal cannot have. */
  readonly extFieldEntries?: ReadonlyArray<readonly [string, string]>
  readonly body?: string
}

/** A JSON value as the reader gives it: `{ map: entries }` is an object. */
export type ExpectedValue =
  null | boolean | number | string | { readonly map: ReadonlyArray<readonly [string, ExpectedValue]> }

interface Common {
  /** The name of its file. */
  readonly name: string
  /** The rows of the fault matrix that it belongs to. */
  readonly rows: ReadonlyArray<string>
  /** What it is. */
  readonly what: string
}

/** Bytes of a connection: whole frames whose lengths are put right, what follows them, or just bytes. */
export interface StreamInput extends Common {
  readonly kind: "stream"
  readonly frames?: ReadonlyArray<{
    readonly type: number
    readonly header: ReadonlyArray<Part>
    readonly body?: ReadonlyArray<Part>
  }>
  readonly after?: ReadonlyArray<Part>
  readonly bytes?: ReadonlyArray<Part>
  readonly expect: {
    readonly commands: ReadonlyArray<ExpectedCommand>
    readonly error?: "length" | "headerLength" | "serializeType" | "header"
    readonly pending?: number
  }
}

/** A body: JSON in fastjson's dialect, stored messages, a batch, or the text of properties. */
export type BodyInput = Common & { readonly bytes: ReadonlyArray<Part> } & (
    | {
        readonly kind: "json"
        readonly expect: {
          readonly value?: ExpectedValue
          readonly bigint?: string
          readonly depth?: number
          readonly error?: true
        }
      }
    | { readonly kind: "messages"; readonly expect: { readonly count: number; readonly error?: true } }
    | { readonly kind: "batch"; readonly expect: { readonly error: true } }
    | { readonly kind: "properties"; readonly expect: { readonly entries: ReadonlyArray<readonly [string, string]> } }
  )

/** One input that a decoder may get wrong, with what must come of it. */
export type CorpusInput = StreamInput | BodyInput

const partBytes = (part: Part): Buffer => {
  const once = "hex" in part ? Buffer.from(part.hex, "hex") : Buffer.from(part.text, "utf8")
  return Buffer.concat(Array.from({ length: part.times ?? 1 }, () => once))
}

const joined = (parts: ReadonlyArray<Part> = []): Buffer => Buffer.concat(parts.map(partBytes))

/** The frame of a header and a body, its lengths put right. */
const framed = (type: number, header: Uint8Array, body: Uint8Array): Buffer => {
  const out = Buffer.alloc(8)
  out.writeInt32BE(4 + header.length + body.length, 0)
  out.writeUInt32BE(type * 0x1000000 + header.length, 4)
  return Buffer.concat([out, header, body])
}

/** The bytes of an input. */
export const corpusBytes = (input: CorpusInput): Uint8Array => {
  if (input.kind !== "stream") return joined(input.bytes)
  const frames = (input.frames ?? []).map(({ body, header, type }) => framed(type, joined(header), joined(body)))
  return Buffer.concat([joined(input.bytes), ...frames, joined(input.after)])
}

const folder = new URL("corpus/", import.meta.url)

const read = (file: string): CorpusInput => {
  const content: CorpusInput = JSON.parse(readFileSync(new URL(file, folder), "utf8"))
  return { ...content, name: file.slice(0, -5) }
}

/** Every input in `test/protocol/corpus`, by name. */
export const corpus: ReadonlyArray<CorpusInput> = readdirSync(folder)
  .filter((file) => file.endsWith(".json"))
  .toSorted()
  .map(read)

/** Larger inputs are tried once each; the fuzzer would only lose time over them. */
const LARGEST_SEED = 4_096

/**
 * The inputs as frames for the fuzzer to spoil: streams as they are, and bodies in the frame of an answer. Streams too
 * short for the two lengths of a frame, and very large inputs, are left out.
 */
export const corpusFrames = (): ReadonlyArray<Uint8Array> =>
  corpus
    .map((input) => {
      const bytes = corpusBytes(input)
      if (input.kind === "stream") return bytes
      return encode({
        code: 0,
        language: "JAVA",
        version: 513,
        opaque: 1,
        flag: 1,
        remark: undefined,
        extFields: undefined,
        body: bytes,
        serializeType: "JSON"
      })
    })
    .filter(({ length }) => length >= 8 && length <= LARGEST_SEED)
