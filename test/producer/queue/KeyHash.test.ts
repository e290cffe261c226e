import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as Fs from "node:fs"
import * as Message from "../../../src/message/Message.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"
import * as KeyHash from "../../../src/producer/queue/KeyHash.ts"
import * as QueueSelector from "../../../src/producer/queue/QueueSelector.ts"

interface Table {
  readonly n: ReadonlyArray<number>
  readonly keys: ReadonlyArray<
    { readonly key: string } & Readonly<Partial<Record<KeyHash.KeyHash, ReadonlyArray<number>>>>
  >
  readonly int: ReadonlyArray<{ readonly value: string; readonly java: ReadonlyArray<number> }>
  readonly long: ReadonlyArray<{ readonly value: string; readonly java: ReadonlyArray<number> }>
}

const table: Table = JSON.parse(Fs.readFileSync(new URL("KeyHash.json", import.meta.url), "utf8"))
const hashes = ["java", "go", "ali-ons", "siphash", "proxy"] as const
const message = Message.make({ topic: "orders", body: "x" })
const queues = (count: number, broker = "broker-a") =>
  Array.from({ length: count }, (_, id) => MessageQueue.make("orders", broker, id))
const never = () => assert.fail("no chance is needed")

describe("KeyHash", () => {
  for (const hash of hashes) {
    it(`${hash}: the queues that the client itself chose`, () => {
      let compared = 0
      for (const row of table.keys) {
        const expected = row[hash]
        if (expected === undefined) continue
        table.n.forEach((size, i) => {
          compared++
          assert.strictEqual(KeyHash.indexOf(hash, row.key, size), expected[i], `${JSON.stringify(row.key)} of ${size}`)
        })
      }
      assert.isAtLeast(compared, 19 * table.n.length)
    })
  }

  it("java: Integer and Long keys hash as Java's do", () => {
    for (const row of table.int) {
      const actual = table.n.map((size) => KeyHash.indexOf("java", Number(row.value), size))
      assert.deepEqual(actual, [...row.java], row.value)
    }
    for (const row of table.long) {
      const actual = table.n.map((size) => KeyHash.indexOf("java", BigInt(row.value), size))
      assert.deepEqual(actual, [...row.java], row.value)
    }
    // A number beyond 32 bits can only have been a Long.
    assert.strictEqual(KeyHash.javaHash(1_234_567_890_123), KeyHash.javaHash(1_234_567_890_123n))
    assert.strictEqual(KeyHash.javaHash(1.5), KeyHash.javaHash("1.5"))
  })

  it("the hashes themselves", () => {
    assert.strictEqual(KeyHash.javaHash("polygenelubricants"), -2_147_483_648)
    assert.strictEqual(KeyHash.fnv1a(""), 0x811c9dc5)
    assert.strictEqual(KeyHash.fnv1a("foobar"), 0xbf9cf968)
    // The example of the SipHash paper: the bytes 00 .. 0e.
    const bytes = String.fromCharCode(...Array.from({ length: 15 }, (_, byte) => byte))
    assert.strictEqual(BigInt.asUintN(64, KeyHash.sipHash24(bytes)), 0xa129_ca61_49be_45e5n)
  })

  it.prop(
    "an index is always one of the queues, and the same each time",
    [
      Schema.String,
      Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 300 }))),
      Schema.Literals(hashes)
    ],
    ([key, size, hash]) => {
      const index = KeyHash.indexOf(hash, key, size)
      assert.isTrue(Number.isInteger(index) && index >= 0 && index < size, `${index} of ${size}`)
      assert.isFalse(Object.is(index, -0))
      assert.strictEqual(KeyHash.indexOf(hash, key, size), index)
    }
  )
})

describe("QueueSelector", () => {
  it("byKey takes Java's choice unless told otherwise", () => {
    const all = queues(7)
    const index = (selector: QueueSelector.QueueSelector) => selector(all, message, never)?.queueId
    assert.strictEqual(index(QueueSelector.byKey("a")), 97 % 7)
    for (const hash of hashes) {
      assert.strictEqual(index(QueueSelector.byKey("order-3", { hash })), KeyHash.indexOf(hash, "order-3", 7))
    }
    assert.strictEqual(index(QueueSelector.byKey(-100)), 100 % 7)
  })

  it("ali-ons hashes over queue ids, however many brokers there are", () => {
    const all = [...queues(4, "broker-a"), ...queues(4, "broker-b")]
    for (const key of ["order-1", "order-2", "user:42", "Aa"]) {
      const chosen = QueueSelector.byKey(key, { hash: "ali-ons" })(all, message, never)
      assert.deepEqual(chosen, MessageQueue.make("orders", "broker-a", KeyHash.indexOf("ali-ons", key, 4)))
    }
  })

  it("no queues, no choice", () => {
    for (const hash of hashes) assert.isUndefined(QueueSelector.byKey("k", { hash })([], message, never))
    assert.isUndefined(QueueSelector.random([], message, () => 0.5))
  })

  it("random covers all queues and stays within them", () => {
    const all = queues(4)
    const chosen = [0, 0.25, 0.5, 0.75, 1 - Number.EPSILON].map(
      (chance) => QueueSelector.random(all, message, () => chance)?.queueId
    )
    assert.deepEqual(chosen, [0, 1, 2, 3, 3])
  })

  it("make takes any function of queues and message", () => {
    const all = queues(3)
    const last = QueueSelector.make((list, { topic }) => (topic === "orders" ? list.at(-1) : undefined))
    assert.strictEqual(last(all, message, never)?.queueId, 2)
    assert.isUndefined(last(all, { ...message, topic: "other" }, never))
  })
})
