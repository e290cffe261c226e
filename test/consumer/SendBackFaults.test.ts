import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { advance } from "../support/rig.ts"

const namesrvAddr = "127.0.0.1:9876"
const cluster = EmbeddedCluster.layerMemory({
  topics: { orders: {} },
  listen: { namesrvPort: 9_876, brokerPort: 10_911 },
  recordTraffic: true
})
const rig = DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr }).pipe(
  Layer.provideMerge(MQClientManager.layer),
  Layer.provideMerge(cluster)
)

/** Consumes; a first attempt fails, after what `before` waits for. */
const consume = (attempts: Array<number>, before: Effect.Effect<void> = Effect.void) =>
  DefaultMQPushConsumer.make(
    { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr },
    (message) =>
      Effect.suspend(() => {
        attempts.push(message.attempt)
        return message.attempt === 1 ? Effect.andThen(before, Effect.fail("not yet")) : Effect.void
      })
  ).pipe(Effect.tap((consumer) => Effect.acquireRelease(consumer.start, () => consumer.shutdown)))

describe("a message that its broker does not take back", () => {
  it.effect("is sent to the retry topic instead, and comes again as what it was", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({
        match: { code: RequestCode.CONSUMER_SEND_MSG_BACK },
        actions: [FaultScript.answer(1, "not now")]
      })
      const consumer = yield* consume(attempts)
      yield* (yield* DefaultMQProducer).send(Message.make({ topic: "orders", body: "x", keys: "k" }))
      yield* consumer.caughtUp()
      yield* TestClock.adjust("11 seconds")
      yield* consumer.caughtUp()
      assert.deepStrictEqual(attempts, [1, 2])
      assert.deepInclude((yield* consumer.state).counters, { failures: 1, sendBackFailures: 1, succeeded: 1 })
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  it.effect("is kept, and its offset with it, until it was taken: nothing is committed past it", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      const { faults, traffic } = yield* EmbeddedCluster
      const scripted = yield* Deferred.make<void>()
      const consumer = yield* consume(attempts, Deferred.await(scripted))
      const { queue } = yield* (yield* DefaultMQProducer).send(Message.make({ topic: "orders", body: "x" }))
      yield* faults.add(
        { match: { code: RequestCode.CONSUMER_SEND_MSG_BACK }, actions: [FaultScript.answer(1, "no")] },
        { match: { code: RequestCode.SEND_MESSAGE_V2 }, actions: [FaultScript.answer(1, "no")] }
      )
      yield* Deferred.succeed(scripted, undefined)
      // In steps: what a try does between two pauses takes turns of its own.
      yield* advance(60_000, 500)
      const held = (yield* consumer.state).queues.find(
        (one) => one.queue.topic === "orders" && one.queue.queueId === queue.queueId
      )
      assert.deepInclude(held, { consumeOffset: 0, cached: 1 })
      const commits = (yield* traffic.ofCode(RequestCode.UPDATE_CONSUMER_OFFSET)).filter(
        ({ extFields }) => extFields?.["topic"] === "orders" && extFields["queueId"] === String(queue.queueId)
      )
      for (const { extFields } of commits) assert.strictEqual(extFields?.["commitOffset"], "0")
      assert.isNotEmpty((yield* consumer.state).problems)
      yield* faults.clear
      yield* advance(120_000, 500)
      yield* consumer.caughtUp()
      assert.deepStrictEqual(attempts, [1, 2])
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  it.effect("is given back before a close writes the offsets, so that it comes once and not twice", () =>
    Effect.gen(function* () {
      const attempts: Array<number> = []
      const { faults, messages, traffic } = yield* EmbeddedCluster
      yield* faults.add({ match: { code: RequestCode.CONSUMER_SEND_MSG_BACK }, actions: [FaultScript.delay(2_000)] })
      const consumer = yield* consume(attempts)
      yield* (yield* DefaultMQProducer).send(Message.make({ topic: "orders", body: "x" }))
      yield* traffic.awaitMatching({ code: RequestCode.CONSUMER_SEND_MSG_BACK })
      const closing = yield* Effect.forkChild(consumer.shutdown, { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(closing)
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* messages("%RETRY%billing")).length, 1)
      const next = yield* consume(attempts)
      yield* next.caughtUp()
      assert.deepStrictEqual(attempts, [1, 2])
    }).pipe(Effect.scoped, Effect.provide(rig))
  )
})
