import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Layer, Schema } from "effect"
import { MQClientInstance } from "../../src/client/MQClientInstance.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import * as FaultStrategy from "../../src/producer/queue/FaultStrategy.ts"
import * as ProducerConfig from "../../src/producer/ProducerConfig.ts"
import * as TopicPublishInfo from "../../src/producer/queue/TopicPublishInfo.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import type { TopicRouteData } from "../../src/protocol/TopicRouteData.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { advance, runs, sorted, text, timed, valueOf } from "../support/rig.ts"
import { row } from "./row.ts"

const orders = { code: RequestCode.SEND_MESSAGE_V2, topic: "orders" }
const brokers = ["broker-a", "broker-b", "broker-c"]
const SLOW = "broker-b"
const avoiding = { sendLatencyEnable: true, sendMsgTimeout: 10_000 }

/** One send every 10 ms; gives the share of the slow broker. */
const shareOf = (producer: DefaultMQProducerShape, sends: number) =>
  Effect.gen(function* () {
    const one = Effect.andThen(Effect.sleep(10), producer.send(text("orders")))
    const { exit } = yield* timed(
      Effect.forEach(Array.from({ length: sends }), () => one),
      60_000,
      10
    )
    return valueOf(exit).filter((result) => result.queue.brokerName === SLOW).length / sends
  })

describe("a slow broker among three", () => {
  it.effect("B18: its share falls for as long as it is slow, and comes back after its penalty", () =>
    row({ brokers, producer: avoiding }, (producer) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        assert.approximately(yield* shareOf(producer, 60), 1 / 3, 0.02)
        yield* faults.add({ match: { ...orders, broker: SLOW }, actions: [FaultScript.delay(700)] })
        // It is tried again after each penalty, and slow again.
        assert.isBelow(yield* shareOf(producer, 150), 0.1)
        assert.deepStrictEqual(
          (yield* producer.state).faults.map((fault) => fault.brokerName),
          [SLOW]
        )
        yield* faults.clear
        yield* advance(2_100)
        assert.approximately(yield* shareOf(producer, 60), 1 / 3, 0.02)
      })
    )
  )

  it.effect("B18: unless avoidance is asked for, each broker has its turn, slow or not", () =>
    row({ brokers, producer: { sendMsgTimeout: 10_000 } }, (producer) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* faults.add({ match: { ...orders, broker: SLOW }, actions: [FaultScript.delay(700)] })
        assert.approximately(yield* shareOf(producer, 24), 1 / 3, 0.001)
      })
    )
  )
})

/** Something that a broker did, or time that went by. */
const event = Arbitrary.schema(
  Schema.Struct({
    broker: Schema.Literals(brokers),
    kind: Schema.Literals(["answered", "refused", "silent"]),
    latencyMillis: Schema.Literals([0, 60, 600, 2_000, 20_000]),
    passedMillis: Schema.Literals([0, 1, 1_000, 15_000])
  })
)

describe("every broker in penalty", () => {
  it.effect.prop(
    "B19: whatever the brokers did, one of them is chosen, and of another broker than the last where there is one",
    {
      events: Arbitrary.array(event, { maxLength: 40 }),
      count: Arbitrary.schema(Schema.Literals([1, 2, 3])),
      startDetectorEnable: Arbitrary.schema(Schema.Boolean)
    },
    ({ count, events, startDetectorEnable }) =>
      Effect.gen(function* () {
        const { namesrvAddr } = yield* EmbeddedCluster
        const context = yield* Layer.build(MQClientInstance.layer({ namesrvAddr }))
        const instance = yield* Effect.provideContext(MQClientInstance, context)
        let now = 0
        const config = { ...ProducerConfig.defaults, sendLatencyEnable: true, startDetectorEnable }
        const strategy = yield* FaultStrategy.make(
          config,
          instance,
          () => now,
          () => []
        )
        if (strategy === undefined) throw new Error("there is no strategy")
        const data: TopicRouteData = {
          queueDatas: brokers.slice(0, count).map((brokerName) => ({
            brokerName,
            readQueueNums: 4,
            writeQueueNums: 4,
            perm: 6,
            topicSysFlag: 0
          })),
          brokerDatas: brokers
            .slice(0, count)
            .map((brokerName) => ({ cluster: "c", brokerName, brokerAddrs: new Map([[0, `${brokerName}:10911`]]) })),
          filterServerTable: new Map()
        }
        const info = TopicPublishInfo.fromRoute(TopicPublishInfo.empty("t", 0), { topic: "t", data, borrowed: false })
        for (const { broker, kind, latencyMillis, passedMillis } of [
          ...brokers.map((name) => ({ broker: name, kind: "silent", latencyMillis: 0, passedMillis: 0 })),
          ...events
        ]) {
          if (kind === "answered") strategy.answered(broker, latencyMillis)
          else strategy.failed(broker, latencyMillis, kind === "refused")
          for (const last of [undefined, ...brokers]) {
            const chosen = strategy.selectOneMessageQueue(info, last)
            assert.isDefined(chosen)
            if (count > 1) assert.notStrictEqual(chosen.brokerName, last)
          }
          now += passedMillis
        }
      }).pipe(Effect.scoped, Effect.provide(EmbeddedCluster.layerMemory({ seed: 1 }))),
    runs(100)
  )

  it.effect("B19: by refusing, cutting and silence: sends go on at once, over all of them", () =>
    row({ brokers, producer: avoiding }, (producer) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        for (const [broker, action] of [
          ["broker-a", FaultScript.answer(14, "no")],
          ["broker-b", FaultScript.cut("before")],
          ["broker-c", FaultScript.dropRequest]
        ] as const) {
          yield* faults.add({ match: { ...orders, broker }, actions: [action] })
          const queue = { topic: "orders", brokerName: broker, queueId: 0 }
          yield* timed(Effect.exit(producer.send(text("orders"), { queue, timeoutMillis: 100 })))
        }
        yield* faults.clear
        const held = (yield* producer.state).faults.filter((fault) => fault.notAvailableForMillis > 0)
        assert.deepStrictEqual(sorted(held.map((fault) => fault.brokerName)), brokers)
        const { exit, millis } = yield* timed(
          Effect.forEach(Array.from({ length: 12 }), () => producer.send(text("orders")))
        )
        assert.isTrue(valueOf(exit).every((result) => result.attempts === 1))
        assert.strictEqual(millis, 0)
        assert.strictEqual(new Set(valueOf(exit).map((result) => result.queue.brokerName)).size, 3)
      })
    )
  )
})
