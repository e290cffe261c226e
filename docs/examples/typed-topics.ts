// Orders as values: written by a schema, read back by it, and refused when they do not fit.
import { Console, Effect, Layer, Schema } from "effect"
import { DefaultMQProducer, MQClientManager, Topic } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const Order = Schema.Struct({
  id: Schema.String,
  total: Schema.Number.check(Schema.isGreaterThan(0)),
  placed: Schema.Date
})
const orders = Topic.make("orders", { schema: Order, key: (order) => order.id })

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer
  const { messages } = yield* EmbeddedCluster
  yield* producer.sendTo(orders, { id: "order-7", total: 12.5, placed: new Date(0) })

  for (const message of yield* messages("orders")) {
    const order = yield* orders.decode(message)
    yield* Console.log(`${order.id}: ${order.total}, placed ${order.placed.toISOString()}`)
  }

  yield* producer.sendTo(orders, { id: "order-8", total: -1, placed: new Date(0) }).pipe(
    Effect.asVoid,
    Effect.catchReason("SendError", "TopicEncodeError", (reason) => Console.log(reason.message))
  )
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
