/** Retries, where a real broker can be made to need them: one that lost a topic, and one that is gone for a while. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { Observer } from "./Observer.ts"
import {
  assertStored,
  assertTopicHolds,
  createTopic,
  eventually,
  eventuallyThat,
  type Methods,
  startProducer,
  uniqueName,
  untilReadable,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

/** Looks and dials often, so that a test that waits for a broker's return does not wait for much else. */
const IMPATIENT = { pollNameServerInterval: 500, remoting: { reconnectBackoffMillis: { initial: 50, max: 200 } } }

export const tests = (test: Methods): void => {
  test.effect("B7: a broker that has lost the topic: the retry goes to the other one, under the same id", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const observer = yield* Observer
      const topic = yield* createTopic("lost", { queues: 2 })
      // A template that nobody has, so that the broker cannot create the topic again.
      const producer = yield* startProducer({
        createTopicKey: uniqueName("template"),
        readiness: "routes",
        topics: [topic]
      })
      yield* observer.deleteTopic(brokers[1].address, topic)
      const sent = yield* Effect.forEach(Array.from({ length: 8 }), (_, n) => {
        const message = Message.make({ topic, body: `${n}` })
        return Effect.map(producer.send(message), (result) => ({ message, result }))
      })
      for (const { message, result } of sent) {
        assert.strictEqual(result.queue.brokerName, brokers[0].name)
        assertStored(yield* observer.messageAt(result.queue, result.queueOffset), message, result)
      }
      const retried = sent.filter(({ result }) => result.attempts === 2)
      assert.isAbove(retried.length, 0)
      assert.isTrue(sent.every(({ result }) => result.attempts <= 2))
      assert.strictEqual((yield* producer.state).counters.retries, retried.length)

      const queue = MessageQueue.make(topic, brokers[1].name, 0)
      const error = yield* Effect.flip(producer.send(Message.make({ topic, body: "x" }), { queue }))
      assert.strictEqual(error.reason._tag, "BrokerRejected")
      assert.propertyVal(error.reason, "code", 17)
      assert.strictEqual(error.outcome, "rejected")
      assert.deepStrictEqual(
        error.attempts.map((attempt) => attempt.brokerName),
        [brokers[1].name, brokers[1].name, brokers[1].name]
      )
    }).pipe(withManager)
  )

  test.effect("B7: a topic that has moved: the route is read anew at once, and the retry goes where the topic is", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const observer = yield* Observer
      const [to, from] = brokers
      const topic = yield* createTopic("moved", { queues: 2, brokers: [from.name] })
      const producer = yield* startProducer({
        createTopicKey: uniqueName("template"),
        readiness: "routes",
        topics: [topic],
        // Timer 2 runs once, soon after the start, and then not for an hour.
        pollNameServerInterval: 3_600_000
      })
      yield* eventuallyThat(producer.state, ({ instance }) => assert.strictEqual(instance?.timers[1]?.runs, 1))
      yield* observer.deleteTopic(from.address, topic)
      yield* observer.forgetRoute(topic)
      yield* observer.createTopic(to.address, topic, { queues: 2 })
      yield* eventuallyThat(observer.route(topic), (route) =>
        assert.deepStrictEqual(
          route?.queueDatas.map((data) => data.brokerName),
          [to.name]
        )
      )
      const message = Message.make({ topic, body: "where to?" })
      const result = yield* producer.send(message)
      assert.strictEqual(result.queue.brokerName, to.name)
      assert.strictEqual(result.attempts, 2)
      const next = Message.make({ topic, body: "known now" })
      const direct = yield* producer.send(next)
      assert.strictEqual(direct.attempts, 1)
      yield* assertTopicHolds(topic, [
        { message, result },
        { message: next, result: direct }
      ])
    }).pipe(withManager)
  )

  test.effect(
    "B2: a broker that is gone and comes back: no send fails, and it is used again without a manual step",
    () =>
      Effect.gen(function* () {
        const target = yield* Target
        const observer = yield* Observer
        const [staying, leaving] = target.brokers
        const topic = yield* createTopic("gone", { queues: 2 })
        const producer = yield* startProducer(IMPATIENT)
        const send = (text: string) => {
          const message = Message.make({ topic, body: text })
          return Effect.map(producer.send(message), (result) => ({ message, result }))
        }
        const sent = yield* Effect.forEach([0, 1, 2, 3], (n) => send(`both ${n}`))
        assert.sameMembers(
          [...new Set(sent.map(({ result }) => result.queue.brokerName))],
          [staying.name, leaving.name]
        )

        yield* target.stopSecondBroker
        for (let n = 0; n < 20; n++) {
          const one = yield* send(`one ${n}`)
          assert.strictEqual(one.result.queue.brokerName, staying.name)
          sent.push(one)
        }
        const fixed = MessageQueue.make(topic, leaving.name, 0)
        const error = yield* Effect.flip(
          producer.send(Message.make({ topic, body: "x" }), { queue: fixed, timeoutMillis: 2_000 })
        )
        assert.include(["ConnectFailed", "BrokerNotExist"], error.reason._tag)
        assert.strictEqual(error.outcome, "not-sent")

        yield* target.startSecondBroker
        yield* eventually(
          Effect.gen(function* () {
            const one = yield* send("back?")
            sent.push(one)
            assert.strictEqual(one.result.queue.brokerName, leaving.name)
          })
        )
        for (const { message, result } of sent) {
          assertStored(yield* eventually(observer.messageAt(result.queue, result.queueOffset)), message, result)
        }
        const { counters, instance } = yield* producer.state
        assert.strictEqual(counters.acknowledged, sent.length)
        assert.strictEqual(counters.unknown, 0)
        yield* eventuallyThat(observer.producers(leaving.address, producer.producerGroup), (connections) =>
          assert.deepStrictEqual(
            connections.map((connection) => connection.clientId),
            [instance?.clientId ?? ""]
          )
        )
      }).pipe(withManager)
  )

  test.effect("a topic whose only broker is away is not created on another one", () =>
    Effect.gen(function* () {
      const target = yield* Target
      const observer = yield* Observer
      const [, leaving] = target.brokers
      const topic = yield* createTopic("dedicated", { queues: 2, brokers: [leaving.name] })
      const producer = yield* startProducer(IMPATIENT)
      const before = Message.make({ topic, body: "before" })
      const sent = [{ message: before, result: yield* producer.send(before) }]
      // A broker of 4.9.7 that is stopped while it makes the files of a new queue does not start again.
      yield* untilReadable(sent.map(({ result }) => result))

      yield* target.stopSecondBroker
      for (let n = 0; n < 4; n++) {
        const error = yield* Effect.flip(producer.send(Message.make({ topic, body: "x" }), { timeoutMillis: 2_000 }))
        assert.strictEqual(error.reason._tag, "ConnectFailed")
        assert.strictEqual(error.outcome, "not-sent")
        assert.isTrue(error.attempts.every((attempt) => attempt.brokerName === leaving.name))
      }
      yield* target.startSecondBroker
      yield* eventually(
        Effect.gen(function* () {
          const message = Message.make({ topic, body: "after" })
          sent.push({ message, result: yield* producer.send(message) })
        })
      )
      const route = yield* eventuallyThat(observer.route(topic), (data) => assert.isDefined(data))
      assert.deepStrictEqual(
        route?.queueDatas.map((data) => [data.brokerName, data.writeQueueNums]),
        [[leaving.name, 2]]
      )
      yield* assertTopicHolds(topic, sent)
    }).pipe(withManager)
  )
}
