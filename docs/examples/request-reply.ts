// A request that waits for its reply, and what replies to it, on an embedded cluster over TCP. With a cluster of your own
// only the address changes, and a consumer, in whichever language, hands you the requests.
import { Console, Effect, Layer, Schedule } from "effect"
import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
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

// The side that answers: reads the first request of the topic, and replies to it.
const answerOne = Effect.gen(function* () {
  const { messages } = yield* EmbeddedCluster
  const producer = yield* DefaultMQProducer
  const request = yield* messages("prices").pipe(
    Effect.flatMap(([first]) => Effect.fromNullishOr(first)),
    Effect.retry(Schedule.spaced("20 millis"))
  )
  yield* producer.reply(request, `${new TextDecoder().decode(request.body)}: 3.20`)
})

const program = Effect.gen(function* () {
  const [price] = yield* Effect.all([priceOf("coffee"), answerOne], { concurrency: "unbounded" })
  yield* Console.log(price)

  // Nobody answers any more.
  yield* priceOf("tea").pipe(
    Effect.catchTag("RequestReplyTimeout", (error) => Console.log(`no reply within ${error.timeoutMillis} ms`))
  )
})

const Cluster = EmbeddedCluster.layerTcp({ topics: { prices: {} } })

await Effect.runPromise(
  program.pipe(Effect.provide(Producer.pipe(Layer.provide(MQClientManager.layerTcp), Layer.provideMerge(Cluster))))
)
