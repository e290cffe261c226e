// A reminder in three days that is recalled, and one that is not: in the time that it takes to turn a test's clock.
import { Console, Effect, Layer } from "effect"
import { TestClock } from "effect/testing"
import { DefaultMQProducer, Message, MessageDelay, MQClientManager } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const reminder = (body: string) => Message.make({ topic: "reminders", body, delay: MessageDelay.by("2 days") })

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer
  const cluster = yield* EmbeddedCluster
  yield* producer.send(reminder("pay your order"))
  const { recallHandle = "" } = yield* producer.send(reminder("your order is late"))
  yield* Console.log(`${(yield* cluster.delayedMessages).length} wait`)

  const msgId = yield* producer.recallMessage("reminders", recallHandle)
  yield* Console.log(`recalled ${msgId}`)

  yield* TestClock.adjust("3 days")
  const delivered = yield* cluster.messages("reminders")
  yield* Console.log(`delivered: ${delivered.map(({ body }) => new TextDecoder().decode(body)).join(", ")}`)
})

const Cluster = EmbeddedCluster.layerMemory({
  brokers: [{ name: "broker-a", config: { recallMessageEnable: true } }]
})
// The timers of the client would wake up every 30 seconds of these days.
const day = 86_400_000
const Producer = DefaultMQProducer.layer({
  producerGroup: "reminders-pg",
  namesrvAddr: "127.0.0.1:9876",
  pollNameServerInterval: day,
  heartbeatBrokerInterval: day
})

await Effect.runPromise(
  program.pipe(
    Effect.provide(Producer.pipe(Layer.provide(MQClientManager.layer), Layer.provideMerge(Cluster))),
    Effect.provide(TestClock.layer()),
    Effect.scoped
  )
)
