import { assert, describe, it } from "@effect/vitest"
import * as HeaderCodec from "../../src/protocol/HeaderCodec.ts"
import { record } from "./arbitraries.ts"

const codec = HeaderCodec.struct({
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  offset: HeaderCodec.long,
  end: HeaderCodec.bigint,
  order: HeaderCodec.boolean,
  x: HeaderCodec.optional(HeaderCodec.int),
  kind: HeaderCodec.optional(HeaderCodec.literal("LOWER", "UPPER")),
  brokerName: HeaderCodec.brokerName
})

const fields = { topic: "t", queueId: "-1", offset: "9007199254740991", end: "9223372036854775807", order: "true" }
const header = {
  topic: "t",
  queueId: -1,
  offset: 9_007_199_254_740_991,
  end: 9_223_372_036_854_775_807n,
  order: true
}

const fieldOf = (result: unknown): string =>
  result instanceof HeaderCodec.DecodeError ? `${result.code} ${result.field}` : "no error"

describe("HeaderCodec", () => {
  it("encodes to texts and back, absent fields stay absent", () => {
    assert.deepEqual(codec.encode(header), fields)
    assert.deepEqual(codec.encode({ ...header, x: undefined }), fields)
    assert.deepEqual(codec.decode(1, fields), header)
    const full = { ...header, x: 5, kind: "UPPER", brokerName: "b" } as const
    assert.deepEqual(codec.encode(full), { ...fields, x: "5", kind: "UPPER", bname: "b" })
    assert.deepEqual(codec.decode(1, codec.encode(full)), full)
  })

  it("ignores fields it does not know, and booleans are Java's", () => {
    assert.deepEqual(codec.decode(1, { ...fields, other: "1" }), header)
    assert.deepEqual(codec.decode(1, { ...fields, order: "TRUE" }), header)
    assert.deepEqual(codec.decode(1, { ...fields, order: "yes" }), { ...header, order: false })
    assert.deepEqual(codec.decode(1, { ...fields, queueId: "+7" }), { ...header, queueId: 7 })
  })

  it("names the field that is absent or wrong", () => {
    assert.strictEqual(fieldOf(codec.decode(11, undefined)), "11 topic")
    for (const [field, text] of [
      ["queueId", "2147483648"],
      ["queueId", ""],
      ["queueId", "1.0"],
      ["queueId", "0x1"],
      ["queueId", " 1"],
      ["queueId", "1e3"],
      ["offset", "9007199254740992"],
      ["offset", "NaN"],
      ["end", "9223372036854775808"],
      ["end", "1".repeat(100_000)],
      ["kind", "lower"],
      ["x", "y"]
    ] as const) {
      assert.strictEqual(
        fieldOf(codec.decode(11, { ...fields, [field]: text })),
        `11 ${field}`,
        `${field} ${text.slice(0, 30)}`
      )
    }
  })

  it("a field may count as absent when it cannot be read, or have a default", () => {
    const lenient = HeaderCodec.struct({
      times: HeaderCodec.nullable(HeaderCodec.int),
      timestamp: HeaderCodec.withDefault(HeaderCodec.int64, 0)
    })
    assert.deepEqual(lenient.decode(1, { times: "3", timestamp: "9223372036854775807" }), {
      times: 3,
      timestamp: 9_223_372_036_854_775_807n
    })
    for (const text of ["", "x", "9223372036854775808"]) {
      assert.deepEqual(lenient.decode(1, { times: text, timestamp: text }), { timestamp: 0 })
    }
    assert.deepEqual(lenient.decode(1, undefined), { timestamp: 0 })
    assert.deepEqual(lenient.encode({ timestamp: 9_223_372_036_854_775_807n }), { timestamp: "9223372036854775807" })
  })

  it("finds no field in a prototype", () => {
    const odd = HeaderCodec.struct({ constructor: HeaderCodec.string })
    assert.strictEqual(fieldOf(odd.decode(1, {})), "1 constructor")
    assert.deepEqual(
      odd.decode(
        1,
        record([
          ["constructor", "a"],
          ["__proto__", "b"]
        ])
      ),
      { constructor: "a" }
    )
  })
})
