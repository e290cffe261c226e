// A thousand messages: as batches, as a stream, and as sends that leave together by themselves.
import { Console, Effect, Layer, Stream } from "effect"
import { DefaultMQProducer, Message, MessageBatch, MQClientManager } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const messages = Array.from({ length: 1000 }, (_, n) =>
  Message.make({ topic: "orders", body: `order ${n}`, keys: `${n}` })
)

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer

  const { batches } = MessageBatch.split(messages, 32_768)
  const sent = yield* Effect.forEach(batches, (batch) => producer.sendBatch(batch))
  yield* Console.log(`${sent.flatMap(({ results }) => results).length} messages in ${sent.length} batches`)

  const stored = yield* Stream.run(Stream.fromIterable(messages), producer.sink)
  yield* Console.log(`${stored} messages through the sink`)

  const before = (yield* producer.state).counters.sends
  yield* Effect.forEach(messages, (message) => producer.send(message), { concurrency: "unbounded" })
  const { counters } = yield* producer.state
  yield* Console.log(`1000 sends at once left as ${counters.sends - before}`)
})

const Producer = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) =>
    DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr, autoBatch: true })
  )
)

await Effect.runPromise(
  program.pipe(
    Effect.provide(Producer.pipe(Layer.provide(MQClientManager.layerTcp), Layer.provide(EmbeddedCluster.layerTcp())))
  )
)
