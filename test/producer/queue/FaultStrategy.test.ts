import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import * as LatencyFaultTolerance from "../../../src/producer/queue/LatencyFaultTolerance.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../../src/protocol/ResponseCode.ts"
import { advance, onMemory, settle, startProducer, text, timed, valueOf } from "../../support/rig.ts"

const SEND = RequestCode.SEND_MESSAGE_V2
const topics = { orders: {} }

describe("LatencyFaultTolerance", () => {
  it("has Java's tables", () => {
    const table: ReadonlyArray<readonly [number, number]> = [
      [0, 0],
      [99, 0],
      [100, 0],
      [549, 0],
      [550, 2_000],
      [1_800, 5_000],
      [3_000, 6_000],
      [5_000, 10_000],
      [14_999, 10_000],
      [15_000, 30_000]
    ]
    for (const [latency, duration] of table) {
      assert.strictEqual(LatencyFaultTolerance.notAvailableDuration(latency), duration, `${latency} ms`)
    }
  })

  it.prop("a penalty never ends before one that was given earlier", [Schema.Array(Schema.Natural)], ([latencies]) => {
    let now = 1_000
    const tolerance = LatencyFaultTolerance.make(() => now)
    let until = 0
    for (const latency of latencies) {
      now += 7
      tolerance.updateFaultItem("a", latency % 20_000, latency % 3 === 0, true)
      const held = tolerance.items()[0]?.notAvailableUntil ?? 0
      assert.isAtLeast(held, until)
      until = held
    }
    assert.strictEqual(tolerance.isAvailable("a"), now >= until)
    assert.isTrue(tolerance.isAvailable("never heard of"))
  })
})

const counts = (results: ReadonlyArray<{ readonly queue: { readonly brokerName: string } }>) => ({
  a: results.filter((r) => r.queue.brokerName === "broker-a").length,
  b: results.filter((r) => r.queue.brokerName === "broker-b").length
})

describe("sendLatencyEnable", () => {
  it.effect("B18: a slow broker is passed over, shows in the state, and comes back after its penalty", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const producer = yield* startProducer({ sendLatencyEnable: true, sendMsgTimeout: 10_000 })
      const sendOne = producer.send(text("orders"))
      yield* sendOne
      yield* cluster.faults.add({
        match: { code: SEND, broker: "broker-a" },
        actions: [FaultScript.delay(600)],
        times: 1
      })
      // As many as there are queues: one of them meets the slow broker, wherever round robin stands.
      valueOf((yield* timed(Effect.repeat(sendOne, { times: 7 }))).exit)
      const held = (yield* producer.state).faults
      assert.deepStrictEqual(
        held.map(({ brokerName, reachable }) => ({ brokerName, reachable })),
        [{ brokerName: "broker-a", reachable: true }]
      )
      assert.isAbove(held[0]?.notAvailableForMillis ?? 0, 1_000)
      const during = yield* Effect.forEach(Array.from({ length: 20 }), () => sendOne)
      assert.deepStrictEqual(counts(during), { a: 0, b: 20 })
      yield* advance(2_100)
      const after = yield* Effect.forEach(Array.from({ length: 16 }), () => sendOne)
      assert.deepStrictEqual(counts(after), { a: 8, b: 8 })
    }).pipe(onMemory({ brokers: 2, topics }))
  )

  it.effect("a broker that failed is isolated for ten seconds", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const producer = yield* startProducer({ sendLatencyEnable: true })
      yield* cluster.faults.add({
        match: { code: SEND, broker: "broker-a" },
        actions: [FaultScript.answer(14, "the store is not writable")],
        times: 1
      })
      const first = yield* Effect.forEach(Array.from({ length: 8 }), () => producer.send(text("orders")))
      assert.isAtMost(counts(first).a, 1)
      yield* advance(9_000)
      assert.strictEqual((yield* producer.send(text("orders"))).queue.brokerName, "broker-b")
      yield* advance(1_100)
      const after = yield* Effect.forEach(Array.from({ length: 8 }), () => producer.send(text("orders")))
      assert.deepStrictEqual(counts(after), { a: 4, b: 4 })
    }).pipe(onMemory({ brokers: 2, topics }))
  )

  it.effect("a broker that refused a message for the message's own sake is not isolated", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const producer = yield* startProducer({ sendLatencyEnable: true })
      yield* cluster.faults.add({
        match: { code: SEND },
        actions: [FaultScript.answer(ResponseCode.MESSAGE_ILLEGAL, "the message is illegal")],
        times: 2
      })
      for (let n = 0; n < 2; n++) assert.isTrue(Exit.isFailure(yield* Effect.exit(producer.send(text("orders")))))
      assert.deepStrictEqual((yield* producer.state).faults, [])
      const after = yield* Effect.forEach(Array.from({ length: 8 }), () => producer.send(text("orders")))
      assert.deepStrictEqual(counts(after), { a: 4, b: 4 })
    }).pipe(onMemory({ brokers: 2, topics }))
  )

  it.effect("B19: with every broker in penalty, sends go on", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const producer = yield* startProducer({ sendLatencyEnable: true })
      yield* cluster.faults.add({ match: { code: SEND }, actions: [FaultScript.answer(14, "no")], times: 3 })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(producer.send(text("orders")))))
      assert.strictEqual((yield* producer.state).faults.length, 2)
      assert.strictEqual((yield* producer.send(text("orders"))).status, "SEND_OK")
    }).pipe(onMemory({ brokers: 2, topics }))
  )

  it.effect("the detector brings a broker back once a probe has reached it, and not before", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const producer = yield* startProducer({ sendLatencyEnable: true, startDetectorEnable: true })
      yield* producer.send(text("orders"))
      yield* cluster.stopBroker("broker-a", { unregister: "never" })
      yield* Effect.forEach(Array.from({ length: 8 }), () => producer.send(text("orders")))
      const reachable = Effect.map(producer.state, (s) => s.faults.find((f) => f.brokerName === "broker-a")?.reachable)
      assert.strictEqual(yield* reachable, false)
      yield* advance(15_000)
      assert.strictEqual(yield* reachable, false)
      yield* cluster.startBroker("broker-a")
      yield* advance(10_000)
      assert.strictEqual(yield* reachable, true)
    }).pipe(onMemory({ brokers: 2, topics }))
  )

  it.effect("nothing is held against anybody unless it is asked for", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* cluster.faults.add({ match: { code: SEND }, actions: [FaultScript.answer(14, "no")], times: 1 })
      yield* producer.send(text("orders"))
      assert.deepStrictEqual((yield* producer.state).faults, [])
    }).pipe(onMemory({ brokers: 2, topics }))
  )
})

describe("sends in flight", () => {
  const arrived = Effect.gen(function* () {
    const { traffic } = yield* EmbeddedCluster
    return (yield* traffic.ofCode(SEND)).length
  })

  it.effect("more than the limit wait, in the order in which they came, and an interrupted one frees its place", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const producer = yield* startProducer({ backPressureForAsyncSendNum: 2, sendMsgTimeout: 10_000 })
      yield* producer.send(text("orders"))
      yield* cluster.traffic.clear
      yield* cluster.faults.add({ match: { code: SEND }, actions: [FaultScript.delay(1_000)] })
      const fibers = yield* Effect.forEach(["1", "2", "3", "4"], (body) =>
        Effect.forkChild(producer.send(text("orders", body)), { startImmediately: true })
      )
      yield* settle
      assert.strictEqual(yield* arrived, 2)
      yield* Effect.forEach(fibers.slice(0, 1), Fiber.interrupt)
      yield* settle
      assert.strictEqual(yield* arrived, 3)
      yield* TestClock.adjust(1_000)
      yield* settle
      assert.strictEqual(yield* arrived, 4)
      yield* advance(1_000)
      yield* Effect.forEach(fibers.slice(1), Fiber.join)
      assert.strictEqual((yield* producer.state).inFlight, 0)
    }).pipe(onMemory({ topics }))
  )

  it.effect("waiting for a place counts into the deadline; nothing was sent", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const producer = yield* startProducer({ backPressureForAsyncSendNum: 1 })
      yield* producer.send(text("orders"))
      yield* cluster.faults.add({ match: { code: SEND }, actions: [FaultScript.delay(2_000)] })
      const holder = yield* Effect.forkChild(producer.send(text("orders")), { startImmediately: true })
      const late = yield* timed(Effect.flip(producer.send(text("orders"), { timeoutMillis: 500 })))
      const error = valueOf(late.exit)
      assert.strictEqual(error.reason._tag, "SendTimeout")
      assert.strictEqual(error.outcome, "not-sent")
      assert.isAtMost(late.millis, 510)
      yield* advance(2_000)
      yield* Fiber.join(holder)
    }).pipe(onMemory({ topics }))
  )

  it.effect("bytes are bounded as well, and a body above the bound passes alone", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const producer = yield* startProducer({
        backPressureForAsyncSendSize: 1_000,
        compressMsgBodyOverHowmuch: Number.POSITIVE_INFINITY,
        sendMsgTimeout: 10_000
      })
      yield* producer.send(text("orders"))
      yield* cluster.traffic.clear
      yield* cluster.faults.add({ match: { code: SEND }, actions: [FaultScript.delay(1_000)] })
      const fibers = yield* Effect.forEach([600, 600, 5_000], (size) =>
        Effect.forkChild(producer.send(text("orders", "x".repeat(size))), { startImmediately: true })
      )
      yield* settle
      assert.strictEqual(yield* arrived, 1)
      yield* advance(1_000)
      assert.strictEqual(yield* arrived, 2)
      yield* advance(1_000)
      assert.strictEqual(yield* arrived, 3)
      yield* advance(1_000)
      yield* Effect.forEach(fibers, Fiber.join)
    }).pipe(onMemory({ topics }))
  )
})

describe("retryPolicy", () => {
  it.effect("replaces the table; one that throws leaves the table in force", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const never = yield* startProducer({ producerGroup: "never", retryPolicy: () => "fail" })
      const broken = yield* startProducer({
        producerGroup: "broken",
        retryPolicy: () => {
          throw new Error("broken policy")
        }
      })
      yield* cluster.faults.add({ match: { code: SEND }, actions: [FaultScript.answer(14, "no")], times: 2 })
      const error = yield* Effect.flip(never.send(text("orders")))
      assert.strictEqual(error.attempts.length, 1)
      assert.strictEqual((yield* broken.send(text("orders"))).attempts, 2)
    }).pipe(onMemory({ topics }))
  )
})

describe("a send that had to wait for a place in flight", () => {
  it.effect("has for its attempt what is left of its deadline", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ backPressureForAsyncSendNum: 1 })
      yield* producer.send(text("orders"))
      yield* faults.add(
        { match: { code: SEND, nth: 1 }, actions: [FaultScript.delay(2_000)] },
        { match: { code: SEND, after: 1 }, actions: [FaultScript.dropRequest] }
      )
      const send = Effect.exit(producer.send(text("orders")))
      const { exit, millis } = yield* timed(Effect.all([send, send], { concurrency: 2 }))
      assert.deepStrictEqual(valueOf(exit).map(Exit.isSuccess), [true, false])
      assert.isAtMost(millis, 3_005)
    }).pipe(onMemory({ topics }))
  )
})
