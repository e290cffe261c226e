import { assert, describe, it } from "@effect/vitest"
import { Clock, DateTime, Effect } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as Message from "../../../src/message/Message.ts"
import * as MessageDelay from "../../../src/message/MessageDelay.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { failureOf, onMemory, settle, startProducer, text } from "../../support/rig.ts"

const topics = { orders: {} }
const START = 1_700_000_000_000
const delayed = (delay: MessageDelay.MessageDelay, body = "later") => Message.make({ topic: "orders", body, delay })

/** How many messages of the topic can be read when the clock has gone on by so much. */
const readableAfter = (millis: number) =>
  Effect.gen(function* () {
    const { messages } = yield* EmbeddedCluster
    yield* TestClock.adjust(millis)
    yield* settle
    return (yield* messages("orders")).length
  })

describe("delayed messages", () => {
  it.effect.each([
    [1, 1_000],
    [5, 60_000],
    [18, 7_200_000]
  ] as const)("level %d: %d ms later", ([level, millis]) =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const producer = yield* startProducer()
      const result = yield* producer.send(delayed(MessageDelay.level(level)))
      assert.strictEqual(result.status, "SEND_OK")
      assert.isUndefined(result.recallHandle)
      assert.strictEqual(yield* readableAfter(millis - 1_000), 0)
      assert.strictEqual(yield* readableAfter(2_000), 1)
    }).pipe(onMemory({ topics }))
  )

  it.effect("by a duration and at a time, in whatever form the time is given", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      yield* TestClock.setTime(START)
      const producer = yield* startProducer()
      yield* producer.send(delayed(MessageDelay.by("30 seconds"), "seconds"))
      yield* producer.send(delayed(MessageDelay.by("30500 millis"), "millis"))
      yield* producer.send(delayed(MessageDelay.at(START + 40_500), "number"))
      yield* producer.send(delayed(MessageDelay.at(new Date(START + 50_500)), "Date"))
      yield* producer.send(delayed(MessageDelay.at(DateTime.makeUnsafe(START + 60_500)), "DateTime"))
      const properties = (yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)).map(({ extFields }) => extFields?.["i"])
      for (const [index, property] of [
        "TIMER_DELAY_SEC\u000130\u0002",
        "TIMER_DELAY_MS\u000130500\u0002",
        `TIMER_DELIVER_MS\u0001${START + 40_500}\u0002`,
        `TIMER_DELIVER_MS\u0001${START + 50_500}\u0002`,
        `TIMER_DELIVER_MS\u0001${START + 60_500}\u0002`
      ].entries()) {
        assert.include(properties[index], property)
      }
      const counts: Array<number> = []
      for (const at of [28_000, 32_000, 42_000, 52_000, 62_000]) {
        const now = yield* Clock.currentTimeMillis
        counts.push(yield* readableAfter(START + at - now))
      }
      assert.deepStrictEqual(counts, [0, 2, 3, 4, 5])
      const stored = yield* messages("orders")
      assert.isTrue(stored.every(({ properties: own }) => own["UNIQ_KEY"] !== undefined))
    }).pipe(onMemory({ topics }))
  )

  it.effect("a message delayed by a day arrives when the clock is turned by a day", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      // Nothing else is to wake up in the meantime.
      const day = 86_400_000
      const producer = yield* startProducer({ heartbeatBrokerInterval: day, pollNameServerInterval: day })
      yield* producer.send(delayed(MessageDelay.by("1 day")))
      assert.strictEqual(yield* readableAfter(86_390_000), 0)
      assert.strictEqual(yield* readableAfter(15_000), 1)
    }).pipe(onMemory({ topics }))
  )

  it.effect("a time that has passed means at once", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const producer = yield* startProducer()
      yield* producer.send(delayed(MessageDelay.at(START - 1_000)))
      assert.strictEqual(yield* readableAfter(0), 1)
    }).pipe(onMemory({ topics }))
  )

  it.effect("keeps its queue's key and its properties", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      yield* TestClock.setTime(START)
      const producer = yield* startProducer()
      const plain = yield* producer.send(text("orders"), { orderingKey: "k" })
      yield* producer.send(
        { ...delayed(MessageDelay.level(1)), tags: "T", keys: ["a"], properties: { p: "v" } },
        { orderingKey: "k" }
      )
      yield* readableAfter(2_000)
      const stored = (yield* messages("orders")).find(({ properties }) => properties["p"] === "v")
      assert.strictEqual(stored?.queueId, plain.queue.queueId)
      assert.deepInclude({ ...stored?.properties }, { TAGS: "T", KEYS: "a", __SHARDINGKEY: "k" })
    }).pipe(onMemory({ topics }))
  )

  it.effect("is refused before it is sent when the broker would refuse it", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      yield* TestClock.setTime(START)
      const producer = yield* startProducer({ timerMaxDelayMillis: 3_600_000 })
      yield* traffic.clear
      for (const [delay, problem] of [
        [MessageDelay.level(0), /levels go from 1 to 18/],
        [MessageDelay.level(19), /levels go from 1 to 18/],
        [MessageDelay.level(1.5), /levels go from 1 to 18/],
        [MessageDelay.by("61 minutes"), /at most 3600000 ms are allowed \(timerMaxDelayMillis\)/],
        [MessageDelay.at(START + 3_600_001), /timerMaxDelayMillis/],
        [MessageDelay.at(Number.NaN), /no time/],
        [MessageDelay.at(new Date("nonsense")), /no time/]
      ] as const) {
        const error = failureOf(yield* Effect.exit(producer.send(delayed(delay))))
        assert.deepInclude(error.reason, { _tag: "InvalidMessage", field: "delay" })
        assert.match(error.message, problem)
        assert.strictEqual(error.outcome, "not-sent")
      }
      assert.deepStrictEqual(yield* traffic.all, [])
    }).pipe(onMemory({ topics }))
  )

  it.effect("a broker with more levels or a longer maximum has options for them", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      yield* TestClock.setTime(START)
      const producer = yield* startProducer({ maxDelayLevel: 20, timerMaxDelayMillis: 7 * 86_400_000 })
      yield* producer.send(delayed(MessageDelay.level(20)))
      const error = failureOf(yield* Effect.exit(producer.send(delayed(MessageDelay.by("4 days")))))
      // This broker has the default of three days, and says so.
      assert.deepInclude(error.reason, { _tag: "BrokerRejected", code: 13 })
      assert.strictEqual((yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)).length, 2)
    }).pipe(onMemory({ topics }))
  )

  it.effect("4.x knows the levels", () =>
    Effect.gen(function* () {
      yield* TestClock.setTime(START)
      const producer = yield* startProducer()
      yield* producer.send(delayed(MessageDelay.level(2)))
      assert.strictEqual(yield* readableAfter(3_000), 0)
      assert.strictEqual(yield* readableAfter(4_000), 1)
    }).pipe(onMemory({ topics, version: MQVersion.V4_9_7 }))
  )
})
