// The states of some orders, each order's in its own order, although nobody waits for an answer in between.
import { Console, Effect, Layer } from "effect"
import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const states = ["placed", "paid", "packed", "shipped"]

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer
  const acknowledged = yield* Effect.forEach(states, (state) =>
    Effect.forEach(["order-1", "order-2", "order-3"], (orderId) =>
      producer.sendQueued(Message.make({ topic: "orders", body: `${orderId} ${state}` }), { orderingKey: orderId })
    )
  )
  yield* Effect.all(acknowledged.flat(), { concurrency: "unbounded" })

  const { messages } = yield* EmbeddedCluster
  const queues = Map.groupBy(yield* messages("orders"), ({ queueId }) => queueId)
  for (const [queueId, list] of queues) {
    const bodies = list.map(({ body }) => new TextDecoder().decode(body))
    yield* Console.log(`queue ${queueId}: ${bodies.join(", ")}`)
  }
})

const Producer = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) => DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr }))
)

await Effect.runPromise(
  program.pipe(
    Effect.provide(
      Producer.pipe(Layer.provide(MQClientManager.layerTcp), Layer.provideMerge(EmbeddedCluster.layerTcp()))
    )
  )
)
