import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import * as Message from "../../src/message/Message.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import * as RecallHandle from "../../src/message/RecallHandle.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { failureOf, makeProducer, onMemory, settle, startProducer, timed } from "../support/rig.ts"

const START = 1_700_000_000_000
const RECALL = RequestCode.RECALL_MESSAGE
const later = Message.make({ topic: "orders", body: "later", delay: MessageDelay.by("10 minutes") })
const brokers = [{ name: "broker-a", config: { recallMessageEnable: true } }]
const cluster = { topics: { orders: {} }, brokers }
const handle = (change: Partial<RecallHandle.RecallHandle> = {}) =>
  RecallHandle.encode({
    topic: "orders",
    brokerName: "broker-a",
    deliverMillis: START + 600_001,
    msgId: "ID",
    ...change
  })

const afterTenMinutes = Effect.gen(function* () {
  const { messages } = yield* EmbeddedCluster
  yield* TestClock.adjust(700_000)
  yield* settle
  return (yield* messages("orders")).length
})

describe("recallMessage", () => {
  it.effect("takes a timed message back, by the handle of its send's result", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      yield* TestClock.setTime(START)
      const producer = yield* startProducer()
      const { msgId, recallHandle = "" } = yield* producer.send(later)
      assert.deepInclude(RecallHandle.decode(recallHandle), { topic: "orders", brokerName: "broker-a", msgId })
      assert.strictEqual(yield* producer.recallMessage("orders", recallHandle), msgId)
      yield* traffic.expect(
        { code: RECALL, extFields: { topic: "orders", recallHandle, producerGroup: "pg", bname: "broker-a" } },
        { exactly: 1 }
      )
      assert.strictEqual(yield* afterTenMinutes, 0)
    }).pipe(onMemory(cluster))
  )

  it.effect("leaves the others", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const producer = yield* startProducer()
      const results = yield* Effect.forEach([1, 2, 3], () => producer.send(later))
      yield* producer.recallMessage("orders", results[1]?.recallHandle ?? "")
      assert.strictEqual(yield* afterTenMinutes, 2)
    }).pipe(onMemory(cluster))
  )

  it.effect("a producer that has not sent to the topic finds the broker by the route", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const sender = yield* startProducer({ producerGroup: "sender" })
      const { msgId, recallHandle = "" } = yield* sender.send(later)
      const other = yield* startProducer({ producerGroup: "other", instanceName: "other" })
      assert.strictEqual(yield* other.recallMessage("orders", recallHandle), msgId)
    }).pipe(onMemory(cluster))
  )

  it.effect("what is no handle or no such topic is refused, and nobody is asked", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* traffic.clear
      for (const [topic, text, tag] of [
        ["orders", "nonsense!", "InvalidRecallHandle"],
        ["orders", "", "InvalidRecallHandle"],
        ["a b", handle(), "InvalidMessage"],
        ["%RETRY%group", handle(), "InvalidMessage"],
        ["%DLQ%group", handle(), "InvalidMessage"]
      ] as const) {
        const error = failureOf(yield* Effect.exit(producer.recallMessage(topic, text)))
        assert.strictEqual(error._tag, "RecallError")
        assert.deepStrictEqual([error.reason._tag, error.outcome], [tag, "not-sent"])
      }
      const timeout = failureOf(yield* Effect.exit(producer.recallMessage("orders", handle(), { timeoutMillis: 0 })))
      assert.deepInclude(timeout.reason, { _tag: "InvalidMessage", field: "timeoutMillis" })
      assert.deepStrictEqual(yield* traffic.all, [])
    }).pipe(onMemory(cluster))
  )

  it.effect("the broker's refusals are typed: too late, another topic, switched off", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const producer = yield* startProducer()
      const cases = [
        [handle({ deliverMillis: START - 1 }), 604],
        [handle({ topic: "other" }), 604]
      ] as const
      for (const [text, code] of cases) {
        const error = failureOf(yield* Effect.exit(producer.recallMessage("orders", text)))
        assert.deepInclude(error.reason, { _tag: "BrokerRejected", code })
        assert.strictEqual(error.outcome, "rejected")
      }
    }).pipe(onMemory(cluster))
  )

  it.effect("a broker recalls nothing unless it is told to", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const producer = yield* startProducer()
      const { recallHandle = "" } = yield* producer.send(later)
      const error = failureOf(yield* Effect.exit(producer.recallMessage("orders", recallHandle)))
      assert.deepInclude(error.reason, { _tag: "BrokerRejected", code: 16 })
      assert.match(error.message, /was not recalled/)
      assert.strictEqual(yield* afterTenMinutes, 1)
    }).pipe(onMemory({ topics: { orders: {} } }))
  )

  it.effect("a lost answer leaves open what became of the message", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* TestClock.setTime(START)
      const producer = yield* startProducer()
      const { recallHandle = "" } = yield* producer.send(later)
      yield* faults.add({ match: { code: RECALL }, actions: [FaultScript.dropResponse] })
      const { exit, millis } = yield* timed(producer.recallMessage("orders", recallHandle, { timeoutMillis: 700 }))
      const error = failureOf(exit)
      assert.deepInclude(error.reason, { _tag: "RequestTimeout" })
      assert.strictEqual(error.outcome, "unknown")
      assert.isAtMost(millis, 705)
    }).pipe(onMemory(cluster))
  )

  it.effect("a broker that no route names is named by the error", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* TestClock.setTime(START)
      const producer = yield* startProducer({ borrowRoute: false })
      const absent = failureOf(yield* Effect.exit(producer.recallMessage("unknown", handle({ topic: "unknown" }))))
      assert.deepInclude(absent.reason, { _tag: "RouteUnavailable", problem: "topic-absent" })
      yield* faults.add({ match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC }, actions: [FaultScript.dropRequest] })
      const { exit, millis } = yield* timed(producer.recallMessage("orders", handle(), { timeoutMillis: 300 }))
      assert.deepInclude(failureOf(exit).reason, { _tag: "RecallTimeout" })
      assert.isAtMost(millis, 305)
    }).pipe(onMemory(cluster))
  )

  it.effect("is refused while the producer does not run", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer()
      const before = failureOf(yield* Effect.exit(producer.recallMessage("orders", handle())))
      assert.deepInclude(before.reason, { _tag: "IllegalServiceState" })
      yield* producer.start
      yield* producer.shutdown
      const after = failureOf(yield* Effect.exit(producer.recallMessage("orders", handle())))
      assert.deepInclude(after.reason, { _tag: "IllegalServiceState" })
    }).pipe(onMemory(cluster))
  )
})
