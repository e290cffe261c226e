import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import { FrameError } from "../../src/protocol/FrameError.ts"
import { make as makeOutputBuffer } from "../../src/protocol/OutputBuffer.ts"
import { decodeFrame, encode, encodeInto } from "../../src/protocol/Frame.ts"
import { emptyBody, type RemotingCommand } from "../../src/protocol/RemotingCommand.ts"
import { command, record } from "./arbitraries.ts"

const base: RemotingCommand = {
  code: 105,
  language: "OTHER",
  version: 513,
  opaque: 7,
  flag: 0,
  remark: undefined,
  extFields: undefined,
  body: emptyBody,
  serializeType: "JSON"
}

/** A frame without its length field. */
const frame = (type: number, header: Uint8Array, body: Uint8Array = emptyBody): Uint8Array => {
  const out = Buffer.alloc(4 + header.length + body.length)
  out.writeUInt32BE(type * 0x1000000 + header.length, 0)
  out.set(header, 4)
  out.set(body, 4 + header.length)
  return out
}

const json = (text: string): RemotingCommand | FrameError => decodeFrame(frame(0, Buffer.from(text)))

const ok = (result: RemotingCommand | FrameError): RemotingCommand => {
  if (result instanceof FrameError) assert.fail(result.message)
  return result
}

const kindOf = (result: RemotingCommand | FrameError): string =>
  result instanceof FrameError ? result.kind : "no error"

const through = (cmd: RemotingCommand): RemotingCommand => ok(decodeFrame(encode(cmd).subarray(4)))

describe("both header forms", () => {
  it.effect.prop(
    "JSON: decode undoes encode",
    { cmd: command("JSON") },
    ({ cmd }) => Effect.sync(() => assert.deepEqual(through(cmd), cmd)),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "ROCKETMQ: decode undoes encode, but empty is absent",
    { cmd: command("ROCKETMQ") },
    ({ cmd }) =>
      Effect.sync(() =>
        assert.deepEqual(through(cmd), {
          ...cmd,
          remark: cmd.remark === "" ? undefined : cmd.remark,
          extFields: Object.keys(cmd.extFields ?? {}).length === 0 ? undefined : cmd.extFields
        })
      ),
    { arbitrary: { runs: 500 } }
  )

  it.effect.prop(
    "many commands in one buffer are what each is alone",
    {
      cmds: Arbitrary.array(command("JSON"), { maxLength: 6 }),
      binary: Arbitrary.array(command("ROCKETMQ"), { maxLength: 6 })
    },
    ({ binary, cmds }) =>
      Effect.sync(() => {
        const out = makeOutputBuffer(1)
        const all = [...cmds, ...binary]
        for (const cmd of all) encodeInto(out, cmd)
        assert.deepEqual(Buffer.concat(out.take()), Buffer.concat(all.map(encode)))
        assert.strictEqual(out.length, 0)
      })
  )

  it("absent, empty and empty text are told apart in JSON", () => {
    assert.strictEqual(through({ ...base, remark: "" }).remark, "")
    assert.isUndefined(through(base).remark)
    assert.deepEqual(through({ ...base, extFields: {} }).extFields, {})
    assert.isUndefined(through(base).extFields)
    assert.deepEqual(through({ ...base, extFields: { a: "" } }).extFields, { a: "" })
    assert.deepEqual(through({ ...base, extFields: { a: "" }, serializeType: "ROCKETMQ" }).extFields, { a: "" })
  })

  it("fields named as parts of prototypes are own fields", () => {
    const extFields = record([
      ["__proto__", "p"],
      ["constructor", "c"],
      ["toString", "t"]
    ])
    for (const serializeType of ["JSON", "ROCKETMQ"] as const) {
      const back = through({ ...base, extFields, serializeType }).extFields ?? {}
      assert.deepEqual(Object.entries(back), Object.entries(extFields))
      assert.strictEqual(Object.getPrototypeOf(back), Object.prototype)
    }
    // The tolerant way, which copies the fields.
    const back = ok(json('{"code":1,"opaque":2,"extFields":{"__proto__":"x","n":1}}')).extFields ?? {}
    assert.deepEqual(Object.entries(back), [
      ["__proto__", "x"],
      ["n", "1"]
    ])
    assert.strictEqual(Object.getPrototypeOf(back), Object.prototype)
  })

  it("a name with a backslash is not taken for that of an earlier frame", () => {
    for (const name of ["\\\\", "\\u", "\u0001\\", "\\\\"]) {
      assert.deepEqual(through({ ...base, extFields: { a: "", [name]: "x" } }).extFields, { a: "", [name]: "x" })
    }
  })

  it("half a character survives JSON and is replaced in binary", () => {
    assert.strictEqual(through({ ...base, remark: "a\ud83d" }).remark, "a\ud83d")
    assert.strictEqual(through({ ...base, remark: "a\ud83d", serializeType: "ROCKETMQ" }).remark, "a\ufffd")
  })

  it("a command that the binary form cannot hold is written as JSON", () => {
    const pop = { ...base, code: 200_050, serializeType: "ROCKETMQ" } as const
    assert.deepEqual(through(pop), { ...pop, serializeType: "JSON" })
    const longName = { ...base, extFields: { ["n".repeat(32_768)]: "v" }, serializeType: "ROCKETMQ" } as const
    assert.deepEqual(through(longName), { ...longName, serializeType: "JSON" })
    assert.deepEqual(
      through({ ...base, extFields: { ["n".repeat(32_767)]: "v" }, serializeType: "ROCKETMQ" }).extFields,
      {
        ["n".repeat(32_767)]: "v"
      }
    )
  })

  it("Java's spelling, byte for byte", () => {
    const cmd = { ...base, extFields: { topic: "t\u0001" }, remark: "r", body: Uint8Array.of(1, 2) }
    const text =
      '{"code":105,"extFields":{"topic":"t\\u0001"},"flag":0,"language":"OTHER","opaque":7,"remark":"r","serializeTypeCurrentRPC":"JSON","version":513}'
    const header = Buffer.from(text)
    const expected = Buffer.alloc(8)
    expected.writeInt32BE(4 + header.length + 2, 0)
    expected.writeInt32BE(header.length, 4)
    assert.deepEqual(Buffer.from(encode(cmd)), Buffer.concat([expected, header, Buffer.of(1, 2)]))
  })
})

describe("JSON headers that Java would not write", () => {
  it("order is free, unknown fields are ignored, optional ones have Java's defaults", () => {
    assert.deepEqual(json('{"x":[{"y":{}}],"opaque":3,"code":4}'), {
      ...base,
      code: 4,
      opaque: 3,
      version: 0,
      language: "JAVA"
    })
    assert.strictEqual(ok(json('{"code":4,"opaque":3,"language":9}')).language, "GO")
    assert.strictEqual(ok(json('{"code":4,"opaque":3,"language":"KLINGON"}')).language, "KLINGON")
    assert.isUndefined(ok(json('{"code":4,"opaque":3,"remark":null,"extFields":null}')).extFields)
  })

  it("numbers and booleans as values become text, null is dropped", () => {
    assert.deepEqual(
      ok(json('{"code":4,"opaque":3,"extFields":{"a":1,"b":true,"c":null,"d":"x","e":9223372036854775807}}')).extFields,
      { a: "1", b: "true", d: "x", e: "9223372036854775807" }
    )
  })

  for (const [what, text] of [
    ["no JSON", "{"],
    ["empty", ""],
    ["a list", "[1]"],
    ["null", "null"],
    ["a number", "1"],
    ["code is text", '{"code":"4","opaque":3}'],
    ["code is a fraction", '{"code":4.5,"opaque":3}'],
    ["code is too large", '{"code":4294967296,"opaque":3}'],
    ["code is absent", '{"opaque":3}'],
    ["opaque is absent", '{"code":4}'],
    ["opaque is null", '{"code":4,"opaque":null}'],
    ["opaque is too large", '{"code":4,"opaque":2147483648}'],
    ["flag is a boolean", '{"code":4,"opaque":3,"flag":true}'],
    ["version is text", '{"code":4,"opaque":3,"version":"513"}'],
    ["remark is an object", '{"code":4,"opaque":3,"remark":{}}'],
    ["extFields is text", '{"code":4,"opaque":3,"extFields":"x"}'],
    ["extFields is a list", '{"code":4,"opaque":3,"extFields":["x"]}'],
    ["a value is an object", '{"code":4,"opaque":3,"extFields":{"a":{}}}'],
    ["100,000 brackets", "[".repeat(100_000)],
    ["100,000 brackets as a field", `{"code":4,"opaque":3,"x":${"[".repeat(100_000)}${"]".repeat(100_000)}}`],
    ["10,000 open braces", '{"a":'.repeat(10_000)]
  ] as const) {
    it(`C7: refused: ${what}`, () => assert.strictEqual(kindOf(json(text)), "header"))
  }

  it("a header above 64 KiB reads the same", () => {
    const cmd = { ...base, extFields: { big: "x".repeat(100_000), other: "y" } }
    assert.deepEqual(through(cmd), cmd)
  })

  it("an error does not repeat the header, which may hold a signature", () => {
    const result = json('{"code":1,"extFields":{"Signature":"geheim"}')
    if (!(result instanceof FrameError)) assert.fail("it was read")
    assert.notInclude(result.message + JSON.stringify(result), "geheim")
  })
})

describe("frames that are none", () => {
  it("too short for a header length", () => assert.strictEqual(kindOf(decodeFrame(Uint8Array.of(0, 0, 0))), "length"))

  it("C3: a header that is longer than the frame", () => {
    assert.strictEqual(kindOf(decodeFrame(Uint8Array.of(0, 0, 0, 1))), "headerLength")
    assert.strictEqual(kindOf(decodeFrame(Uint8Array.of(0, 0xff, 0xff, 0xff, 1))), "headerLength")
  })

  it("C5: another serialize type", () => {
    assert.strictEqual(kindOf(decodeFrame(frame(2, Buffer.from("{}")))), "serializeType")
    assert.strictEqual(kindOf(decodeFrame(frame(255, Buffer.from("{}")))), "serializeType")
  })

  it("C6: binary headers whose lengths lie", () => {
    const good = encode({ ...base, remark: "re", extFields: { ab: "cd" }, serializeType: "ROCKETMQ" }).subarray(8)
    assert.instanceOf(decodeFrame(frame(1, good)), Object)
    assert.notInstanceOf(decodeFrame(frame(1, good)), FrameError)
    // remark length, length of the entries, name length, value length
    for (const [at, size] of [
      [13, 4],
      [19, 4],
      [23, 2],
      [27, 4]
    ] as const) {
      for (const value of size === 2 ? [-1, 100, 32_767] : [-1, 100, 2_147_483_647, -2_147_483_648]) {
        const bad = Buffer.from(good)
        bad.writeIntBE(value, at, size)
        assert.strictEqual(kindOf(decodeFrame(frame(1, bad))), "header", `${value} at ${at}`)
      }
    }
    for (let length = 0; length < good.length; length++) {
      assert.strictEqual(kindOf(decodeFrame(frame(1, good.subarray(0, length)))), "header", `${length} bytes`)
    }
  })
})
