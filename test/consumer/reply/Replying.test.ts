import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Latch, Layer, Logger, Schema } from "effect"
import { TestClock } from "effect/testing"
import * as ConsumeResult from "../../../src/consumer/ConsumeResult.ts"
import type { PushConsumerOptions } from "../../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../../src/consumer/MessageListener.ts"
import * as Replier from "../../../src/consumer/reply/Replier.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import * as Topic from "../../../src/message/Topic.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { settle } from "../../support/rig.ts"
import { namesrvAddr, rig, text } from "../support.ts"

/** Answers the requests in `orders` for as long as the scope is open. */
const answer = <E>(
  handler: MessageListener.Handler<E, DefaultMQProducer>,
  options: Partial<PushConsumerOptions> = {}
) =>
  DefaultMQPushConsumer.make(
    { consumerGroup: "repliers", subscriptions: [Subscription.all("orders")], namesrvAddr, ...options },
    handler
  ).pipe(Effect.tap((consumer) => Effect.acquireRelease(consumer.start, () => consumer.shutdown)))

/** Asks from a client of its own, as a program of its own would. */
const asker = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer.make({ producerGroup: "askers", instanceName: "asker", namesrvAddr })
  yield* Effect.acquireRelease(producer.start, () => producer.shutdown)
  return producer
})

const question = (body: string) => Message.make({ topic: "orders", body })

/** Keeps the lines that are logged. */
const lines = () => {
  const found: Array<string> = []
  const logger = Logger.make(({ logLevel, message }) => void found.push(`${logLevel} ${String(message)}`))
  return { found, layer: Logger.layer([logger]) }
}

describe("a handler whose value is the reply", () => {
  it.effect("answers with a text, bytes, or the parts of a message", () =>
    Effect.gen(function* () {
      const consumer = yield* answer(
        MessageListener.replying((request) =>
          Effect.succeed(
            text(request) === "text"
              ? "a text"
              : text(request) === "bytes"
                ? new TextEncoder().encode("bytes")
                : { body: "parts", tags: "t", properties: { mine: "yes" } }
          )
        )
      )
      const { request } = yield* asker
      assert.strictEqual(text(yield* request(question("text"), 2_000)), "a text")
      assert.strictEqual(text(yield* request(question("bytes"), 2_000)), "bytes")
      const parts = yield* request(question("parts"), 2_000)
      assert.deepStrictEqual([text(parts), parts.tags, parts.properties["mine"]], ["parts", "t", "yes"])
      yield* consumer.caughtUp()
      assert.deepInclude((yield* consumer.state).counters, { succeeded: 3, reconsumeLater: 0 })
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("at most as many reply as handlers may run", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make(false)
      let running = 0
      let most = 0
      yield* answer(
        MessageListener.replying((request) =>
          Effect.gen(function* () {
            most = Math.max(most, ++running)
            yield* gate.await
            running--
            return text(request)
          })
        ),
        { concurrency: 3 }
      )
      const { request } = yield* asker
      const asked = yield* Effect.forEach(["1", "2", "3", "4", "5", "6"], (body) =>
        Effect.forkChild(request(question(body), 60_000), { startImmediately: true })
      )
      yield* settle
      assert.strictEqual(running, 3)
      yield* gate.open
      const replies = yield* Effect.forEach(asked, (fiber) => Fiber.join(fiber))
      assert.deepStrictEqual(replies.map(text), ["1", "2", "3", "4", "5", "6"])
      assert.strictEqual(most, 3)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("does not run for a message that asks for no reply: that is consumed and told, or somebody else's", () =>
    Effect.gen(function* () {
      const log = lines()
      let handled = 0
      const handler = () =>
        Effect.sync(() => {
          handled++
          return "?"
        })
      yield* Effect.gen(function* () {
        const { send } = yield* DefaultMQProducer
        const consumer = yield* answer(MessageListener.replying(handler), { consumeFromWhere: "first" })
        const { msgId } = yield* send(question("just saying"))
        yield* consumer.caughtUp()
        assert.strictEqual((yield* consumer.state).counters.succeeded, 1)
        const told = log.found.filter((line) => line.includes("without a reply"))
        assert.strictEqual(told.length, 1)
        assert.include(told[0], msgId)
        assert.include(told[0], "CORRELATION_ID")
      }).pipe(Effect.scoped, Effect.provide(log.layer))
      const others: Array<string> = []
      const consumer = yield* answer(
        MessageListener.replying(handler, {
          otherwise: (message) =>
            Effect.sync(() => {
              others.push(text(message))
              return ConsumeResult.deadLetter("no request")
            })
        }),
        { consumerGroup: "others", consumeFromWhere: "first" }
      )
      yield* consumer.caughtUp()
      assert.deepStrictEqual(others, ["just saying"])
      assert.strictEqual((yield* consumer.state).counters.deadLettered, 1)
      assert.strictEqual(handled, 0)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("one that fails does not reply, and its request comes again", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      yield* answer(
        MessageListener.replying((request) =>
          Effect.suspend(() => {
            attempts.push(request.attempt)
            return request.attempt === 1 ? Effect.fail("not yet") : Effect.succeed("now")
          })
        )
      )
      const { request } = yield* asker
      const asked = yield* Effect.forkChild(request(question("?"), 60_000), { startImmediately: true })
      yield* settle
      yield* TestClock.adjust("11 seconds")
      assert.strictEqual(text(yield* Fiber.join(asked)), "now")
      assert.deepStrictEqual(attempts, [1, 2])
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

/** Has a broker refuse so many replies, as one that does not know the requester. */
const refuse = (times: number) =>
  Effect.flatMap(EmbeddedCluster, ({ faults }) =>
    faults.add({
      match: { code: RequestCode.SEND_REPLY_MESSAGE_V2 },
      actions: [FaultScript.answer(1, "push reply message fail, channel of <asker> not found.")],
      times
    })
  )

describe("a reply that cannot be sent", () => {
  it.effect("makes its request come again while the requester waits", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      const consumer = yield* answer(
        MessageListener.replying((request) =>
          Effect.sync(() => {
            attempts.push(request.attempt)
            return `${request.attempt}`
          })
        )
      )
      yield* refuse(3)
      const { request } = yield* asker
      const asked = yield* Effect.forkChild(request(question("?"), 60_000), { startImmediately: true })
      yield* settle
      assert.deepStrictEqual(attempts, [1])
      assert.strictEqual((yield* consumer.state).counters.reconsumeLater, 1)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(text(yield* Fiber.join(asked)), "2")
      assert.deepStrictEqual(attempts, [1, 2])
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("is given up, and told, when nobody waits any more", () =>
    Effect.gen(function* () {
      const log = lines()
      yield* Effect.gen(function* () {
        const begun = yield* Deferred.make<void>()
        const consumer = yield* answer(
          MessageListener.replying(() =>
            Effect.as(Effect.andThen(Deferred.succeed(begun, undefined), Effect.sleep(900)), "late")
          )
        )
        yield* refuse(100)
        const { request } = yield* asker
        const asked = yield* Effect.forkChild(Effect.flip(request(question("?"), 1_500)), { startImmediately: true })
        yield* Deferred.await(begun)
        yield* TestClock.adjust("2 seconds")
        assert.strictEqual((yield* Fiber.join(asked))._tag, "RequestReplyTimeout")
        yield* settle
        assert.deepInclude((yield* consumer.state).counters, { succeeded: 1, reconsumeLater: 0 })
      }).pipe(Effect.scoped, Effect.provide(log.layer))
      assert.strictEqual(log.found.filter((line) => line.includes("it does not come again")).length, 1)
    }).pipe(Effect.provide(rig()))
  )

  it.effect("is what the option says, where it says something", () =>
    Effect.gen(function* () {
      const errors: Array<string> = []
      const consumer = yield* answer(
        MessageListener.replying(() => Effect.succeed("x"), {
          onReplyError: (error) => {
            errors.push(error.reason._tag)
            return ConsumeResult.deadLetter("nobody there")
          }
        })
      )
      yield* refuse(100)
      const { request } = yield* asker
      yield* Effect.forkScoped(request(question("?"), 60_000), { startImmediately: true })
      yield* settle
      yield* consumer.caughtUp()
      assert.deepStrictEqual(errors, ["BrokerRejected"])
      assert.strictEqual((yield* consumer.state).counters.deadLettered, 1)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

describe("Replier", () => {
  const asked = Topic.make("orders", { schema: Schema.Struct({ item: Schema.String }) })
  const priced = Topic.make("prices", { schema: Schema.Struct({ cents: Schema.Int }), tags: () => "priced" })

  const replier = (cents: (item: string) => number, options: Partial<Replier.ReplierHandlerOptions> = {}) =>
    Replier.layer(
      { consumerGroup: "prices", request: asked, reply: priced, namesrvAddr, consumeFromWhere: "first", ...options },
      ({ item }) => Effect.succeed({ cents: cents(item) })
    ).pipe(Layer.provideMerge(rig()))

  it.effect("reads requests and writes replies by their schemas", () =>
    Effect.gen(function* () {
      const { requestTo } = yield* asker
      const reply = yield* requestTo(asked, { item: "tea" }, 2_000)
      assert.deepStrictEqual(yield* priced.decode(reply), { cents: 300 })
      assert.strictEqual(reply.tags, "priced")
    }).pipe(Effect.scoped, Effect.provide(replier(({ length }) => length * 100)))
  )

  it.effect("gives up a request that cannot be read, or as it is told; a message that is none is not read", () =>
    Effect.gen(function* () {
      const { request } = yield* asker
      const { send } = yield* DefaultMQProducer
      yield* send(question("no request"))
      yield* Effect.forkScoped(request(question("no JSON"), 60_000), { startImmediately: true })
      const consumer = yield* DefaultMQPushConsumer
      yield* settle
      yield* consumer.caughtUp()
      assert.deepInclude((yield* consumer.state).counters, { succeeded: 1, deadLettered: 1 })
    }).pipe(Effect.scoped, Effect.provide(replier(() => 1)))
  )

  it.effect("a reply that does not fit its schema is one that could not be sent", () =>
    Effect.gen(function* () {
      const { request } = yield* asker
      yield* Effect.forkScoped(request(yield* asked.encode({ item: "tea" }), 60_000), { startImmediately: true })
      const consumer = yield* DefaultMQPushConsumer
      yield* settle
      yield* consumer.caughtUp()
      assert.deepInclude((yield* consumer.state).counters, { succeeded: 1, failures: 0, defects: 0 })
    }).pipe(Effect.scoped, Effect.provide(replier(() => 0.5)))
  )
})
