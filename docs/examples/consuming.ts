// A group of one that consumes what a producer sends, on an embedded cluster over TCP.
import { Console, Effect, Layer } from "effect"
import { DefaultMQProducer, DefaultMQPushConsumer, Message, MQClientManager, Subscription } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const text = new TextDecoder()

const Services = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) =>
    Layer.merge(
      DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr }),
      DefaultMQPushConsumer.layer(
        { consumerGroup: "billing", subscriptions: [Subscription.tags("orders", "paid")], namesrvAddr },
        (message) => Console.log(`billed ${text.decode(message.body)}, attempt ${message.attempt}`)
      )
    )
  )
)

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer
  const consumer = yield* DefaultMQPushConsumer
  for (const [body, tags] of [
    ["order-7", "paid"],
    ["order-8", "open"]
  ] as const) {
    yield* producer.send(Message.make({ topic: "orders", body, tags }))
  }
  yield* consumer.caughtUp()
  const { counters } = yield* consumer.state
  yield* Console.log(`${counters.succeeded} consumed`)
})

await Effect.runPromise(
  program.pipe(
    Effect.provide(
      Services.pipe(
        Layer.provide(MQClientManager.layerTcp),
        Layer.provide(EmbeddedCluster.layerTcp({ topics: { orders: {} } }))
      )
    )
  )
)
