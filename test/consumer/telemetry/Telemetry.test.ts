import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Layer, Logger, Metric, Option, References, Tracer } from "effect"
import { TestClock } from "effect/testing"
import * as ConsumeResult from "../../../src/consumer/ConsumeResult.ts"
import { DefaultMQPushConsumer } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../../src/consumer/MessageListener.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as ForeignText from "../../../src/message/ForeignText.ts"
import * as Message from "../../../src/message/Message.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { brokerAddress, rawClient, sendRequest } from "../../embedded/support.ts"
import { settle } from "../../support/rig.ts"
import { consume, make, namesrvAddr, rig, text } from "../support.ts"

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
    named: (name: string) => spans.filter((span) => span.name === name),
    spans,
    provide: Effect.withTracer(tracer)
  }
}

const attributes = (span: Tracer.NativeSpan | undefined) => Object.fromEntries(span?.attributes ?? [])
const parentOf = (span: Tracer.NativeSpan | undefined) => Option.getOrUndefined(span?.parent ?? Option.none())
const queue = { topic: "orders", brokerName: "broker-a", queueId: 2 }
const shop = Message.make({ topic: "orders", body: "7", tags: "paid", keys: ["a", "b"] })

describe("consumer spans", () => {
  it.effect("a handler runs in a span whose parent is the sender's, and what it opens is below that", () =>
    Effect.gen(function* () {
      const recorded = recorder()
      const { send } = yield* DefaultMQProducer
      const { brokers } = yield* EmbeddedCluster
      const consumer = yield* consume(() => Effect.void.pipe(Effect.withSpan("inner"))).pipe(
        Effect.withSpan("the program"),
        recorded.provide
      )
      const { msgId } = yield* send(shop, { queue }).pipe(recorded.provide)
      yield* consumer.caughtUp()
      const [sent] = recorded.named("send orders")
      const [process] = recorded.named("process orders")
      const [inner] = recorded.named("inner")
      assert.strictEqual(process?.kind, "consumer")
      assert.strictEqual(process?.status._tag, "Ended")
      assert.strictEqual(parentOf(process)?.spanId, sent?.spanId)
      assert.strictEqual(process?.traceId, sent?.traceId)
      assert.strictEqual(parentOf(inner)?.spanId, process?.spanId)
      const [host, port] = (brokers[0]?.address ?? "").split(":")
      const shared = {
        "messaging.system": "rocketmq",
        "messaging.destination.name": "orders",
        "messaging.destination.partition.id": "2",
        "messaging.rocketmq.namespace": "",
        "messaging.rocketmq.consumption_model": "clustering",
        "messaging.consumer.group.name": "billing",
        "messaging.client.id": (yield* consumer.state).instance?.clientId,
        "server.address": host,
        "server.port": Number(port)
      }
      assert.deepStrictEqual(attributes(process), {
        ...shared,
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.message.id": msgId,
        "messaging.rocketmq.message.type": "normal",
        "messaging.rocketmq.message.tag": "paid",
        "messaging.rocketmq.message.keys": ["a", "b"],
        "messaging.rocketmq.consume.attempt": 1
      })

      const [receive, ...others] = recorded.named("receive orders")
      assert.deepStrictEqual(others, [], "pulls that bring nothing make no span")
      assert.isUndefined(parentOf(receive))
      assert.deepStrictEqual(attributes(receive), {
        ...shared,
        "messaging.operation.name": "receive",
        "messaging.operation.type": "receive",
        "messaging.batch.message_count": 1
      })
      assert.deepStrictEqual(
        receive?.links.map(({ span }) => span.spanId),
        [sent?.spanId]
      )
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("says of a message which group it is of, and which request", () =>
    Effect.gen(function* () {
      const recorded = recorder()
      const { request, send } = yield* DefaultMQProducer
      const asked: Array<string | undefined> = []
      const consumer = yield* consume(({ properties }) =>
        Effect.sync(() => void asked.push(properties["CORRELATION_ID"]))
      ).pipe(recorded.provide)
      yield* send(shop, { orderingKey: "g7" })
      yield* consumer.caughtUp()
      yield* Effect.forkScoped(request(shop, 60_000), { startImmediately: true })
      yield* settle
      yield* consumer.caughtUp()
      const [ordered, question] = recorded.named("process orders").map(attributes)
      assert.deepInclude(ordered, {
        "messaging.rocketmq.message.group": "g7",
        "messaging.rocketmq.message.type": "fifo"
      })
      assert.isString(asked[1])
      assert.deepInclude(question, { "messaging.message.conversation_id": asked[1] })
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("a message that says nothing of a sender is a root; a batch links all of its senders", () =>
    Effect.gen(function* () {
      const recorded = recorder()
      const { send } = yield* DefaultMQProducer
      const single = yield* consume(() => Effect.void).pipe(Effect.withSpan("the program"), recorded.provide)
      yield* send(shop, { queue })
      yield* single.caughtUp()
      assert.isUndefined(parentOf(recorded.named("process orders")[0]))

      const both = Effect.all([
        send(shop, { queue }).pipe(Effect.withSpan("one")),
        send(shop, { queue }).pipe(Effect.withSpan("two"))
      ])
      const { suspend, resume, shutdown } = single
      yield* Effect.all([suspend, resume, shutdown])
      yield* both.pipe(recorded.provide)
      const batch = yield* make(MessageListener.batch({ maxSize: 8 }, () => Effect.void)).pipe(
        Effect.tap((consumer) => Effect.acquireRelease(consumer.start, () => consumer.shutdown)),
        recorded.provide
      )
      yield* batch.caughtUp()
      const process = recorded.named("process orders").at(-1)
      assert.isUndefined(parentOf(process))
      assert.strictEqual(attributes(process)["messaging.batch.message_count"], 2)
      assert.sameMembers(
        process?.links.map(({ span }) => span.spanId) ?? [],
        recorded.named("send orders").map(({ spanId }) => spanId)
      )
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("a failure says why in one word; commits and send-backs are spans, and what they failed with", () =>
    Effect.gen(function* () {
      const recorded = recorder()
      const { send } = yield* DefaultMQProducer
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({
        match: { code: RequestCode.CONSUMER_SEND_MSG_BACK },
        actions: [FaultScript.answer(2, "busy")]
      })
      const consumer = yield* consume(() => Effect.die("no")).pipe(recorded.provide)
      const { msgId } = yield* send(shop, { queue }).pipe(recorded.provide)
      yield* consumer.caughtUp()
      yield* TestClock.adjust("5 seconds")
      const [process] = recorded.named("process orders")
      assert.strictEqual(attributes(process)["error.type"], "defect")
      const back = recorded
        .named("settle orders")
        .find((span) => attributes(span)["messaging.rocketmq.settlement"] === "send back")
      assert.deepStrictEqual(
        back?.links.map(({ span }) => span.spanId),
        recorded.named("send orders").map(({ spanId }) => spanId)
      )
      assert.deepInclude(attributes(back), {
        "messaging.operation.name": "settle",
        "messaging.operation.type": "settle",
        "messaging.consumer.group.name": "billing",
        "messaging.rocketmq.consumption_model": "clustering",
        "messaging.destination.partition.id": "2",
        "messaging.message.id": msgId,
        "server.address": "127.0.0.1",
        "server.port": 10_911
      })
      assert.strictEqual(back?.kind, "client")
      const settlements = recorded.named("settle orders").map(attributes)
      assert.isTrue(
        settlements.some(
          (one) => one["messaging.rocketmq.settlement"] === "send back" && one["error.type"] === "SYSTEM_BUSY"
        )
      )
      assert.isTrue(
        settlements.some((one) => one["messaging.rocketmq.settlement"] === "commit" && one["error.type"] === undefined)
      )
      yield* consumer.shutdown
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect(
    "without a tracer, or with tracing switched off, no span is made and none of the layer's is inherited",
    () =>
      Effect.gen(function* () {
        const recorded = recorder()
        const { send } = yield* DefaultMQProducer
        const seen: Array<Option.Option<Tracer.AnySpan>> = []
        const options = { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr } as const
        const handler = () =>
          Effect.contextWith((context: Context.Context<never>) =>
            Effect.sync(() => {
              seen.push(Context.getOption(context, Tracer.ParentSpan))
            })
          )
        const runs = Effect.gen(function* () {
          yield* send(shop)
          yield* (yield* DefaultMQPushConsumer).caughtUp()
        }).pipe(Effect.provide(Layer.fresh(DefaultMQPushConsumer.layer(options, handler))))
        yield* runs.pipe(Effect.withSpan("the program"))
        yield* runs.pipe(Effect.withSpan("the program"), Effect.withTracerEnabled(false), recorded.provide)
        assert.deepStrictEqual(seen.map(Option.isNone), [true, true])
        assert.deepStrictEqual(
          recorded.spans.map(({ name }) => name).filter((name) => name.endsWith(" orders")),
          []
        )
      }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

const snapshotOf = (id: string) => Effect.map(Metric.snapshot, (all) => all.filter((metric) => metric.id === id))
const withAttributes = Effect.fnUntraced(function* (id: string) {
  const found = yield* snapshotOf(id)
  return found.map(({ attributes: labels = {}, state }) => ({ labels: labels as Record<string, string>, state }))
})

describe("consumer metrics", () => {
  it.effect("count and time what is consumed, by topic, group and outcome; and are gone with the consumer", () =>
    Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      const consumer = yield* consume((message) =>
        Effect.gen(function* () {
          yield* Effect.sleep(200)
          const body = text(message)
          if (body === "later" && message.attempt === 1) return ConsumeResult.reconsumeLater()
          if (body === "dead") return ConsumeResult.deadLetter()
          if (body === "fails" && message.attempt === 1) return yield* Effect.fail("no")
          return ConsumeResult.success
        })
      )
      for (const body of ["ok", "ok", "later", "dead", "fails"]) {
        yield* send(Message.make({ topic: "orders", body }), { queue })
      }
      yield* TestClock.adjust("1 second")
      const consumed = (yield* withAttributes("messaging.client.consumed.messages")).map(({ labels, state }) => [
        labels["messaging.destination.name"],
        labels["messaging.consumer.group.name"],
        labels["error.type"],
        "count" in state ? state.count : undefined
      ])
      assert.sameDeepMembers(consumed, [
        ["orders", "billing", undefined, 2],
        ["orders", "billing", "reconsume_later", 1],
        ["orders", "billing", "dead_letter", 1],
        ["orders", "billing", "failure", 1]
      ])
      const [duration] = (yield* withAttributes("messaging.process.duration")).filter(
        ({ labels }) => labels["error.type"] === undefined
      )
      assert.deepInclude(duration?.state, { count: 2, min: 0.2, max: 0.2 })
      const [delivery] = yield* withAttributes("rocketmq.consumer.delivery.duration")
      assert.deepInclude(delivery?.state, { count: 5 })
      yield* TestClock.adjust("11 seconds")
      yield* consumer.caughtUp()

      const value = Effect.fnUntraced(function* (id: string) {
        const [one] = yield* withAttributes(`rocketmq.consumer.${id}`)
        const state = one?.state
        return state === undefined
          ? undefined
          : "value" in state
            ? state.value
            : "count" in state
              ? state.count
              : undefined
      })
      assert.strictEqual(yield* value("redelivered"), 2)
      assert.strictEqual(yield* value("dead_letters"), 1)
      assert.strictEqual(yield* value("queues"), 5)
      assert.strictEqual(yield* value("lag"), 0)
      assert.strictEqual(yield* value("cached"), 0)
      assert.strictEqual(yield* value("cached_bytes"), 0)
      assert.strictEqual(yield* value("running"), 0)
      assert.strictEqual(yield* value("concurrency"), 20)
      assert.strictEqual(yield* value("problems"), 0)
      assert.strictEqual(yield* value("subscriptions_differ"), 0)
      assert.strictEqual(yield* value("oldest_unfinished"), 0)
      assert.strictEqual(yield* value("rebalances"), 1)
      assert.isAtLeast(Number(yield* value("pulls")), 2)
      assert.isAbove(Number(yield* value("commits")), 0)
      const lags = (yield* withAttributes("rocketmq.consumer.queue.lag")).map(({ labels }) =>
        [labels["messaging.destination.name"], labels["messaging.destination.partition.id"]].join()
      )
      assert.sameMembers(lags, ["orders,0", "orders,1", "orders,2", "orders,3", "%RETRY%billing,0"])
      const operations = (yield* withAttributes("messaging.client.operation.duration")).map(
        ({ labels }) => labels["messaging.operation.name"]
      )
      assert.include(operations, "receive")
      assert.include(operations, "settle")

      yield* consumer.shutdown
      assert.deepStrictEqual(yield* snapshotOf("rocketmq.consumer.queue.lag"), [])
      assert.deepStrictEqual(yield* snapshotOf("rocketmq.consumer.lag"), [])
    }).pipe(
      Effect.provideServiceEffect(
        Metric.MetricRegistry,
        Effect.sync(() => new Map())
      ),
      Effect.scoped,
      Effect.provide(rig())
    )
  )

  it.effect("tell since when the oldest message waits, and what is cached", () =>
    Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      const consumer = yield* consume(() => Effect.never, { concurrency: 1, drainTimeoutMillis: 0 })
      for (let n = 0; n < 3; n++) yield* send(Message.make({ topic: "orders", body: "x".repeat(100) }), { queue })
      yield* TestClock.adjust("90 seconds")
      const [age] = yield* withAttributes("rocketmq.consumer.oldest_unfinished")
      const [bytes] = yield* withAttributes("rocketmq.consumer.cached_bytes")
      assert.deepStrictEqual(age?.state, { value: 90 })
      assert.deepStrictEqual(bytes?.state, { value: 300 })
      const { queues } = yield* consumer.state
      assert.deepInclude(
        queues.find(({ cached }) => cached > 0),
        { cached: 3, running: 1, oldestAge: 90_000, lag: 3 }
      )
    }).pipe(
      Effect.provideServiceEffect(
        Metric.MetricRegistry,
        Effect.sync(() => new Map())
      ),
      Effect.scoped,
      Effect.provide(rig())
    )
  )

  it.effect("are not there when they are switched off", () =>
    Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      const consumer = yield* consume(() => Effect.void, { metrics: false })
      yield* send(shop)
      yield* consumer.caughtUp()
      const ids = (yield* Metric.snapshot).map(({ id }) => id)
      assert.deepStrictEqual(
        ids.filter((id) => id.startsWith("rocketmq.consumer.") || id === "messaging.client.consumed.messages"),
        []
      )
    }).pipe(
      Effect.provideServiceEffect(
        Metric.MetricRegistry,
        Effect.sync(() => new Map())
      ),
      Effect.scoped,
      Effect.provide(rig())
    )
  )
})

describe("log lines of a handler", () => {
  it.effect(
    "say which message they are about, beside what the program says, and nothing that a sender could forge",
    () =>
      Effect.gen(function* () {
        const lines: Array<Readonly<Record<string, unknown>>> = []
        const logger = Logger.make(({ fiber, message }) => {
          if (String(message) === "in hand") lines.push(fiber.getRef(References.CurrentLogAnnotations))
        })
        yield* Effect.gen(function* () {
          const consumer = yield* consume((message) =>
            Effect.andThen(
              Effect.logInfo("in hand").pipe(Effect.annotateLogs({ own: "yes" })),
              message.attempt === 1 ? Effect.fail("no") : Effect.void
            )
          ).pipe(Effect.annotateLogs({ service: "shop" }))
          // No producer of ours sends such an id.
          const forged = sendRequest({ topic: "orders", queueId: 2, properties: "UNIQ_KEY\u0001a\u001b[31mb\nc\u0002" })
          const { code } = yield* (yield* rawClient()).call(yield* brokerAddress(), forged)
          assert.strictEqual(code, 0)
          yield* consumer.caughtUp()
          yield* TestClock.adjust("11 seconds")
          yield* consumer.caughtUp()
          const shown = ForeignText.clean("a\u001b[31mb\nc")
          assert.isTrue(ForeignText.isClean(shown))
          assert.deepStrictEqual(
            lines.map((line) => ({ ...line })),
            [
              {
                service: "shop",
                group: "billing",
                topic: "orders",
                queue: "orders@broker-a@2",
                offset: 0,
                msgId: shown,
                attempt: 1,
                own: "yes"
              },
              {
                service: "shop",
                group: "billing",
                topic: "orders",
                queue: "%RETRY%billing@broker-a@0",
                offset: 0,
                msgId: shown,
                attempt: 2,
                own: "yes"
              }
            ]
          )
        }).pipe(Effect.provide(Logger.layer([logger])))
      }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})
