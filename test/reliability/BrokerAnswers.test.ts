import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Fiber, Logger, Schema } from "effect"
import * as ForeignText from "../../src/message/ForeignText.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { advance, connections, failureOf, runs, settle, text, timed, valueOf } from "../support/rig.ts"
import { row } from "./row.ts"

const SEND = RequestCode.SEND_MESSAGE_V2
const ROUTE = RequestCode.GET_ROUTEINFO_BY_TOPIC
const orders = { code: SEND, topic: "orders" }
const two = { brokers: ["broker-a", "broker-b"] }

/** Sends once while the brokers answer so; gives how it ended, when, and what the servers saw of the topic. */
const whenAnswered = Effect.fnUntraced(function* (
  producer: DefaultMQProducerShape,
  code: number,
  given: { readonly remark?: string; readonly times?: number } = {}
) {
  const { faults, traffic } = yield* EmbeddedCluster
  const { times } = given
  yield* faults.add({ name: "answer", match: orders, actions: [FaultScript.answer(code, given.remark)], times })
  yield* traffic.clear
  const { exit, millis } = yield* timed(Effect.exit(producer.send(text("orders"))), 60_000, 1)
  yield* faults.remove("answer")
  const sends = yield* traffic.matching(orders)
  return {
    exit: valueOf(exit),
    millis,
    servers: sends.map((request) => request.server),
    gaps: sends.slice(1).map((request, i) => request.time - (sends[i]?.time ?? 0)),
    routes: (yield* traffic.matching({ code: ROUTE, topic: "orders" })).length
  }
})

describe("an overloaded broker", () => {
  it.effect("B4: busy: another one gets the message after a wait", () =>
    row(two, (producer) =>
      Effect.gen(function* () {
        for (let i = 0; i < 4; i++) {
          const { exit, gaps, servers } = yield* whenAnswered(producer, 2, { times: 1, remark: "[OVERLOAD]" })
          assert.strictEqual(valueOf(exit).attempts, 2)
          assert.notStrictEqual(servers[0], servers[1])
          assert.isTrue((gaps[0] ?? 0) >= 10 && (gaps[0] ?? 0) <= 21, `waited ${gaps[0]} ms`)
        }
      })
    )
  )

  it.effect("B4: busy for good: waits that grow, until the deadline, and then a typed error", () =>
    row(two, (producer) =>
      Effect.gen(function* () {
        const { exit, gaps, millis } = yield* whenAnswered(producer, 2)
        const error = failureOf(exit)
        assert.deepInclude(error.reason, { _tag: "BrokerRejected", code: 2 })
        assert.deepStrictEqual([error.outcome, error.retryable], ["rejected", true])
        assert.isAtMost(millis, 3_001)
        // No storm: the wait has doubled to half a second, half of it by chance.
        assert.isAtMost(gaps.length, 20)
        assert.isTrue(gaps.slice(5).every((gap) => gap >= 250))
      })
    )
  )

  it.effect("B5: flow control: one wait and one more attempt, which may succeed", () =>
    row(two, (producer) =>
      Effect.gen(function* () {
        const { exit, gaps, servers } = yield* whenAnswered(producer, 215, { times: 1 })
        assert.strictEqual(valueOf(exit).attempts, 2)
        assert.notStrictEqual(servers[0], servers[1])
        assert.isTrue((gaps[0] ?? 0) >= 10 && (gaps[0] ?? 0) <= 21, `waited ${gaps[0]} ms`)
      })
    )
  )

  it.effect("B5: flow control again: the error surfaces, after no more than that", () =>
    row(two, (producer) =>
      Effect.gen(function* () {
        const { exit, millis, servers } = yield* whenAnswered(producer, 215, { remark: "slow down" })
        const error = failureOf(exit)
        assert.strictEqual(servers.length, 2)
        assert.deepInclude(error.reason, { _tag: "BrokerRejected", code: 215, remark: "slow down" })
        assert.deepStrictEqual([error.outcome, error.retryable, error.attempts.length], ["rejected", true, 2])
        assert.isAtMost(millis, 22)
      })
    )
  )
})

describe("a broker that refuses", () => {
  it.effect("B6: no permission: the route is read again, another broker tried, and then a typed error", () =>
    row(two, (producer) =>
      Effect.gen(function* () {
        const once = yield* whenAnswered(producer, 16, { times: 1, remark: "read only" })
        assert.deepStrictEqual([valueOf(once.exit).attempts, once.routes], [2, 1])
        assert.notStrictEqual(once.servers[0], once.servers[1])
        const { exit, routes, servers } = yield* whenAnswered(producer, 16, { remark: "read only" })
        const error = failureOf(exit)
        assert.deepInclude(error.reason, { _tag: "BrokerRejected", code: 16, remark: "read only" })
        assert.deepStrictEqual([error.outcome, error.retryable, error.attempts.length], ["rejected", false, 3])
        assert.isAtLeast(routes, 1)
        assert.strictEqual(new Set(servers).size, 2)
      })
    )
  )

  it.effect("B7: no such topic: the route is read again, another attempt made, and then an error that names it", () =>
    row(two, (producer) =>
      Effect.gen(function* () {
        const once = yield* whenAnswered(producer, 17, { times: 1 })
        assert.deepStrictEqual([valueOf(once.exit).attempts, once.routes], [2, 1])
        const { exit, routes } = yield* whenAnswered(producer, 17)
        const error = failureOf(exit)
        assert.deepInclude(error.reason, { _tag: "BrokerRejected", code: 17, codeName: "TOPIC_NOT_EXIST" })
        assert.deepStrictEqual([error.topic, error.outcome, error.attempts.length], ["orders", "rejected", 3])
        // Although the broker did not say which.
        assert.include(error.message, `"orders"`)
        assert.isAtLeast(routes, 1)
      })
    )
  )

  for (const code of [ResponseCode.MESSAGE_ILLEGAL, ResponseCode.INVALID_PARAMETER]) {
    it.effect(`B8: ${code}: never sent again, whatever else the answer says`, () =>
      row(two, (producer) =>
        Effect.gen(function* () {
          for (const remark of [
            "the message is illegal",
            "[REJECTREQUEST]system busy, start flow control for a while",
            "please try again, this is a retryable error"
          ]) {
            const { exit, millis, servers } = yield* whenAnswered(producer, code, { remark })
            const error = failureOf(exit)
            assert.deepInclude(error.reason, { _tag: "BrokerRejected", code, remark })
            assert.deepStrictEqual([error.outcome, error.retryable, servers.length], ["rejected", false, 1])
            assert.strictEqual(millis, 0)
          }
        })
      )
    )
  }

  it.effect("B10: a general error with a stack trace: sent again, and the text is cut in errors and logs", () => {
    const stack = Array.from(
      { length: 60 },
      (_, i) =>
        `\tat org.apache.rocketmq.broker.processor.SendMessageProcessor.frame${i}(SendMessageProcessor.java:${i})`
    )
    const remark = `java.lang.NullPointerException: null\n${stack.join("\n")}`
    const lines: Array<string> = []
    const logger = Logger.make((entry) => void lines.push(Logger.formatLogFmt.log(entry)))
    return row(two, (producer) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        const once = yield* whenAnswered(producer, 1, { remark, times: 1 })
        assert.strictEqual(valueOf(once.exit).attempts, 2)
        assert.notStrictEqual(once.servers[0], once.servers[1])
        // Where it is logged: a heartbeat that fails so.
        yield* faults.add({
          match: { code: RequestCode.HEART_BEAT, broker: "broker-a" },
          actions: [FaultScript.answer(1, remark)]
        })
        yield* advance(31_000, 1_000)
        const error = failureOf((yield* whenAnswered(producer, 1, { remark })).exit)
        assert.deepStrictEqual([error.outcome, error.attempts.length], ["unknown", 3])
        const causes = [error.reason, ...error.attempts.map((attempt) => attempt.cause)]
        for (const cause of causes) {
          if (cause._tag !== "BrokerRejected") throw new Error(cause._tag)
          assert.isAtMost(cause.remark.length, 203)
          assert.match(cause.remark, /^java\.lang\.NullPointerException/)
        }
        const said = lines.filter((line) => line.includes("NullPointerException"))
        assert.isAbove(said.length, 0)
        for (const line of [error.message, JSON.stringify(error), ...said]) {
          assert.notInclude(line, "frame10")
          assert.notMatch(line, /\p{Cc}/u)
        }
      })
    ).pipe(Effect.provide(Logger.layer([logger])))
  })
})

describe("a broker that goes away politely", () => {
  it.effect("B11: a new connection, the request once more, and the old one ends after its other answers", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const { faults, messages, traffic } = yield* EmbeddedCluster
        const before = yield* connections
        yield* faults.add({ match: orders, actions: [FaultScript.delay(500)], times: 1 })
        yield* traffic.clear
        const slow = yield* Effect.forkChild(Effect.exit(producer.send(text("orders", "slow"))), {
          startImmediately: true
        })
        yield* settle
        yield* faults.add({ match: orders, actions: [FaultScript.answer(1500, "go away")], times: 1 })
        const { exit, millis } = yield* timed(producer.send(text("orders", "moved")))
        assert.strictEqual(valueOf(exit).attempts, 1, "the transport's matter, and no attempt of the send")
        assert.strictEqual(millis, 0)
        const sends = yield* traffic.matching(orders)
        const [first, second, third, ...more] = sends.map((request) => request.remoteAddress)
        assert.deepStrictEqual([first === second, first === third, more.length], [true, false, 0])
        // The new connection begins with a heartbeat as every other one.
        const [hello] = yield* traffic.matching({ where: (request) => request.remoteAddress === third })
        assert.strictEqual(hello?.code, RequestCode.HEART_BEAT)
        assert.deepStrictEqual([yield* connections, slow.pollUnsafe()], [before + 1, undefined])
        yield* advance(500)
        assert.strictEqual(valueOf(yield* Fiber.join(slow)).attempts, 1)
        assert.deepStrictEqual(
          (yield* messages("orders")).map((message) => new TextDecoder().decode(message.body)),
          ["moved", "slow"]
        )
        yield* settle
        assert.strictEqual(yield* connections, before, "the old one has nothing left to answer, and has ended")
      })
    )
  )

  it.effect("B11: over and over: replayed once each time, then an attempt like any other, and a typed error", () =>
    row(two, (producer) =>
      Effect.gen(function* () {
        const { exit, millis, servers } = yield* whenAnswered(producer, 1500, { remark: "go away" })
        const error = failureOf(exit)
        assert.deepInclude(error.reason, { _tag: "BrokerRejected", code: 1500 })
        assert.strictEqual(error.outcome, "rejected")
        assert.deepStrictEqual([error.attempts.length, servers.length], [3, 6])
        assert.isAtMost(millis, 3_001)
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
      })
    )
  )
})

/** Codes of a message that is stored; without the fields that belong to them here. */
const stored: ReadonlyArray<number> = [0, 10, 11, 12]

/** Whatever the answer is: a typed error with code and words, within the budget, and the client goes on. */
const checkAnswer = Effect.fnUntraced(function* (producer: DefaultMQProducerShape, code: number, remark: string) {
  const { exit, millis } = yield* whenAnswered(producer, code, { remark })
  const error = failureOf(exit)
  assert.isAtMost(millis, 3_001)
  if (stored.includes(code)) {
    assert.deepStrictEqual([error.reason._tag, error.outcome], ["UnreadableAnswer", "unknown"])
  } else {
    if (error.reason._tag !== "BrokerRejected") throw new Error(error.message)
    assert.strictEqual(error.reason.code, code)
    assert.strictEqual(error.reason.remark, ForeignText.clean(remark))
    assert.include(error.message, String(code))
  }
  assert.strictEqual((yield* producer.send(text("orders"))).status, "SEND_OK")
})

describe("any answer", () => {
  it.effect("B12: every code there is: BrokerRejected with code and words, and the client goes on", () =>
    row(two, (producer) => Effect.forEach(Object.values(ResponseCode), (code) => checkAnswer(producer, code, "words")))
  )

  it.effect.prop(
    "B12: any code and any words: the same",
    {
      answers: Arbitrary.array(
        Arbitrary.schema(
          Schema.Struct({
            code: Schema.Int.check(Schema.isBetween({ minimum: -(2 ** 31), maximum: 2 ** 31 - 1 })),
            remark: Schema.String
          })
        ),
        { minLength: 1, maxLength: 50 }
      )
    },
    ({ answers }) =>
      row(two, (producer) => Effect.forEach(answers, ({ code, remark }) => checkAnswer(producer, code, remark))),
    runs(8)
  )
})
