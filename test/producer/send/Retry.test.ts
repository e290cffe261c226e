import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Effect, Exit, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { Arbitraries, EmbeddedCluster, type EmbeddedClusterOptions, FaultScript } from "../../../src/testing/index.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../../src/protocol/ResponseCode.ts"
import type { ProducerOptions } from "../../../src/producer/ProducerConfig.ts"
import type { SendError } from "../../../src/producer/send/SendError.ts"
import type { SendResult } from "../../../src/message/SendResult.ts"
import { MemoryNetwork } from "../../../src/transport/MemoryWire.ts"
import {
  advance,
  canSend,
  failureOf,
  onMemory,
  settle,
  startProducer,
  text,
  timed,
  valueOf,
  runs
} from "../../support/rig.ts"

const topics = { orders: {} }
const SEND = RequestCode.SEND_MESSAGE_V2
const ROUTE = RequestCode.GET_ROUTEINFO_BY_TOPIC

/** A producer that knows the route of orders and has connections to all brokers. */
const warm = (given: Partial<ProducerOptions> = {}) =>
  Effect.tap(startProducer({ readiness: "registered", topics: ["orders"], ...given }), () => settle)

/** Answers sends with a code so many times; gives the exit and what the broker saw. */
const answered = (code: number, times: number, given: Partial<ProducerOptions> = {}) =>
  Effect.gen(function* () {
    const { faults, traffic } = yield* EmbeddedCluster
    const producer = yield* warm(given)
    yield* faults.add({ match: { code: SEND }, actions: [FaultScript.answer(code, "told to")], times })
    yield* traffic.clear
    const { exit, millis } = yield* timed(producer.send(text("orders")))
    const sends = yield* traffic.ofCode(SEND)
    const ids = new Set(sends.map((r) => MessageProperties.decode(r.extFields?.["i"] ?? "")["UNIQ_KEY"]))
    assert.strictEqual(ids.size, 1, "the unique id is the same over all attempts")
    return { exit, millis, sends, routes: (yield* traffic.ofCode(ROUTE)).length, msgId: [...ids][0] }
  })

const silent = (broker?: string) => ({
  match: { code: SEND, ...(broker === undefined ? {} : { broker }) },
  actions: [FaultScript.dropRequest]
})

const verdicts = (
  given: EmbeddedClusterOptions,
  producerOptions: Partial<ProducerOptions>,
  script: FaultScript.FaultScript,
  count: number
) =>
  Effect.gen(function* () {
    const { faults, messages } = yield* EmbeddedCluster
    const clock = yield* Clock.Clock
    const producer = yield* warm(producerOptions)
    const onlySends = script.map((rule) => ({ ...rule, match: { ...rule.match, code: SEND } }))
    yield* faults.add(...onlySends)
    const { exit } = yield* timed(
      Effect.forEach(
        Array.from({ length: count }, (_, i) => i),
        (i) =>
          Effect.gen(function* () {
            const begin = clock.currentTimeMillisUnsafe()
            const sent = yield* Effect.exit(producer.send(text("orders", `message ${i}`)))
            return { i, sent, millis: clock.currentTimeMillisUnsafe() - begin }
          }),
        { concurrency: 8 }
      ),
      600_000,
      25
    )
    yield* faults.clear
    // What a broker still holds back comes to light.
    yield* advance(6_000, 500)
    const log = yield* messages("orders")
    return { log, sends: valueOf(exit), state: yield* producer.state }
  }).pipe(onMemory(given))

const checkOutcome = (
  log: ReadonlyArray<{
    readonly body: Uint8Array
    readonly queueId: number
    readonly queueOffset: number
    readonly storeHost: string
    readonly msgId: string
  }>,
  sent: Exit.Exit<SendResult, SendError>,
  i: number
) => {
  const mine = log.filter((m) => new TextDecoder().decode(m.body) === `message ${i}`)
  const ids = new Set(mine.map((m) => m.msgId))
  if (Exit.isSuccess(sent)) {
    const { attempts, msgId, queue, queueOffset, status } = sent.value
    assert.strictEqual(status, "SEND_OK")
    const at = mine.filter((m) => m.queueId === queue.queueId && m.queueOffset === queueOffset)
    assert.isAtLeast(at.length, 1, "what was acknowledged is where it was said to be")
    assert.isAtMost(mine.length, attempts)
    assert.deepStrictEqual([...ids], [msgId])
    return
  }
  const error = failureOf(sent)
  if (error.outcome === "unknown") {
    assert.isAtMost(mine.length, error.attempts.length)
    assert.isTrue(ids.size === 0 || (ids.size === 1 && ids.has(error.msgId ?? "")))
  } else {
    assert.strictEqual(mine.length, 0, `${error.outcome}: ${error.message}`)
  }
}

/** The row of the fault matrix that a code belongs to. */
const rowOf = (code: number): string =>
  ({ [ResponseCode.SYSTEM_ERROR]: "B10", [ResponseCode.NO_PERMISSION]: "B6", [ResponseCode.TOPIC_NOT_EXIST]: "B7" })[
    code
  ] ?? "B12"

describe("the retry table", () => {
  const retried = [1, 14, 16, 17, 204, 205, 501] as const
  for (const code of retried) {
    it.effect(`${rowOf(code)}: code ${code} is tried again, elsewhere`, () =>
      Effect.gen(function* () {
        const { exit, msgId, sends } = yield* answered(code, 2)
        const result = valueOf(exit)
        assert.deepStrictEqual([result.attempts, result.msgId, sends.length], [3, msgId, 3])
        assert.notStrictEqual(sends[0]?.server, sends[1]?.server)
        assert.notStrictEqual(sends[1]?.server, sends[2]?.server)
      }).pipe(onMemory({ topics, brokers: 2 }))
    )

    it.effect(`${rowOf(code)}: code ${code} for good fails with every attempt listed`, () =>
      Effect.gen(function* () {
        const { exit, msgId, sends } = yield* answered(code, 99)
        const error = failureOf(exit)
        assert.strictEqual(sends.length, 3)
        assert.deepInclude(error.reason, { _tag: "BrokerRejected", code, remark: "told to" })
        assert.strictEqual(error.msgId, msgId)
        assert.strictEqual(error.outcome, code === 1 ? "unknown" : "rejected")
        assert.deepStrictEqual(
          error.attempts.map((a) => [a.brokerName, a.cause._tag, a.outcome]),
          sends.map((r) => [r.server, "BrokerRejected", error.outcome])
        )
        for (const attempt of error.attempts) assert.include(error.message, `${attempt.brokerName}:${attempt.queueId}`)
      }).pipe(onMemory({ topics, brokers: 2 }))
    )
  }

  for (const code of [13, 29, 26, 3, 9_999, -5]) {
    it.effect(`${code === 13 || code === 29 ? "B8" : "B12"}: code ${code} is not tried again`, () =>
      Effect.gen(function* () {
        const { exit, sends } = yield* answered(code, 99)
        assert.deepInclude(failureOf(exit).reason, { _tag: "BrokerRejected", code })
        assert.strictEqual(sends.length, 1)
      }).pipe(onMemory({ topics, brokers: 2 }))
    )
  }

  for (const [code, status] of [
    [ResponseCode.FLUSH_DISK_TIMEOUT, "FLUSH_DISK_TIMEOUT"],
    [ResponseCode.FLUSH_SLAVE_TIMEOUT, "FLUSH_SLAVE_TIMEOUT"],
    [ResponseCode.SLAVE_NOT_AVAILABLE, "SLAVE_NOT_AVAILABLE"]
  ] as const) {
    const stored = (times: number) => ({
      match: { code: SEND },
      times,
      actions: [
        {
          _tag: "Answer" as const,
          response: { code, extFields: { msgId: "7F00000100002A9F0000000000000007", queueId: "1", queueOffset: "7" } }
        }
      ]
    })

    it.effect(`B9: ${status} is a value, not an error, and is not sent again`, () =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        const producer = yield* warm()
        yield* faults.add(stored(1))
        const result = yield* producer.send(text("orders"))
        assert.deepStrictEqual(
          [result.status, result.queueOffset, result.queue.queueId, result.attempts],
          [status, 7, 1, 1]
        )
        yield* traffic.expect({ code: SEND }, { exactly: 1 })
        assert.deepInclude((yield* producer.state).counters, { acknowledged: 1, failed: 0 })
      }).pipe(onMemory({ topics, brokers: 2 }))
    )

    it.effect(
      `B9: ${status} is sent to another broker where that is asked for, and kept when nothing better comes`,
      () =>
        Effect.gen(function* () {
          const { faults } = yield* EmbeddedCluster
          const producer = yield* warm({ retryAnotherBrokerWhenNotStoreOK: true })
          yield* faults.add(stored(1))
          const better = yield* producer.send(text("orders"))
          assert.deepStrictEqual([better.status, better.attempts], ["SEND_OK", 2])
          yield* faults.add(stored(99))
          const kept = yield* producer.send(text("orders"))
          assert.deepStrictEqual([kept.status, kept.attempts], [status, 3])
          yield* faults.clear
          yield* faults.add(stored(1), { match: { code: SEND }, actions: [FaultScript.dropRequest] })
          yield* faults.clear
          yield* faults.add(
            { ...stored(1), match: { code: SEND, nth: 1 } },
            { match: { code: SEND, after: 1 }, actions: [FaultScript.answer(1, "no")] }
          )
          const first = yield* producer.send(text("orders"))
          assert.deepStrictEqual([first.status, first.queueOffset], [status, 7])
          assert.deepInclude((yield* producer.state).counters, { acknowledged: 3, failed: 0, unknown: 0 })
        }).pipe(onMemory({ topics, brokers: 2 }))
    )
  }

  it.effect("B7: a topic that is gone is looked up at once; its own route is kept and never borrowed over", () =>
    Effect.gen(function* () {
      const { deleteTopic, traffic } = yield* EmbeddedCluster
      const producer = yield* warm()
      yield* deleteTopic("orders")
      yield* (yield* EmbeddedCluster).faults.add({
        match: { code: SEND },
        actions: [FaultScript.answer(17, "gone")],
        times: 1
      })
      yield* traffic.clear
      const result = valueOf((yield* timed(producer.send(text("orders")))).exit)
      assert.deepStrictEqual([result.borrowedRoute, result.attempts], [false, 2])
      assert.deepStrictEqual(
        (yield* traffic.ofCode(ROUTE)).map((r) => r.topic),
        ["orders"]
      )
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("B6: a permission that was taken away is seen at once", () =>
    Effect.gen(function* () {
      const { faults, setPermission, traffic } = yield* EmbeddedCluster
      const producer = yield* warm()
      yield* setPermission("orders", 4, "broker-a")
      yield* faults.add({ match: { code: SEND, broker: "broker-a" }, actions: [FaultScript.answer(16, "read only")] })
      yield* Effect.forEach(Array.from({ length: 12 }), () => producer.send(text("orders")))
      // The first refusal brings the new route, in which the broker is not.
      yield* traffic.expect({ code: SEND, server: "broker-a" }, { atMost: 1 })
    }).pipe(onMemory({ topics, brokers: 2 }))
  )
})

describe("busy brokers", () => {
  it.effect("B4: lose nothing: every message arrives within its deadline", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* warm({ retryTimesWhenSendFailed: 0 })
      yield* faults.add({
        match: { code: SEND, probability: 0.3 },
        actions: [FaultScript.answer(2, "[PC_SYNCHRONIZED]broker busy, start flow control for a while")]
      })
      const { exit } = yield* timed(
        Effect.forEach(Array.from({ length: 1_000 }), () => Effect.exit(producer.send(text("orders"))), {
          concurrency: "unbounded"
        })
      )
      const results = valueOf(exit)
      assert.isTrue(results.every(Exit.isSuccess))
      assert.strictEqual((yield* messages("orders")).length, 1_000)
      const { counters } = yield* producer.state
      assert.deepInclude(counters, { acknowledged: 1_000, failed: 0 })
      assert.isAbove(counters.retries, 300)
    }).pipe(onMemory({ topics }))
  )

  it.effect("B4: are waited for longer and longer, and no longer than the deadline", () =>
    Effect.gen(function* () {
      const { setBusy, traffic } = yield* EmbeddedCluster
      const producer = yield* warm()
      yield* setBusy("broker-a", true)
      yield* traffic.clear
      const { exit, millis } = yield* timed(producer.send(text("orders"), { timeoutMillis: 2_000 }), 60_000, 1)
      const error = failureOf(exit)
      assert.deepInclude(error.reason, { _tag: "BrokerRejected", code: 2 })
      assert.deepStrictEqual([error.outcome, error.retryable], ["rejected", true])
      assert.isAtMost(millis, 2_001)
      const times = (yield* traffic.ofCode(SEND)).map((r) => r.time)
      assert.strictEqual(times.length, error.attempts.length)
      const gaps = times.slice(1).map((time, i) => time - (times[i] ?? 0))
      gaps.forEach((gap, i) => {
        const full = Math.min(500, 20 * 2 ** i)
        assert.isTrue(gap >= full / 2 && gap <= full + 2, `gap ${i} is ${gap}`)
      })
      assert.isAtLeast(gaps.length, 6)
    }).pipe(onMemory({ topics }))
  )

  it.effect("B4: one of two is left for the other", () =>
    Effect.gen(function* () {
      const { setBusy } = yield* EmbeddedCluster
      const producer = yield* warm()
      yield* setBusy("broker-a", true)
      const { exit } = yield* timed(Effect.forEach(Array.from({ length: 20 }), () => producer.send(text("orders"))))
      assert.isTrue(valueOf(exit).every((r) => r.queue.brokerName === "broker-b" && r.attempts <= 2))
    }).pipe(onMemory({ topics, brokers: 2 }))
  )
})

describe("the deadline", () => {
  it.effect("B13: holds over all attempts when nobody answers, on one broker", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* warm({ retryTimesWhenSendFailed: 5 })
      yield* faults.add(silent())
      const { exit, millis } = yield* timed(producer.send(text("orders")), 60_000, 1)
      const error = failureOf(exit)
      assert.strictEqual(error.reason._tag, "RequestTimeout")
      assert.strictEqual(error.outcome, "unknown")
      // One broker: an attempt may take it all.
      assert.strictEqual(error.attempts.length, 1)
      assert.isTrue(millis >= 3_000 && millis <= 3_001, String(millis))
      assert.strictEqual((yield* producer.state).instance?.inFlight, 0)
    }).pipe(onMemory({ topics }))
  )

  it.effect("B13: is shared out over the attempts where there are several brokers", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      const producer = yield* warm()
      yield* faults.add(silent())
      yield* traffic.clear
      const { exit, millis } = yield* timed(producer.send(text("orders")), 60_000, 1)
      const error = failureOf(exit)
      assert.isTrue(millis >= 3_000 && millis <= 3_001, String(millis))
      assert.deepStrictEqual(
        error.attempts.map((a) => Math.round(a.elapsedMillis / 10)),
        [100, 100, 100]
      )
      const servers = (yield* traffic.ofCode(SEND)).map((r) => r.server)
      assert.strictEqual(servers.length, 3)
      assert.notStrictEqual(servers[0], servers[1])
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("B13: leaves a silent broker in time for the other", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* warm()
      yield* faults.add(silent("broker-a"))
      for (let i = 0; i < 4; i++) {
        const { exit, millis } = yield* timed(producer.send(text("orders")))
        assert.strictEqual(valueOf(exit).queue.brokerName, "broker-b")
        assert.isAtMost(millis, 1_005)
      }
      assert.strictEqual((yield* messages("orders")).length, 4)
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("of an attempt can be set", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* warm({ sendMsgMaxTimeoutPerRequest: 200 })
      yield* faults.add(silent())
      const { exit, millis } = yield* timed(producer.send(text("orders")), 60_000, 1)
      const error = failureOf(exit)
      // The last one has the rest.
      assert.deepStrictEqual(
        error.attempts.map((a) => Math.round(a.elapsedMillis / 100)),
        [2, 2, 26]
      )
      assert.isAtMost(millis, 3_001)
    }).pipe(onMemory({ topics }))
  )

  it.effect("counts the route look-up, the dial and the answer together", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const { brokers, faults, namesrvAddr } = yield* EmbeddedCluster
      const producer = yield* startProducer({ readiness: "lazy" })
      yield* network.setReachable(namesrvAddr, "blackhole")
      const lookup = yield* timed(producer.send(text("orders"), { timeoutMillis: 700 }), 60_000, 1)
      assert.isAtMost(lookup.millis, 701)
      const error = failureOf(lookup.exit)
      assert.deepInclude(error.reason, { _tag: "SendTimeout", timeoutMillis: 700 })
      assert.strictEqual(error.outcome, "not-sent")
      yield* network.setReachable(namesrvAddr, "open")
      yield* advance(3_000)
      yield* network.setReachable(brokers[0]?.address ?? "", "blackhole")
      const dial = yield* timed(producer.send(text("orders"), { timeoutMillis: 700 }), 60_000, 1)
      assert.isAtMost(dial.millis, 701)
      assert.deepInclude(failureOf(dial.exit), { outcome: "not-sent" })
      yield* network.setReachable(brokers[0]?.address ?? "", "open")
      yield* advance(3_000)
      yield* faults.add({ match: { code: ROUTE, topic: "late" }, actions: [FaultScript.delay(400)] }, silent())
      const both = yield* timed(producer.send(text("late"), { timeoutMillis: 700 }), 60_000, 1)
      assert.isAtMost(both.millis, 701)
      assert.deepInclude(failureOf(both.exit), { outcome: "unknown" })
    }).pipe(onMemory({ topics }))
  )

  it.effect("holds over a look-up and the wait for a dial together", () =>
    Effect.gen(function* () {
      const { faults, stopBroker } = yield* EmbeddedCluster
      const producer = yield* warm({ retryTimesWhenSendFailed: 9 })
      yield* faults.add({ match: { code: ROUTE }, actions: [FaultScript.delay(450)] })
      yield* stopBroker("broker-a", { unregister: "never" })
      for (const timeoutMillis of [400, 500, 600, 700, 800, 900, 1_000, 1_100]) {
        const { millis } = yield* timed(producer.send(text("orders"), { timeoutMillis }), 60_000, 1)
        assert.isAtMost(millis, timeoutMillis + 1)
      }
    }).pipe(onMemory({ topics }))
  )

  it.effect("of one that waits for a place is kept, and another broker is tried", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* warm({ remoting: { maxInFlightRequests: 2 } })
      yield* faults.add(silent("broker-a"))
      const { exit, millis } = yield* timed(
        Effect.forEach(Array.from({ length: 12 }), () => Effect.exit(producer.send(text("orders"))), {
          concurrency: "unbounded"
        })
      )
      const results = valueOf(exit)
      assert.isTrue(results.every(Exit.isSuccess))
      assert.isAtMost(millis, 3_001)
    }).pipe(onMemory({ topics, brokers: 2 }))
  )
})

describe("an interrupted send", () => {
  it.effect("is counted once, whether it waited for an answer, for its next attempt, or for the answer to that", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* warm()
      const inFlight = Effect.map(producer.state, (state) => state.inFlight)
      const interruptedAfter = (millis: number) =>
        Effect.gen(function* () {
          const sending = yield* Effect.forkChild(producer.send(text("orders")), { startImmediately: true })
          yield* advance(millis, 5)
          assert.strictEqual(yield* inFlight, 1)
          yield* Fiber.interrupt(sending)
          assert.strictEqual(yield* inFlight, 0, `interrupted after ${millis} ms`)
        })
      yield* faults.add(silent())
      yield* interruptedAfter(5)
      yield* faults.clear
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.answer(ResponseCode.SYSTEM_BUSY)] })
      yield* interruptedAfter(5)
      yield* faults.clear
      yield* faults.add({ match: { code: SEND, nth: 1 }, actions: [FaultScript.answer(ResponseCode.SYSTEM_BUSY)] })
      yield* faults.add({ match: { code: SEND, after: 1 }, actions: [FaultScript.dropRequest] })
      yield* interruptedAfter(100)
      yield* faults.clear
      assert.isTrue(yield* canSend(producer))
    }).pipe(onMemory({ topics }))
  )

  it.effect("frees its place at once", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* warm({ remoting: { maxInFlightRequests: 1 } })
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.dropRequest], times: 1 })
      const hanging = yield* Effect.forkChild(producer.send(text("orders")), { startImmediately: true })
      yield* settle
      const waiting = yield* Effect.forkChild(producer.send(text("orders")), { startImmediately: true })
      yield* settle
      assert.deepStrictEqual(
        [(yield* producer.state).inFlight, (yield* producer.state).instance?.inFlight, waiting.pollUnsafe()],
        [2, 1, undefined]
      )
      yield* Fiber.interrupt(hanging)
      yield* settle
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(waiting)))
      assert.deepStrictEqual([(yield* producer.state).inFlight, (yield* producer.state).instance?.inFlight], [0, 0])
    }).pipe(onMemory({ topics }))
  )

  it.effect("does not take the look-up of the others with it", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* faults.add({ match: { code: ROUTE }, actions: [FaultScript.delay(500)] })
      yield* traffic.clear
      const first = yield* Effect.forkChild(producer.send(text("orders")), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.exit(producer.send(text("orders"))), { startImmediately: true })
      yield* settle
      yield* Fiber.interrupt(first)
      yield* advance(600)
      valueOf(yield* Fiber.join(second))
      yield* traffic.expect({ code: ROUTE, topic: "orders" }, { exactly: 1 })
    }).pipe(onMemory({ topics }))
  )
})

describe("the outcome of a send is honest", () => {
  it.effect.prop(
    "under any script of faults: refused is never stored, acknowledged always is, and the time is kept",
    {
      script: Arbitraries.faultScript,
      brokers: Arbitrary.schema(Schema.Literals([1, 2, 3])),
      retries: Arbitrary.schema(Schema.Literals([0, 1, 2, 5]))
    },
    ({ brokers, retries, script }) =>
      Effect.gen(function* () {
        const { log, sends, state } = yield* verdicts(
          { topics, brokers },
          { retryTimesWhenSendFailed: retries, remoting: { connectTimeoutMillis: 1_000 } },
          script,
          40
        )
        for (const { i, millis, sent } of sends) {
          checkOutcome(log, sent, i)
          // One step of the test's clock more than the deadline.
          assert.isAtMost(millis, 3_000 + 25)
        }
        const { counters } = state
        assert.strictEqual(counters.sends, 40)
        assert.strictEqual(counters.acknowledged, sends.filter(({ sent }) => Exit.isSuccess(sent)).length)
        assert.strictEqual(counters.failed, 40 - counters.acknowledged)
        assert.strictEqual(state.inFlight, 0)
        const places = new Set(log.map((m) => `${m.storeHost} ${m.queueId} ${m.queueOffset}`))
        assert.strictEqual(places.size, log.length, "a place holds one message")
      }),
    runs(40)
  )

  it.effect("B14: when the connection is cut before and after the message was handled", () =>
    Effect.gen(function* () {
      for (const when of ["before", "after"] as const) {
        const { log, sends } = yield* verdicts(
          { topics },
          { retryTimesWhenSendFailed: 0 },
          [{ actions: [FaultScript.cut(when)], times: 1 }],
          1
        )
        const [only] = sends
        if (only === undefined) throw new Error("no send")
        assert.strictEqual(failureOf(only.sent).outcome, "unknown")
        assert.strictEqual(log.length, when === "before" ? 0 : 1)
        checkOutcome(log, only.sent, only.i)
      }
    })
  )
})

describe("shutdown", () => {
  it.effect("lets what is under way end, and refuses what comes", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const clock = yield* Clock.Clock
      const producer = yield* warm()
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(500)] })
      const sends = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 20 }), () => Effect.exit(producer.send(text("orders"))), {
          concurrency: "unbounded"
        }),
        { startImmediately: true }
      )
      yield* settle
      const begin = clock.currentTimeMillisUnsafe()
      const closing = yield* Effect.forkChild(
        Effect.andThen(
          producer.shutdown,
          Effect.sync(() => clock.currentTimeMillisUnsafe() - begin)
        ),
        { startImmediately: true }
      )
      yield* settle
      assert.strictEqual(yield* producer.serviceState, "RUNNING")
      for (const late of [
        producer.send(text("orders")),
        producer.sendOneway(text("orders")),
        producer.fetchPublishMessageQueues("orders")
      ]) {
        const error = failureOf(yield* Effect.exit<unknown, SendError, never>(late))
        assert.deepInclude(error.reason, { _tag: "IllegalServiceState", actual: "SHUTDOWN_ALREADY" })
        assert.include(error.message, "was shut down")
      }
      yield* advance(500, 50)
      assert.isTrue((yield* Fiber.join(sends)).every(Exit.isSuccess))
      assert.isAtMost(yield* Fiber.join(closing), 550)
      assert.strictEqual((yield* messages("orders")).length, 20)
      assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
      const refused = failureOf(yield* Effect.exit(producer.fetchPublishMessageQueues("orders")))
      assert.strictEqual(refused.reason._tag, "IllegalServiceState")
    }).pipe(onMemory({ topics }))
  )

  it.effect("lets a message that met a busy broker still arrive", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* warm()
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.answer(2, "busy")], times: 4 })
      const send = yield* Effect.forkChild(Effect.exit(producer.send(text("orders"))), { startImmediately: true })
      yield* settle
      const closing = yield* Effect.forkChild(producer.shutdown, { startImmediately: true })
      yield* advance(1_000, 10)
      valueOf(yield* Fiber.join(send))
      yield* Fiber.join(closing)
    }).pipe(onMemory({ topics }))
  )

  it.effect("L1: is bounded: what does not end is ended, and told honestly", () =>
    Effect.gen(function* () {
      const { faults, namesrvAddr } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const clock = yield* Clock.Clock
      const producer = yield* warm({ drainTimeoutMillis: 1_000 })
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.dropRequest] })
      const options = { timeoutMillis: 60_000 }
      const sent = yield* Effect.forkChild(Effect.exit(producer.send(text("orders"), options)), {
        startImmediately: true
      })
      yield* network.setReachable(namesrvAddr, "blackhole")
      const looking = yield* Effect.forkChild(Effect.exit(producer.send(text("cold"), options)), {
        startImmediately: true
      })
      yield* settle
      const begin = clock.currentTimeMillisUnsafe()
      const closing = yield* Effect.forkChild(
        Effect.andThen(
          producer.shutdown,
          Effect.sync(() => clock.currentTimeMillisUnsafe() - begin)
        ),
        { startImmediately: true }
      )
      yield* advance(2_500, 10)
      assert.isTrue((closing.pollUnsafe() ?? Exit.void)._tag === "Success")
      assert.isAtMost(yield* Fiber.join(closing), 1_010)
      const unknown = failureOf(yield* Fiber.join(sent))
      assert.deepStrictEqual([unknown.reason._tag, unknown.outcome], ["ClientClosed", "unknown"])
      const notSent = failureOf(yield* Fiber.join(looking))
      assert.deepStrictEqual([notSent.reason._tag, notSent.outcome], ["ClientClosed", "not-sent"])
    }).pipe(onMemory({ topics }))
  )

  it.effect("L14: with name server and brokers gone is bounded and clean", () =>
    Effect.gen(function* () {
      const { brokers, namesrvAddr } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const producer = yield* warm()
      for (const address of [namesrvAddr, ...brokers.map((b) => b.address)]) {
        yield* network.setReachable(address, "blackhole")
      }
      const { exit, millis } = yield* timed(producer.shutdown)
      valueOf(exit)
      assert.isAtMost(millis, 1_010)
      assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("L13: while connecting aborts the dial at once", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const producer = yield* startProducer({ drainTimeoutMillis: 0 })
      yield* network.setReachable(brokers[0]?.address ?? "", "blackhole")
      const send = yield* Effect.forkChild(Effect.exit(producer.send(text("orders"))), { startImmediately: true })
      yield* settle
      const { millis } = yield* timed(producer.shutdown)
      assert.isAtMost(millis, 5)
      assert.deepInclude(failureOf(yield* Fiber.join(send)), { outcome: "not-sent" })
    }).pipe(onMemory({ topics }))
  )

  it.effect("L9: of one of two that share an instance: what it left over ends with its own deadline", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const stays = yield* warm({ producerGroup: "stays", instanceName: "shared" })
      const leaves = yield* warm({ producerGroup: "leaves", instanceName: "shared", drainTimeoutMillis: 200 })
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.dropRequest], times: 1 })
      const left = yield* Effect.forkChild(timed(leaves.send(text("orders"), { timeoutMillis: 1_500 })), {
        startImmediately: true
      })
      yield* settle
      const closing = yield* Effect.forkChild(leaves.shutdown, { startImmediately: true })
      const { exit, millis } = yield* Fiber.join(left)
      assert.deepStrictEqual([failureOf(exit).reason._tag, failureOf(exit).attempts.length], ["RequestTimeout", 1])
      assert.isAtMost(millis, 1_505)
      yield* Fiber.join(closing)
      assert.isTrue(yield* canSend(stays))
    }).pipe(onMemory({ topics }))
  )

  const storedAlone = {
    _tag: "Answer" as const,
    response: {
      code: ResponseCode.FLUSH_SLAVE_TIMEOUT,
      extFields: { msgId: "7F00000100002A9F0000000000000007", queueId: "1", queueOffset: "7" }
    }
  }
  for (const [name, answer, config] of [
    ["may be tried again", FaultScript.answer(ResponseCode.SERVICE_NOT_AVAILABLE, "not now"), {}],
    ["is busy", FaultScript.answer(ResponseCode.SYSTEM_BUSY, "busy"), {}],
    ["is stored on one broker alone", storedAlone, { retryAnotherBrokerWhenNotStoreOK: true }]
  ] as const) {
    it.effect(`no attempt follows when the time for what is under way is over: one that ${name}`, () =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        // The other one keeps the connection open, so that the answer still comes.
        yield* warm({ producerGroup: "stays", instanceName: "shared" })
        const leaves = yield* warm({
          ...config,
          producerGroup: "leaves",
          instanceName: "shared",
          drainTimeoutMillis: 200
        })
        yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(500), answer], times: 1 })
        yield* traffic.clear
        const left = yield* Effect.forkChild(Effect.exit(leaves.send(text("orders"), { timeoutMillis: 10_000 })), {
          startImmediately: true
        })
        yield* settle
        const closing = yield* Effect.forkChild(leaves.shutdown, { startImmediately: true })
        yield* advance(5_000, 50)
        yield* Fiber.join(closing)
        const exit = yield* Fiber.join(left)
        if (name === "is stored on one broker alone") assert.strictEqual(valueOf(exit).status, "FLUSH_SLAVE_TIMEOUT")
        else assert.strictEqual(failureOf(exit).attempts.length, 1)
        assert.strictEqual((yield* traffic.ofCode(SEND)).length, 1)
      }).pipe(onMemory({ topics, brokers: 2 }))
    )
  }

  it.effect("twice at once, and again, is one shutdown", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* warm()
      yield* traffic.clear
      yield* Effect.all([producer.shutdown, producer.shutdown, producer.shutdown], { concurrency: "unbounded" })
      yield* producer.shutdown
      yield* traffic.expect({ code: RequestCode.UNREGISTER_CLIENT, extFields: { producerGroup: "pg" } }, { exactly: 1 })
      yield* TestClock.adjust(100_000)
    }).pipe(onMemory({ topics }))
  )
})
