/** Consuming: what handlers get, in every form in which messages come, and what counts as read afterwards. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { committedOf, noting, ownedOnce, sendMany, startConsumer, textOf } from "./consumers.ts"
import { Observer } from "./Observer.ts"
import {
  createTopic,
  eventuallyThat,
  type Methods,
  startProducer,
  uniqueName,
  untilReadable,
  userProperties,
  withManager
} from "./support.ts"

export const tests = (test: Methods): void => {
  test.effect("every message once, as it was sent, and the group's offsets behind the last", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("consume", { queues: 2 })
      const producer = yield* startProducer()
      const seen: Array<ReceivedMessage> = []
      const consumer = yield* startConsumer(topic, noting(seen))
      const sent = yield* Effect.forEach(Array.from({ length: 24 }), (_, n) => {
        const message = Message.make({
          topic,
          body: `${n}`,
          keys: ["k", `key-${n}`],
          tags: n % 2 === 0 ? "even" : "odd",
          flag: n,
          properties: { ключ: `значение ${n}` }
        })
        return Effect.map(producer.send(message), (result) => ({ message, result }))
      })
      yield* untilReadable(sent.map(({ result }) => result))
      yield* consumer.caughtUp()
      assert.strictEqual(seen.length, sent.length)
      for (const { message, result } of sent) {
        const got = seen.find(({ msgId }) => msgId === result.msgId)
        assert.isDefined(got)
        assert.deepInclude(got, {
          topic,
          queue: result.queue,
          brokerName: result.queue.brokerName,
          queueOffset: result.queueOffset,
          offsetMsgId: result.offsetMsgId,
          keys: message.keys ?? [],
          tags: message.tags,
          flag: message.flag ?? 0,
          attempt: 1,
          reconsumeTimes: 0
        })
        assert.strictEqual(textOf(got), textOf(message))
        assert.deepStrictEqual(userProperties(got), { ...message.properties })
      }
      yield* consumer.shutdown
      assert.strictEqual(yield* committedOf(consumer.consumerGroup, topic, 2), 24)
      assert.deepStrictEqual(yield* consumer.lastDrain, {
        finished: 0,
        interrupted: 0,
        discarded: 0,
        notPersisted: []
      })
    }).pipe(withManager)
  )

  test.effect("a message that comes while a pull is held is there at once", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("held", { queues: 1 })
      const producer = yield* startProducer()
      const seen: Array<ReceivedMessage> = []
      const consumer = yield* startConsumer(topic, noting(seen))
      // Every queue has a pull that the broker holds.
      yield* eventuallyThat(consumer.state, ({ queues }) =>
        assert.isTrue(queues.every(({ maxOffset, phase }) => phase === "pulling" && maxOffset === undefined))
      )
      const millis: Array<number> = []
      for (let n = 1; n <= 4; n++) {
        const begin = performance.now()
        yield* producer.send(Message.make({ topic, body: `${n}` }))
        yield* eventuallyThat(
          Effect.sync(() => seen.length),
          (length) => assert.strictEqual(length, n)
        )
        millis.push(performance.now() - begin)
      }
      // A broker looks at held pulls every 5 s besides: but for the first, each would take so long. A machine may stand still once.
      assert.isBelow(Math.min(...millis.slice(1)), 4_000)
    }).pipe(withManager)
  )

  test.effect("batches of one queue, at most so many; what is behind the ackIndex comes again, one by one", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("batches", { queues: 1 })
      const producer = yield* startProducer()
      const seen: Array<ReadonlyArray<ReceivedMessage>> = []
      yield* sendMany(producer, topic, 12)
      const consumer = yield* startConsumer(
        topic,
        MessageListener.batch({ maxSize: 4 }, (batch) =>
          Effect.sync(() => {
            seen.push(batch)
            const [first] = batch
            if (first.attempt > 1) return MessageListener.BatchResult.all(ConsumeResult.success)
            return first.brokerName === "broker-a"
              ? MessageListener.BatchResult.ackIndex(1)
              : MessageListener.BatchResult.each(
                  batch.map((_, index) =>
                    index < 2 ? ConsumeResult.success : ConsumeResult.reconsumeLater("1 second")
                  )
                )
          })
        ),
        { reconsumePolicy: { delay: () => "1 second" } }
      )
      yield* eventuallyThat(consumer.state, ({ counters }) => assert.strictEqual(counters.succeeded, 12))
      const first = seen.filter(([message]) => message?.attempt === 1)
      assert.strictEqual(first.flat().length, 12)
      for (const batch of first) {
        assert.isAtMost(batch.length, 4)
        assert.strictEqual(new Set(batch.map(({ brokerName, queueId }) => `${brokerName} ${queueId}`)).size, 1)
        assert.deepStrictEqual(
          batch.map(({ queueOffset }) => queueOffset),
          batch.map((_, index) => (batch[0]?.queueOffset ?? 0) + index)
        )
      }
      const behind = first.flatMap((batch) => batch.slice(2).map(textOf))
      const again = seen.flat().filter(({ attempt }) => attempt === 2)
      assert.sameMembers(again.map(textOf), behind)
      assert.deepInclude((yield* consumer.state).counters, { reconsumeLater: behind.length, sendBackFailures: 0 })
    }).pipe(withManager)
  )

  test.effect("tags: only those wanted, also where two have one hash; the others count as read", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("tags", { queues: 1 })
      const producer = yield* startProducer()
      const seen: Array<ReceivedMessage> = []
      // "Aa" and "BB" have the same hash.
      const send = (tags: string | undefined) => producer.send(Message.make({ topic, body: "x", tags }))
      yield* untilReadable(yield* Effect.forEach(["Aa", "BB", "Cc", undefined, "Aa", "Dd", "BB", "BB"], send))
      const consumer = yield* startConsumer(topic, noting(seen), {
        subscriptions: [Subscription.tags(topic, "Aa", "Dd")]
      })
      yield* consumer.caughtUp()
      assert.sameMembers(
        seen.map(({ tags }) => tags),
        ["Aa", "Aa", "Dd"]
      )
      // What comes while pulls are held, and does not pass, counts as read as well.
      yield* untilReadable(yield* Effect.forEach(["BB", "Cc", undefined, "BB"], send))
      yield* consumer.caughtUp()
      yield* consumer.shutdown
      assert.strictEqual(seen.length, 3)
      assert.strictEqual(yield* committedOf(consumer.consumerGroup, topic, 1), 12)
    }).pipe(withManager)
  )

  test.effect.each(["ZLIB", "ZSTD", "LZ4"] as const)("%s: handlers get the body unpacked, in its order", (type) =>
    Effect.gen(function* () {
      const topic = yield* createTopic("unpacked", { queues: 1 })
      const producer = yield* startProducer({ compressType: type })
      const seen: Array<ReceivedMessage> = []
      const bodies = [1, 4_096, 2, 100_000, 1_000_000].map((size) =>
        "all work and no play ".repeat(Math.ceil(size / 21)).slice(0, size)
      )
      const queue = { topic, brokerName: "broker-a", queueId: 0 }
      yield* untilReadable(
        yield* Effect.forEach(bodies, (body) => producer.send(Message.make({ topic, body }), { queue }))
      )
      const consumer = yield* startConsumer(topic, noting(seen), { concurrency: 1 })
      yield* consumer.caughtUp()
      assert.isTrue(bodies.every((body, index) => body === textOf(seen[index] ?? { body: new Uint8Array() })))
      assert.strictEqual(seen.length, bodies.length)
      assert.isTrue(seen.every(({ sysFlag }) => sysFlag === 0))
    }).pipe(withManager)
  )

  test.effect("a namespace: on the wire in front of topic, group and retry topic, and seen by no handler", () =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const namespace = "ns7"
      const wire = yield* createTopic("ns", { queues: 1 })
      const topic = wire
      const { brokers } = yield* Effect.map(observer.route(wire), (route) => ({ brokers: route?.brokerDatas ?? [] }))
      for (const { brokerAddrs } of brokers) {
        const address = brokerAddrs.get(0)
        if (address !== undefined) yield* observer.createTopic(address, `${namespace}%${topic}`, { queues: 1 })
      }
      yield* eventuallyThat(observer.route(`${namespace}%${topic}`), (route) =>
        assert.strictEqual(route?.queueDatas.length, 2)
      )
      const group = uniqueName("ns-group")
      const producer = yield* startProducer({ namespace })
      const seen: Array<ReceivedMessage> = []
      const consumer = yield* startConsumer(
        topic,
        (message) =>
          Effect.suspend(() => {
            seen.push(message)
            return message.attempt === 1
              ? Effect.succeed(ConsumeResult.reconsumeLater("1 second"))
              : Effect.succeed(ConsumeResult.deadLetter())
          }),
        { consumerGroup: group, namespace }
      )
      yield* ownedOnce([consumer], topic, [2])
      const { msgId } = yield* producer.send(Message.make({ topic, body: "x" }))
      yield* eventuallyThat(consumer.state, ({ counters }) => assert.strictEqual(counters.deadLettered, 1))
      assert.deepStrictEqual(
        seen.map((message) => [message.topic, message.attempt, message.queue.topic, message.msgId]),
        [
          [topic, 1, topic, msgId],
          [topic, 2, `%RETRY%${group}`, msgId]
        ]
      )
      assert.strictEqual([...(yield* observer.readTopic(wire)).values()].flat().length, 0)
      yield* eventuallyThat(observer.readTopic(`%DLQ%${namespace}%${group}`), (queues) =>
        assert.deepStrictEqual([...queues.values()].flat().map(textOf), ["x"])
      )
    }).pipe(withManager)
  )
}
