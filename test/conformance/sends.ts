/** Sends in every form, each compared with what the brokers have stored. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { MAX_MESSAGE_SIZE } from "../../src/message/MixAll.ts"
import { Observer } from "./Observer.ts"
import {
  assertTopicHolds,
  countBy,
  createTopic,
  eventuallyThat,
  type Methods,
  startProducer,
  uniqueName,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

/** Bytes that differ from place to place and from seed to seed. */
const bytes = (length: number, seed: number): Uint8Array => {
  let state = seed
  return Uint8Array.from({ length }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return state >>> 24
  })
}

/** Everything a message may carry, each in a form that has gone wrong somewhere. */
const forms = (topic: string): ReadonlyArray<Message.Message> => [
  Message.make({ topic, body: "plain" }),
  Message.make({ topic, body: "grüße 🚀 你好" }),
  Message.make({ topic, body: Uint8Array.from({ length: 256 }, (_, n) => n) }),
  Message.make({ topic, body: "one tag", tags: "TagA" }),
  Message.make({ topic, body: "unicode tag", tags: "tägs-метка" }),
  Message.make({ topic, body: "one key", keys: "order-7" }),
  Message.make({ topic, body: "several keys", keys: ["order-7", "ключ", "鍵"] }),
  Message.make({ topic, body: "flag", flag: 42 }),
  Message.make({ topic, body: "negative flag", flag: -2_147_483_648 }),
  Message.make({ topic, body: "no wait", waitStoreMsgOK: false }),
  Message.make({
    topic,
    body: "properties",
    tags: "T",
    keys: ["a", "b"],
    properties: {
      plain: "value",
      "with space": " leading and trailing ",
      ключ: "значение 🚀",
      名前: "値",
      json: '{"a":[1,"\\u0001"]}',
      quotes: `"'\\/`,
      lines: "one\ntwo\r\n\tthree",
      separators: "a=b;c:d,e|f",
      combined: "e\u0301 \u200d \u202e \ufeff",
      // Names that are dangerous as keys of a plain object.
      constructor: "c",
      hasOwnProperty: "h"
    }
  })
]

export const tests = (test: Methods): void => {
  test.effect.each(["JSON", "ROCKETMQ"] as const)(
    "tags, keys, unicode properties, flags and bytes arrive as they were given, by %s headers",
    (serializeType) =>
      Effect.gen(function* () {
        const topic = yield* createTopic("forms")
        const producer = yield* startProducer({ remoting: { serializeType } })
        const messages = forms(topic)
        const before = structuredClone(messages)
        const sent = yield* Effect.forEach(messages, (message) =>
          Effect.map(producer.send(message), (result) => ({ message, result }))
        )
        assert.deepStrictEqual(messages, before, "the caller's values stay as they were")
        yield* assertTopicHolds(topic, sent)
      }).pipe(withManager)
  )

  test.effect("bodies from 1 byte to 4 MiB", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("sizes", { queues: 1 })
      const producer = yield* startProducer()
      const sizes = [1, 2, 1_023, 65_535, 65_536, 1_048_576, MAX_MESSAGE_SIZE - 1, MAX_MESSAGE_SIZE]
      const sent = yield* Effect.forEach(sizes, (size, seed) => {
        const message = Message.make({ topic, body: bytes(size, seed) })
        return Effect.map(producer.send(message), (result) => ({ message, result }))
      })
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )

  test.effect("large bodies are stored packed where that makes them smaller, and read as they were", () =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const topic = yield* createTopic("packed", { queues: 1 })
      const producer = yield* startProducer()
      const cases = [
        { body: "a".repeat(4_095), packed: false },
        { body: "a".repeat(4_096), packed: true },
        { body: "compress me ".repeat(100_000), packed: true },
        { body: bytes(100_000, 1), packed: false }
      ]
      const sent = yield* Effect.forEach(cases, ({ body, packed }) => {
        const message = Message.make({ topic, body })
        return Effect.map(producer.send(message), (result) => ({ message, packed, result }))
      })
      for (const { message, packed, result } of sent) {
        const stored = yield* observer.messageAt(result.queue, result.queueOffset)
        assert.strictEqual(stored.body.length < message.body.length, packed)
      }
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )

  test.effect("a chosen queue, and no other", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("chosen", { queues: 3 })
      const producer = yield* startProducer()
      const queues = yield* producer.fetchPublishMessageQueues(topic)
      assert.strictEqual(queues.length, 6)
      const sent = yield* Effect.forEach([...queues, ...queues.toReversed()], (queue, n) => {
        const message = Message.make({ topic, body: `${n}` })
        return Effect.map(producer.send(message, { queue }), (result) => {
          assert.deepStrictEqual(result.queue, queue)
          return { message, result }
        })
      })
      assert.deepStrictEqual(
        [...countBy(sent, ({ result }) => MessageQueue.key(result.queue)).values()],
        [2, 2, 2, 2, 2, 2]
      )
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )

  test.effect("round robin: the counts of the queues differ by at most one, one by one and all at once", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("fair", { queues: 3 })
      const producer = yield* startProducer()
      for (const concurrency of [1, 50]) {
        const results = yield* Effect.forEach(
          Array.from({ length: 50 }),
          () => producer.send(Message.make({ topic, body: "x" })),
          { concurrency }
        )
        const counts = [...countBy(results, (result) => MessageQueue.key(result.queue)).values()]
        assert.strictEqual(counts.length, 6)
        assert.isAtMost(Math.max(...counts) - Math.min(...counts), 1)
      }
    }).pipe(withManager)
  )

  test.effect("one-way sends are stored, each once", () =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const topic = yield* createTopic("oneway")
      const producer = yield* startProducer()
      const bodies = Array.from({ length: 200 }, (_, n) => `one-way ${n}`)
      yield* Effect.forEach(bodies, (body) => producer.sendOneway(Message.make({ topic, body, tags: "o" })), {
        concurrency: 16
      })
      const stored = yield* eventuallyThat(
        Effect.map(observer.readTopic(topic), (queues) => [...queues.values()].flat()),
        (messages) => assert.strictEqual(messages.length, bodies.length)
      )
      assert.sameMembers(
        stored.map((message) => Buffer.from(message.body).toString()),
        bodies
      )
      assert.isTrue(stored.every((message) => message.tags === "o"))
      assert.strictEqual(new Set(stored.map((message) => message.msgId)).size, bodies.length)
    }).pipe(withManager)
  )

  test.effect("2,000 pipelined sends share one connection to each broker and all have their own place", () =>
    Effect.gen(function* () {
      const { brokers, namesrvAddr } = yield* Target
      const topic = yield* createTopic("pipelined")
      const producer = yield* startProducer()
      const sent = yield* Effect.forEach(
        Array.from({ length: 2_000 }, (_, n) => Message.make({ topic, body: bytes(1 + (n % 500), n), keys: `k${n}` })),
        (message) => Effect.map(producer.send(message), (result) => ({ message, result })),
        { concurrency: 256 }
      )
      const { counters, inFlight, instance } = yield* producer.state
      assert.strictEqual(inFlight, 0)
      assert.strictEqual(counters.acknowledged, 2_000)
      assert.strictEqual(counters.failed, 0)
      assert.sameDeepMembers(
        instance?.sockets.map((socket) => [socket.address, socket.connects]) ?? [],
        [namesrvAddr, ...brokers.map((broker) => broker.address)].map((address) => [address, 1])
      )
      assert.strictEqual(new Set(sent.map(({ result }) => result.msgId)).size, 2_000)
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )

  test.effect("500 first sends to a topic that nobody has, all at once", () =>
    Effect.gen(function* () {
      const topic = uniqueName("cold")
      const producer = yield* startProducer()
      const sent = yield* Effect.forEach(
        Array.from({ length: 500 }, (_, n) => Message.make({ topic, body: `cold ${n}` })),
        (message) => Effect.map(producer.send(message), (result) => ({ message, result })),
        { concurrency: "unbounded" }
      )
      assert.isTrue(sent.every(({ result }) => result.borrowedRoute))
      // Both brokers have created the topic; the name server learns it a moment later.
      const observer = yield* Observer
      yield* eventuallyThat(observer.route(topic), (route) => assert.strictEqual(route?.queueDatas.length, 2))
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )
}
