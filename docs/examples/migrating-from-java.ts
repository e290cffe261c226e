// A Java program line by line: start, a send, a send to a queue by key, a one-way send, shutdown.
import { Console, Effect, Layer } from "effect"
import { DefaultMQProducer, Message, MQClientManager } from "effect-rocketmq"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const program = Effect.gen(function* () {
  const { namesrvAddr } = yield* EmbeddedCluster
  // DefaultMQProducer producer = new DefaultMQProducer("orders-pg"); producer.setNamesrvAddr(...);
  const producer = yield* DefaultMQProducer.make({
    producerGroup: "orders-pg",
    namesrvAddr,
    retryTimesWhenSendFailed: 3
  })
  // producer.start();
  yield* producer.start
  // SendResult result = producer.send(new Message("orders", "created", "order-7", body));
  const result = yield* producer.send(
    Message.make({ topic: "orders", tags: "created", keys: "order-7", body: "coffee" })
  )
  yield* Console.log(`${result.status} ${result.queue.brokerName}:${result.queue.queueId}`)
  // producer.send(message, new SelectMessageQueueByHash(), "customer-3");
  yield* producer.send(Message.make({ topic: "orders", body: "tea" }), { orderingKey: "customer-3" })
  // producer.sendOneway(message);
  yield* producer.sendOneway(Message.make({ topic: "orders", body: "cake" }))
  // producer.shutdown();
  yield* producer.shutdown
  yield* Console.log(yield* producer.serviceState)
})

await Effect.runPromise(
  program.pipe(Effect.provide(MQClientManager.layerTcp.pipe(Layer.provideMerge(EmbeddedCluster.layerTcp()))))
)
