import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Clock, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as MessageCodec from "../../../src/protocol/MessageCodec.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import { PullSysFlag } from "../../../src/protocol/request/PullMessage.ts"
import * as RecallMessage from "../../../src/protocol/request/RecallMessage.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import {
  brokerAddress,
  messagesOf,
  orThrow,
  pullRequest,
  rawClient,
  sendHeader,
  sendRequest,
  textOf,
  utf8
} from "../support.ts"

type Options = NonNullable<Parameters<typeof EmbeddedCluster.layerMemory>[0]>

const onCluster = (config: NonNullable<Extract<Options["brokers"], ReadonlyArray<unknown>>>[number]["config"] = {}) =>
  Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} }, brokers: [{ name: "broker-a", config }] }))

/** Sends with properties and gives the answer. */
const sender = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  return (properties: Readonly<Record<string, string>>, over: Parameters<typeof sendRequest>[0] = {}, body = "hello") =>
    client.call(
      address,
      sendRequest({ ...over, properties: MessageProperties.encode({ UNIQ_KEY: "U", ...properties }) }, utf8(body))
    )
})

const bodies = Effect.flatMap(EmbeddedCluster, (cluster) =>
  Effect.map(cluster.messages("orders"), (messages) => messages.map(({ body }) => textOf(body)))
)

describe("delay levels", () => {
  it.effect("a delayed message waits under the schedule topic and arrives at its level's time", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const send = yield* sender
      const answer = orThrow(
        SendMessage.decodeResponse(yield* send({ DELAY: "3", TAGS: "t" }, { queueId: 2, flag: 7 }))
      )
      assert.deepInclude(answer, { queueId: 2, queueOffset: 0, transactionId: "U" })
      assert.isUndefined(answer.recallHandle)
      const [waiting] = yield* cluster.messages("SCHEDULE_TOPIC_XXXX")
      assert.deepInclude(waiting, { queueId: 2, queueOffset: 0, flag: 7 })
      assert.deepInclude({ ...waiting?.properties }, { DELAY: "3", REAL_TOPIC: "orders", REAL_QID: "2" })
      assert.deepStrictEqual(
        (yield* cluster.delayedMessages).map(({ broker, deliverAt }) => [broker, deliverAt]),
        [["broker-a", 10_000]]
      )

      yield* TestClock.adjust("9999 millis")
      assert.deepStrictEqual(yield* cluster.messages("orders"), [])
      yield* TestClock.adjust("1 millis")
      const [message] = yield* cluster.messages("orders")
      assert.deepInclude(message, { queueId: 2, queueOffset: 0, flag: 7, storeTimestamp: 10_000, sysFlag: 0 })
      assert.deepStrictEqual(
        { ...message?.properties },
        {
          UNIQ_KEY: "U",
          DELAY: "3",
          TAGS: "t",
          MSG_REGION: "DefaultRegion",
          CLUSTER: "DefaultCluster",
          TRACE_ON: "true",
          REAL_TOPIC: "orders",
          REAL_QID: "2"
        }
      )
      assert.deepStrictEqual(yield* cluster.delayedMessages, [])
    }).pipe(onCluster())
  )

  it.effect("a level above the highest is the highest; none, nothing or less is no delay", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const send = yield* sender
      yield* send({ DELAY: "99" })
      yield* send({ DELAY: "18" })
      yield* send({ DELAY: "0" })
      yield* send({ DELAY: "-1" })
      yield* send({ DELAY: "-0" })
      assert.strictEqual((yield* bodies).length, 3)
      assert.deepStrictEqual(
        (yield* cluster.delayedMessages).map(({ deliverAt, message }) => [deliverAt, message.queueId]),
        [
          [7_200_000, 17],
          [7_200_000, 17]
        ]
      )
      yield* TestClock.adjust("2 hours")
      assert.strictEqual((yield* bodies).length, 5)
    }).pipe(onCluster())
  )

  it.effect("A49: a level is what Integer.parseInt reads, and nothing is stored where that throws", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const send = yield* sender
      for (const level of ["+2", "002", `${"0".repeat(30)}2`, "\u0662", "\uff12"]) {
        assert.strictEqual((yield* send({ DELAY: level })).code, 0, level)
      }
      assert.deepStrictEqual(
        (yield* cluster.delayedMessages).map(({ deliverAt }) => deliverAt),
        [5_000, 5_000, 5_000, 5_000, 5_000]
      )
      const batch = MessageCodec.encodeBatch([{ flag: 0, body: utf8("part"), properties: "" }])
      const ways = [{}, { reconsumeTimes: 1, topic: "%RETRY%cg" }, { sysFlag: 4 }, { batch: true }]
      for (const level of ["later", " 2", "2 ", "2.0", "0x2", "2e0", "2147483648", "-2147483649", "+", "-"]) {
        for (const over of ways) {
          const body = "batch" in over ? Buffer.from(batch).toString("latin1") : "hello"
          const half: Record<string, string> = "sysFlag" in over ? { TRAN_MSG: "true", PGROUP: "pg" } : {}
          const answer = yield* send({ DELAY: level, ...half }, over, body)
          assert.strictEqual(answer.code, 1, level)
          assert.strictEqual(answer.remark, `java.lang.NumberFormatException: For input string: "${level}"`)
          assert.isUndefined(answer.extFields)
        }
      }
      assert.deepStrictEqual(yield* bodies, [])
      assert.deepStrictEqual(yield* cluster.messages("%RETRY%cg"), [])
      assert.deepStrictEqual(yield* cluster.halfMessages, [])
    }).pipe(onCluster())
  )

  it.effect("the table can be another one", () =>
    Effect.gen(function* () {
      const send = yield* sender
      yield* send({ DELAY: "2" })
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* bodies).length, 0)
      yield* TestClock.adjust("1 day")
      assert.strictEqual((yield* bodies).length, 1)
    }).pipe(onCluster({ messageDelayLevel: "1s 2d" }))
  )

  it.effect("a pull that waits gets the message when it arrives", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const send = yield* sender
      yield* send({ DELAY: "5" }, {}, "late")
      const pull = yield* Effect.forkChild(
        client.call(
          yield* brokerAddress(),
          pullRequest({
            sysFlag: PullSysFlag.SUBSCRIPTION | PullSysFlag.SUSPEND,
            suspendTimeoutMillis: 120_000
          }),
          130_000
        ),
        { startImmediately: true }
      )
      yield* TestClock.adjust("1 minute")
      const answer = yield* Fiber.join(pull)
      assert.strictEqual(yield* Clock.currentTimeMillis, 60_000)
      assert.deepStrictEqual(
        messagesOf(answer).map(({ body }) => textOf(body)),
        ["late"]
      )
    }).pipe(onCluster())
  )

  it.effect("what waits survives a stop; what was due meanwhile comes at once", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const send = yield* sender
      yield* send({ DELAY: "5" }, {}, "minute")
      yield* send({ DELAY: "6" }, {}, "two minutes")
      yield* cluster.stopBroker("broker-a")
      yield* TestClock.adjust("90 seconds")
      assert.deepStrictEqual(yield* bodies, [])
      yield* cluster.startBroker("broker-a")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual(yield* bodies, ["minute"])
      yield* TestClock.adjust("30 seconds")
      assert.deepStrictEqual(yield* bodies, ["minute", "two minutes"])
    }).pipe(onCluster())
  )

  it.effect("the parts of a batch are not delayed, and a batch as a whole is refused with a delay", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const part = { flag: 0, body: utf8("part"), properties: MessageProperties.encode({ UNIQ_KEY: "P", DELAY: "3" }) }
      const send = (properties: Readonly<Record<string, string>>) =>
        client.call(
          address,
          SendMessage.request(
            sendHeader({ properties: MessageProperties.encode(properties) }),
            MessageCodec.encodeBatch([part]),
            "BATCH"
          )
        )
      assert.strictEqual((yield* send({ UNIQ_KEY: "B", DELAY: "3" })).code, 13)
      assert.deepStrictEqual(yield* bodies, [])
      assert.strictEqual((yield* send({ UNIQ_KEY: "B" })).code, 0)
      assert.deepStrictEqual(yield* bodies, ["part"])
    }).pipe(onCluster())
  )
})

describe("timer messages", () => {
  it.effect("arrives at the second after its time, with what brought it there in its properties", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const send = yield* sender
      yield* TestClock.setTime(1_700_000_000_300)
      const answer = orThrow(SendMessage.decodeResponse(yield* send({ TIMER_DELAY_SEC: "20" }, { queueId: 3 })))
      assert.deepInclude(answer, { queueId: 3, queueOffset: 0 })
      assert.strictEqual(
        Buffer.from(answer.recallHandle ?? "", "base64").toString(),
        "v1 orders broker-a 1700000020001 U"
      )
      assert.strictEqual(
        (yield* cluster.messages("rmq_sys_wheel_timer"))[0]?.properties["TIMER_OUT_MS"],
        "1700000020000"
      )
      yield* TestClock.setTime(1_700_000_020_999)
      assert.deepStrictEqual(yield* bodies, [])
      yield* TestClock.setTime(1_700_000_021_000)
      const [message] = yield* cluster.messages("orders")
      assert.deepInclude(message, { queueId: 3, queueOffset: 0, storeTimestamp: 1_700_000_021_000 })
      assert.deepInclude(
        { ...message?.properties },
        {
          TIMER_DELAY_SEC: "20",
          TIMER_OUT_MS: "1700000020000",
          TIMER_ENQUEUE_MS: "1700000000000",
          TIMER_DEQUEUE_MS: "1700000021000",
          REAL_TOPIC: "orders",
          REAL_QID: "3"
        }
      )
    }).pipe(onCluster())
  )

  it.effect("a time on a full second is kept exactly", () =>
    Effect.gen(function* () {
      const send = yield* sender
      yield* send({ TIMER_DELIVER_MS: "5000" })
      yield* TestClock.adjust("4999 millis")
      assert.strictEqual((yield* bodies).length, 0)
      yield* TestClock.adjust("1 millis")
      assert.strictEqual((yield* bodies).length, 1)
    }).pipe(onCluster())
  )

  it.effect("a time in the past is now; a level wins over a time", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const send = yield* sender
      yield* TestClock.adjust("1 hour")
      const past = orThrow(SendMessage.decodeResponse(yield* send({ TIMER_DELIVER_MS: "5000" }, {}, "past")))
      assert.isUndefined(past.recallHandle)
      assert.deepStrictEqual(yield* bodies, ["past"])
      yield* send({ TIMER_DELIVER_MS: "9999999", DELAY: "1" }, {}, "level")
      yield* TestClock.adjust("1 second")
      const [, level] = yield* cluster.messages("orders")
      assert.strictEqual(textOf(level?.body ?? new Uint8Array()), "level")
      assert.isUndefined(level?.properties["TIMER_DELIVER_MS"])
    }).pipe(onCluster())
  )

  it.effect("refuses what is too far ahead, no number, or not enabled", () =>
    Effect.gen(function* () {
      const send = yield* sender
      const illegal =
        "timer message illegal, the delay time should not be bigger than the max delay 259200000ms; or if set del msg, the delay time should be bigger than the current time"
      const outcome = (properties: Record<string, string>) =>
        Effect.map(send(properties), ({ code, remark }) => [code, remark])
      assert.deepStrictEqual(yield* outcome({ TIMER_DELAY_SEC: "259201" }), [13, illegal])
      assert.deepStrictEqual(yield* outcome({ TIMER_DELAY_MS: "259200001" }), [13, illegal])
      assert.deepStrictEqual(yield* outcome({ TIMER_DELIVER_MS: "soon" }), [13, illegal])
      assert.strictEqual((yield* outcome({ TIMER_DELAY_SEC: "259200" }))[0], 0)
    }).pipe(onCluster())
  )

  it.effect("timers can be switched off", () =>
    Effect.gen(function* () {
      const send = yield* sender
      const { code, remark } = yield* send({ TIMER_DELAY_SEC: "1" })
      assert.deepStrictEqual([code, remark], [1, "accurate timer message is not enabled, timerWheelEnable is false"])
    }).pipe(onCluster({ timerWheelEnable: false }))
  )

  it.effect("4.9.7 has no timers: such a message is a plain one", () =>
    Effect.gen(function* () {
      const send = yield* sender
      yield* send({ TIMER_DELAY_SEC: "100" })
      assert.strictEqual((yield* bodies).length, 1)
    }).pipe(onCluster({ version: 407 }))
  )
})

const handle = (text: string) => Buffer.from(text).toString("base64url")

describe("recall", () => {
  const recaller = Effect.gen(function* () {
    const client = yield* rawClient()
    const address = yield* brokerAddress()
    return (recallHandle: string, topic = "orders") =>
      Effect.map(
        client.call(address, RecallMessage.request({ producerGroup: "pg", topic, recallHandle })),
        (answer) => ({
          code: answer.code,
          remark: answer.remark,
          extFields: { ...answer.extFields }
        })
      )
  })

  it.effect("takes a message back before its time", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const send = yield* sender
      const recall = yield* recaller
      const first = orThrow(
        SendMessage.decodeResponse(yield* send({ TIMER_DELAY_SEC: "60", UNIQ_KEY: "A" }, {}, "recalled"))
      )
      yield* send({ TIMER_DELAY_SEC: "60", UNIQ_KEY: "B" }, {}, "kept")
      assert.deepStrictEqual(yield* recall(first.recallHandle ?? ""), {
        code: 0,
        remark: "not set any response code",
        extFields: { msgId: "A", MSG_REGION: "DefaultRegion" }
      })
      assert.deepStrictEqual(
        (yield* cluster.delayedMessages).map(({ message }) => textOf(message.body)),
        ["kept"]
      )
      yield* TestClock.adjust("2 minutes")
      assert.deepStrictEqual(yield* bodies, ["kept"])
      assert.deepInclude(yield* recall(first.recallHandle ?? ""), {
        code: 604,
        remark: "recall failed, timestamp invalid"
      })
    }).pipe(onCluster({ recallMessageEnable: true }))
  )

  it.effect("refuses in the words of a real broker", () =>
    Effect.gen(function* () {
      const recall = yield* recaller
      const codeAndRemark = (...args: Parameters<typeof recall>) =>
        Effect.map(recall(...args), ({ code, remark }) => [code, remark])
      assert.deepStrictEqual(yield* codeAndRemark("x", "nowhere"), [17, "recall failed, the topic[nowhere] not exist"])
      assert.deepStrictEqual(yield* codeAndRemark("x"), [604, "recall handle is invalid"])
      assert.deepStrictEqual(yield* codeAndRemark(handle("v1 other broker-a 5001 U")), [
        604,
        "recall failed, topic not match"
      ])
      assert.deepStrictEqual(yield* codeAndRemark(handle("v1 orders broker-b 5001 U")), [
        604,
        "recall failed, broker service not available"
      ])
      assert.deepStrictEqual(yield* codeAndRemark(handle("v1 orders broker-a 0 U")), [
        604,
        "recall failed, timestamp invalid"
      ])
    }).pipe(onCluster({ recallMessageEnable: true }))
  )

  it.effect("is forbidden unless it is enabled", () =>
    Effect.gen(function* () {
      const recall = yield* recaller
      assert.deepInclude(yield* recall(handle("v1 orders broker-a 5001 U")), {
        code: 16,
        remark: "recall failed, operation is forbidden"
      })
    }).pipe(onCluster())
  )
})

const between = (minimum: number, maximum: number) =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))
/** The second after a time, at which timer messages leave. */
const tick = (time: number) => Math.ceil(time / 1_000) * 1_000

describe("every delayed message", () => {
  const sends = Arbitrary.array(
    Arbitrary.all({
      kind: Arbitrary.schema(Schema.Literals(["none", "level", "seconds", "millis", "at"])),
      level: between(1, 20),
      millis: between(1, 200_000),
      pause: between(0, 20_000)
    }),
    { minLength: 1, maxLength: 15 }
  )

  it.effect.prop(
    "is delivered exactly once, at its time, in order of time",
    { sends },
    ({ sends: given }) =>
      Effect.gen(function* () {
        const cluster = yield* EmbeddedCluster
        const send = yield* sender
        const levels = [
          1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1_200, 1_800, 3_600, 7_200, 7_200, 7_200
        ]
        const expected: Array<readonly [body: string, at: number]> = []
        for (const [index, { kind, level, millis, pause }] of given.entries()) {
          yield* TestClock.adjust(pause)
          const now = yield* Clock.currentTimeMillis
          const seconds = Math.ceil(millis / 1_000)
          const cases: Readonly<Record<typeof kind, readonly [Readonly<Record<string, string>>, number]>> = {
            none: [{}, now],
            level: [{ DELAY: String(level) }, now + (levels[level - 1] ?? 0) * 1_000],
            seconds: [{ TIMER_DELAY_SEC: String(seconds) }, tick(now + seconds * 1_000)],
            millis: [{ TIMER_DELAY_MS: String(millis) }, tick(now + millis)],
            at: [{ TIMER_DELIVER_MS: String(now + millis) }, tick(now + millis)]
          }
          const [properties, at] = cases[kind]
          const answer = yield* send(properties, {}, String(index))
          assert.strictEqual(answer.code, 0)
          expected.push([String(index), at])
        }
        yield* TestClock.adjust("3 hours")
        const delivered = (yield* cluster.messages("orders")).map(
          ({ body, storeTimestamp }) => [textOf(body), storeTimestamp] as const
        )
        const times = delivered.map(([, at]) => at)
        assert.deepStrictEqual(
          times,
          times.toSorted((a, b) => a - b)
        )
        assert.sameDeepMembers(delivered, expected)
        assert.deepStrictEqual(yield* cluster.delayedMessages, [])
      }).pipe(onCluster()),
    { arbitrary: { runs: 40 } }
  )
})
