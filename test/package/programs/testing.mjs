import { Effect, Layer } from "effect"
import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const Producer = DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr: "127.0.0.1:9876" })

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer
  yield* producer.send(Message.make({ topic: "orders", body: "7" }))
  const cluster = yield* EmbeddedCluster
  const stored = yield* cluster.messages("orders")
  process.stdout.write(`stored ${stored.length}\n`)
})

Effect.runFork(
  program.pipe(
    Effect.provide(
      Producer.pipe(Layer.provide(MQClientManager.layer), Layer.provideMerge(EmbeddedCluster.layerMemory()))
    )
  )
)
