import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import type { StoredEntry } from "../../../src/embedded/store/StoredMessage.ts"
import * as MessageStore from "../../../src/embedded/store/MessageStore.ts"
import type { MessageInner } from "../../../src/embedded/store/StoredMessage.ts"
import * as StoredMessage from "../../../src/embedded/store/StoredMessage.ts"

const inner = (over: Partial<MessageInner> = {}): MessageInner => ({
  topic: "orders",
  queueId: 0,
  body: new Uint8Array([1, 2, 3]),
  properties: {},
  flag: 0,
  sysFlag: 0,
  bornTimestamp: 1,
  bornHost: "127.0.0.1:50500",
  storeTimestamp: 2,
  storeHost: "127.0.0.1:10911",
  reconsumeTimes: 0,
  preparedTransactionOffset: 0,
  ...over
})

const at = (store: MessageStore.MessageStore, time: number, over: Partial<MessageInner> = {}): StoredEntry => {
  const [entry] = store.append([inner({ storeTimestamp: time, ...over })])
  if (entry === undefined) throw new Error("nothing was stored")
  return entry
}

describe("MessageStore", () => {
  it("gives each queue its own offsets and the log the real sizes", () => {
    const store = MessageStore.make()
    const [a, b, c] = [at(store, 1), at(store, 2, { queueId: 1 }), at(store, 3)]
    assert.deepStrictEqual([a.queueOffset, b.queueOffset, c.queueOffset], [0, 0, 1])
    assert.deepStrictEqual(
      [a.physicalOffset, b.physicalOffset, c.physicalOffset],
      [0, a.bytes.length, a.bytes.length + b.bytes.length]
    )
    assert.deepStrictEqual(store.offsets("orders", 0), { min: 0, max: 2 })
    assert.deepStrictEqual(store.offsets("nope", 0), { min: 0, max: 0 })
    assert.strictEqual(store.byPhysicalOffset(b.physicalOffset), b)
    assert.isUndefined(store.byPhysicalOffset(b.physicalOffset + 1))
    const [message] = StoredMessage.decode(c)
    assert.strictEqual(message?.commitLogOffset, c.physicalOffset)
    assert.strictEqual(message?.queueOffset, 1)
  })

  it("finds offsets by time at both boundaries", () => {
    const store = MessageStore.make()
    for (const time of [10, 20, 20, 30]) at(store, time)
    const lower = (time: number) => store.offsetByTime("orders", 0, time, "LOWER")
    const upper = (time: number) => store.offsetByTime("orders", 0, time, "UPPER")
    assert.deepStrictEqual([5, 10, 15, 20, 25, 30, 31].map(lower), [0, 0, 1, 1, 3, 3, 4])
    assert.deepStrictEqual([5, 10, 15, 20, 25, 30, 31].map(upper), [0, 0, 0, 2, 2, 3, 3])
    assert.strictEqual(store.offsetByTime("nope", 0, 1, "LOWER"), 0)
  })

  it("indexes by unique id, keys and tag, newest first, within the time range", () => {
    const store = MessageStore.make()
    at(store, 1, { properties: { UNIQ_KEY: "A", KEYS: "k1 k2", TAGS: "t" } })
    at(store, 2, { properties: { UNIQ_KEY: "B", KEYS: "k2" } })
    at(store, 3, { properties: { UNIQ_KEY: "k2" } })
    at(store, 4, { topic: "other", properties: { UNIQ_KEY: "C", KEYS: "k2" } })
    const times = (key: string, more: Partial<MessageStore.IndexQuery> = {}) =>
      store
        .query({ topic: "orders", key, maxNum: 10, begin: 0, end: 100, ...more })
        .map((entry) => entry.storeTimestamp)
    assert.deepStrictEqual(times("k2"), [3, 2, 1])
    assert.deepStrictEqual(times("k2", { indexType: "K" }), [2, 1])
    assert.deepStrictEqual(times("k2", { indexType: "U" }), [3])
    assert.deepStrictEqual(times("t", { indexType: "T" }), [1])
    assert.deepStrictEqual(times("k2", { maxNum: 1 }), [3])
    assert.deepStrictEqual(times("k2", { begin: 2, end: 2 }), [2])
    assert.deepStrictEqual(times("t"), [])
  })

  it("forgets the oldest messages past its limit, and their indexes with them", () => {
    const one = MessageStore.make()
    const size = at(one, 0, { properties: { UNIQ_KEY: "0000" } }).bytes.length
    const store = MessageStore.make({ maxBytes: size * 3 })
    for (let i = 0; i < 10; i++) at(store, i, { queueId: i % 2, properties: { UNIQ_KEY: `000${i}` } })
    assert.deepStrictEqual(store.offsets("orders", 0), { min: 4, max: 5 })
    assert.deepStrictEqual(store.offsets("orders", 1), { min: 3, max: 5 })
    assert.isUndefined(store.read("orders", 0, 3))
    assert.strictEqual(store.read("orders", 0, 4)?.storeTimestamp, 8)
    assert.strictEqual(store.stats().bytes, size * 3)
    const found = (key: string) => store.query({ topic: "orders", key, maxNum: 1, begin: 0, end: 100 }).length
    assert.deepStrictEqual(["0000", "0006", "0007", "0009"].map(found), [0, 0, 1, 1])
  })

  it("trims a queue and deletes a topic", () => {
    const store = MessageStore.make()
    for (let i = 0; i < 4; i++) at(store, i)
    const other = at(store, 9, { topic: "other" })
    store.trim("orders", 0, 3)
    assert.deepStrictEqual(store.offsets("orders", 0), { min: 3, max: 4 })
    assert.strictEqual(at(store, 10).queueOffset, 4)
    store.deleteTopic("orders")
    assert.deepStrictEqual(store.offsets("orders", 0), { min: 0, max: 0 })
    assert.deepStrictEqual(store.entries("orders"), [])
    assert.strictEqual(store.byPhysicalOffset(other.physicalOffset), other)
    assert.strictEqual(store.stats().bytes, other.bytes.length)
  })

  it("keeps nothing of what was trimmed, in whatever order the queues are", () => {
    const store = MessageStore.make()
    const entries = Array.from({ length: 9 }, (_, i) =>
      at(store, i, { queueId: i % 3, properties: { UNIQ_KEY: `id${i}`, TAGS: "t" } })
    )
    const tagged = () => store.query({ topic: "orders", key: "t", indexType: "T", maxNum: 10, begin: 0, end: 100 })
    const held = () => entries.filter((entry) => store.byPhysicalOffset(entry.physicalOffset) === entry).length
    store.trim("orders", 1, 2)
    assert.deepStrictEqual(
      tagged().map((entry) => entry.storeTimestamp),
      [8, 7, 6, 5, 3, 2, 0]
    )
    assert.strictEqual(held(), 7)
    store.trim("orders", 0, 3)
    store.trim("orders", 2, 3)
    assert.deepStrictEqual(tagged(), entries.slice(7, 8))
    assert.strictEqual(held(), 1)
    store.trim("orders", 1, 3)
    assert.strictEqual(held(), 0)
    assert.deepInclude(store.stats(), { messages: 0, bytes: 0, puts: 9 })
  })

  it("keeps nothing of what was trimmed behind a message of another queue that stays", () => {
    const store = MessageStore.make()
    const old = at(store, 0, { topic: "other" })
    const entries = Array.from({ length: 3_000 }, (_, i) => at(store, i))
    store.trim("orders", 0, 2_900)
    const held = entries.filter((entry) => store.byPhysicalOffset(entry.physicalOffset) === entry)
    assert.deepStrictEqual(held, entries.slice(2_900))
    assert.strictEqual(store.byPhysicalOffset(old.physicalOffset), old)
    assert.strictEqual(store.stats().messages, 101)
  })

  const put = Arbitrary.schema(
    Schema.Struct({
      topic: Schema.Literals(["a", "b"]),
      queueId: Schema.Literals([0, 1]),
      size: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 }))
    })
  )

  it.prop(
    "what was appended is read at its offset, offsets have no gaps, and the log grows by the sizes",
    { puts: Arbitrary.array(put, { maxLength: 60 }) },
    ({ puts }) => {
      const store = MessageStore.make()
      const next = new Map<string, number>()
      let end = 0
      for (const [index, { queueId, size, topic }] of puts.entries()) {
        const body = new Uint8Array(size).fill(index % 256)
        const entry = at(store, index, { topic, queueId, body })
        const queue = `${topic}@${queueId}`
        assert.strictEqual(entry.queueOffset, next.get(queue) ?? 0)
        next.set(queue, entry.queueOffset + 1)
        assert.strictEqual(entry.physicalOffset, end)
        end += entry.bytes.length
        assert.strictEqual(store.read(topic, queueId, entry.queueOffset), entry)
        assert.strictEqual(store.byPhysicalOffset(entry.physicalOffset), entry)
        assert.deepStrictEqual(StoredMessage.decode(entry)[0]?.body, body)
      }
    },
    { arbitrary: { runs: 100 } }
  )
})
