// A consumer that is asked for messages: it polls, goes back, and commits what is done, on an embedded cluster over TCP.
import { Console, Effect, Layer } from "effect"
import { DefaultLitePullConsumer, DefaultMQProducer, Message, MQClientManager, Subscription } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const text = new TextDecoder()

const Services = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) =>
    Layer.merge(
      DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr }),
      DefaultLitePullConsumer.layer({
        consumerGroup: "reports",
        subscriptions: [Subscription.all("orders")],
        consumeFromWhere: "first",
        autoCommit: false,
        namesrvAddr
      })
    )
  )
)

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer
  const consumer = yield* DefaultLitePullConsumer
  const [queue] = yield* consumer.assignment
  if (queue === undefined) return yield* Effect.die(new Error("no queue"))
  for (const body of ["order-7", "order-8", "order-9"]) {
    yield* producer.send(Message.make({ topic: "orders", body }), { queue })
  }
  const poll = Effect.map(consumer.poll({ max: 3 }), (messages) => messages.map(({ body }) => text.decode(body)))
  yield* Console.log(`polled ${(yield* poll).join(", ")}`)
  yield* consumer.seek(queue, 1)
  yield* Console.log(`again from offset 1: ${(yield* poll).join(", ")}`)
  yield* consumer.commit()
  return yield* Console.log(`committed ${yield* consumer.committed(queue)}`)
})

await Effect.runPromise(
  program.pipe(
    Effect.provide(
      Services.pipe(
        Layer.provide(MQClientManager.layerTcp),
        Layer.provide(EmbeddedCluster.layerTcp({ topics: { orders: { writeQueueNums: 1, readQueueNums: 1 } } }))
      )
    )
  )
)
