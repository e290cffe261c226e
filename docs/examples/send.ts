// A service that sends a message, on an embedded cluster over TCP. With a cluster of your own, only the address changes.
import { Console, Effect, Layer } from "effect"
import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const placeOrder = Effect.fn("placeOrder")(function* (id: string) {
  const producer = yield* DefaultMQProducer
  return yield* producer.send(
    Message.make({ topic: "orders", body: JSON.stringify({ id }), tags: "created", keys: id })
  )
})

const Producer = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) => DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr }))
)

const program = Effect.gen(function* () {
  const result = yield* placeOrder("order-7")
  yield* Console.log(
    `${result.status}: ${result.msgId} at ${result.queue.brokerName}:${result.queue.queueId}, offset ${result.queueOffset}`
  )
})

await Effect.runPromise(
  program.pipe(
    Effect.provide(Producer.pipe(Layer.provide(MQClientManager.layerTcp), Layer.provide(EmbeddedCluster.layerTcp())))
  )
)
