// Java's shape: an object with start and shutdown, and what the Java producer does with it. On an embedded cluster over
// TCP; with a cluster of your own, only the address changes.
import { Console, Effect, Fiber } from "effect"
import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const program = Effect.gen(function* () {
  const { namesrvAddr } = yield* EmbeddedCluster

  // DefaultMQProducer producer = new DefaultMQProducer("orders-pg"); producer.setNamesrvAddr(...); producer.start();
  const producer = yield* DefaultMQProducer.make({ producerGroup: "orders-pg", namesrvAddr, sendMsgTimeout: 5_000 })
  yield* producer.start

  // producer.send(new Message("orders", "created", "order-7", body))
  const message = Message.make({ topic: "orders", tags: "created", keys: "order-7", body: "hello" })
  const { status } = yield* producer.send(message)
  yield* Console.log(status)

  // producer.send(message, new SelectMessageQueueByHash(), "order-7")
  yield* producer.send(message, { orderingKey: "order-7" })

  // producer.sendOneway(message)
  yield* producer.sendOneway(message)

  // producer.send(message, sendCallback)
  const sending = yield* Effect.forkChild(producer.send(message))
  yield* Console.log(`later: ${(yield* Fiber.join(sending)).status}`)

  // catch (MQClientException | RemotingException | MQBrokerException e)
  yield* producer
    .send(Message.make({ topic: "not good", body: "x" }))
    .pipe(
      Effect.catchTag("SendError", ({ attempts, outcome, reason }) =>
        Console.log(`${reason._tag}, ${outcome}, ${attempts.length} attempts`)
      )
    )

  // producer.shutdown()
  yield* producer.shutdown
  yield* Console.log(yield* producer.serviceState)
})

await Effect.runPromise(
  program.pipe(Effect.provide(MQClientManager.layerTcp), Effect.provide(EmbeddedCluster.layerTcp()))
)
