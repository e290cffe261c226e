import { Effect, Layer } from "effect"
import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"

const Producer = DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr: process.argv[2] })

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer
  const { status } = yield* producer.send(Message.make({ topic: "orders", body: "7" }))
  process.stdout.write(`${status}\n`)
})

Effect.runFork(program.pipe(Effect.provide(Producer.pipe(Layer.provide(MQClientManager.layerTcp)))))
