import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import { FilterRefused, type StartError } from "../../../src/client/ClientError.ts"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import * as MessageStream from "../../../src/consumer/MessageStream.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import { explain } from "../../../src/explain/Explain.ts"
import * as ForeignText from "../../../src/message/ForeignText.ts"
import * as Message from "../../../src/message/Message.ts"
import * as Topic from "../../../src/message/Topic.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import * as CheckClientConfig from "../../../src/protocol/request/CheckClientConfig.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, type EmbeddedClusterOptions, FaultScript } from "../../../src/testing/index.ts"
import { orThrow } from "../../embedded/support.ts"
import { held, nothing as nothingHeld, onMemory, settle } from "../../support/rig.ts"
import { consume, make, namesrvAddr, rig, text } from "../support.ts"

const nothing = () => Effect.void

const brokers = [{ name: "broker-a", config: { enablePropertyFilter: true } }]

/** A cluster whose brokers filter by SQL92. */
const filtering = rig({ brokers, recordTraffic: { bodies: true } })

const alone = (options: EmbeddedClusterOptions = {}) =>
  onMemory({ topics: { orders: {} }, listen: { namesrvPort: 9_876, brokerPort: 10_911 }, ...options })

const asked = Effect.flatMap(EmbeddedCluster, ({ traffic }) =>
  traffic.matching({ code: RequestCode.CHECK_CLIENT_CONFIG })
)

/** Why the start of a member with the subscription fails; nothing is left of it. */
const refused = Effect.fnUntraced(function* (subscription: Subscription.Subscription) {
  const consumer = yield* make(nothing, { subscriptions: [subscription] })
  const error = yield* Effect.flip(consumer.start)
  assert.strictEqual(yield* consumer.serviceState, "START_FAILED")
  assert.isFalse(error.retryable)
  yield* settle
  assert.deepStrictEqual(yield* held, nothingHeld)
  return error
})

const filterRefused = ({ reason }: StartError): FilterRefused => {
  if (!(reason instanceof FilterRefused)) throw new Error(`it is a ${reason._tag}`)
  return reason
}

const wrong = "a > 'x'"

describe("a filter in SQL92", () => {
  it.effect("C-03: a broker that filters by tags only fails the start, in its words and with what to do", () =>
    Effect.gen(function* () {
      const failed = yield* refused(Subscription.sql("orders", "a > 1"))
      assert.deepInclude(failed, { step: "5.8", name: "ask a broker of each topic about its filter" })
      const error = filterRefused(failed)
      assert.deepInclude(error, { topic: "orders", expression: "a > 1", problem: "unsupported", code: 1 })
      assert.strictEqual(error.remark, "The broker does not support consumer to filter message by SQL92")
      assert.match(failed.message, /enablePropertyFilter=true/)
      const { cause, remedy } = explain(error)
      assert.strictEqual(cause, "the broker filters by tags only")
      assert.match(remedy, /enablePropertyFilter=true/)
    }).pipe(alone())
  )

  it.effect("C-03: a filter that cannot be read fails the start, and everything is released", () =>
    Effect.gen(function* () {
      const error = filterRefused(yield* refused(Subscription.sql("orders", wrong)))
      assert.deepInclude(error, { problem: "unreadable", code: 23, codeName: "SUBSCRIPTION_PARSE_FAILED" })
      assert.strictEqual(error.remark, "java.lang.RuntimeException: Value ''x'' cannot be compared.")
      assert.match(error.message, /Value ''x'' cannot be compared\. Correct the filter/)
      // The same group starts at once with a filter that can be read.
      const consumer = yield* consume(nothing, { subscriptions: [Subscription.sql("orders", "a > 1")] })
      assert.strictEqual(yield* consumer.serviceState, "RUNNING")
    }).pipe(Effect.scoped, alone({ brokers }))
  )

  it.effect("C-03: what a broker says reaches nobody as it is", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const remark = `\u001b[31m\u202e${"x".repeat(100_000)}`
      yield* faults.add({ match: { code: RequestCode.CHECK_CLIENT_CONFIG }, actions: [FaultScript.answer(23, remark)] })
      const { expression, message } = filterRefused(
        yield* refused(Subscription.sql("orders", `a > 1 -- ${"y".repeat(9_000)}`))
      )
      assert.isBelow(message.length, 1_000)
      assert.isBelow(expression.length, 300)
      assert.isTrue(ForeignText.isClean(message))
    }).pipe(alone({ brokers }))
  )

  it.effect("is asked about as Java asks, once, and then filters what is read; what it leaves out counts as read", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { send } = yield* DefaultMQProducer
      const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))), {
        subscriptions: [Subscription.sql("orders", "price > 100 AND region IN ('eu', 'us')")],
        consumeFromWhere: "first"
      })
      const [question, ...more] = yield* asked
      assert.deepStrictEqual(more, [])
      const { clientId } = (yield* consumer.state).instance ?? { clientId: "" }
      const body = orThrow(CheckClientConfig.decodeBody(question?.body ?? new Uint8Array()))
      assert.deepInclude(body, { clientId, group: "billing" })
      assert.deepInclude(body.subscriptionData, {
        topic: "orders",
        subString: "price > 100 AND region IN ('eu', 'us')",
        tagsSet: [],
        codeSet: [],
        expressionType: "SQL92",
        classFilterMode: false
      })
      for (const [price, region] of [
        [50, "eu"],
        [150, "eu"],
        [200, "asia"],
        [300, "us"]
      ] as const) {
        yield* send(
          Message.make({ topic: "orders", body: String(price), properties: { price: String(price), region } })
        )
      }
      yield* send(Message.make({ topic: "orders", body: "none" }))
      yield* consumer.caughtUp()
      assert.sameMembers(seen, ["150", "300"])
      assert.deepInclude(yield* consumer.state, { problems: [] })
    }).pipe(Effect.scoped, Effect.provide(filtering))
  )

  it.effect("may be changed while it runs; one that is refused changes nothing", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const { send } = yield* DefaultMQProducer
      const put = (price: string) => send(Message.make({ topic: "orders", body: price, properties: { price } }))
      const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))), {
        subscriptions: [Subscription.sql("orders", "price > 100")],
        consumeFromWhere: "first"
      })
      yield* put("50")
      yield* put("150")
      yield* consumer.caughtUp()
      const error = yield* Effect.flip(consumer.subscribe(Subscription.sql("orders", wrong)))
      assert.strictEqual(error._tag, "FilterRefused")
      yield* put("60")
      yield* put("160")
      yield* consumer.caughtUp()
      yield* consumer.subscribe(Subscription.sql("orders", "price > 10"))
      yield* put("70")
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen.toSorted(), ["150", "160", "70"])
      assert.strictEqual((yield* asked).length, 3)
    }).pipe(Effect.scoped, Effect.provide(filtering))
  )

  it.effect("that no broker says anything about does not hold up the start; neither does a topic without brokers", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({ match: { code: RequestCode.CHECK_CLIENT_CONFIG }, actions: [FaultScript.answer(2, "busy")] })
      const starting = yield* Effect.forkChild(
        consume(nothing, { subscriptions: [Subscription.sql("orders", "a > 1"), Subscription.sql("later", "a > 1")] }),
        { startImmediately: true }
      )
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual(yield* (yield* Fiber.join(starting)).serviceState, "RUNNING")
    }).pipe(Effect.scoped, Effect.provide(filtering))
  )

  it.effect("of a namespace is asked about under its names", () =>
    Effect.gen(function* () {
      yield* consume(nothing, { subscriptions: [Subscription.sql("orders", "a > 1")], namespace: "shop" })
      const [question] = yield* asked
      const body = orThrow(CheckClientConfig.decodeBody(question?.body ?? new Uint8Array()))
      assert.deepInclude(body, { group: "shop%billing" })
      assert.strictEqual(body.subscriptionData?.topic, "shop%orders")
    }).pipe(
      Effect.scoped,
      Effect.provide(rig({ brokers, recordTraffic: { bodies: true }, topics: { orders: {}, "shop%orders": {} } }))
    )
  )

  it.effect("is what a stream reads, and a typed one; a refusal is its failure", () =>
    Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      const orders = Topic.make("orders", { schema: Schema.Struct({ price: Schema.Number }) })
      const options = { consumerGroup: "search", namesrvAddr, consumeFromWhere: "first" as const }
      for (const price of [50, 150]) {
        yield* send(
          Message.make({ topic: "orders", body: JSON.stringify({ price }), properties: { price: String(price) } })
        )
      }
      const read = MessageStream.typed(orders, { ...options, sql: "price > 100" })
      const [delivery] = yield* Stream.runCollect(Stream.take(read, 1))
      assert.deepStrictEqual(delivery?.value, { price: 150 })
      const failing = MessageStream.make({ ...options, subscriptions: [Subscription.sql("orders", wrong)] })
      const error = yield* Effect.flip(Stream.runDrain(failing))
      assert.strictEqual(error._tag === "StartError" && error.reason._tag, "FilterRefused")
      const both = MessageStream.typed(orders, { ...options, sql: "price > 100", tags: ["a"] })
      assert.match((yield* Effect.flip(Stream.runDrain(both))).message, /subscribes to topic orders a second time/)
      assert.strictEqual(yield* (yield* MQClientManager).size, 1)
    }).pipe(Effect.scoped, Effect.provide(filtering))
  )
})
