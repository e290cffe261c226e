import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schema, Stream } from "effect"
import * as Util from "node:util"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as MessageStream from "../../src/consumer/MessageStream.ts"
import { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import * as Topic from "../../src/message/Topic.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { advance, onMemory, startProducer } from "../support/rig.ts"

/** What a consumer of the group really gets of a message: the first time, and the second. */
const deliveries = (input: Message.MessageInput) =>
  Effect.gen(function* () {
    const producer = yield* startProducer()
    yield* producer.send(Message.make(input))
    const { namesrvAddr } = yield* EmbeddedCluster
    const reading = yield* MessageStream.make({
      consumerGroup: "billing",
      subscriptions: [Subscription.all("orders")],
      consumeFromWhere: "first",
      namesrvAddr
    }).pipe(
      Stream.mapEffect((one) => Effect.as(one.message.attempt === 1 ? one.nack("1 second") : one.ack, one.message)),
      Stream.take(2),
      Stream.runCollect,
      Effect.forkChild({ startImmediately: true })
    )
    yield* advance(5_000)
    const [first, second] = yield* Fiber.join(reading)
    assert.isDefined(first)
    assert.isDefined(second)
    return [first, second] as const
  }).pipe(Effect.scoped)

describe("ReceivedMessage.make", () => {
  it.effect("is what a handler gets, the first time and when it comes again", () =>
    Effect.gen(function* () {
      const input = {
        topic: "orders",
        body: "7",
        tags: "paid",
        keys: ["order-7", "x"],
        properties: { who: "me" },
        flag: 3
      }
      const all = yield* deliveries(input)
      for (const message of all) {
        const { attempt, bornTimestamp, brokerName, msgId, queueOffset, storeTimestamp } = message
        const made = ReceivedMessage.make({
          ...input,
          consumerGroup: "billing",
          attempt,
          bornTimestamp,
          brokerName,
          msgId,
          queueId: message.queue.queueId,
          queueOffset,
          storeTimestamp
        })
        assert.deepStrictEqual(Object.keys(made).toSorted(byText), Object.keys(message).toSorted(byText))
        // Where it lies on the broker, and what brokers write into the properties, differs.
        const there = ["bornHost", "commitLogOffset", "offsetMsgId", "properties", "storeHost", "storeSize"]
        const known = Object.entries(message).filter(([name]) => !there.includes(name))
        assert.deepInclude(made, { ...Object.fromEntries(known), body: new Uint8Array(message.body) })
        assert.deepInclude({ ...message.properties }, made.properties)
      }
      assert.strictEqual(all[1].attempt, 2)
      assert.strictEqual(all[1].queue.topic, "%RETRY%billing")
    }).pipe(onMemory({ topics: { orders: {} } }))
  )

  it.effect("a received message is a plain value for spread, JSON, structuredClone, inspect and deepEqual", () =>
    Effect.gen(function* () {
      const [message] = yield* deliveries({ topic: "orders", body: "7", tags: "paid", keys: "order-7" })
      const { body: _, ...rest } = message
      const spread = { ...message }
      assert.deepStrictEqual(spread, message)
      assert.deepStrictEqual(structuredClone({ ...rest, properties: { ...rest.properties } }).keys, ["order-7"])
      assert.strictEqual(structuredClone(message).tags, "paid")
      const json: unknown = JSON.parse(JSON.stringify(rest))
      assert.isObject(json)
      for (const [name, value] of Object.entries(rest)) {
        if (value !== undefined) assert.property(json, name)
        assert.include(Util.inspect(message), name)
      }
      assert.isTrue(Util.isDeepStrictEqual(message, spread))
      assert.isFalse(Util.isDeepStrictEqual(message, { ...message, tags: "open" }))
    }).pipe(onMemory({ topics: { orders: {} } }))
  )

  it("has defaults for all but topic and body", () => {
    const message = ReceivedMessage.make({ topic: "orders", body: "7" })
    assert.deepInclude(message, {
      topic: "orders",
      attempt: 1,
      reconsumeTimes: 0,
      brokerName: "broker-a",
      keys: [],
      tags: undefined,
      queue: { topic: "orders", brokerName: "broker-a", queueId: 0 }
    })
    assert.strictEqual(message.msgId.length, 32)
    assert.strictEqual(ReceivedMessage.make({ topic: "orders", body: "", attempt: 0 }).attempt, 1)
  })
})

const orders = Topic.make("orders", { schema: Schema.Struct({ id: Schema.Int }) })

describe("a handler without any cluster", () => {
  it.effect("gets the values of a typed topic", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const handler = MessageListener.decoded(orders, ({ id }) => Effect.sync(() => void seen.push(id)))
      yield* handler(ReceivedMessage.make(yield* orders.encode({ id: 7 })))
      assert.deepStrictEqual(seen, [7])
      const result = yield* handler(ReceivedMessage.make({ topic: "orders", body: "nonsense" }))
      assert.deepInclude(result, { _tag: "DeadLetter" })
    })
  )

  it.effect.prop(
    "holds for messages of all sorts",
    { message: ReceivedMessage.arbitrary({ topic: "orders" }) },
    ({ message }) =>
      Effect.gen(function* () {
        assert.strictEqual(message.topic, "orders")
        assert.strictEqual(message.attempt, message.reconsumeTimes + 1)
        assert.strictEqual(message.queue.topic, message.attempt === 1 ? "orders" : "%RETRY%group")
        assert.deepStrictEqual(structuredClone(message), { ...message })
        const handler = MessageListener.byTopic({
          orders: ({ attempt }) =>
            Effect.succeed(attempt > 3 ? ConsumeResult.deadLetter() : ConsumeResult.reconsumeLater("1 minute"))
        })
        assert.deepInclude(yield* handler(message), { _tag: message.attempt > 3 ? "DeadLetter" : "ReconsumeLater" })
      }),
    { arbitrary: { runs: 200 } }
  )
})

const byText = (a: string, b: string) => a.localeCompare(b)
