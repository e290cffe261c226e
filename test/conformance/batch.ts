/** Several messages in one send: those that were asked for, and those that come together by themselves. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as MessageBatch from "../../src/message/MessageBatch.ts"
import { Observer } from "./Observer.ts"
import { assertTopicHolds, createTopic, type Methods, startProducer, withManager } from "./support.ts"

const forms = (topic: string): ReadonlyArray<Message.Message> => [
  Message.make({ topic, body: "plain" }),
  Message.make({ topic, body: "grüße 🚀", tags: "TagA", keys: ["k1", "ключ"], flag: -7 }),
  Message.make({
    topic,
    body: Uint8Array.from({ length: 256 }, (_, n) => n),
    properties: { 名前: "値", json: '{"a":1}' }
  }),
  Message.make({ topic, body: "other tag", tags: "TagB" })
]

export const tests = (test: Methods): void => {
  test.effect("a batch: one behind the other, each under its own id and with its own properties", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("batch")
      const producer = yield* startProducer()
      const messages = forms(topic)
      const sent = yield* Effect.forEach([1, 2, 3], () =>
        Effect.map(producer.sendBatch(messages), ({ queue, queueOffset, results, status }) => {
          assert.strictEqual(status, "SEND_OK")
          return messages.map((message, index) => {
            const result = results[index]
            assert.isDefined(result)
            assert.deepStrictEqual([result.queue, result.queueOffset], [queue, queueOffset + index])
            return { message, result }
          })
        })
      )
      yield* assertTopicHolds(topic, sent.flat())
      const ids = sent.flat().map(({ result }) => result.msgId)
      assert.strictEqual(new Set(ids).size, ids.length)
    }).pipe(withManager)
  )

  test.effect("the offset message ids of a batch are those of its messages", () =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const topic = yield* createTopic("batch-ids")
      const producer = yield* startProducer()
      const { results } = yield* producer.sendBatch(forms(topic))
      for (const { msgId, queue, queueOffset } of results) {
        const stored = yield* observer.messageAt(queue, queueOffset)
        assert.strictEqual(stored.msgId, msgId)
      }
      assert.strictEqual(new Set(results.map(({ offsetMsgId }) => offsetMsgId)).size, results.length)
    }).pipe(withManager)
  )

  test.effect("a batch to a key's queue, and a long list cut into batches", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("batch-split")
      const maxMessageSize = 20_000
      const producer = yield* startProducer({ maxMessageSize })
      const list = Array.from({ length: 500 }, (_, n) =>
        Message.make({ topic, body: `${n}`.padEnd(1 + ((n * 37) % 400), "."), properties: { __SHARDINGKEY: "k" } })
      )
      const { batches } = MessageBatch.split(list, maxMessageSize)
      const results = yield* Effect.forEach(batches, (batch) => producer.sendBatch(batch, { orderingKey: "k" }))
      assert.isAbove(results.length, 5)
      assert.strictEqual(new Set(results.map(({ queue }) => JSON.stringify(queue))).size, 1)
      const flat = results.flatMap((batch) => batch.results)
      yield* assertTopicHolds(
        topic,
        list.flatMap((message, index) => {
          const result = flat[index]
          return result === undefined ? [] : [{ message, result }]
        })
      )
    }).pipe(withManager)
  )

  test.effect("a large part is stored as it is: batches are not packed", () =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const topic = yield* createTopic("batch-large")
      const producer = yield* startProducer()
      const body = "x".repeat(10_000)
      const { queue, queueOffset } = yield* producer.sendBatch([1, 2].map(() => Message.make({ topic, body })))
      for (const offset of [queueOffset, queueOffset + 1]) {
        const stored = yield* observer.messageAt(queue, offset)
        assert.deepStrictEqual([stored.sysFlag, Buffer.from(stored.body).toString()], [0, body])
      }
    }).pipe(withManager)
  )

  test.effect("automatic batches: 2,000 sends at once, each with its own result", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("auto-batch")
      const producer = yield* startProducer({ autoBatch: true })
      const sent = yield* Effect.forEach(
        Array.from({ length: 2_000 }, (_, n) =>
          Message.make({ topic, body: `${n}`, tags: `T${n % 3}`, keys: `k${n}` })
        ),
        (message) => Effect.map(producer.send(message), (result) => ({ message, result })),
        { concurrency: "unbounded" }
      )
      yield* assertTopicHolds(topic, sent)
      assert.isBelow((yield* producer.state).counters.sends, 200)
    }).pipe(withManager)
  )
}
