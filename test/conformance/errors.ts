/** Sends that must fail: with which reason, after how many attempts, and with nothing stored where that is promised. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import * as Message from "../../src/message/Message.ts"
import * as MessageQueue from "../../src/message/MessageQueue.ts"
import { MAX_MESSAGE_SIZE, TOPIC_MAX_LENGTH } from "../../src/message/MixAll.ts"
import type { SendError } from "../../src/producer/send/SendError.ts"
import { Observer } from "./Observer.ts"
import {
  assertTopicHolds,
  createTopic,
  eventuallyThat,
  type Methods,
  startProducer,
  uniqueName,
  withManager
} from "./support.ts"
import { Target } from "./Target.ts"

/** The code with which a broker refused the send. */
const rejectionCode = (error: SendError): number | undefined =>
  error.reason._tag === "BrokerRejected" ? error.reason.code : undefined

export const tests = (test: Methods): void => {
  test.effect("what a broker would refuse or spoil is refused before anything is sent", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("invalid")
      const producer = yield* startProducer()
      const cases: ReadonlyArray<readonly [field: string, message: Message.Message]> = [
        ["topic", Message.make({ topic: "", body: "x" })],
        ["topic", Message.make({ topic: "t".repeat(TOPIC_MAX_LENGTH + 1), body: "x" })],
        ["topic", Message.make({ topic: "not/allowed", body: "x" })],
        ["topic", Message.make({ topic: "SCHEDULE_TOPIC_XXXX", body: "x" })],
        ["body", Message.make({ topic, body: "" })],
        ["body", Message.make({ topic, body: new Uint8Array(MAX_MESSAGE_SIZE + 1) })],
        ["flag", Message.make({ topic, body: "x", flag: 0.5 })],
        ["tags", Message.make({ topic, body: "x", tags: " " })],
        ["keys", Message.make({ topic, body: "x", keys: "two words" })],
        ["properties.UNIQ_KEY", Message.make({ topic, body: "x", properties: { UNIQ_KEY: "mine" } })],
        ["properties.a", Message.make({ topic, body: "x", properties: { a: "b\u0001c" } })],
        ["properties", Message.make({ topic, body: "x", properties: { long: "ä".repeat(17_000) } })]
      ]
      for (const [field, message] of cases) {
        for (const send of [producer.send(message), producer.sendOneway(message)]) {
          const error = yield* Effect.flip(send)
          assert.strictEqual(error.reason._tag, "InvalidMessage")
          assert.propertyVal(error.reason, "field", field)
          assert.strictEqual(error.outcome, "not-sent")
          assert.deepStrictEqual(error.attempts, [])
          assert.isFalse(error.retryable)
        }
      }
      const foreign = MessageQueue.make(uniqueName("other"), "broker-a", 0)
      const error = yield* Effect.flip(producer.send(Message.make({ topic, body: "x" }), { queue: foreign }))
      assert.propertyVal(error.reason, "field", "queue")
      yield* assertTopicHolds(topic, [])
    }).pipe(withManager)
  )

  test.effect("the longest topic name is accepted", () =>
    Effect.gen(function* () {
      const topic = uniqueName("long").padEnd(TOPIC_MAX_LENGTH, "x")
      const producer = yield* startProducer()
      const result = yield* producer.send(Message.make({ topic, body: "x" }))
      assert.strictEqual(result.queue.topic, topic)
    }).pipe(withManager)
  )

  test.effect("a queue that the topic does not have", () =>
    Effect.gen(function* () {
      const { brokers, facts } = yield* Target
      const topic = yield* createTopic("no-such-queue", { queues: 2 })
      const producer = yield* startProducer()
      const queue = MessageQueue.make(topic, brokers[0].name, 99)
      const error = yield* Effect.flip(producer.send(Message.make({ topic, body: "x" }), { queue }))
      assert.strictEqual(rejectionCode(error), facts.queueOutOfRange.code)
      assert.strictEqual(error.outcome, facts.queueOutOfRange.outcome)
      assert.strictEqual(error.attempts.length, facts.queueOutOfRange.attempts)
      for (const attempt of error.attempts) {
        assert.deepStrictEqual(
          [attempt.brokerName, attempt.queueId, attempt.address],
          [brokers[0].name, 99, brokers[0].address]
        )
      }
      assert.include(error.message, "request queueId[99] is illegal")
      yield* assertTopicHolds(topic, [])
    }).pipe(withManager)
  )

  test.effect("a queue of a broker that no route names", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("no-such-broker")
      const producer = yield* startProducer()
      const queue = MessageQueue.make(topic, "broker-nowhere", 0)
      const error = yield* Effect.flip(producer.send(Message.make({ topic, body: "x" }), { queue }))
      assert.strictEqual(error.reason._tag, "BrokerNotExist")
      assert.strictEqual(error.outcome, "not-sent")
      yield* assertTopicHolds(topic, [])
    }).pipe(withManager)
  )

  test.effect("B8: a body that the broker finds too large: refused once, not stored", () =>
    Effect.gen(function* () {
      const topic = yield* createTopic("too-large")
      const producer = yield* startProducer({ maxMessageSize: 8 * 1024 * 1024, compressMsgBodyOverHowmuch: Infinity })
      const body = new Uint8Array(MAX_MESSAGE_SIZE + 1024 * 1024)
      const error = yield* Effect.flip(producer.send(Message.make({ topic, body })))
      assert.strictEqual(rejectionCode(error), 13)
      assert.strictEqual(error.outcome, "rejected")
      assert.strictEqual(error.attempts.length, 1)
      assert.isFalse(error.retryable)
      const result = yield* producer.send(Message.make({ topic, body: "the connection is as good as before" }))
      assert.strictEqual(result.attempts, 1)
      const { counters, instance } = yield* producer.state
      assert.deepInclude({ ...counters }, { sends: 2, acknowledged: 1, failed: 1, unknown: 0, retries: 0 })
      assert.isTrue(instance?.sockets.every((socket) => socket.connects === 1))
    }).pipe(withManager)
  )

  test.effect("a template topic that no broker has: there is no route to borrow, and nothing is sent", () =>
    Effect.gen(function* () {
      const topic = uniqueName("no-template")
      const producer = yield* startProducer({ createTopicKey: uniqueName("template") })
      const { attempts, outcome, reason } = yield* Effect.flip(producer.send(Message.make({ topic, body: "x" })))
      assert.deepInclude(reason, { _tag: "RouteUnavailable", problem: "topic-absent", topic })
      assert.deepStrictEqual([outcome, attempts.length], ["not-sent", 0])
    }).pipe(withManager)
  )

  test.effect("a template topic of one's own: the missing topic gets its route, and is created from it", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const observer = yield* Observer
      const [, only] = brokers
      const template = yield* createTopic("template", { queues: 3, perm: 7, brokers: [only.name] })
      const topic = uniqueName("of-template")
      const producer = yield* startProducer({ createTopicKey: template, defaultTopicQueueNums: 2 })
      for (let i = 0; i < 4; i++) {
        const { queue } = yield* producer.send(Message.make({ topic, body: "x" }))
        assert.deepStrictEqual([queue.brokerName, queue.queueId < 2], [only.name, true])
      }
      yield* eventuallyThat(observer.route(topic), (route) =>
        assert.deepStrictEqual(
          route?.queueDatas.map(({ brokerName, writeQueueNums }) => [brokerName, writeQueueNums]),
          [[only.name, 2]]
        )
      )
    }).pipe(withManager)
  )

  test.effect("B7: a template topic that lets nothing be created: every attempt is refused with TOPIC_NOT_EXIST", () =>
    Effect.gen(function* () {
      const { brokers } = yield* Target
      const topic = uniqueName("no-template")
      // Read and write, and not the third bit, which says that topics may be created from it.
      const producer = yield* startProducer({ createTopicKey: yield* createTopic("template", { perm: 6 }) })
      const error = yield* Effect.flip(producer.send(Message.make({ topic, body: "x" })))
      assert.strictEqual(rejectionCode(error), 17)
      assert.strictEqual(error.outcome, "rejected")
      const tried = error.attempts.map((attempt) => attempt.brokerName)
      assert.strictEqual(tried.length, 3)
      assert.sameMembers(
        [...new Set(tried)],
        brokers.map((broker) => broker.name)
      )
      assert.notStrictEqual(tried[0], tried[1], "a retry goes to another broker")
      assert.notStrictEqual(tried[1], tried[2], "a retry goes to another broker")
    }).pipe(withManager)
  )
}
