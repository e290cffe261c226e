import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
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
})
