import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Option, Schema, SchemaGetter } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import * as Topic from "../../src/message/Topic.ts"
import { failureOf, makeProducer, onMemory, startProducer } from "../support/rig.ts"

const Order = Schema.Struct({
  id: Schema.String.check(Schema.isMinLength(1)),
  total: Schema.Finite,
  placed: Schema.Date,
  note: Schema.Option(Schema.String)
})
const orders = Topic.make("orders", { schema: Order, key: (order) => order.id, tags: () => "created", version: "3" })
const order = { id: "order-7", total: 12.5, placed: new Date(1_700_000_000_000), note: Option.some("käse") }
const topics = { orders: {} }

describe("sendTo", () => {
  it.effect("sends the value as its topic writes it, and the topic reads it back", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const result = yield* producer.sendTo(orders, order)
      const [stored, ...more] = yield* messages("orders")
      assert.deepStrictEqual(more, [])
      assert.isDefined(stored)
      assert.deepInclude(
        { ...stored.properties },
        { UNIQ_KEY: result.msgId, KEYS: "order-7", TAGS: "created", codec: "json", codecVersion: "3" }
      )
      assert.deepStrictEqual(yield* orders.decode(stored), order)
    }).pipe(onMemory({ topics }))
  )

  it.effect("takes the options of a send and those of a message", () =>
    Effect.gen(function* () {
      const { delayedMessages, messages } = yield* EmbeddedCluster
      yield* TestClock.setTime(1_700_000_000_000)
      const producer = yield* startProducer()
      const first = yield* producer.sendTo(orders, order, { orderingKey: order.id, properties: { a: "b" }, flag: 7 })
      const second = yield* producer.sendTo(orders, order, { orderingKey: order.id, waitStoreMsgOK: false })
      assert.deepStrictEqual(first.queue, second.queue)
      const [stored] = yield* messages("orders")
      assert.deepInclude({ ...stored?.properties }, { a: "b", codec: "json", __SHARDINGKEY: "order-7" })
      assert.strictEqual(stored?.flag, 7)
      yield* producer.sendTo(orders, order, { delay: MessageDelay.level(3) })
      assert.strictEqual((yield* delayedMessages).length, 1)
      const timeout = failureOf(yield* Effect.exit(producer.sendTo(orders, order, { timeoutMillis: -1 })))
      assert.deepInclude(timeout.reason, { _tag: "InvalidMessage", field: "timeoutMillis" })
    }).pipe(onMemory({ topics }))
  )

  it.effect("a value that does not fit fails as a send does, and nothing is sent", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* traffic.clear
      const error = failureOf(yield* Effect.exit(producer.sendTo(orders, { ...order, id: "" })))
      assert.strictEqual(error._tag, "SendError")
      assert.deepInclude(error.reason, { _tag: "TopicEncodeError", topic: "orders" })
      assert.deepStrictEqual([error.outcome, error.attempts, error.retryable], ["not-sent", [], false])
      assert.match(error.message, /does not fit the topic's schema/)
      assert.deepStrictEqual(yield* traffic.all, [])
      const caught = yield* producer
        .sendTo(orders, { ...order, total: Number.NaN })
        .pipe(Effect.catchReason("SendError", "TopicEncodeError", (reason) => Effect.succeed(reason.topic)))
      assert.strictEqual(caught, "orders")
    }).pipe(onMemory({ topics }))
  )

  it.effect("needs what the schema needs to write", () => {
    class Secret extends Context.Service<Secret, string>()("test/Secret") {}
    const Signed = Schema.String.pipe(
      Schema.decodeTo(Schema.String, {
        decode: SchemaGetter.transform((text: string) => text),
        encode: SchemaGetter.transformEffect((text: string) => Effect.map(Secret, (secret) => `${text}${secret}`))
      })
    )
    const signed = Topic.make("orders", { schema: Signed })
    return Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* producer.sendTo(signed, "hello ").pipe(Effect.provideService(Secret, "world"))
      const [stored] = yield* messages("orders")
      assert.strictEqual(Buffer.from(stored?.body ?? []).toString(), '"hello world"')
    }).pipe(onMemory({ topics }))
  })

  it.effect("is refused by a producer that does not run", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer()
      const error = failureOf(yield* Effect.exit(producer.sendTo(orders, order)))
      assert.deepInclude(error.reason, { _tag: "IllegalServiceState" })
    }).pipe(onMemory({ topics }))
  )
})
