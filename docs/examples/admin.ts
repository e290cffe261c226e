// What an administrator can do: topics, groups, offsets, single messages. On an embedded cluster over TCP; with a cluster
// of your own, only the address changes.
import { Console, Effect, Layer } from "effect"
import { DefaultMQProducer, Message, MQAdmin, MQClientManager } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const program = Effect.gen(function* () {
  const admin = yield* MQAdmin
  const producer = yield* DefaultMQProducer

  const { brokers } = yield* admin.createTopic({ topic: "orders", readQueueNums: 2 })
  yield* Console.log(`orders on ${brokers.map(({ brokerName }) => brokerName).join(", ")}`)
  const sent = yield* producer.send(Message.make({ topic: "orders", body: "7", keys: "order-7" }))

  const stats = yield* admin.examineTopicStats("orders")
  yield* Console.log(stats.map(({ maxOffset, queue }) => `queue ${queue.queueId}: ${maxOffset}`).join(", "))

  const byKey = yield* admin.queryMessageByKey("orders", "order-7")
  const byId = yield* admin.queryMessageById("orders", sent.msgId)
  yield* Console.log(`found ${byKey.length} by key, and ${new TextDecoder().decode(byId.body)} by id`)

  yield* admin.createSubscriptionGroup({ groupName: "invoices" })
  yield* admin.resetOffsetByTimestamp({ group: "invoices", topic: "orders", to: "latest" })
  const { lag } = yield* admin.examineConsumeStats("invoices", "orders")
  yield* Console.log(`invoices is ${lag} messages behind`)
})

const Clients = Layer.unwrap(
  Effect.map(EmbeddedCluster, ({ namesrvAddr }) =>
    Layer.mergeAll(MQAdmin.layer({ namesrvAddr }), DefaultMQProducer.layer({ producerGroup: "orders-pg", namesrvAddr }))
  )
)

await Effect.runPromise(
  program.pipe(
    Effect.provide(Clients.pipe(Layer.provide(MQClientManager.layerTcp), Layer.provide(EmbeddedCluster.layerTcp())))
  )
)
