/** Message traces of this client on RocketMQ 5.5.0, read by mqadmin, and its send context, read by the Java client. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, References, Tracer } from "effect"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { RMQ_SYS_TRACE_TOPIC } from "../../src/message/MixAll.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { parseTraceparent } from "../../src/client/telemetry/TraceContext.ts"
import * as TraceData from "../../src/protocol/TraceData.ts"
import { eventuallyThat, uniqueName } from "../conformance/support.ts"
import * as JavaClient from "./JavaClient.ts"
import { RocketMQ } from "./RocketMQServer.ts"

const services = Layer.mergeAll(
  RocketMQ.layer({ version: "5.5.0" }),
  MQClientManager.layerTcp,
  Layer.succeed(References.MinimumLogLevel, "Error")
)

const options = Effect.map(RocketMQ, ({ namesrvAddr }) => ({
  producerGroup: "trace-group",
  namesrvAddr,
  startTimeoutMillis: 60_000,
  sendMsgTimeout: 60_000
}))

layer(services, { excludeTestServices: true, timeout: "10 minutes" })("RocketMQ 5.5.0", (test) => {
  test.effect("mqadmin finds the trace of a message by its id", () =>
    Effect.gen(function* () {
      const { brokers, namesrvAddr } = yield* RocketMQ
      const topic = uniqueName("traced")
      const producer = yield* DefaultMQProducer.make({
        ...(yield* options),
        enableTrace: true,
        drainTimeoutMillis: 30_000
      })
      yield* producer.start
      const results = yield* Effect.forEach(
        Array.from({ length: 25 }, (_, i) => i),
        (i) => producer.send(Message.make({ topic, body: `body ${i}`, tags: "TagT", keys: [`key-${i}`, "all"] }))
      )
      yield* producer.shutdown
      const { msgId } = results[7] ?? assert.fail("no result")

      // The index by key is built a moment after the message is stored.
      const { stdout } = yield* eventuallyThat(
        JavaClient.mqadmin({ namesrvAddr }, ["queryMsgTraceById", "-i", msgId]),
        (found) => assert.include(found.stdout, "trace-group")
      )
      assert.include(stdout, "Pub")
      assert.include(stdout, "success")

      // What the Java client reads is what mqadmin reads: the text of each record.
      const stored = yield* JavaClient.read({ namesrvAddr, topic: RMQ_SYS_TRACE_TOPIC })
      const records = stored.flatMap(
        ({ bodyBase64 = "" }) => TraceData.decode(Buffer.from(bodyBase64, "base64")).records
      )
      assert.sameMembers(
        records.map((record) => record.msgId),
        results.map((result) => result.msgId)
      )
      const record = records.find((one): one is TraceData.TracePub => one.type === "Pub" && one.msgId === msgId)
      assert.deepInclude(record, {
        type: "Pub",
        regionId: "DefaultRegion",
        groupName: "trace-group",
        topic,
        tags: "TagT",
        keys: "key-7 all",
        storeHost: brokers[0]?.address ?? "",
        bodyLength: 6,
        msgType: TraceData.TraceMessageType.NORMAL,
        offsetMsgId: results[7]?.offsetMsgId ?? "",
        isSuccess: true
      })
      assert.isAtMost(stored.length, 25)
      assert.isTrue(stored.some(({ keys }) => keys?.split(" ").includes(msgId)))
    })
  )

  test.effect("mqadmin, and the administrator here, show what a consumer tells beside what the sender told", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* RocketMQ
      const topic = uniqueName("consumed")
      const drainTimeoutMillis = 30_000
      const producer = yield* DefaultMQProducer.make({
        ...(yield* options),
        producerGroup: "told-producer",
        enableTrace: true,
        drainTimeoutMillis
      })
      yield* producer.start
      const { msgId, queue } = yield* producer.send(Message.make({ topic, body: "7", keys: ["k"] }))
      const other = yield* producer.send(Message.make({ topic, body: "8" }), { queue })
      yield* producer.shutdown
      const consumer = yield* DefaultMQPushConsumer.make(
        {
          consumerGroup: uniqueName("told-group"),
          subscriptions: [Subscription.all(topic)],
          consumeFromWhere: "first",
          namesrvAddr,
          startTimeoutMillis: 60_000,
          enableTrace: true,
          drainTimeoutMillis
        },
        (message) =>
          Effect.succeed(message.msgId === msgId ? ConsumeResult.success : ConsumeResult.reconsumeLater("1 hours"))
      )
      yield* consumer.start
      yield* eventuallyThat(consumer.state, ({ counters, trace }) => {
        assert.strictEqual(counters.succeeded + counters.reconsumeLater, 2)
        assert.isDefined(trace)
      })
      yield* consumer.shutdown
      assert.deepInclude((yield* consumer.state).trace, { sent: 4, buffered: 0, dropped: 0, failed: 0 })

      const { stdout } = yield* eventuallyThat(
        JavaClient.mqadmin({ namesrvAddr }, ["queryMsgTraceById", "-i", msgId]),
        (found) => assert.include(found.stdout, consumer.consumerGroup)
      )
      assert.match(stdout, /Pub +told-producer +\S+ +\S+ \S+ +\d+ms +success/)
      assert.match(stdout, new RegExp(`Sub +${consumer.consumerGroup} +\\S+ +\\S+ \\S+ +\\d+ms +success`))
      const failed = yield* JavaClient.mqadmin({ namesrvAddr }, ["queryMsgTraceById", "-i", other.msgId])
      assert.match(failed.stdout, new RegExp(`Sub +${consumer.consumerGroup} .* failed`))

      const told = yield* Effect.flatMap(MQAdmin, (admin) => admin.queryMessageTrace(msgId)).pipe(
        Effect.provide(MQAdmin.layer({ namesrvAddr }))
      )
      assert.deepStrictEqual(
        told.map(({ attempt, group, kind, status }) => [kind, group, status, attempt]),
        [
          ["send", "told-producer", "success", undefined],
          ["consume", consumer.consumerGroup, "success", 1]
        ]
      )
    })
  )

  test.effect("the Java client reads the traceparent that a traced send has put into the message", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* RocketMQ
      const topic = uniqueName("context")
      const spans: Array<Tracer.Span> = []
      const tracer = Tracer.make({
        span: (spanOptions) => {
          const span = new Tracer.NativeSpan(spanOptions)
          spans.push(span)
          return span
        }
      })
      const producer = yield* DefaultMQProducer.make({ ...(yield* options), producerGroup: "context-group" })
      yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
      yield* producer.send(Message.make({ topic, body: "7" })).pipe(Effect.withTracer(tracer))
      const [message] = yield* JavaClient.read({ namesrvAddr, topic })
      const context = parseTraceparent(message?.properties["traceparent"] ?? "")
      assert.strictEqual(context?.spanId, spans[0]?.spanId)
      assert.strictEqual(context?.traceId, spans[0]?.traceId)
    })
  )
})
