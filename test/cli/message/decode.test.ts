import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { framesOf, parseHex } from "../../../src/cli/message/decode.ts"
import * as MemoryWire from "../../../src/transport/MemoryWire.ts"
import { cli } from "../support.ts"

const golden = Path.join(import.meta.dirname, "..", "..", "golden")

const vectorOf = Schema.decodeUnknownSync(
  Schema.fromJsonString(
    Schema.Struct({
      name: Schema.String,
      hex: Schema.optionalKey(Schema.String),
      decoded: Schema.optionalKey(
        Schema.Struct({ kind: Schema.optionalKey(Schema.String), code: Schema.optionalKey(Schema.Number) })
      )
    })
  )
)

const vectors = Fs.readdirSync(golden)
  .filter((name) => name.endsWith(".json"))
  .map((name) => vectorOf(Fs.readFileSync(Path.join(golden, name), "utf8")))

const hexOf = (name: string): string => vectors.find((vector) => vector.name === name)?.hex ?? assert.fail(name)

const offline = Effect.provide(MemoryWire.layer)

const decoded = (hex: string, stdin?: string) =>
  Effect.map(cli(["decode", "--json", ...(stdin === undefined ? [hex] : [])], { stdin }), (call) => {
    assert.deepStrictEqual([call.exitCode, call.talk], [0, []])
    return call.out.map((line): unknown => JSON.parse(line))
  })

describe("decode", () => {
  it.effect("reads every recorded frame", () =>
    Effect.gen(function* () {
      const frames = vectors.filter(({ decoded: known, hex }) => hex !== undefined && known?.code !== undefined)
      assert.isAbove(frames.length, 50)
      for (const { decoded: known, hex = "", name } of frames) {
        const [frame] = yield* decoded(hex)
        assert.deepInclude(frame, { code: known?.code }, name)
        const plain = yield* cli(["decode", hex])
        assert.strictEqual(plain.exitCode, 0, name)
        assert.isFalse(
          plain.out.some((line) => /\p{Cc}/u.test(line)),
          name
        )
      }
    }).pipe(offline)
  )

  it.effect("spells out a send: long names, properties, body", () =>
    Effect.gen(function* () {
      const [frame] = yield* decoded(hexOf("send-v2-request"))
      assert.deepInclude(frame, {
        kind: "request",
        code: 310,
        codeName: "SEND_MESSAGE_V2",
        language: "JAVA",
        version: 513,
        versionName: "V5_5_0",
        serializeType: "JSON",
        remark: null
      })
      assert.match(JSON.stringify(frame), /"header":\{"producerGroup":"[^"]+","topic":"[^"]+"/)
      assert.match(JSON.stringify(frame), /"properties":\{[^}]*"UNIQ_KEY":"[0-9A-F]{32,56}"/)
      assert.match(JSON.stringify(frame), /"body":\{"kind":"text","bytes":\d+,"text":/)
    }).pipe(offline)
  )

  it.effect("reads stored messages and JSON in bodies", () =>
    Effect.gen(function* () {
      const [pulled] = yield* decoded(hexOf("pull-response-q0"))
      assert.match(JSON.stringify(pulled), /"body":\{"kind":"messages","bytes":\d+,"messages":\[\{"topic":"[^"]+"/)
      const [route] = yield* decoded(hexOf("route-response-tbw102"))
      assert.match(JSON.stringify(route), /"kind":"answer".*"codeName":"SUCCESS".*"kind":"json".*"brokerDatas"/)
    }).pipe(offline)
  )

  it.effect("takes hex in any dress, from the argument or from standard input, one frame or many", () =>
    Effect.gen(function* () {
      const hex = hexOf("route-request")
      const spaced = hex.replace(/../g, "$& ").replace(/((?:.. ){16})/g, "$1\n")
      const [expected] = yield* decoded(hex)
      assert.deepStrictEqual(yield* decoded("", spaced), [expected])
      assert.deepStrictEqual(yield* decoded(`0x${hex.toUpperCase()}`), [expected])
      // A frame without its length in front, as from a tool that has taken it off.
      assert.deepStrictEqual(yield* decoded(hex.slice(8)), [expected])
      assert.deepStrictEqual(yield* decoded(hex + hex), [expected, expected])
    }).pipe(offline)
  )

  it.effect("says what is wrong with what is no frame, after those that are", () =>
    Effect.gen(function* () {
      const hex = hexOf("route-request")
      for (const wrong of ["", "xyz", "abc"]) {
        const call = yield* cli(["decode"], { stdin: wrong })
        assert.strictEqual(call.exitCode, 2)
        assert.match(call.talk.join("\n"), /no even number of hexadecimal digits/)
      }
      const cut = yield* cli(["decode", hex + hex.slice(0, 40)])
      assert.strictEqual(cut.exitCode, 1)
      assert.match(cut.out[0] ?? "", /^GET_ROUTEINFO_BY_TOPIC \(105\) request$/)
      assert.match(cut.talk.join("\n"), /20 bytes at the end are no whole frame/)
      const told = yield* cli(["decode", "--json", hex + hex.slice(0, 40)])
      assert.lengthOf(told.out, 2)
      assert.deepInclude(JSON.parse(told.out[1] ?? "").error, { tag: "FrameError" })
      const junk = yield* cli(["decode", "00000008ff00000000000000"])
      assert.strictEqual(junk.exitCode, 1)
      assert.match(junk.talk.join("\n"), /^error: /)
    }).pipe(offline)
  )

  it.effect("leaves a security token out", () =>
    Effect.gen(function* () {
      const header = JSON.stringify({ code: 105, extFields: { SecurityToken: "hush", topic: "t" }, flag: 0, opaque: 1 })
      const frame = Buffer.alloc(8 + header.length)
      frame.writeInt32BE(4 + header.length, 0)
      frame.writeInt32BE(header.length, 4)
      frame.write(header, 8)
      const hex = frame.toString("hex")
      for (const call of [yield* cli(["decode", hex]), yield* cli(["decode", "--json", hex])]) {
        assert.strictEqual(call.exitCode, 0)
        assert.notInclude(call.out.join("\n"), "hush")
        assert.include(call.out.join("\n"), "SecurityToken")
      }
    }).pipe(offline)
  )

  it.prop("never throws, whatever the bytes", { bytes: Schema.Uint8Array }, ({ bytes }) => {
    const { frames } = framesOf(bytes)
    assert.isAtLeast(frames.length, 0)
    const hex = Buffer.from(bytes).toString("hex")
    assert.deepStrictEqual(parseHex(hex)?.length ?? 0, bytes.length)
  })
})
