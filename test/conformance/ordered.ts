/** Messages that keep an order: by key, by selector, in two steps and out of a stream. */
import { assert } from "@effect/vitest"
import { Effect, Stream } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import * as KeyHash from "../../src/producer/queue/KeyHash.ts"
import { Observer } from "./Observer.ts"
import { assertTopicHolds, createTopic, eventuallyThat, type Methods, startProducer, withManager } from "./support.ts"

const bodyOf = ({ body }: { readonly body: Uint8Array }): string => Buffer.from(body).toString()

/** What each queue of a topic holds, in order, for the queues that hold something, once there are so many in all. */
const bodiesOf = Effect.fnUntraced(function* (topic: string, count: number) {
  const observer = yield* Observer
  const queues = yield* eventuallyThat(observer.readTopic(topic), (all) =>
    assert.isAtLeast([...all.values()].flat().length, count)
  )
  return [...queues.values()].map((list) => list.map(bodyOf)).filter((list) => list.length > 0)
})

/** Asserts that the numbers in every queue only grow. */
const assertAscending = (queues: ReadonlyArray<ReadonlyArray<string>>) => {
  for (const bodies of queues) {
    assert.deepStrictEqual(
      bodies,
      bodies.toSorted((a, b) => Number(a) - Number(b))
    )
  }
}

export const tests = (test: Methods): void => {
  test.effect("an ordering key settles the queue, as the Java client's selector does", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("keys", { queues: 4 })
      const producer = yield* startProducer()
      const queues = yield* producer.fetchPublishMessageQueues(topic)
      assert.strictEqual(queues.length, 8)
      const sent = yield* Effect.forEach(["a", "order-7", "ключ", 42, -1, 2n ** 40n], (orderingKey) =>
        Effect.forEach([1, 2], (n) => {
          const message = Message.make({
            topic,
            body: `${orderingKey} ${n}`,
            properties: { __SHARDINGKEY: `${orderingKey}` }
          })
          return Effect.map(producer.send(message, { orderingKey }), (result) => {
            assert.deepStrictEqual(result.queue, queues[KeyHash.indexOf("java", orderingKey, 8)])
            return { message, result }
          })
        })
      )
      yield* assertTopicHolds(topic, sent.flat())
    }).pipe(withManager)
  )

  test.effect("a selector's queue, and no other", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("selector", { queues: 2 })
      const producer = yield* startProducer()
      const sent = yield* Effect.forEach([...Array(8).keys()], (n) => {
        const message = Message.make({ topic, body: `${n}` })
        return Effect.map(producer.send(message, { selector: (queues) => queues[n % 4] }), (result) => {
          assert.deepInclude(result.queue, { brokerName: n % 4 < 2 ? "broker-a" : "broker-b", queueId: n % 2 })
          return { message, result }
        })
      })
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )

  test.effect.each([false, true])(
    "in two steps: stored in the order in which they were accepted, queue by queue (autoBatch: %s)",
    (autoBatch) =>
      Effect.gen(function* () {
        const topic = yield* createTopic("two-steps", { queues: 2 })
        const producer = yield* startProducer({ autoBatch })
        const acknowledged = yield* Effect.forEach([...Array(300).keys()], (n) =>
          producer.sendQueued(Message.make({ topic, body: `${n}` }), { orderingKey: n % 3 })
        )
        const results = yield* Effect.all(acknowledged, { concurrency: "unbounded" })
        const queues = yield* bodiesOf(topic, 300)
        assert.strictEqual(queues.flat().length, 300)
        assertAscending(queues)
        const places = results.map(({ queue, queueOffset }) => `${MessageQueue.key(queue)}@${queueOffset}`)
        assert.strictEqual(new Set(places).size, 300)
      }).pipe(withManager)
  )

  test.effect("a stream: results in its order, keys in theirs", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("stream", { queues: 4 })
      const producer = yield* startProducer()
      const source = Stream.map(Stream.range(0, 299), (n) => Message.make({ topic, body: `${n}` }))
      const count = yield* producer
        .sendAll(source, { concurrency: 32, options: (message) => ({ orderingKey: Number(bodyOf(message)) % 5 }) })
        .pipe(Stream.runCount)
      assert.strictEqual(count, 300)
      assertAscending(yield* bodiesOf(topic, 300))
      assert.strictEqual(yield* Stream.run(source, producer.sink), 300)
      assert.strictEqual((yield* bodiesOf(topic, 600)).flat().length, 600)
    }).pipe(withManager)
  )
}
