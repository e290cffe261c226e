import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { Message } from "../../src/message/Message.ts"
import * as MessageBatch from "../../src/message/MessageBatch.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import * as MessageCodec from "../../src/protocol/MessageCodec.ts"
import { bytes, text } from "../protocol/arbitraries.ts"

const int = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
const maybe = <A>(some: Arbitrary.Arbitrary<A>) =>
  Arbitrary.flatMap(Arbitrary.schema(Schema.Boolean), (present): Arbitrary.Arbitrary<A | undefined> =>
    present ? some : Arbitrary.Constant(undefined)
  )
const message: Arbitrary.Arbitrary<Message> = Arbitrary.map(
  Arbitrary.all({
    body: bytes,
    tags: maybe(text),
    keys: maybe(Arbitrary.array(text, { maxLength: 3 })),
    properties: maybe(
      Arbitrary.map(Arbitrary.array(Arbitrary.all([text, text] as const), { maxLength: 3 }), (entries) =>
        Object.fromEntries(entries)
      )
    ),
    flag: int(-5, 5),
    waitStoreMsgOK: maybe(Arbitrary.schema(Schema.Boolean))
  }),
  (fields) => ({ topic: "orders", ...fields })
)
const messages = Arbitrary.array(message, { maxLength: 12 })

/** The body of a batch as a producer writes it. */
const encoded = (list: ReadonlyArray<Message>, idLength: number) =>
  MessageCodec.encodeBatch(
    list.map((item) => ({
      flag: item.flag ?? 0,
      body: item.body,
      properties: MessageProperties.ofMessage(item, "F".repeat(idLength))
    }))
  )

const plain = (change: Partial<Message> = {}): Message => ({
  topic: "orders",
  body: Uint8Array.of(1),
  ...change
})
const problem = (...list: ReadonlyArray<Message>) => {
  const found = MessageBatch.check(list)
  return found === undefined ? undefined : [found.kind, found.index]
}

describe("MessageBatch", () => {
  it("one topic, no delay, no retry topic, one WAIT, and at least one message", () => {
    assert.isUndefined(problem(plain()))
    assert.isUndefined(problem(plain(), plain({ waitStoreMsgOK: true })))
    assert.isUndefined(problem(plain({ waitStoreMsgOK: false }), plain({ waitStoreMsgOK: false })))
    assert.deepEqual(problem(), ["empty", -1])
    assert.deepEqual(problem(plain(), plain(), plain({ topic: "other" })), ["topic", 2])
    assert.deepEqual(problem(plain(), plain({ waitStoreMsgOK: false })), ["waitStoreMsgOK", 1])
    assert.deepEqual(problem(plain(), plain({ delay: MessageDelay.level(1) })), ["delay", 1])
    for (const name of ["DELAY", "TIMER_DELAY_SEC", "TIMER_DELAY_MS", "TIMER_DELIVER_MS"]) {
      assert.deepEqual(problem(plain({ properties: { [name]: "1" } })), ["delay", 0])
    }
    assert.deepEqual(problem(plain({ topic: "%RETRY%cg" })), ["retryTopic", 0])
    assert.include(MessageBatch.check([plain(), plain({ topic: "other" })])?.detail ?? "", '"orders" and "other"')
  })

  it.prop(
    "the calculated size is the size of the encoding",
    [messages, Schema.Literals([32, 56]), int(0, 100)],
    ([list, uniqueIdLength, extra]) => {
      const actual = encoded(list, uniqueIdLength).length
      assert.strictEqual(MessageBatch.encodedLength(list, { uniqueIdLength }), actual)
      assert.strictEqual(
        MessageBatch.encodedLength(list, { uniqueIdLength, extraPropertyBytes: extra }),
        actual + extra * list.length
      )
      if (uniqueIdLength === 56) assert.strictEqual(MessageBatch.encodedLength(list), actual)
    }
  )

  it.prop(
    "split keeps order, loses nothing, fits, and wastes no room",
    [messages, int(0, 1_500)],
    ([list, maxBytes]) => {
      const { batches, oversized } = MessageBatch.split(list, maxBytes)
      const tooLarge = new Set(oversized.map(({ index }) => index))
      assert.deepEqual(
        batches.flat(),
        list.filter((_, index) => !tooLarge.has(index))
      )
      for (const { index, length, message: found } of oversized) {
        assert.strictEqual(found, list[index])
        assert.strictEqual(length, encoded([found], 56).length)
        assert.isAbove(length, maxBytes)
      }
      for (const [i, batch] of batches.entries()) {
        assert.isAbove(batch.length, 0)
        assert.isAtMost(encoded(batch, 56).length, maxBytes)
        const next = batches[i + 1]?.[0]
        if (next !== undefined) assert.isAbove(encoded([...batch, next], 56).length, maxBytes)
      }
    }
  )

  it("splits a list of thousands in one pass", () => {
    const list = Array.from({ length: 20_000 }, () => plain({ body: new Uint8Array(1_000) }))
    const { batches, oversized } = MessageBatch.split(list, 4_194_304)
    assert.deepEqual(oversized, [])
    assert.strictEqual(
      batches.length,
      Math.ceil(20_000 / Math.floor(4_194_304 / MessageBatch.partLength(plain({ body: new Uint8Array(1_000) }))))
    )
  })
})
