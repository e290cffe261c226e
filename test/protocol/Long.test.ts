import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import * as Long from "../../src/protocol/Long.ts"

const MAX = 9_223_372_036_854_775_807n
const MIN = -MAX - 1n

/** Any 64-bit int, most of them near the edges. */
const any: Arbitrary.Arbitrary<bigint> = Arbitrary.map(
  Arbitrary.all({
    base: Arbitrary.schema(Schema.Literals([0n, 2n ** 31n, -(2n ** 31n), 2n ** 53n, -(2n ** 53n), MAX, MIN])),
    off: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: -9, maximum: 9 })))
  }),
  ({ base, off }) => BigInt.asIntN(64, base + BigInt(off))
)

const long = (value: bigint): Long.Long => {
  const read = Long.fromBigInt(value)
  assert.isDefined(read)
  return read
}

describe("Long", () => {
  it.effect.prop("a 64-bit int is read without loss, in one form only", { value: any }, ({ value }) =>
    Effect.sync(() => {
      const read = Long.parseLong(String(value))
      assert.isDefined(read)
      assert.strictEqual(BigInt(read), value)
      assert.strictEqual(typeof read === "number", Number.isSafeInteger(Number(value)))
      assert.strictEqual(read, Long.fromBigInt(value))
      assert.strictEqual(Long.parseInt32(String(value)), BigInt.asIntN(32, value) === value ? Number(value) : undefined)
    })
  )

  it.effect.prop("sums, differences and products wrap as Java's", { a: any, b: any }, ({ a, b }) =>
    Effect.sync(() => {
      const wrap = (value: bigint) => long(BigInt.asIntN(64, value))
      assert.strictEqual(Long.add(long(a), long(b)), wrap(a + b))
      assert.strictEqual(Long.subtract(long(a), long(b)), wrap(a - b))
      assert.strictEqual(Long.multiply(long(a), long(b)), wrap(a * b))
    })
  )

  it("texts are read as Java reads them", () => {
    for (const [text, value] of [
      ["0", 0],
      ["-0", 0],
      ["+7", 7],
      ["007", 7],
      ["-007", -7],
      [`${"0".repeat(100_000)}9`, 9],
      ["2147483647", 2_147_483_647],
      ["-2147483648", -2_147_483_648],
      // The digits of any script of the first plane: full width, Arabic-Indic, Devanagari, Tibetan, Limbu.
      ["\uff11\uff12", 12],
      ["-\u0661\u0660", -10],
      ["\u0967\u096f", 19],
      ["\u0f21", 1],
      ["1\u1947", 11]
    ] as const) {
      assert.strictEqual(Long.parseInt32(text), value, text)
      assert.strictEqual(Long.parseLong(text), value, text)
    }
    for (const text of [
      "",
      " ",
      "+",
      "-",
      "+-1",
      "--1",
      " 1",
      "1 ",
      "1\n",
      "1.0",
      "1.",
      ".1",
      "1e3",
      "0x1",
      "1_000",
      "1,000",
      "1L",
      "NaN",
      "null",
      "true",
      "abc",
      "\u00b2",
      "\u2460",
      "\u{1d7cf}",
      "1\u0000",
      "\ud800",
      "9".repeat(100_000)
    ]) {
      assert.isUndefined(Long.parseInt32(text), JSON.stringify(text.slice(0, 40)))
      assert.isUndefined(Long.parseLong(text), JSON.stringify(text.slice(0, 40)))
    }
    assert.isUndefined(Long.parseInt32("2147483648"))
    assert.isUndefined(Long.parseInt32("-2147483649"))
    assert.isUndefined(Long.parseLong("9223372036854775808"))
    assert.isUndefined(Long.parseLong("-9223372036854775809"))
  })
})
