import { Deferred, Effect, Layer } from "effect"
import { DefaultMQPushConsumer, MQClientManager, Subscription } from "effect-rocketmq"

const options = {
  consumerGroup: "billing",
  namesrvAddr: process.argv[2],
  subscriptions: [Subscription.all("orders")],
  consumeFromWhere: "first"
}

const program = Effect.gen(function* () {
  const first = yield* Deferred.make()
  yield* Layer.build(DefaultMQPushConsumer.layer(options, (message) => Deferred.succeed(first, message)))
  const message = yield* Deferred.await(first)
  process.stdout.write(`consumed ${Buffer.from(message.body).toString()}\n`)
})

Effect.runFork(Effect.scoped(program).pipe(Effect.provide(MQClientManager.layerTcp)))
