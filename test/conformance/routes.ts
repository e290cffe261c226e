/** Routes: what a producer knows of a topic, and how it learns of changes. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { PermName } from "../../src/message/MixAll.ts"
import { Observer } from "./Observer.ts"
import {
  assertTopicHolds,
  createTopic,
  eventually,
  eventuallyThat,
  type Methods,
  startProducer,
  uniqueName,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

/** Timer 2's period where a test waits for it; the first run is 10 ms after the start. */
const POLL_MILLIS = 200

export const tests = (test: Methods): void => {
  test.effect("a created topic: every queue that can be written, by broker and queue id", () =>
    Effect.gen(function* () {
      const { brokers, clusterName } = yield* Target
      const observer = yield* Observer
      const topic = yield* createTopic("queues", { queues: 3 })
      const route = yield* observer.route(topic)
      assert.sameDeepMembers(
        route?.brokerDatas.map((data) => [data.cluster, data.brokerName, data.brokerAddrs.get(0)]) ?? [],
        brokers.map((broker) => [clusterName, broker.name, broker.address])
      )
      const producer = yield* startProducer()
      assert.deepStrictEqual(
        yield* producer.fetchPublishMessageQueues(topic),
        brokers.flatMap((broker) => [0, 1, 2].map((id) => MessageQueue.make(topic, broker.name, id)))
      )
    }).pipe(withManager)
  )

  test.effect("a topic of one broker is sent to that broker only", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const topic = yield* createTopic("one-broker", { queues: 2, brokers: [brokers[1].name] })
      const producer = yield* startProducer()
      const sent = yield* Effect.forEach([0, 1, 2, 3], (n) => {
        const message = Message.make({ topic, body: `${n}` })
        return Effect.map(producer.send(message), (result) => ({ message, result }))
      })
      assert.deepStrictEqual(new Set(sent.map(({ result }) => result.queue.brokerName)), new Set([brokers[1].name]))
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )

  test.effect("an absent topic that may not be borrowed: no route, and found once it exists", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const observer = yield* Observer
      const topic = uniqueName("later")
      const producer = yield* startProducer({ borrowRoute: false })
      const fetched = yield* Effect.flip(producer.fetchPublishMessageQueues(topic))
      const sent = yield* Effect.flip(producer.send(Message.make({ topic, body: "x" })))
      for (const error of [fetched, sent]) {
        assert.strictEqual(error.reason._tag, "RouteUnavailable")
        assert.propertyVal(error.reason, "problem", "topic-absent")
        assert.strictEqual(error.outcome, "not-sent")
        assert.deepStrictEqual(error.attempts, [])
      }
      assert.isUndefined(yield* observer.route(topic), "a refused send must not create the topic")

      yield* observer.createTopic(brokers[0].address, topic)
      const result = yield* eventually(producer.send(Message.make({ topic, body: "now" })))
      assert.isFalse(result.borrowedRoute)
    }).pipe(withManager)
  )

  test.effect("an unknown topic borrows the route of TBW102, is created by the sends, and then has its own", () =>
    Effect.gen(function* () {
      const observer = yield* Observer
      const topic = uniqueName("borrowed")
      const producer = yield* startProducer({ pollNameServerInterval: POLL_MILLIS, defaultTopicQueueNums: 2 })
      const queues = yield* producer.fetchPublishMessageQueues(topic)
      assert.strictEqual(queues.length, 4, "two queues on each of two brokers")
      const sent = yield* Effect.forEach(queues, (queue) => {
        const message = Message.make({ topic, body: MessageQueue.key(queue) })
        return Effect.map(producer.send(message, { queue }), (result) => ({ message, result }))
      })
      assert.isTrue(sent[0]?.result.borrowedRoute)
      const later = yield* eventually(
        Effect.gen(function* () {
          const message = Message.make({ topic, body: "own route?" })
          const result = yield* producer.send(message)
          sent.push({ message, result })
          assert.isFalse(result.borrowedRoute)
          return result
        })
      )
      assert.strictEqual(later.queue.topic, topic)
      const route = yield* eventuallyThat(observer.route(topic), (data) =>
        assert.strictEqual(data?.queueDatas.length, 2)
      )
      for (const data of route?.queueDatas ?? []) {
        assert.deepStrictEqual(
          [data.readQueueNums, data.writeQueueNums, data.perm],
          [2, 2, PermName.READ | PermName.WRITE]
        )
      }
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )

  test.effect("timer 2 brings a changed route without anything being asked for", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const observer = yield* Observer
      const topic = yield* createTopic("grows", { queues: 2 })
      const producer = yield* startProducer({ pollNameServerInterval: POLL_MILLIS })
      yield* producer.send(Message.make({ topic, body: "makes the topic one of ours" }))
      yield* observer.createTopic(brokers[0].address, topic, { queues: 5 })
      yield* eventuallyThat(producer.state, ({ instance }) =>
        assert.strictEqual(instance?.routes.find((route) => route.topic === topic)?.writeQueues, 7)
      )
      const results = yield* Effect.forEach(Array.from({ length: 7 }), () =>
        producer.send(Message.make({ topic, body: "x" }))
      )
      assert.deepStrictEqual(
        results.map((result) => MessageQueue.key(result.queue)).toSorted(),
        [
          ...[0, 1, 2, 3, 4].map((id) => MessageQueue.key(MessageQueue.make(topic, brokers[0].name, id))),
          ...[0, 1].map((id) => MessageQueue.key(MessageQueue.make(topic, brokers[1].name, id)))
        ].toSorted()
      )
    }).pipe(withManager)
  )

  test.effect("N12: a topic that may only be read has no route to send over", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("read-only", { perm: PermName.READ })
      const producer = yield* startProducer()
      const error = yield* Effect.flip(producer.send(Message.make({ topic, body: "x" })))
      assert.strictEqual(error.reason._tag, "RouteUnavailable")
      assert.propertyVal(error.reason, "problem", "no-writable-queue")
      assert.strictEqual(error.outcome, "not-sent")
    }).pipe(withManager)
  )
}
