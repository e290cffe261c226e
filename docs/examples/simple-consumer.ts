// A consumer that says of each message what became of it: acknowledged, extended, or left to come again; on an embedded cluster.
import { Console, Effect, Layer } from "effect"
import { DefaultMQProducer, Message, MQClientManager, SimpleConsumer, Subscription } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const text = new TextDecoder()

const Services = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) =>
    Layer.merge(
      DefaultMQProducer.layer({ producerGroup: "images-pg", namesrvAddr }),
      SimpleConsumer.layer({
        consumerGroup: "thumbnails",
        subscriptions: [Subscription.all("images")],
        consumeFromWhere: "first",
        namesrvAddr
      })
    )
  )
)

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer
  const consumer = yield* SimpleConsumer
  for (const body of ["cat.png", "dog.png"]) yield* producer.send(Message.make({ topic: "images", body }))
  const first = yield* consumer.receive({ max: 1, invisible: "2 seconds" })
  const second = yield* consumer.receive({ max: 1, invisible: "30 seconds" })
  // Longer than its invisible time, and one delivery all the same.
  for (const { message, process } of first) {
    const outcome = yield* process(Effect.sleep("3 seconds"))
    yield* Console.log(`${text.decode(message.body)}: ${outcome._tag}`)
  }
  for (const { ack, extend, message } of second) {
    const name = text.decode(message.body)
    yield* Console.log(`${name}: ${(yield* extend("10 seconds"))._tag}, ${(yield* ack)._tag}, ${(yield* ack)._tag}`)
  }
})

await Effect.runPromise(
  program.pipe(
    Effect.provide(
      Services.pipe(
        Layer.provide(MQClientManager.layerTcp),
        Layer.provide(EmbeddedCluster.layerTcp({ topics: { images: { writeQueueNums: 1, readQueueNums: 1 } } }))
      )
    )
  )
)
