import { assert, describe, it } from "@effect/vitest"
import * as Body from "../../src/protocol/BodyCodec.ts"
import { DecodeError } from "../../src/protocol/DecodeError.ts"

/** What fastjson 1 and 2 made of these texts, in the classes of RocketMQ 4.9.7 and 5.5.0. */
const codec = Body.struct({
  int: Body.withDefault(Body.int, -7),
  long: Body.withDefault(Body.int64, -7),
  exact: Body.withDefault(Body.long, -7),
  flag: Body.withDefault(Body.boolean, false),
  list: Body.withDefault(Body.list(Body.int), [])
})

const read = (text: string) => Body.decode(codec, 34, Buffer.from(text))

describe("numbers in bodies", () => {
  it("what fastjson takes for a number is taken", () => {
    for (const [text, value] of [
      ["1", 1],
      ['"1"', 1],
      ["+1", 1],
      ['"+1"', 1],
      ['"-1"', -1],
      ["-0", 0],
      ["01", 1],
      ['"007"', 7],
      ['"1,000"', 1_000],
      ["1.0", 1],
      ["1.9", 1],
      ["-1.9", -1],
      ["1.", 1],
      ['"1.0"', 1],
      ["1e3", 1_000],
      ["1L", 1],
      ["1D", 1],
      ["true", 1],
      ["false", 0],
      ['""', -7],
      ['"null"', -7],
      ["null", -7]
    ] as const) {
      assert.deepInclude(read(`{"int":${text},"long":${text},"exact":${text}}`), {
        int: value,
        long: value,
        exact: value
      })
    }
  })

  it("a long is read without loss", () => {
    for (const [text, value] of [
      ["1785492345678901234", 1_785_492_345_678_901_234n],
      ['"1785492345678901234"', 1_785_492_345_678_901_234n],
      ["9007199254740991", 9_007_199_254_740_991],
      ["9007199254740993", 9_007_199_254_740_993n],
      ["9223372036854775807", 9_223_372_036_854_775_807n],
      ["-9223372036854775808", -9_223_372_036_854_775_808n],
      // With an exponent it is a double, which Java cuts to what fits.
      ["1e30", 9_223_372_036_854_775_807n],
      ["-1e30", -9_223_372_036_854_775_808n]
    ] as const) {
      assert.deepInclude(read(`{"long":${text}}`), { long: value })
      const written = Body.encode(codec, { int: 0, long: value, exact: 0, flag: false, list: [] })
      assert.include(Buffer.from(written).toString(), `"long":${value}`)
    }
  })

  it("nothing else is", () => {
    for (const text of ['" 1"', '"1 "', '" "', '"abc"', '"0x1"', '"NaN"', "[1]", "{}", "9223372036854775808"]) {
      for (const name of ["int", "long", "exact"]) {
        const result = read(`{"${name}":${text}}`)
        assert.strictEqual(result instanceof DecodeError ? result.field : "no error", `body.${name}`, text)
      }
    }
    for (const text of ["2147483648", '"2147483648"', "-2147483649"]) {
      assert.instanceOf(read(`{"int":${text}}`), DecodeError)
    }
    assert.instanceOf(read('{"exact":9007199254740993}'), DecodeError)
    assert.instanceOf(read(`{"long":"${"9".repeat(1_000_000)}"}`), DecodeError)
  })

  it("booleans, and lists of numbers in any form", () => {
    for (const text of ["true", '"true"', '"TRUE"', "1", '"1"', '"Y"']) {
      assert.deepInclude(read(`{"flag":${text}}`), { flag: true })
    }
    for (const text of ["false", '"false"', "0", "2", '"0"', '"N"', '""', "null", '"null"']) {
      assert.deepInclude(read(`{"flag":${text}}`), { flag: false })
    }
    for (const text of ['"yes"', "[]", "{}"]) assert.instanceOf(read(`{"flag":${text}}`), DecodeError)
    assert.deepInclude(read('{"list":["-1","",null,2.5,"3"]}'), { list: [-1, 2, 3] })
  })
})
