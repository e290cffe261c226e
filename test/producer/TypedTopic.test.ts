import { assert, describe, it } from "@effect/vitest"
import { Context, Effect, Exit, Fiber, Option, Schema, SchemaGetter, Stream } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import * as MessageDelay from "../../src/message/MessageDelay.ts"
import * as Topic from "../../src/message/Topic.ts"
import { SendError } from "../../src/producer/send/SendError.ts"
import { TransactionMQProducer } from "../../src/producer/TransactionMQProducer.ts"
import { failureOf, makeProducer, onMemory, settle, startProducer, until } from "../support/rig.ts"

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

const orderOf = (id: string) => ({ ...order, id })
const misfit = { ...order, id: "" }

/** The ids of the stored orders, as their topic reads them. */
const storedIds = Effect.gen(function* () {
  const { messages } = yield* EmbeddedCluster
  const read = yield* Effect.forEach(yield* messages("orders"), (message) => orders.decode(message))
  return read.map(({ id }) => id)
})

const tagOf = (exit: Exit.Exit<unknown, unknown>): string => {
  const error = failureOf(exit)
  return error instanceof SendError ? error.reason._tag : String(error)
}

describe("every form of a send has one for typed topics", () => {
  it.effect("one-way", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      yield* producer.sendOnewayTo(orders, order, { properties: { a: "b" } })
      yield* settle
      assert.deepStrictEqual(yield* storedIds, ["order-7"])
      const { messages } = yield* EmbeddedCluster
      assert.strictEqual((yield* messages("orders"))[0]?.properties["a"], "b")
      assert.strictEqual(tagOf(yield* Effect.exit(producer.sendOnewayTo(orders, misfit))), "TopicEncodeError")
    }).pipe(onMemory({ topics }))
  )

  it.effect("batches, of which none is sent when one value does not fit", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const values = ["1", "2", "3"].map(orderOf)
      const { results } = yield* producer.sendBatchTo(orders, values, { orderingKey: "k", flag: 7 })
      assert.strictEqual(results.length, 3)
      assert.deepStrictEqual(yield* storedIds, ["1", "2", "3"])
      const { messages } = yield* EmbeddedCluster
      assert.deepStrictEqual(
        (yield* messages("orders")).map(({ flag, keys }) => [flag, keys]),
        [
          [7, ["1"]],
          [7, ["2"]],
          [7, ["3"]]
        ]
      )
      yield* traffic.clear
      const exit = yield* Effect.exit(producer.sendBatchTo(orders, [...values, misfit]))
      assert.strictEqual(tagOf(exit), "TopicEncodeError")
      assert.deepStrictEqual(yield* traffic.all, [])
    }).pipe(onMemory({ topics }))
  )

  it.effect("two steps", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const queued = yield* Effect.forEach(["1", "2"], (id) =>
        producer.sendQueuedTo(orders, orderOf(id), { orderingKey: "k" })
      )
      const results = yield* Effect.all(queued)
      assert.deepStrictEqual(
        results.map(({ status }) => status),
        ["SEND_OK", "SEND_OK"]
      )
      assert.deepStrictEqual(yield* storedIds, ["1", "2"])
      assert.strictEqual(tagOf(yield* Effect.exit(producer.sendQueuedTo(orders, misfit))), "TopicEncodeError")
    }).pipe(onMemory({ topics }))
  )

  it.effect("streams", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const ids = Array.from({ length: 100 }, (_, n) => `${n}`)
      const results = yield* Stream.runCollect(
        producer.sendAllTo(orders, Stream.map(Stream.fromIterable(ids), orderOf), {
          concurrency: 8,
          options: ({ id }) => ({ orderingKey: "k", properties: { twice: `${id}${id}` } })
        })
      )
      assert.strictEqual(results.length, 100)
      assert.deepStrictEqual(yield* storedIds, ids)
      const { messages } = yield* EmbeddedCluster
      assert.strictEqual((yield* messages("orders"))[42]?.properties["twice"], "4242")
      const plain = yield* Stream.runCollect(producer.sendAllTo(orders, Stream.make(order, order)))
      assert.strictEqual(plain.length, 2)
      const failing = producer.sendAllTo(orders, Stream.make(order, misfit, order), { concurrency: 1 })
      assert.strictEqual(tagOf(yield* Effect.exit(Stream.runDrain(failing))), "TopicEncodeError")
    }).pipe(onMemory({ topics }))
  )

  it.effect("requests, whose reply is read by a topic of its own", () =>
    Effect.gen(function* () {
      const answers = Topic.make("answers", { schema: Schema.Struct({ accepted: Schema.Boolean }) })
      const asker = yield* startProducer({ instanceName: "asker" })
      const answerer = yield* startProducer({ producerGroup: "answerers", instanceName: "answerer" })
      const asking = yield* Effect.forkChild(asker.requestTo(orders, order, 3_000), { startImmediately: true })
      const { messages } = yield* EmbeddedCluster
      yield* until(
        "the request arrives",
        Effect.map(messages("orders"), (found) => found.length > 0)
      )
      for (const request of yield* messages("orders")) {
        assert.deepStrictEqual(yield* orders.decode(request), order)
        yield* answerer.reply(request, yield* answers.encode({ accepted: true }))
      }
      const reply = yield* Fiber.join(asking)
      assert.deepStrictEqual(yield* answers.decode(reply), { accepted: true })
      assert.strictEqual(tagOf(yield* Effect.exit(asker.requestTo(orders, misfit, 3_000))), "TopicEncodeError")
    }).pipe(onMemory({ topics }))
  )

  it.effect("transactions, of which none is run when the value does not fit", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const producer = yield* TransactionMQProducer.make({
        producerGroup: "tx",
        namesrvAddr,
        checkLocalTransaction: () => Effect.succeed("UNKNOW")
      })
      yield* producer.start
      yield* Effect.addFinalizer(() => producer.shutdown)
      const { value } = yield* producer.transactionTo(orders, order, ({ msgId }) => Effect.succeed(msgId.length), {
        properties: { a: "b" }
      })
      assert.strictEqual(value, 32)
      yield* settle
      assert.deepStrictEqual(yield* storedIds, ["order-7"])
      const rolledBack = yield* Effect.exit(producer.transactionTo(orders, orderOf("8"), Effect.fail("out of stock")))
      assert.strictEqual(failureOf(rolledBack), "out of stock")
      let ran = false
      const local = Effect.sync(() => void (ran = true))
      assert.strictEqual(tagOf(yield* Effect.exit(producer.transactionTo(orders, misfit, local))), "TopicEncodeError")
      assert.isFalse(ran)
      yield* settle
      assert.deepStrictEqual(yield* storedIds, ["order-7"])
      assert.deepInclude(yield* producer.transactions, { begun: 2, committed: 1, rolledBack: 1 })
    }).pipe(onMemory({ topics }))
  )

  it.effect("and none of them does anything while the producer does not run", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer()
      const forms: ReadonlyArray<Effect.Effect<unknown, unknown>> = [
        producer.sendTo(orders, order),
        producer.sendOnewayTo(orders, order),
        producer.sendBatchTo(orders, [order, order]),
        producer.sendQueuedTo(orders, order),
        Stream.runDrain(producer.sendAllTo(orders, Stream.make(order))),
        producer.requestTo(orders, order, 3_000)
      ]
      for (const form of forms) assert.strictEqual(tagOf(yield* Effect.exit(form)), "IllegalServiceState")
    }).pipe(onMemory({ topics }))
  )
})
