// Messages that are seen if, and only if, the order is in the database: committed, rolled back, and decided by a check
// after a crash. On an embedded cluster over TCP; with a cluster of your own, only the address changes.
import { Console, Data, Effect, Layer, Schedule } from "effect"
import { LocalTransactionState, Message, MQClientManager, TransactionMQProducer } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

class OutOfStock extends Data.TaggedError("OutOfStock")<{ readonly item: string }> {}

// What a database would be. The message's key is the order's id, by which the check finds it.
const database = new Map<string, string>()

const insertOrder = (id: string, item: string) =>
  Effect.gen(function* () {
    if (item === "tea") return yield* new OutOfStock({ item })
    database.set(id, item)
    if (item === "cake") return yield* Effect.die("the process crashed after the COMMIT")
    return id
  })

const placeOrder = Effect.fn("placeOrder")(function* (id: string, item: string) {
  const producer = yield* TransactionMQProducer
  return yield* producer.transaction(Message.make({ topic: "orders", body: item, keys: id }), insertOrder(id, item))
})

const Producer = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) =>
    TransactionMQProducer.layer({
      producerGroup: "orders-pg",
      namesrvAddr,
      // The brokers of these topics know the producer when it has started: they may ask about an earlier run.
      topics: ["orders"],
      checkLocalTransaction: (message) =>
        Effect.sync(() =>
          database.has(message.keys[0] ?? "")
            ? LocalTransactionState.COMMIT_MESSAGE
            : LocalTransactionState.ROLLBACK_MESSAGE
        )
    })
  )
)

const program = Effect.gen(function* () {
  const committed = yield* placeOrder("order-1", "coffee")
  yield* Console.log(`order-1: ${committed.localTransactionState}`)

  yield* placeOrder("order-2", "tea").pipe(
    Effect.catchTag("OutOfStock", ({ item }) => Console.log(`order-2: rolled back, no ${item}`))
  )

  const crashed = yield* Effect.exit(placeOrder("order-3", "cake"))
  yield* Console.log(`order-3: ${crashed._tag}, the broker will ask`)
  const { messages } = yield* EmbeddedCluster
  const seen = yield* Effect.repeat(messages("orders"), {
    until: (found) => found.length === 2,
    schedule: Schedule.spaced("20 millis")
  })
  yield* Console.log(`consumers see: ${seen.flatMap((message) => message.keys).join(", ")}`)
})

// A real broker asks after 6 seconds, in rounds of 30.
const broker = { name: "broker-a", config: { transactionTimeOut: 500, transactionCheckInterval: 1_000 } }
const Cluster = EmbeddedCluster.layerTcp({ brokers: [broker], topics: { orders: {} } })

await Effect.runPromise(
  program.pipe(Effect.provide(Producer.pipe(Layer.provide(MQClientManager.layerTcp), Layer.provideMerge(Cluster))))
)
