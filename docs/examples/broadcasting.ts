// Every process gets every message: two members of a group that broadcasts, each with offsets in a file of its own, on an embedded
// cluster over TCP. The second is down for a while, and goes on where it was.
import * as NodeServices from "@effect/platform-node/NodeServices"
import { Console, Effect, FileSystem, Layer } from "effect"
import {
  DefaultMQProducer,
  DefaultMQPushConsumer,
  LocalOffsetStore,
  Message,
  MQClientManager,
  Subscription
} from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const text = new TextDecoder()

/** A member with what it knows; `identity` is the name of the host or pod, the same after a restart. */
const prices = (identity: string, directory: string, known: Map<string, string>) =>
  Layer.unwrap(
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const offsetStore = yield* LocalOffsetStore.file({ directory, identity })
      return DefaultMQPushConsumer.layer(
        {
          consumerGroup: "prices",
          messageModel: "BROADCASTING",
          subscriptions: [Subscription.all("prices")],
          offsetStore,
          namesrvAddr,
          // Two clients in one process.
          instanceName: identity
        },
        (message) => Effect.sync(() => void known.set(message.keys.join(), text.decode(message.body)))
      )
    })
  )

/** Runs a member until it has read what there is. */
const read = (identity: string, directory: string) =>
  Effect.gen(function* () {
    const known = new Map<string, string>()
    return yield* Effect.gen(function* () {
      const consumer = yield* DefaultMQPushConsumer
      yield* consumer.caughtUp()
      yield* Console.log(`${identity} has read ${JSON.stringify(Object.fromEntries(known))}`)
    }).pipe(Effect.provide(prices(identity, directory, known)))
  })

const program = Effect.gen(function* () {
  const fs = yield* FileSystem.FileSystem
  const directory = yield* fs.makeTempDirectoryScoped({ prefix: "offsets-" })
  const producer = yield* DefaultMQProducer
  const price = (keys: string, body: string) => producer.send(Message.make({ topic: "prices", keys, body }))
  // New members begin at the end (`consumeFromWhere`), and note where that is.
  yield* read("node-1", directory)
  yield* read("node-2", directory)
  yield* price("apple", "3.10")
  yield* read("node-1", directory)
  yield* price("pear", "4.20")
  yield* read("node-1", directory)
  yield* read("node-2", directory)
})

const Services = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) => DefaultMQProducer.layer({ producerGroup: "prices-pg", namesrvAddr }))
).pipe(
  Layer.provideMerge(MQClientManager.layerTcp),
  Layer.provideMerge(EmbeddedCluster.layerTcp({ topics: { prices: {} } })),
  Layer.provideMerge(NodeServices.layer)
)

await Effect.runPromise(program.pipe(Effect.scoped, Effect.provide(Services)))
