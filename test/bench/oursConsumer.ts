import { Effect, Layer } from "effect"
import { DefaultMQPushConsumer, MQClientManager, Subscription } from "effect-rocketmq"
import { measureConsumer } from "./Meter.ts"
import { task } from "./Task.ts"

/** This package: a push consumer whose handler does nothing but count. */

const options = task()
let handled = 0
const count = Effect.sync(() => {
  handled++
})

const consumer = DefaultMQPushConsumer.layerDiscard(
  {
    consumerGroup: "bench-cg",
    subscriptions: [Subscription.all(options.topic)],
    namesrvAddr: options.address,
    metrics: options.variant !== "no-metrics"
  },
  () => count
)

await Effect.runPromise(
  Effect.promise(() => measureConsumer(options, () => handled)).pipe(
    Effect.provide(consumer.pipe(Layer.provide(MQClientManager.layerTcp)))
  )
)
