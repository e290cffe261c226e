import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import { append, decode, encode, isReserved, MessageConst, valueIn } from "../../src/protocol/MessageProperties.ts"
import { fieldName, record, text } from "./arbitraries.ts"

const clean = (value: string): string => value.replaceAll("\u0001", "-").replaceAll("\u0002", "-")

describe("MessageProperties", () => {
  it.effect.prop(
    "decode undoes encode where no name and no value is empty",
    { entries: Arbitrary.array(Arbitrary.all([fieldName, text] as const), { maxLength: 6 }) },
    ({ entries }) =>
      Effect.sync(() => {
        const properties = record(entries.map(([name, value]) => [`${clean(name)}_`, `${clean(value)}_`]))
        assert.deepEqual(Object.entries(decode(encode(properties))), Object.entries(properties))
      })
  )

  it("reads what Java reads, with and without the last separator", () => {
    const { stringify } = JSON
    const read = (value: string): string => stringify(decode(value))
    assert.strictEqual(read("a\u00011\u0002b\u00012\u0002"), '{"a":"1","b":"2"}')
    assert.strictEqual(read("a\u00011\u0002b\u00012"), '{"a":"1","b":"2"}')
    assert.strictEqual(read("\u0001\u0001\u0002a\u00011"), '{"a":"1"}')
    assert.strictEqual(read("ab\u0001\u0002c\u00013"), '{"c":"3"}')
    assert.strictEqual(read("noseparator\u0002c\u00013"), '{"c":"3"}')
    assert.strictEqual(read("\u00011\u0002c\u00013"), '{"c":"3"}')
    assert.strictEqual(read("c\u00013\u00014\u0002"), stringify({ c: "3\u00014" }))
    assert.strictEqual(read("a\u00011\u0002\u0002\u0002b\u00012"), '{"a":"1","b":"2"}')
    assert.strictEqual(read(""), "{}")
  })

  it.effect.prop(
    "finds what decode finds, and appends what encode writes",
    { entries: Arbitrary.array(Arbitrary.all([fieldName, text] as const), { maxLength: 6 }) },
    ({ entries }) =>
      Effect.sync(() => {
        const properties = record(entries.map(([name, value]) => [`${clean(name)}_`, `${clean(value)}_`]))
        const names = Object.keys(properties)
        const written = names.reduce((before, name) => append(before, name, properties[name] ?? ""), "")
        assert.strictEqual(written, encode(properties))
        for (const name of names) assert.strictEqual(valueIn(written, name), properties[name])
        for (const name of ["_", "", "nobody"]) {
          assert.strictEqual(valueIn(written, name), name === "_" ? properties["_"] : undefined)
        }
      })
  )

  it("finds a property by its whole name, with and without the last separator", () => {
    const written = encode({ MY_INSTANCE_ID: "mine", INSTANCE_ID: "ns" })
    assert.strictEqual(valueIn(written, "INSTANCE_ID"), "ns")
    assert.strictEqual(valueIn(written.slice(0, -1), "INSTANCE_ID"), "ns")
    assert.strictEqual(valueIn(encode({ MY_INSTANCE_ID: "mine" }), "INSTANCE_ID"), undefined)
    assert.strictEqual(append(written.slice(0, -1), "a", "b"), `${written}a\u0001b\u0002`)
  })

  it("has no prototype to reach", () => {
    const properties = decode("__proto__\u0001x\u0002a\u0001b\u0002")
    assert.strictEqual(properties["__proto__"], "x")
    assert.isUndefined(properties["constructor"])
  })

  it("takes linear time for hostile texts", () => {
    const start = performance.now()
    decode("aaa\u0002".repeat(500_000))
    decode("\u0001".repeat(2_000_000))
    decode("aa\u0002".repeat(500_000) + "b\u0001c")
    assert.isBelow(performance.now() - start, 5000)
  })

  it("knows the reserved names", () => {
    for (const name of ["KEYS", "TAGS", "UNIQ_KEY", "TRAN_MSG", "DELAY", "__CRC32#", "POP_CK"])
      assert.isTrue(isReserved(name))
    for (const name of ["__SHARDINGKEY", "TRACE_CONTEXT", "__transactionId__", "mine", "constructor"]) {
      assert.isFalse(isReserved(name))
    }
    assert.strictEqual(MessageConst.UNIQ_KEY, "UNIQ_KEY")
  })
})
