// A producer whose options come from the environment, and what is said when they cannot be used.
import { ConfigProvider, Console, Effect, Layer } from "effect"
import { DefaultMQProducer, MQClientManager, type StartError } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const program = Effect.gen(function* () {
  const producer = yield* DefaultMQProducer
  yield* Console.log(`${producer.producerGroup} is ${yield* producer.serviceState}`)
})

// An application leaves this out: the environment of the process is the default.
const withEnvironment = (env: Record<string, string>) =>
  Effect.provide(
    DefaultMQProducer.layerConfig().pipe(
      Layer.provide(MQClientManager.layerTcp),
      Layer.provide(ConfigProvider.layer(ConfigProvider.fromEnvRecord(env)))
    )
  )

const explain = (error: StartError) =>
  error.reason._tag === "InvalidConfig"
    ? Effect.forEach(error.reason.problems, ({ path, problem }) => Console.log(`${path}: ${problem}`), {
        discard: true
      })
    : Console.log(error.message)

await Effect.runPromise(
  Effect.gen(function* () {
    const { namesrvAddr } = yield* EmbeddedCluster
    yield* withEnvironment({
      NAMESRV_ADDR: namesrvAddr,
      ROCKETMQ_PRODUCER_GROUP: "orders-pg",
      ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT: "5 seconds"
    })(program)
    yield* withEnvironment({
      NAMESRV_ADDR: "nonsense",
      ROCKETMQ_PRODUCER_GROUP: "not good",
      ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT: "soon"
    })(program).pipe(Effect.catch(explain))
  }).pipe(Effect.provide(EmbeddedCluster.layerTcp()))
)
