import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect } from "effect"
import { MQAdmin } from "../../../src/admin/MQAdmin.ts"
import { DefaultLitePullConsumer } from "../../../src/consumer/lite/DefaultLitePullConsumer.ts"
import type { LitePullOptions } from "../../../src/consumer/lite/LitePullOptions.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import { ConsumeMessageHooks, FilterMessageHooks } from "../../../src/consumer/telemetry/Hooks.ts"
import * as Message from "../../../src/message/Message.ts"
import { RMQ_SYS_TRACE_TOPIC } from "../../../src/message/MixAll.ts"
import { SysFlag } from "../../../src/message/SysFlag.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import * as TraceData from "../../../src/protocol/TraceData.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { brokerAddress, rawClient, sendHeader } from "../../embedded/support.ts"
import { settle } from "../../support/rig.ts"
import { namesrvAddr, rig, text } from "../support.ts"

/** What servers and tools see of a lite pull consumer, what is hung into it, and where its options may come from. */

const oneQueue = { topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } }
const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }

const started = (options: Partial<LitePullOptions> = {}) =>
  Effect.tap(
    DefaultLitePullConsumer.make({
      consumerGroup: "reports",
      consumeFromWhere: "first",
      subscriptions: [Subscription.all("orders")],
      namesrvAddr,
      ...options
    }),
    (consumer) => Effect.acquireRelease(consumer.start, () => consumer.shutdown)
  )

const send = (...bodies: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const producer = yield* DefaultMQProducer
    for (const body of bodies) yield* producer.send(Message.make({ topic: "orders", body }))
  })

const onRig = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  self.pipe(
    Effect.provide(MQAdmin.layer({ namesrvAddr, instanceName: "admin" }), { local: true }),
    Effect.scoped,
    Effect.provide(rig(oneQueue))
  )

describe("a lite pull consumer and its servers", () => {
  it.effect("says how it runs and how far it is, as one that asks for messages (307, 221)", () =>
    Effect.gen(function* () {
      yield* send("0", "1", "2")
      const consumer = yield* started({ autoCommit: false })
      assert.lengthOf(yield* consumer.poll({ max: 2 }), 2)
      const admin = yield* MQAdmin
      const [member = assert.fail("nobody")] = yield* admin.getConsumerRunningInfo("reports")
      const { mqTable, properties, subscriptionSet } = member.info ?? assert.fail("no answer")
      assert.deepInclude(Object.fromEntries(properties), {
        PROP_CONSUME_TYPE: "CONSUME_ACTIVELY",
        autoCommit: "false",
        pullBatchSize: "10"
      })
      assert.isUndefined(properties.get("consumeThreadMin"))
      // It has no retry topic.
      assert.deepStrictEqual(
        subscriptionSet.map(({ topic }) => topic),
        ["orders"]
      )
      const [, state] = mqTable.find(([{ topic }]) => topic === "orders") ?? assert.fail("no queue")
      assert.deepInclude(state, { commitOffset: 2, cachedMsgCount: 1 })
      const clientId = (yield* consumer.state).instance?.clientId ?? ""
      assert.deepStrictEqual(yield* admin.getConsumeStatus("orders", "reports"), [
        { clientId, queues: [{ queue, offset: 2 }] }
      ])
    }).pipe(onRig)
  )

  it.effect("hooks of filters choose what polls give, and hooks of handlers see it, whatever they do", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      yield* send("keep", "drop", "keep too")
      const consumer = yield* started({ autoCommit: false }).pipe(
        Effect.provideService(FilterMessageHooks, [
          {
            hookName: "no drops",
            filterMessage: ({ messages }) => Effect.succeed(messages.filter((message) => text(message) !== "drop"))
          }
        ]),
        Effect.provideService(ConsumeMessageHooks, [
          {
            hookName: "look",
            before: ({ messages }) => Effect.sync(() => void seen.push(...messages.map(text))),
            after: () => Effect.die(new Error("a bug of a hook"))
          }
        ])
      )
      assert.deepStrictEqual((yield* consumer.poll()).map(text), ["keep", "keep too"])
      yield* settle
      assert.deepStrictEqual(seen, ["keep", "keep too"])
      assert.strictEqual((yield* consumer.state).hooks.failures, 2)
      // What was left out is behind the position like everything else.
      yield* consumer.commit()
      assert.strictEqual(yield* consumer.committed(queue), 3)
    }).pipe(onRig)
  )

  it.effect("traces what polls give, with enableTrace", () =>
    Effect.gen(function* () {
      yield* send("7")
      yield* Effect.scoped(
        Effect.gen(function* () {
          const consumer = yield* started({ enableTrace: true })
          assert.deepStrictEqual((yield* consumer.poll()).map(text), ["7"])
          yield* settle
        })
      )
      const { messages } = yield* EmbeddedCluster
      const records = (yield* messages(RMQ_SYS_TRACE_TOPIC)).flatMap(({ body }) => TraceData.decode(body).records)
      assert.deepStrictEqual(
        records.map(({ type }) => type),
        ["SubBefore", "SubAfter"]
      )
    }).pipe(onRig)
  )

  it.effect("a body that cannot be unpacked comes as it is, and is a problem", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const header = sendHeader({ topic: "orders", sysFlag: SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZLIB })
      yield* client.call(yield* brokerAddress(), SendMessage.request(header, Buffer.from("no zlib"), "V2"))
      yield* send("good")
      const consumer = yield* started()
      assert.deepStrictEqual((yield* consumer.poll()).map(text), ["no zlib"])
      assert.deepStrictEqual((yield* consumer.poll()).map(text), ["good"])
      const { problems } = yield* consumer.state
      assert.include(problems.map((problem) => problem.text).join(), "cannot be unpacked")
    }).pipe(onRig)
  )

  it.effect("starts with what the environment says, and what is given in code wins", () =>
    Effect.gen(function* () {
      yield* send("0", "1", "2")
      yield* Effect.gen(function* () {
        const consumer = yield* DefaultLitePullConsumer
        assert.strictEqual(consumer.consumerGroup, "reports")
        assert.lengthOf(yield* consumer.poll(), 2)
      }).pipe(
        Effect.provide(DefaultLitePullConsumer.layerConfig({ namesrvAddr, consumeFromWhere: "first" })),
        Effect.provideService(
          ConfigProvider.ConfigProvider,
          ConfigProvider.fromEnvRecord({
            ROCKETMQ_PULL_CONSUMER_GROUP: "reports",
            ROCKETMQ_PULL_CONSUMER_TOPIC: "orders",
            ROCKETMQ_PULL_CONSUMER_PULL_BATCH_SIZE: "2",
            ROCKETMQ_PULL_CONSUMER_CONSUME_FROM_WHERE: "last"
          })
        )
      )
    }).pipe(onRig)
  )
})
