// Access control: a user who may write one topic, a refusal that says why, and a secret that is replaced while the
// producer runs. On an embedded cluster; with brokers of your own only the address changes.
import { Console, Effect, Layer, Redacted, Ref } from "effect"
import { type Credentials, DefaultMQProducer, Message, MQClientManager, SessionCredentials } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const Cluster = EmbeddedCluster.layerTcp({
  topics: { orders: {}, salaries: {} },
  acl: {
    users: [{ accessKey: "shop", secretKey: "second-secret", permissions: { "Topic:orders": ["Pub"] } }]
  }
})

// In a service this would be a vault or a mounted file. It is asked for every request.
const current = Ref.makeUnsafe<Credentials>({ accessKey: "shop", secretKey: Redacted.make("first-secret") })

const Producer = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) => DefaultMQProducer.layer({ producerGroup: "shop-pg", namesrvAddr }))
).pipe(Layer.provide(SessionCredentials.layer(Ref.get(current))))

const send = Effect.fn("send")(
  function* (topic: string) {
    const producer = yield* DefaultMQProducer
    const result = yield* producer.send(Message.make({ topic, body: "7" }))
    yield* Console.log(`${topic}: ${result.status}`)
  },
  (effect) =>
    Effect.catchReason(effect, "SendError", "AccessDenied", ({ problem, remark }) =>
      Console.log(`refused (${problem}): ${remark}`)
    )
)

const program = Effect.gen(function* () {
  yield* send("orders")
  yield* Ref.update(current, (before) => ({ ...before, secretKey: Redacted.make("second-secret") }))
  yield* send("orders")
  yield* send("salaries")
  yield* Console.log("what a log would show:", yield* Ref.get(current))
})

await Effect.runPromise(
  program.pipe(Effect.provide(Producer.pipe(Layer.provide(MQClientManager.layerTcp), Layer.provide(Cluster))))
)
