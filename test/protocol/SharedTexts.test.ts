import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { StoredFields } from "../../src/message/MessageExt.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import { SharedTexts } from "../../src/protocol/SharedTexts.ts"

/** What an answer's messages share is read once: whatever stands beside a message, it is read as if it stood alone. */

const oneOf = <const A extends string | number>(...values: ReadonlyArray<A>) =>
  Arbitrary.schema(Schema.Literals(values))

const HOSTS = ["10.0.0.1:1", "10.0.0.1:2", "10.0.0.2:1", "[::1]:1", "0.0.0.0:-1", "255.255.255.255:65535"] as const
const names = ["KEYS", "TAGS", "KEY", "KEYS2", "a", "ab", "标签", "__proto__", "constructor", "7"] as const

const properties = Arbitrary.map(
  Arbitrary.array(Arbitrary.all([oneOf(...names), oneOf("", "x", "KEYS", "a b", "标签 值")] as const), {
    maxLength: 5
  }),
  (entries): Record<string, string> => Object.assign(Object.create(null), Object.fromEntries(entries))
)

const message = Arbitrary.map(
  Arbitrary.all({
    topic: oneOf("orders", "orderz", "order", "", "订单", "x".repeat(200), `${"x".repeat(199)}y`),
    properties,
    bornHost: oneOf(...HOSTS),
    storeHost: oneOf(...HOSTS),
    commitLogOffset: oneOf(0, 1, 4_294_967_295, 4_294_967_296, 9_007_199_254_740_991)
  }),
  (drawn) =>
    MessageCodec.encode({
      body: Buffer.from("body"),
      flag: 0,
      queueId: 0,
      queueOffset: 7,
      sysFlag: 0,
      bornTimestamp: 1,
      storeTimestamp: 2,
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      ...drawn
    } satisfies Omit<StoredFields, "storeSize" | "bodyCRC">)
)

/** Texts of properties that no writer makes: ends without names, names without ends, the marks in any order. */
const text = Arbitrary.map(
  Arbitrary.array(oneOf("\u0001", "\u0002", "KEYS", "KEY", "S", "a", "标"), { maxLength: 16 }),
  (parts) => parts.join("")
)

describe("shared texts", () => {
  it.prop("a message is read as if it stood alone", { all: Arbitrary.array(message, { maxLength: 8 }) }, ({ all }) => {
    const { error, messages } = MessageCodec.decodeAll(Buffer.concat(all))
    assert.isUndefined(error)
    assert.deepStrictEqual(
      messages,
      all.flatMap((one) => MessageCodec.decodeAll(one).messages)
    )
  })

  it.prop("so are its properties, whatever their text", { all: Arbitrary.array(text, { maxLength: 8 }) }, ({ all }) => {
    const shared = new SharedTexts()
    for (const one of all) {
      const bytes = Buffer.from(one)
      const read = shared.properties(bytes, 0, bytes.length)
      assert.isNull(Object.getPrototypeOf(read))
      assert.deepStrictEqual(Object.entries(read), Object.entries(MessageProperties.decode(one)))
    }
  })

  it("ids are written as Java writes them", () => {
    const bytes = Buffer.from("7f0000010000 2a9f 00000000 0a1b2c3d 00000001 fffefdfc".replaceAll(" ", ""), "hex")
    const shared = new SharedTexts()
    assert.strictEqual(shared.offsetMsgId(bytes, 0, false, 8), "7F00000100002A9F000000000A1B2C3D")
    assert.strictEqual(shared.offsetMsgId(bytes, 0, false, 16), "7F00000100002A9F00000001FFFEFDFC")
    assert.strictEqual(shared.offsetMsgId(bytes, 0, false, 8), "7F00000100002A9F000000000A1B2C3D")
    assert.strictEqual(shared.offsetMsgId(Buffer.alloc(28, 0xab), 0, true, 20), "AB".repeat(28))
  })

  it("remembers a bounded number of names", () => {
    const known: Array<string> = []
    MessageProperties.decode(
      Array.from({ length: 1_000 }, (_, index) => MessageProperties.property(`n${index}`, "v")).join(""),
      known
    )
    assert.strictEqual(known.length, 32)
  })
})
