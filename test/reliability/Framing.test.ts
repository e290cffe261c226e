import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { DecodeError } from "../../src/protocol/DecodeError.ts"
import { decodeFrame, encode, FrameError, makeFrameDecoder } from "../../src/protocol/Frame.ts"
import * as Protocol from "../../src/protocol/index.ts"
import { parse } from "../../src/protocol/LenientJson.ts"
import type { RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import { command, fieldName, text } from "../protocol/arbitraries.ts"
import { golden, goldenBytes, goldenNames } from "../protocol/goldenFrames.ts"
import { runs } from "../support/rig.ts"

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

/** Lengths that lie: near the truth, at the ends of what an int can be, and any. */
const lie = Arbitrary.flatMap(int(0, 3), (choice) =>
  choice === 0
    ? int(-8, 200)
    : choice === 1
      ? Arbitrary.schema(Schema.Literals([-1, 0, 0x7fff_ffff, -0x8000_0000, 0x7fff, 0xffff, 0x0100_0000]))
      : int(-0x8000_0000, 0x7fff_ffff)
)

/** What a decoder may give: a command or a FrameError; everything else, an exception above all, fails the test. */
const resultOf = (frame: Uint8Array): RemotingCommand | FrameError => {
  const result = decodeFrame(frame)
  if (!(result instanceof FrameError)) assert.isNumber(result.code)
  return result
}

/** The result without the body, which does lie outside the header. */
const header = (result: RemotingCommand | FrameError) =>
  result instanceof FrameError ? { kind: result.kind, detail: result.detail } : { ...result, body: undefined }

describe("binary headers", () => {
  it.effect.prop(
    "C6: whatever its lengths say, a header is read from its own bytes alone",
    {
      cmd: command("ROCKETMQ"),
      lies: Arbitrary.array(Arbitrary.all({ at: int(0, 400), value: lie, short: Arbitrary.schema(Schema.Boolean) }), {
        minLength: 1,
        maxLength: 3
      })
    },
    ({ cmd, lies }) =>
      Effect.sync(() => {
        const frame = Buffer.from(encode({ ...cmd, body: new Uint8Array(0) }).subarray(4))
        for (const { at, short, value } of lies) {
          // Behind the word with the header's length, and within the header.
          const place = 4 + (at % Math.max(1, frame.length - 8))
          if (short) frame.writeInt16BE((value << 16) >> 16, place)
          else frame.writeInt32BE(value, place)
        }
        // The same header with other bytes before and behind it, in the frame's body and outside of the frame.
        const seen = [0x00, 0x41, 0xff].map((filler) => {
          const room = Buffer.alloc(frame.length + 600, filler)
          room.set(frame, 200)
          return header(resultOf(room.subarray(200, 200 + frame.length + 200)))
        })
        assert.deepStrictEqual(seen[1], seen[0])
        assert.deepStrictEqual(seen[2], seen[0])
        assert.deepStrictEqual(header(resultOf(frame)), seen[0])
      }),
    runs(1_000)
  )

  it.effect.prop(
    "C6: cut off anywhere, a header is a typed error",
    { cmd: command("ROCKETMQ") },
    ({ cmd }) =>
      Effect.sync(() => {
        const frame = Buffer.from(encode({ ...cmd, body: new Uint8Array(0) }).subarray(4))
        if (frame[0] !== 1) return
        for (let length = 0; length < frame.length - 4; length++) {
          const cut = Buffer.from(frame.subarray(0, 4 + length))
          cut.writeUInt32BE(0x0100_0000 + length, 0)
          assert.strictEqual(header(resultOf(cut)).kind, "header", String(length))
        }
      }),
    runs(60)
  )
})

/** JSON of any shape, as text. */
const anyJson = (depth: number): Arbitrary.Arbitrary<string> => {
  const scalar = Arbitrary.flatMap(int(0, 6), (choice) =>
    choice === 0
      ? Arbitrary.map(int(-0x8000_0000, 0xffff_ffff), String)
      : choice === 1
        ? Arbitrary.schema(Schema.Literals(["true", "false", "null", "1e999", "-0", "0.5", "9".repeat(70)]))
        : Arbitrary.map(text, (value) => JSON.stringify(value))
  )
  if (depth === 0) return scalar
  const items = Arbitrary.array(anyJson(depth - 1), { maxLength: 3 })
  const entries = Arbitrary.array(Arbitrary.all([fieldName, anyJson(depth - 1)] as const), { maxLength: 3 })
  return Arbitrary.flatMap(int(0, 2), (choice) =>
    choice === 0
      ? scalar
      : choice === 1
        ? Arbitrary.map(items, (list) => `[${list.join(",")}]`)
        : Arbitrary.map(
            entries,
            (pairs) => `{${pairs.map(([name, value]) => `${JSON.stringify(name)}:${value}`).join(",")}}`
          )
  )
}

const jsonFrame = (json: string): Buffer => {
  const bytes = Buffer.from(json)
  const word = Buffer.alloc(4)
  word.writeUInt32BE(bytes.length, 0)
  return Buffer.concat([word, bytes])
}

const names = ["code", "opaque", "flag", "version", "language", "remark", "extFields"] as const

/** Every decode function of a request, an answer or a push. */
const decoders = Object.values(Protocol).flatMap((module): ReadonlyArray<(cmd: RemotingCommand) => unknown> => {
  if (typeof module !== "object") return []
  const found: Array<(cmd: RemotingCommand) => unknown> = []
  if ("decodeRequest" in module) found.push(module.decodeRequest)
  if ("decodeResponse" in module) found.push(module.decodeResponse)
  return found
})

describe("JSON", () => {
  it.effect.prop(
    "C7: a header whose fields have any types is a command or a typed error",
    { values: Arbitrary.array(anyJson(2), { minLength: names.length, maxLength: names.length }), wrong: int(0, 127) },
    ({ values, wrong }) =>
      Effect.sync(() => {
        const right = ["105", "7", "0", "513", '"JAVA"', '"r"', '{"a":"b"}']
        const fields = names.map((name, i) => `"${name}":${(wrong & (1 << i)) === 0 ? right[i] : values[i]}`)
        const result = resultOf(jsonFrame(`{${fields.join(",")}}`))
        if (result instanceof FrameError) return assert.strictEqual(result.kind, "header")
        assert.strictEqual(result.code | 0, result.code)
        assert.strictEqual(result.opaque | 0, result.opaque)
        assert.isString(result.language)
        for (const value of Object.values(result.extFields ?? {})) assert.isString(value)
      }),
    runs(1_000)
  )

  it.effect.prop(
    "C7: broken anywhere, in a header as in a body, it is a value or a typed error",
    { json: anyJson(3), at: int(0, 500), remove: int(0, 5), insert: text },
    ({ at, insert, json, remove }) =>
      Effect.sync(() => {
        const place = at % (json.length + 1)
        const broken = json.slice(0, place) + insert + json.slice(place + remove)
        resultOf(jsonFrame(broken))
        const value = parse(broken)
        if (value instanceof DecodeError) assert.strictEqual(value.field, "body")
        else assert.notStrictEqual(value, undefined)
      }),
    runs(1_000)
  )

  it.effect.prop(
    "C7: any body and any fields give each decoder a value or a DecodeError",
    { body: anyJson(3), fields: Arbitrary.array(Arbitrary.all([fieldName, text] as const), { maxLength: 4 }) },
    ({ body, fields }) =>
      Effect.sync(() => {
        for (const decode of decoders) {
          const result = decode({
            code: 0,
            language: "JAVA",
            version: 513,
            opaque: 1,
            flag: 1,
            remark: undefined,
            extFields: Object.fromEntries(fields),
            body: Buffer.from(body),
            serializeType: "JSON"
          })
          if (result instanceof Error) assert.instanceOf(result, DecodeError)
        }
      }),
    runs(150)
  )

  it("C7: nesting of every depth up to a million ends as a value or a typed error, and no stack overflows", () => {
    for (const [open, close] of [
      ["[", "]"],
      ['{"a":', "}"],
      ["{", ":1}"],
      ['{"code":1,"opaque":2,"x":[', "]}"]
    ] as const) {
      for (const depth of [1, 10, 63, 64, 65, 1_000, 10_000, 100_000, 1_000_000]) {
        for (const json of [open.repeat(depth), `${open.repeat(depth)}1${close.repeat(depth)}`]) {
          if (json.length > 8_000_000) continue
          resultOf(jsonFrame(json))
          const value = parse(json)
          if (depth > 64) assert.instanceOf(value, DecodeError)
        }
      }
    }
  })
})

const all = Buffer.concat(goldenNames.map((name) => goldenBytes(golden(name))))
const expected = goldenNames.flatMap((name) => makeFrameDecoder().push(goldenBytes(golden(name))).commands)

describe("frames in chunks", () => {
  it("C8: every recorded frame, split in two at every place", () => {
    assert.strictEqual(expected.length, goldenNames.length)
    for (const [i, name] of goldenNames.entries()) {
      const bytes = goldenBytes(golden(name))
      for (let at = 1; at < bytes.length; at++) {
        const decoder = makeFrameDecoder()
        const first = decoder.push(bytes.subarray(0, at))
        assert.strictEqual(first.commands.length, 0)
        const { commands, error } = decoder.push(bytes.subarray(at))
        if (error !== undefined || commands.length !== 1) assert.fail(`${name} at ${at}: ${String(error)}`)
        // Comparing is the slow part, so the middle of a long body is compared now and then.
        if (at < 100 || at % 97 === 0) assert.deepStrictEqual(commands[0], expected[i], `${name} at ${at}`)
      }
    }
  })

  it("C8: byte by byte, and all of them in one chunk", () => {
    const decoder = makeFrameDecoder()
    const found: Array<RemotingCommand> = []
    for (const byte of all) found.push(...decoder.push(Uint8Array.of(byte)).commands)
    assert.deepStrictEqual(found, expected)
    assert.deepStrictEqual(makeFrameDecoder().push(all).commands, expected)
  })

  it.effect.prop(
    "C8: any cuts of a stream that goes bad give the same frames and the same error",
    {
      sizes: Arbitrary.array(int(1, 400), { minLength: 1, maxLength: 12 }),
      at: int(0, 4_000),
      flip: int(1, 255)
    },
    ({ at, flip, sizes }) =>
      Effect.sync(() => {
        const bytes = Buffer.from(all.subarray(0, 4_000))
        bytes[at % bytes.length] = (bytes[at % bytes.length] ?? 0) ^ flip
        const whole = makeFrameDecoder().push(bytes)
        const decoder = makeFrameDecoder()
        const found: Array<RemotingCommand> = []
        let error: FrameError | undefined
        for (let from = 0, i = 0; from < bytes.length && error === undefined; i++) {
          const size = sizes[i % sizes.length] ?? 1
          const result = decoder.push(bytes.subarray(from, from + size))
          found.push(...result.commands)
          error = result.error
          from += size
        }
        assert.deepStrictEqual(found, whole.commands)
        assert.deepStrictEqual([error?.kind, error?.detail], [whole.error?.kind, whole.error?.detail])
      }),
    runs(150)
  )
})
