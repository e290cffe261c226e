import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { show } from "../../../src/client/options/Option.ts"
import { isTimeout, timeoutOf } from "../../../src/producer/send/SendOptions.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { failureOf, onMemory, startProducer, text, timed } from "../../support/rig.ts"

const topics = { orders: {} }

const SENDS: ReadonlyArray<number> = [
  RequestCode.SEND_MESSAGE,
  RequestCode.SEND_MESSAGE_V2,
  RequestCode.SEND_BATCH_MESSAGE
]

/** What is no time to wait, also for whoever writes no types. */
const none: ReadonlyArray<Duration.Input> = [
  0,
  -1,
  Number.NaN,
  Infinity,
  "-1 seconds",
  "0 millis",
  "Infinity",
  Duration.infinity,
  Duration.zero,
  -5n,
  JSON.parse('"soon"'),
  JSON.parse("{}"),
  JSON.parse("[]"),
  JSON.parse("true")
]

const handle = "djEgb3JkZXJzIGJyb2tlci1hIDE3MDAwMDAwMDAwMDAgQUJD"

describe("the time of one call", () => {
  it.effect("that is none is refused by every call, and nothing is sent", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const batching = yield* startProducer({ producerGroup: "batching", autoBatch: true })
      yield* traffic.clear
      for (const timeoutMillis of none) {
        const message = text("orders")
        const calls: Readonly<Record<string, Effect.Effect<unknown, { readonly reason: object } | object>>> = {
          send: producer.send(message, { timeoutMillis }),
          sendOneway: producer.sendOneway(message, { timeoutMillis }),
          sendBatch: producer.sendBatch([message], { timeoutMillis }),
          sendQueued: Effect.flatten(producer.sendQueued(message, { timeoutMillis })),
          autoBatch: batching.send(message, { timeoutMillis }),
          recall: producer.recallMessage("orders", handle, { timeoutMillis }),
          request: producer.request(message, timeoutMillis)
        }
        for (const [name, call] of Object.entries(calls)) {
          const { reason } = Object(failureOf((yield* timed(call, 1_000)).exit))
          const what = `${name} ${show(timeoutMillis)}`
          assert.deepInclude(reason, { _tag: "InvalidMessage", field: "timeoutMillis" }, what)
          assert.match(reason.problem, /^must be a time above 0, is \S/, what)
        }
      }
      assert.deepStrictEqual(
        (yield* traffic.all).filter(({ code }) => SENDS.includes(code)),
        []
      )
    }).pipe(onMemory({ topics }))
  )

  it.effect("may be a duration in any form, and holds", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* producer.send(text("orders"))
      yield* faults.add({ match: { code: SENDS }, actions: [FaultScript.dropRequest] })
      for (const timeoutMillis of [
        "500 millis",
        Duration.millis(500),
        500,
        500_000_000n,
        { milliseconds: 500 }
      ] as const) {
        const { exit, millis } = yield* timed(producer.send(text("orders"), { timeoutMillis }))
        assert.strictEqual(failureOf(exit).reason._tag, "RequestTimeout")
        assert.strictEqual(millis, 500)
        const asked = yield* timed(producer.request(text("orders"), timeoutMillis))
        assert.strictEqual(asked.millis, 500)
      }
    }).pipe(onMemory({ topics }))
  )

  it.effect("of a request travels in whole milliseconds, which Java can read", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* timed(producer.request(text("orders"), "50.5 millis"))
      const sent = (yield* traffic.all).filter(({ code }) => SENDS.includes(code))
      assert.lengthOf(sent, 1)
      assert.match(JSON.stringify(sent[0]?.extFields), /TTL\\u000151\\u0002/)
    }).pipe(onMemory({ topics }))
  )

  it("costs a number no more than a look at its type", () => {
    const config = { sendMsgTimeout: 3_000 }
    assert.strictEqual(timeoutOf(config, undefined), 3_000)
    assert.strictEqual(timeoutOf(config, {}), 3_000)
    assert.strictEqual(timeoutOf(config, { timeoutMillis: 20 }), 20)
    assert.isTrue(isTimeout(0.5))
    assert.isFalse(isTimeout(Number.NaN))
  })

  it.effect("is told by the error of an attempt, with what the attempt had of it", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({ match: { code: SENDS }, actions: [FaultScript.dropRequest] })
      const producer = yield* startProducer({ sendMsgTimeout: 3_000, retryTimesWhenSendFailed: 1 })
      const { reason } = failureOf((yield* timed(producer.send(text("orders")))).exit)
      if (reason._tag !== "RequestTimeout") return assert.fail(reason.message)
      assert.strictEqual(reason.timeoutMillis, 3_000)
      assert.isBelow(reason.leftMillis ?? Infinity, 2_900)
      assert.match(reason.message, /^No answer to SEND_MESSAGE_V2 to .* within \d+ ms of 3000 ms\. /)
      return undefined
    }).pipe(Effect.scoped, onMemory({ topics, brokers: 2 }))
  )
})
