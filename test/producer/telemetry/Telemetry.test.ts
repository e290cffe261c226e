import { assert, describe, it } from "@effect/vitest"
import { Cause, Deferred, Effect, Fiber, Logger, Metric, Option, References, Tracer } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as Message from "../../../src/message/Message.ts"
import * as SendMetrics from "../../../src/producer/telemetry/SendMetrics.ts"
import { SendMessageHooks } from "../../../src/producer/telemetry/Hooks.ts"
import { DURATION_BOUNDARIES, MAX_TOPICS } from "../../../src/client/telemetry/OperationMetrics.ts"
import { parseTraceparent, traceparentOf } from "../../../src/client/telemetry/TraceContext.ts"
import { ResponseCode } from "../../../src/protocol/ResponseCode.ts"
import { advance, makeProducer, onMemory, settle, startProducer, text, timed } from "../../support/rig.ts"

/** A tracer that keeps its spans. */
const recorder = () => {
  const spans: Array<Tracer.NativeSpan> = []
  const tracer = Tracer.make({
    span: (options) => {
      const span = new Tracer.NativeSpan(options)
      spans.push(span)
      return span
    }
  })
  return {
    spans,
    tracer,
    sends: () => spans.filter((span) => span.name.startsWith("send ")),
    provide: Effect.withTracer(tracer)
  }
}

const attributes = (span: Tracer.NativeSpan | undefined) => Object.fromEntries(span?.attributes ?? [])
const parentOf = (span: Tracer.NativeSpan | undefined) => Option.getOrUndefined(span?.parent ?? Option.none())
const ofTopic = (topic: string) => Effect.flatMap(EmbeddedCluster, (cluster) => cluster.messages(topic))

const idOf = (span: Tracer.NativeSpan) => /^rocketmq\.start (\S+) /.exec(span.name)?.[1]
const snapshotOf = (name: string) => Effect.map(Metric.snapshot, (all) => all.filter((metric) => metric.id === name))

const cluster = { topics: { orders: { writeQueueNums: 1, readQueueNums: 1 } } }

describe("send spans", () => {
  it.effect("a send is one span with the attributes of the conventions, and the message carries its context", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const recorded = recorder()
      const producer = yield* startProducer()
      const message = Message.make({ topic: "orders", body: "7", tags: "created", keys: ["a", "b"] })
      const result = yield* producer.send(message).pipe(Effect.withSpan("outer"), recorded.provide)
      assert.deepStrictEqual(
        recorded.spans.map((span) => span.name),
        ["outer", "send orders"]
      )
      const [outer, send] = recorded.spans
      assert.strictEqual(parentOf(send)?.spanId, outer?.spanId)
      assert.strictEqual(send?.kind, "producer")
      assert.strictEqual(send?.status._tag, "Ended")
      const [host, port] = (brokers[0]?.address ?? "").split(":")
      assert.deepStrictEqual(attributes(send), {
        "messaging.system": "rocketmq",
        "messaging.operation.name": "send",
        "messaging.operation.type": "send",
        "messaging.destination.name": "orders",
        "messaging.rocketmq.namespace": "",
        "messaging.rocketmq.message.type": "normal",
        "messaging.client.id": (yield* producer.state).instance?.clientId,
        "messaging.message.id": result.msgId,
        "messaging.rocketmq.message.tag": "created",
        "messaging.rocketmq.message.keys": ["a", "b"],
        "messaging.destination.partition.id": "0",
        "server.address": host,
        "server.port": Number(port)
      })
      const [stored] = yield* ofTopic("orders")
      if (send === undefined) return assert.fail("no span")
      assert.strictEqual(stored?.properties["traceparent"], traceparentOf(send))
      assert.strictEqual(parseTraceparent(stored?.properties["traceparent"] ?? "")?.spanId, send.spanId)
      assert.isUndefined(message.properties)
      return undefined
    }).pipe(onMemory(cluster))
  )

  it.effect("what a sampler decides by is there when the span starts", () =>
    Effect.gen(function* () {
      const seen = yield* Deferred.make<Record<string, unknown>>()
      const tracer = Tracer.make({ span: (options) => new Tracer.NativeSpan(options) })
      const producer = yield* startProducer()
      const [queue] = yield* producer.fetchPublishMessageQueues("orders")
      const hook = {
        hookName: "look",
        before: () =>
          Effect.flatMap(Effect.orDie(Effect.currentSpan), (span) =>
            Deferred.succeed(seen, Object.fromEntries(span.attributes))
          )
      }
      const hooked = yield* startProducer({ producerGroup: "hooked" }).pipe(
        Effect.provideService(SendMessageHooks, [hook])
      )
      yield* hooked.send(text("orders"), { queue }).pipe(Effect.withTracer(tracer))
      const start = yield* Deferred.await(seen)
      for (const name of [
        "messaging.system",
        "messaging.operation.name",
        "messaging.operation.type",
        "messaging.destination.name",
        "messaging.destination.partition.id",
        "server.address",
        "server.port"
      ]) {
        assert.isDefined(start[name], name)
      }
    }).pipe(onMemory(cluster))
  )

  it.effect("a context that is in the message already stays, and is linked", () =>
    Effect.gen(function* () {
      const recorded = recorder()
      const producer = yield* startProducer()
      const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
      const message = Message.make({ topic: "orders", body: "7", properties: { traceparent } })
      yield* producer.send(message).pipe(recorded.provide)
      const [stored] = yield* ofTopic("orders")
      assert.strictEqual(stored?.properties["traceparent"], traceparent)
      const [send] = recorded.sends()
      assert.deepStrictEqual(
        send?.links.map((link) => link.span.spanId),
        ["b7ad6b7169203331"]
      )
    }).pipe(onMemory(cluster))
  )

  it.effect.each([
    ["5.5.0", 513],
    ["4.9.7", 435]
  ] as const)(
    "a batch is one span; its messages carry its context or their own, which are linked (%s)",
    ([, version]) =>
      Effect.gen(function* () {
        const recorded = recorder()
        const producer = yield* startProducer()
        const traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
        const own = Message.make({ topic: "orders", body: "own", properties: { traceparent } })
        yield* producer.sendBatch([text("orders", "a"), own, text("orders", "b"), own]).pipe(recorded.provide)
        const spans = recorded.sends()
        const [send] = spans
        assert.strictEqual(spans.length, 1)
        assert.strictEqual(send?.kind, "client")
        assert.strictEqual(attributes(send)["messaging.batch.message_count"], 4)
        assert.isUndefined(attributes(send)["messaging.message.id"])
        assert.deepStrictEqual(
          send?.links.map((link) => link.span.spanId),
          ["b7ad6b7169203331"]
        )
        const context = send === undefined ? undefined : traceparentOf(send)
        assert.deepStrictEqual(
          (yield* ofTopic("orders")).map(({ properties }) => properties["traceparent"]),
          [context, traceparent, context, traceparent]
        )
      }).pipe(onMemory({ ...cluster, version }))
  )

  it.effect.each([1, 2])("%d sends that leave by themselves name the spans of their senders", (count) =>
    Effect.gen(function* () {
      const recorded = recorder()
      // The tracer is there when the producer starts, so that the sends of its own fibers are traced too.
      const producer = yield* startProducer({ autoBatch: true, readiness: "registered", topics: ["orders"] }).pipe(
        recorded.provide
      )
      const outer = Array.from({ length: count }, (_, n) => `outer ${n}`)
      yield* timed(
        Effect.forEach(outer, (name, n) => producer.send(text("orders", `${n}`)).pipe(Effect.withSpan(name)), {
          concurrency: "unbounded"
        }).pipe(recorded.provide),
        1_000,
        1
      )
      const queued = producer.sendQueued(text("orders", "queued")).pipe(Effect.flatten, Effect.withSpan("outer queued"))
      yield* timed(queued.pipe(recorded.provide), 1_000, 1)
      const callers = [...outer, "outer queued"].map((name) => recorded.spans.find((span) => span.name === name))
      assert.deepStrictEqual(
        (yield* ofTopic("orders")).map(({ properties }) => properties["traceparent"]),
        callers.map((span) => (span === undefined ? undefined : traceparentOf(span)))
      )
      const sends = recorded.sends()
      assert.deepStrictEqual(
        sends.flatMap(({ links }) => links.map((link) => link.span.spanId)),
        callers.map((span) => span?.spanId)
      )
      // They are part of no start, which is long over.
      for (const send of sends) assert.isUndefined(parentOf(send))
    }).pipe(onMemory(cluster))
  )

  it.effect("a context that would make the properties too long is left out, and the message leaves", () =>
    Effect.gen(function* () {
      const recorded = recorder()
      const producer = yield* startProducer()
      const filler = "x".repeat(32_150)
      yield* producer.send(Message.make({ topic: "orders", body: "7", properties: { filler } })).pipe(recorded.provide)
      const [stored] = yield* ofTopic("orders")
      assert.strictEqual(stored?.properties["filler"], filler)
      assert.isUndefined(stored?.properties["traceparent"])
    }).pipe(onMemory(cluster))
  )

  it.effect("without a tracer, or with tracing switched off, there is no span and no context", () =>
    Effect.gen(function* () {
      const recorded = recorder()
      const producer = yield* startProducer()
      yield* producer.send(text("orders"))
      yield* producer.send(text("orders")).pipe(Effect.withTracer(Tracer.nativeTracer))
      yield* producer.send(text("orders")).pipe(recorded.provide, Effect.withTracerEnabled(false))
      const stored = yield* ofTopic("orders")
      assert.strictEqual(stored.length, 3)
      for (const message of stored) assert.isUndefined(message.properties["traceparent"])
      assert.deepStrictEqual(recorded.spans, [])
    }).pipe(onMemory(cluster))
  )

  it.effect("a failed send says why in one word, and what became of the message", () =>
    Effect.gen(function* () {
      const recorded = recorder()
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ retryTimesWhenSendFailed: 0 })
      yield* faults.add({
        match: { code: 310 },
        actions: [{ _tag: "Answer", response: { code: ResponseCode.MESSAGE_ILLEGAL, remark: "no" } }]
      })
      yield* Effect.exit(producer.send(text("orders"))).pipe(recorded.provide)
      const [send] = recorded.sends()
      const found = attributes(send)
      assert.strictEqual(found["error.type"], "MESSAGE_ILLEGAL")
      assert.strictEqual(found["messaging.rocketmq.send.outcome"], "rejected")
      assert.strictEqual(found["messaging.destination.partition.id"], "0")
      assert.isNumber(found["server.port"])
    }).pipe(onMemory(cluster))
  )

  it.effect("an interrupted send ends its span", () =>
    Effect.gen(function* () {
      const recorded = recorder()
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* producer.send(text("orders"))
      yield* faults.add({ match: { code: 310 }, actions: [{ _tag: "DropRequest" }] })
      const sending = yield* Effect.forkChild(
        Effect.provideService(producer.send(text("orders")), Tracer.Tracer, recorded.tracer),
        {
          startImmediately: true
        }
      )
      yield* Fiber.interrupt(sending)
      const [send] = recorded.sends()
      assert.strictEqual(send?.status._tag, "Ended")
      assert.strictEqual(attributes(send)["error.type"], "interrupted")
    }).pipe(onMemory(cluster))
  )
})

describe("the span tree of a start", () => {
  it.effect("has one root, a child for every step, and the instance's steps below the step that makes it", () =>
    Effect.gen(function* () {
      const recorded = recorder()
      yield* startProducer({ readiness: "registered", topics: ["orders"] }).pipe(recorded.provide)
      yield* settle
      const names = recorded.spans.map((span) => span.name)
      const [root, ...others] = recorded.spans
      assert.strictEqual(root?.name, "rocketmq.start")
      assert.isTrue(Option.isNone(root?.parent ?? Option.none()))
      assert.deepStrictEqual(
        others.map(idOf).toSorted((a, b) => ((a ?? "") < (b ?? "") ? -1 : 1)),
        ["2.1", "2.2", "2.3", "2.3.2", "2.4", "2.5", "2.6", "2.7", "3.1", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8"]
      )
      const instanceStep = others.find((span) => idOf(span) === "2.3")
      for (const span of others) {
        const expected = idOf(span)?.startsWith("3.") === true ? instanceStep : root
        assert.strictEqual(parentOf(span)?.spanId, expected?.spanId, span.name)
        assert.strictEqual(span.traceId, root?.traceId)
        assert.strictEqual(span.status._tag, "Ended", span.name)
      }
      // Minutes of heartbeats and route updates later there is still nothing but the start.
      yield* TestClock.adjust("5 minutes")
      assert.deepStrictEqual(
        recorded.spans.map((span) => span.name),
        names
      )
    }).pipe(onMemory(cluster))
  )
})

describe("metrics of sends", () => {
  it.effect("count and time sends by topic and outcome", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ retryTimesWhenSendFailed: 0, sendMsgTimeout: 1_000 })
      yield* producer.send(text("orders"))
      yield* producer.send(text("orders"))
      yield* producer.sendOneway(text("orders"))
      yield* faults.add({ match: { code: 310 }, actions: [{ _tag: "DropResponse" }] })
      yield* timed(producer.send(text("orders")))
      const sent = yield* snapshotOf("messaging.client.sent.messages")
      const counts = sent.map(({ attributes: found, state }) => [
        found?.["messaging.destination.name"],
        found?.["error.type"],
        "count" in state ? state.count : undefined
      ])
      assert.deepStrictEqual(counts, [
        ["orders", undefined, 3],
        ["orders", "RequestTimeout", 1]
      ])
      const durations = yield* snapshotOf("messaging.client.operation.duration")
      const failed = durations.find(({ attributes: found }) => found?.["error.type"] === "RequestTimeout")
      if (failed?.type !== "Histogram") return assert.fail("no histogram")
      assert.strictEqual(failed.state.count, 1)
      assert.isTrue(failed.state.sum >= 1 && failed.state.sum < 1.1, String(failed.state.sum))
      assert.deepStrictEqual(
        failed.state.buckets.map(([bound]) => bound),
        [...DURATION_BOUNDARIES]
      )
      assert.strictEqual(failed.attributes?.["unit"], "s")
      const producerCounters = yield* Metric.snapshot
      const unknown = producerCounters.find(({ id }) => id === "rocketmq.client.send.unknown_outcome")
      assert.deepStrictEqual(unknown?.state, { count: 1, incremental: true })
      return undefined
    }).pipe(onMemory(cluster), Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("of producers with one registry add up", () =>
    Effect.gen(function* () {
      const one = yield* startProducer()
      const two = yield* startProducer({ producerGroup: "other", instanceName: "other" })
      yield* one.send(text("orders"))
      yield* two.send(text("orders"))
      const [sent, ...others] = yield* snapshotOf("messaging.client.sent.messages")
      assert.deepStrictEqual(sent?.state, { count: 2, incremental: true })
      assert.deepStrictEqual(others, [])
    }).pipe(onMemory(cluster), Effect.provideService(Metric.MetricRegistry, new Map()))
  )

  it.effect("are not there when they are switched off", () =>
    Effect.gen(function* () {
      const registry = new Map()
      yield* Effect.gen(function* () {
        const producer = yield* startProducer({ metrics: false })
        yield* producer.send(text("orders"))
        assert.deepStrictEqual([...registry.keys()], [])
      }).pipe(Effect.provideService(Metric.MetricRegistry, registry))
    }).pipe(onMemory(cluster))
  )

  it.effect("have a bound on the topics with series of their own", () =>
    Effect.gen(function* () {
      const registry: Metric.MetricRegistry = new Map()
      yield* Effect.gen(function* () {
        const metrics = SendMetrics.make(yield* Effect.context())
        for (let i = 0; i < MAX_TOPICS + 500; i++) {
          metrics.succeeded(`topic-${i}`, 1, 1)
          metrics.failed(`topic-${i}`, Cause.die(new Error("no")), 1, 1)
        }
        const sent = yield* snapshotOf("messaging.client.sent.messages")
        assert.isAtMost(sent.length, 2 * (MAX_TOPICS + 1))
        const total = sent.reduce((n, { state }) => n + ("count" in state ? Number(state.count) : 0), 0)
        assert.strictEqual(total, 2 * (MAX_TOPICS + 500))
      }).pipe(Effect.provideService(Metric.MetricRegistry, registry))
    })
  )
})

describe("log lines", () => {
  it.effect("tell changes of state and whose they are, never a message", () =>
    Effect.gen(function* () {
      const lines: Array<{ readonly level: string; readonly text: string; readonly annotations: object }> = []
      const logger = Logger.make(({ fiber, logLevel, message }) => {
        const annotations = fiber.getRef(References.CurrentLogAnnotations)
        lines.push({ level: logLevel, text: String(message), annotations })
      })
      yield* Effect.gen(function* () {
        const { brokers, startBroker, stopBroker } = yield* EmbeddedCluster
        const producer = yield* makeProducer({ readiness: "registered", topics: ["orders"] })
        yield* producer.start
        const { instance } = yield* producer.state
        for (let i = 0; i < 100; i++) yield* producer.send(text("orders", "a secret body"))
        const started = lines.length
        assert.isAtMost(started, 2, JSON.stringify(lines))
        assert.isTrue(lines.every(({ level }) => level === "Debug"))
        yield* stopBroker(brokers[0]?.name ?? "")
        yield* advance(130_000, 1_000)
        yield* startBroker(brokers[0]?.name ?? "")
        yield* advance(70_000, 1_000)
        const heartbeats = lines.filter(({ text: line }) => line.includes("heartbeat to"))
        assert.strictEqual(heartbeats.length, 1, JSON.stringify(lines))
        assert.deepStrictEqual(heartbeats[0]?.annotations, {
          clientId: instance?.clientId,
          broker: brokers[0]?.address
        })
        yield* producer.shutdown
        assert.isAtMost(lines.length, started + 8, JSON.stringify(lines))
        for (const { annotations, text: line } of lines) {
          assert.notInclude(line, "secret")
          assert.property(annotations, "clientId", line)
        }
      }).pipe(Effect.provide(Logger.layer([logger])), Effect.provideService(References.MinimumLogLevel, "All"))
    }).pipe(onMemory(cluster))
  )
})
