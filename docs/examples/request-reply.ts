// A request that waits for its reply, and a consumer whose handler's value is that reply, on an embedded cluster over TCP. With
// a cluster of your own only the address changes; the answering side is usually another program.
import { Console, Effect, Layer } from "effect"
import {
  DefaultMQProducer,
  DefaultMQPushConsumer,
  Message,
  MessageListener,
  MQClientManager,
  Subscription
} from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const Producer = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) => DefaultMQProducer.layer({ producerGroup: "prices-pg", namesrvAddr }))
)

// The side that asks: the reply is a message, or one of three typed errors.
const priceOf = Effect.fn("priceOf")(function* (item: string) {
  const producer = yield* DefaultMQProducer
  const reply = yield* producer.request(Message.make({ topic: "prices", body: item }), 2_000)
  return new TextDecoder().decode(reply.body)
})

// The side that answers: the handler's value is the reply, which the producer sends.
const Prices = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) =>
    DefaultMQPushConsumer.layer(
      { consumerGroup: "prices", subscriptions: [Subscription.all("prices")], namesrvAddr },
      MessageListener.replying((request) => Effect.succeed(`${new TextDecoder().decode(request.body)}: 3.20`))
    )
  )
)

const program = Effect.gen(function* () {
  yield* priceOf("coffee").pipe(Effect.flatMap(Console.log), Effect.provide(Prices))

  // Nobody answers any more.
  yield* priceOf("tea").pipe(
    Effect.catchTag("RequestReplyTimeout", (error) => Console.log(`no reply within ${error.timeoutMillis} ms`))
  )
})

const Cluster = EmbeddedCluster.layerTcp({ topics: { prices: {} } })

await Effect.runPromise(
  program.pipe(Effect.provide(Producer.pipe(Layer.provideMerge(MQClientManager.layerTcp), Layer.provideMerge(Cluster))))
)
