import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import * as Message from "../../../src/message/Message.ts"
import * as MessageDelay from "../../../src/message/MessageDelay.ts"
import type { ProducerOptions } from "../../../src/producer/ProducerConfig.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import {
  advance,
  countFibers,
  failureOf,
  makeProducer,
  onMemory,
  settle,
  startProducer,
  text,
  timed,
  valueOf
} from "../../support/rig.ts"

const topics = { orders: {}, other: {} }
const BATCH = RequestCode.SEND_BATCH_MESSAGE
const SEND = RequestCode.SEND_MESSAGE_V2

/** A producer with automatic batches whose route is known and whose broker has told its release. */
const started = (options: Partial<ProducerOptions> = {}) =>
  Effect.gen(function* () {
    const { traffic } = yield* EmbeddedCluster
    const producer = yield* startProducer({
      autoBatch: true,
      readiness: "registered",
      topics: ["orders", "other"],
      ...options
    })
    yield* settle
    yield* traffic.clear
    return producer
  })

const sent = Effect.gen(function* () {
  const { traffic } = yield* EmbeddedCluster
  return { batches: (yield* traffic.ofCode(BATCH)).length, single: (yield* traffic.ofCode(SEND)).length }
})

const messagesOf = (count: number, topic = "orders") => Array.from({ length: count }, (_, n) => text(topic, `${n}`))

const twice = <A, E>(effect: Effect.Effect<A, E>) => Effect.all([effect, effect], { concurrency: 2 })

describe("automatic batches", () => {
  it.effect("sends that come together leave together, and each gets its own result", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* started()
      const list = messagesOf(50)
      const { exit, millis } = yield* timed(
        Effect.forEach(list, (message) => producer.send(message), { concurrency: "unbounded" }),
        1_000,
        1
      )
      const results = valueOf(exit)
      assert.strictEqual(millis, 10)
      assert.deepStrictEqual(yield* sent, { batches: 1, single: 0 })
      const stored = yield* messages("orders")
      assert.strictEqual(stored.length, 50)
      assert.strictEqual(new Set(results.map(({ msgId }) => msgId)).size, 50)
      for (const [index, result] of results.entries()) {
        const found = stored.find((one) => one.msgId === result.msgId)
        assert.strictEqual(Buffer.from(found?.body ?? []).toString(), `${index}`)
        assert.deepStrictEqual([found?.queueId, found?.queueOffset], [result.queue.queueId, result.queueOffset])
        assert.notInclude(result.offsetMsgId, ",")
      }
      assert.strictEqual((yield* producer.state).inFlight, 0)
    }).pipe(onMemory({ topics }))
  )

  it.effect("a message waits no longer than batchMaxDelayMs, and one alone leaves as a plain one", () =>
    Effect.gen(function* () {
      const producer = yield* started({ batchMaxDelayMs: 25 })
      const fiber = yield* Effect.forkChild(producer.send(text("orders")), { startImmediately: true })
      yield* TestClock.adjust(24)
      yield* settle
      assert.deepStrictEqual(yield* sent, { batches: 0, single: 0 })
      assert.strictEqual((yield* producer.state).inFlight, 1)
      yield* TestClock.adjust(1)
      const result = yield* Fiber.join(fiber)
      assert.strictEqual(result.status, "SEND_OK")
      assert.deepStrictEqual(yield* sent, { batches: 0, single: 1 })
    }).pipe(onMemory({ topics }))
  )

  it.effect("the first message's time counts, not the last one's", () =>
    Effect.gen(function* () {
      const producer = yield* started({ batchMaxDelayMs: 10 })
      const ends: Array<number> = []
      const one = Effect.andThen(
        producer.send(text("orders")),
        Effect.map(Clock.currentTimeMillis, (now) => void ends.push(now))
      )
      const begin = yield* Clock.currentTimeMillis
      for (let n = 0; n < 4; n++) {
        yield* Effect.forkChild(one, { startImmediately: true })
        yield* advance(4, 1)
      }
      yield* advance(20, 1)
      // At 0, 4 and 8 into the first group, due at 10; at 12 into the second.
      assert.deepStrictEqual(
        ends.map((end) => end - begin),
        [10, 10, 10, 22]
      )
    }).pipe(onMemory({ topics }))
  )

  it.effect("a group leaves at once when it is full, and no batch is larger than batchMaxBytes", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const batchMaxBytes = 2_000
      const producer = yield* started({ batchMaxBytes })
      const list = Array.from({ length: 60 }, (_, n) => text("orders", "x".repeat(1 + ((n * 53) % 300))))
      const fiber = yield* Effect.forkChild(
        Effect.forEach(list, (message) => producer.send(message), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* settle
      const full = yield* traffic.ofCode(BATCH)
      assert.isAbove(full.length, 3, "full groups do not wait for the clock")
      yield* advance(10, 1)
      yield* Fiber.join(fiber)
      for (const { bodyLength } of yield* traffic.ofCode(BATCH)) assert.isAtMost(bodyLength, batchMaxBytes)
    }).pipe(onMemory({ topics }))
  )

  it.effect("topics, queues, keys, tags and durability are not mixed", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const producer = yield* started()
      const queue = { topic: "orders", brokerName: "broker-a", queueId: 2 }
      const tagged = Message.make({ topic: "orders", body: "t", tags: "T" })
      const careless = Message.make({ topic: "orders", body: "w", waitStoreMsgOK: false })
      const groups = [
        twice(producer.send(text("orders", "plain"))),
        twice(producer.send(text("other", "other"))),
        twice(producer.send(text("orders", "queue"), { queue })),
        twice(producer.send(text("orders", "key-a"), { orderingKey: "a" })),
        twice(producer.send(text("orders", "key-b"), { orderingKey: "b" })),
        twice(producer.send(text("orders", "key-7"), { orderingKey: 7 })),
        twice(producer.send(text("orders", "key-seven"), { orderingKey: "7" })),
        twice(producer.send(tagged)),
        twice(producer.send(careless)),
        twice(producer.send(text("orders", "hasty"), { timeoutMillis: 500 }))
      ]
      const { exit } = yield* timed(Effect.all(groups, { concurrency: "unbounded" }), 1_000, 1)
      const results = valueOf(exit)
      assert.strictEqual((yield* traffic.ofCode(BATCH)).length, groups.length)
      for (const [first, second] of results) {
        assert.deepStrictEqual(first.queue, second.queue)
        assert.strictEqual(Math.abs(first.queueOffset - second.queueOffset), 1)
      }
      const keys = (yield* messages("orders")).flatMap(({ properties }) => properties["__SHARDINGKEY"] ?? [])
      assert.sameMembers(keys, ["a", "a", "b", "b", "7", "7", "7", "7"])
    }).pipe(onMemory({ topics }))
  )

  it.effect("what may not be in a batch goes by itself, at once", () =>
    Effect.gen(function* () {
      const producer = yield* started()
      const direct = [
        producer.send({ ...text("orders"), delay: MessageDelay.level(1) }),
        producer.send(text("orders", "x".repeat(5_000))),
        producer.send(text("orders"), { selector: (queues) => queues[0] }),
        producer.send(text("orders"), { timeoutMillis: 10 })
      ]
      const results = yield* Effect.all(direct, { concurrency: "unbounded" })
      assert.isTrue(results.every(({ status }) => status === "SEND_OK"))
      assert.deepStrictEqual(yield* sent, { batches: 0, single: 4 })
    }).pipe(onMemory({ topics }))
  )

  it.effect("beyond totalBatchMaxBytes sends go by themselves", () =>
    Effect.gen(function* () {
      const producer = yield* started({ totalBatchMaxBytes: 1_000 })
      const fiber = yield* Effect.forkChild(
        Effect.forEach(messagesOf(20), (message) => producer.send(message), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* settle
      const { batches, single } = yield* sent
      assert.strictEqual(batches, 0)
      assert.isAbove(single, 5)
      yield* advance(10, 1)
      assert.strictEqual((yield* Fiber.join(fiber)).length, 20)
      assert.deepStrictEqual(yield* sent, { batches: 1, single })
    }).pipe(onMemory({ topics }))
  )

  it.effect("every caller gets its own error, with its own id", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* started()
      yield* faults.add({ match: { code: BATCH }, actions: [FaultScript.answer(13, "no")] })
      const bad = Message.make({ topic: "orders", body: "bad", tags: " " })
      const list = [text("orders", "a"), bad, text("orders", "b")]
      const { exit } = yield* timed(
        Effect.forEach(list, (message) => Effect.exit(producer.send(message)), { concurrency: "unbounded" }),
        1_000,
        1
      )
      const [a, invalid, b] = valueOf(exit).map(failureOf)
      assert.deepInclude(invalid?.reason, { _tag: "InvalidMessage", field: "tags" })
      for (const error of [a, b]) {
        assert.deepInclude(error?.reason, { _tag: "BrokerRejected", code: 13 })
        assert.strictEqual(error?.outcome, "rejected")
        assert.match(error?.msgId ?? "", /^[0-9A-F]{32,56}$/)
      }
      assert.notStrictEqual(a?.msgId, b?.msgId)
    }).pipe(onMemory({ topics }))
  )

  it.effect("a caller who gives up before the group leaves takes only its own message out", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* started()
      const fibers = yield* Effect.forEach(messagesOf(3), (message) =>
        Effect.forkChild(producer.send(message), { startImmediately: true })
      )
      const [, second] = fibers
      if (second !== undefined) yield* Fiber.interrupt(second)
      assert.strictEqual((yield* producer.state).inFlight, 2)
      yield* advance(10, 1)
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true])
      assert.sameMembers(
        (yield* messages("orders")).map(({ body }) => Buffer.from(body).toString()),
        ["0", "2"]
      )
    }).pipe(onMemory({ topics }))
  )

  it.effect("a caller who gives up while the batch is under way does not touch the others", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* started()
      yield* faults.add({ match: { code: BATCH }, actions: [FaultScript.delay(200)] })
      const fibers = yield* Effect.forEach(messagesOf(3), (message) =>
        Effect.forkChild(producer.send(message), { startImmediately: true })
      )
      yield* advance(50, 5)
      const [first] = fibers
      if (first !== undefined) yield* Fiber.interrupt(first)
      yield* advance(300, 10)
      const exits = yield* Effect.forEach(fibers, Fiber.await)
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [false, true, true])
      assert.strictEqual((yield* messages("orders")).length, 3)
      assert.strictEqual((yield* producer.state).inFlight, 0)
    }).pipe(onMemory({ topics }))
  )

  it.effect("the deadline counts from the send, the wait for others included", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* started({ batchMaxDelayMs: 400 })
      yield* faults.add({ match: { code: [BATCH, SEND] }, actions: [FaultScript.dropRequest] })
      const { exit, millis } = yield* timed(
        Effect.forEach(messagesOf(2), (message) => Effect.exit(producer.send(message, { timeoutMillis: 1_000 })), {
          concurrency: "unbounded"
        })
      )
      for (const error of valueOf(exit).map(failureOf)) assert.strictEqual(error.outcome, "unknown")
      assert.isAtMost(millis, 1_010)
    }).pipe(onMemory({ topics }))
  )

  it.effect("a shutdown sends what waits and waits for its answers", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* makeProducer({ autoBatch: true, batchMaxDelayMs: 30_000, sendMsgTimeout: 60_000 })
      yield* producer.start
      yield* producer.send(text("orders", "route"), { selector: (queues) => queues[0] })
      const fiber = yield* Effect.forkChild(
        Effect.forEach(messagesOf(20), (message) => producer.send(message), { concurrency: "unbounded" }),
        { startImmediately: true }
      )
      yield* settle
      const { millis } = yield* timed(producer.shutdown)
      assert.isBelow(millis, 1_000)
      assert.strictEqual((yield* Fiber.join(fiber)).length, 20)
      assert.strictEqual((yield* messages("orders")).length, 21)
      const late = failureOf(yield* Effect.exit(producer.send(text("orders"))))
      assert.deepInclude(late.reason, { _tag: "IllegalServiceState" })
    }).pipe(onMemory({ topics }))
  )

  it.effect("has one fiber, which sleeps while nothing waits, and ends with the producer", () => {
    const fibers = countFibers()
    return Effect.gen(function* () {
      const idle = yield* started()
      yield* settle
      const before = fibers.live()
      const plain = yield* startProducer({ producerGroup: "plain", instanceName: "x", readiness: "registered" })
      yield* settle
      const ofPlain = fibers.live() - before
      yield* plain.shutdown
      yield* settle
      const second = yield* started({ producerGroup: "second", instanceName: "y" })
      yield* settle
      assert.strictEqual(fibers.live() - before - ofPlain, 1)
      yield* Effect.forEach([idle, second], (producer) => producer.shutdown)
      yield* settle
    }).pipe(onMemory({ topics }), fibers.provide)
  })

  it.effect.prop(
    "whatever comes when: everything is stored once, under the id and at the place of its result",
    {
      waits: Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 12 }))).check(
        Schema.isMinLength(1),
        Schema.isMaxLength(40)
      ),
      batchMaxBytes: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 2_000 }))
    },
    ({ batchMaxBytes, waits }) =>
      Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const producer = yield* started({ batchMaxBytes, batchMaxDelayMs: 5 })
        const fibers = yield* Effect.forEach(waits, (wait, index) =>
          Effect.andThen(
            advance(wait, 1),
            Effect.forkChild(producer.send(text("orders", `${index}`)), { startImmediately: true })
          )
        )
        yield* advance(20, 1)
        const results = yield* Effect.forEach(fibers, Fiber.join)
        const stored = yield* messages("orders")
        assert.strictEqual(stored.length, waits.length)
        for (const [index, { msgId, queue, queueOffset }] of results.entries()) {
          const found = stored.find((one) => one.queueId === queue.queueId && one.queueOffset === queueOffset)
          assert.deepStrictEqual([found?.msgId, Buffer.from(found?.body ?? []).toString()], [msgId, `${index}`])
        }
      }).pipe(onMemory({ topics })),
    { arbitrary: { runs: 20 } }
  )

  it.effect("a message whose group is due in the instant in which it joins is sent", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const clock = yield* Clock.Clock
      let stalls = false
      let lost = 0n
      // While it stalls, the machine stands still for longer than a group waits between any two looks at the clock.
      const halting: Clock.Clock = {
        currentTimeMillis: clock.currentTimeMillis,
        currentTimeMillisUnsafe: () => clock.currentTimeMillisUnsafe(),
        currentTimeNanos: clock.currentTimeNanos,
        currentTimeNanosUnsafe: () => clock.currentTimeNanosUnsafe(),
        monotonicTimeNanos: clock.monotonicTimeNanos,
        monotonicTimeNanosUnsafe: () => clock.monotonicTimeNanosUnsafe() + (stalls ? (lost += 11_000_000n) : lost),
        sleep: (duration) => clock.sleep(duration)
      }
      const producer = yield* started().pipe(Effect.provideService(Clock.Clock, halting))
      for (let n = 0; n < 3; n++) {
        stalls = true
        const sending = yield* Effect.forkChild(producer.send(text("orders", `${n}`)), { startImmediately: true })
        stalls = false
        yield* advance(20, 10)
        assert.isDefined(sending.pollUnsafe(), "nobody sends it any more")
      }
      assert.strictEqual((yield* messages("orders")).length, 3)
    }).pipe(onMemory({ topics }))
  )
})
