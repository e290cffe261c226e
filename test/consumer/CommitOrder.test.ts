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
import { make as makeObserver } from "../conformance/Observer.ts"
import { brokerAddress, consumerHeartbeat, rawClient } from "../embedded/support.ts"
import { settle } from "../support/rig.ts"

const namesrvAddr = "127.0.0.1:9876"
const cluster = EmbeddedCluster.layerMemory({
  topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } },
  listen: { namesrvPort: 9_876, brokerPort: 10_911 }
})
const rig = DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr }).pipe(
  Layer.provideMerge(MQClientManager.layer),
  Layer.provideMerge(cluster)
)

describe("positions reach the broker in their order", () => {
  it.effect("a pull carries none while one is being written, which it might overtake", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      const { send } = yield* DefaultMQProducer
      const consumer = yield* DefaultMQPushConsumer.make(
        { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr },
        () => Effect.void
      )
      yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
      /** Consumes one more message, and gives the position that the pull after it carries. */
      const position = Effect.gen(function* () {
        yield* send(Message.make({ topic: "orders", body: "x" }))
        yield* consumer.caughtUp()
        yield* settle
        const pulls = (yield* traffic.all).filter(
          ({ code, topic }) => code === RequestCode.PULL_MESSAGE && topic === "orders"
        )
        const { commitOffset, sysFlag } = pulls.at(-1)?.extFields ?? {}
        return (Number(sysFlag) & 1) === 0 ? undefined : commitOffset
      })
      const slow = { match: { code: RequestCode.UPDATE_CONSUMER_OFFSET }, actions: [FaultScript.delay(2_000)] }
      yield* Effect.acquireRelease(faults.add(slow), () => faults.clear)
      assert.strictEqual(yield* position, "1")
      // Timer 4 begins to write it.
      yield* TestClock.adjust("10 seconds")
      assert.isUndefined(yield* position)
      yield* TestClock.adjust("2 seconds")
      assert.strictEqual(yield* position, "3")
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  /** Has another member of the group be known to the broker. */
  const joins = Effect.fnUntraced(function* (clientId: string) {
    const raw = yield* rawClient()
    yield* raw.call(yield* brokerAddress(), consumerHeartbeat(clientId, "billing", ["orders"]))
  })

  /** A consumer that has consumed two messages, while its pull that carries the position before the second is not handled yet. */
  const overtaking = Effect.gen(function* () {
    const { faults } = yield* EmbeddedCluster
    const observer = yield* makeObserver(namesrvAddr)
    const { send } = yield* DefaultMQProducer
    const gate = yield* Deferred.make<void>()
    const consumer = yield* DefaultMQPushConsumer.make(
      { consumerGroup: "billing", subscriptions: [Subscription.all("orders")], namesrvAddr },
      ({ body }) => (body.length > 1 ? Deferred.await(gate) : Effect.void)
    )
    yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
    yield* send(Message.make({ topic: "orders", body: "x" }))
    yield* consumer.caughtUp()
    // The next round of rebalance may come at once.
    yield* TestClock.adjust("5 seconds")
    const slow = { match: { code: RequestCode.PULL_MESSAGE, topic: "orders" }, actions: [FaultScript.delay(250)] }
    yield* Effect.acquireRelease(faults.add(slow), () => faults.clear)
    yield* send(Message.make({ topic: "orders", body: "xx" }))
    yield* settle
    yield* Deferred.succeed(gate, undefined)
    yield* settle
    const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
    return { consumer, committed: observer.committed(queue, "billing") }
  })

  it.effect("the last one stands, also when a pull that carries a smaller one is handled after it: at the close", () =>
    Effect.gen(function* () {
      const { committed, consumer } = yield* overtaking
      yield* joins("99.0.0.1@1")
      const closing = yield* Effect.forkChild(consumer.shutdown, { startImmediately: true })
      yield* TestClock.adjust("1 second")
      yield* Fiber.join(closing)
      assert.strictEqual(yield* committed, 2)
    }).pipe(Effect.scoped, Effect.provide(rig))
  )

  it.effect("and when the queue goes to another member", () =>
    Effect.gen(function* () {
      const { committed, consumer } = yield* overtaking
      // The broker tells of it, and there is a round at once; the only queue is the first member's.
      yield* joins("0.0.0.1@1")
      yield* settle
      assert.deepStrictEqual(
        (yield* consumer.assignment).filter(({ topic }) => topic === "orders"),
        []
      )
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* committed, 2)
    }).pipe(Effect.scoped, Effect.provide(rig))
  )
})
