import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect } from "effect"
import { Arbitraries, EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import * as Message from "../../../src/message/Message.ts"
import * as MessageBatch from "../../../src/message/MessageBatch.ts"
import * as MessageDelay from "../../../src/message/MessageDelay.ts"
import type { MessageExt } from "../../../src/message/MessageExt.ts"
import * as MessageId from "../../../src/message/MessageId.ts"
import type { SendResult } from "../../../src/message/SendResult.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { failureOf, makeProducer, onMemory, startProducer, text, timed, valueOf } from "../../support/rig.ts"

const topics = { orders: {} }
const BATCH = RequestCode.SEND_BATCH_MESSAGE

const forms = (topic: string): ReadonlyArray<Message.Message> => [
  Message.make({ topic, body: "plain" }),
  Message.make({ topic, body: "grüße 🚀", tags: "A", keys: ["k1", "ключ"], flag: -7 }),
  Message.make({
    topic,
    body: Uint8Array.from({ length: 256 }, (_, n) => n),
    properties: { 名前: "値", constructor: "c" }
  }),
  Message.make({ topic, body: "x".repeat(5_000), tags: "B" })
]

/** Asserts that each message lies where its result says, as it was sent. */
const assertStored = (
  stored: ReadonlyArray<MessageExt>,
  messages: ReadonlyArray<Message.Message>,
  results: ReadonlyArray<SendResult>
) => {
  assert.strictEqual(results.length, messages.length)
  for (const [index, message] of messages.entries()) {
    const result = results[index]
    assert.isDefined(result)
    const found = stored.find((one) => one.msgId === result.msgId)
    assert.deepInclude(found, {
      topic: message.topic,
      queueId: result.queue.queueId,
      queueOffset: result.queueOffset,
      flag: message.flag ?? 0,
      sysFlag: 0
    })
    assert.isTrue(Buffer.from(found?.body ?? []).equals(message.body))
    assert.strictEqual(found?.tags, message.tags)
    assert.deepStrictEqual(found?.keys, message.keys ?? [])
    for (const [name, value] of Object.entries(message.properties ?? {})) {
      assert.strictEqual(found?.properties[name], value)
    }
    const offset = MessageId.decodeOffsetMessageId(result.offsetMsgId ?? "")?.offset
    assert.strictEqual(offset, BigInt(found?.commitLogOffset ?? -1))
  }
}

describe("sendBatch", () => {
  it.effect.each([
    ["5.5.0", MQVersion.V5_5_0],
    ["4.9.7", MQVersion.V4_9_7]
  ] as const)("on %s: every message is stored under its own id, one behind the other", ([, version]) =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const batch = forms("orders")
      const copy = structuredClone(batch)
      const result = yield* producer.sendBatch(batch)
      assert.deepStrictEqual(batch, copy, "the caller's values stay as they were")
      assert.strictEqual(result.status, "SEND_OK")
      assert.strictEqual(result.attempts, 1)
      assert.strictEqual(new Set(result.results.map(({ msgId }) => msgId)).size, batch.length)
      for (const [index, one] of result.results.entries()) {
        assert.deepStrictEqual([one.queue, one.queueOffset], [result.queue, result.queueOffset + index])
        assert.notInclude(one.offsetMsgId, ",")
      }
      assertStored(yield* messages("orders"), batch, result.results)
      yield* traffic.expect({ code: BATCH, extFields: { m: "true", f: "0" } }, { exactly: 1 })
      yield* traffic.expect({ code: RequestCode.SEND_MESSAGE_V2 }, { exactly: 0 })
      assert.deepInclude((yield* producer.state).counters, { sends: 1, acknowledged: 1 })
    }).pipe(onMemory({ topics, version }))
  )

  it.effect("asks a broker for its release before it sends what only one of them understands", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* makeProducer({ readiness: "lazy" })
      yield* producer.start
      yield* Effect.addFinalizer(() => producer.shutdown)
      const batch = forms("orders")
      const { results } = yield* producer.sendBatch(batch)
      assertStored(yield* messages("orders"), batch, results)
    }).pipe(onMemory({ topics, version: MQVersion.V4_9_7 }))
  )

  it.effect.prop(
    "holds any messages that may be together",
    { messages: Arbitrary.array(Arbitraries.message, { minLength: 1, maxLength: 20 }) },
    ({ messages: generated }) =>
      Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const producer = yield* startProducer()
        const batch = generated.map((message) => ({ ...message, topic: "orders", waitStoreMsgOK: true }))
        const { results } = yield* producer.sendBatch(batch)
        assertStored(yield* messages("orders"), batch, results)
      }).pipe(onMemory({ topics })),
    { arbitrary: { runs: 25 } }
  )

  it.effect("goes to one queue: a given one, a key's or the next in turn", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const queues = yield* producer.fetchPublishMessageQueues("orders")
      const batch = [text("orders", "1"), text("orders", "2")]
      const queue = queues[5]
      assert.deepStrictEqual((yield* producer.sendBatch(batch, { queue })).queue, queue)
      const keyed = yield* Effect.forEach([1, 2, 3], () => producer.sendBatch(batch, { orderingKey: "k" }))
      assert.strictEqual(new Set(keyed.map((result) => JSON.stringify(result.queue))).size, 1)
      const turns = yield* Effect.forEach(queues, () => producer.sendBatch(batch))
      assert.strictEqual(new Set(turns.map((result) => JSON.stringify(result.queue))).size, 8)
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("B17: is refused before anything is sent when a rule is broken", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ maxMessageSize: 1_000 })
      yield* traffic.clear
      const good = text("orders")
      const later = { ...good, delay: MessageDelay.level(3) }
      const cases: ReadonlyArray<readonly [ReadonlyArray<Message.Message>, string, RegExp]> = [
        [[], "batch", /no messages/],
        [[good, text("other")], "batch", /"orders" and "other" \(index 1\)/],
        [[good, { ...good, waitStoreMsgOK: false }], "batch", /waitStoreMsgOK \(index 1\)/],
        [[good, later], "batch", /delayed message at index 1/],
        [[text("%RETRY%group")], "batch", /retry topic/],
        [[good, text("orders", "")], "batch[1].body", /is empty/],
        [[good, { ...good, tags: " " }], "batch[1].tags", /blank/],
        [[text("orders", "x".repeat(500)), text("orders", "x".repeat(500))], "batch", /takes \d+ bytes.*split/]
      ]
      for (const [batch, field, problem] of cases) {
        const error = failureOf(yield* Effect.exit(producer.sendBatch(batch)))
        assert.deepInclude(error.reason, { _tag: "InvalidMessage", field })
        assert.match(error.message, problem)
        assert.deepStrictEqual([error.outcome, error.attempts], ["not-sent", []])
      }
      assert.deepStrictEqual(yield* traffic.all, [])
      assert.deepInclude((yield* producer.state).counters, { sends: cases.length, failed: cases.length })
    }).pipe(onMemory({ topics }))
  )

  it.effect("may be as long as the limit, and not a byte longer; split cuts it there too", () =>
    Effect.gen(function* () {
      const batch = [text("orders", "x".repeat(500)), text("orders", "y".repeat(300))]
      const tried = (maxMessageSize: number) =>
        Effect.scoped(
          Effect.flatMap(startProducer({ maxMessageSize }), (producer) => Effect.exit(producer.sendBatch(batch)))
        )
      const length = Number(/takes (\d+) bytes/.exec(failureOf(yield* tried(600)).message)?.[1])
      assert.isAbove(length, 800)
      assert.strictEqual(valueOf(yield* tried(length)).results.length, 2)
      assert.include(failureOf(yield* tried(length - 1)).message, `takes ${length} bytes, at most ${length - 1} are`)
      const room = MessageBatch.split(batch, 0).oversized.reduce((sum, one) => sum + one.length, 0)
      assert.isAtLeast(room, length, "split leaves room for what the sender adds")
      const sizes = (maxBytes: number) => MessageBatch.split(batch, maxBytes).batches.map((one) => one.length)
      assert.deepStrictEqual(sizes(room), [2])
      assert.deepStrictEqual(sizes(room - 1), [1, 1])
    }).pipe(onMemory({ topics }))
  )

  it.effect("a list that is too long leaves in as many batches as split makes of it", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const maxMessageSize = 4_000
      const producer = yield* startProducer({ maxMessageSize })
      const list = Array.from({ length: 100 }, (_, n) => text("orders", `${n}`.padEnd(1 + ((n * 37) % 400), ".")))
      const { batches, oversized } = MessageBatch.split(list, maxMessageSize)
      assert.deepStrictEqual(oversized, [])
      assert.isAbove(batches.length, 5)
      const results = yield* Effect.forEach(batches, (batch) => producer.sendBatch(batch))
      assertStored(
        yield* messages("orders"),
        list,
        results.flatMap((result) => result.results)
      )
    }).pipe(onMemory({ topics }))
  )

  it.effect("is retried as a whole, with the same ids, and its failure names all of them", () =>
    Effect.gen(function* () {
      const { faults, messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* faults.add({ match: { code: BATCH }, actions: [FaultScript.answer(14, "not now")], times: 1 })
      const batch = forms("orders")
      const result = valueOf((yield* timed(producer.sendBatch(batch))).exit)
      assert.strictEqual(result.attempts, 2)
      const [first, second] = yield* traffic.ofCode(BATCH)
      assert.deepStrictEqual(first?.body, second?.body)
      assertStored(yield* messages("orders"), batch, result.results)
      yield* faults.add({ match: { code: BATCH }, actions: [FaultScript.answer(13, "illegal")] })
      const error = failureOf((yield* timed(producer.sendBatch(batch))).exit)
      assert.deepStrictEqual([error.outcome, error.attempts.length], ["rejected", 1])
      assert.strictEqual(error.msgId?.split(",").length, batch.length)
    }).pipe(onMemory({ topics, brokers: 2, recordTraffic: { bodies: true } }))
  )

  it.effect("is not sent by a producer that does not run", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer()
      const error = failureOf(yield* Effect.exit(producer.sendBatch([text("orders")])))
      assert.deepInclude(error.reason, { _tag: "IllegalServiceState" })
    }).pipe(onMemory({ topics }))
  )
})
