// What a program with ali-ons does, without Effect: a producer, a send, ordered by sharding key, close.
import { DefaultMQProducer } from "effect-rocketmq/promise"
import { EmbeddedCluster } from "effect-rocketmq/testing"
import { Effect } from "effect"

const send = async (namesrvAddr: string) => {
  // const producer = new Producer({ httpclient, nameSrv, producerGroup }); await producer.ready();
  await using producer = await DefaultMQProducer.start({ producerGroup: "orders-pg", namesrvAddr })
  // await producer.send(new Message("orders", "created", "coffee"));
  const result = await producer.send({ topic: "orders", tags: "created", body: "coffee" })
  process.stdout.write(`${result.status}: ${result.msgId}\n`)
  // await producer.send(message, "customer-3");
  await producer.send({ topic: "orders", body: "tea" }, { orderingKey: "customer-3" })
  // await producer.close(); `await using` does it
}

await Effect.runPromise(
  Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) => Effect.promise(() => send(namesrvAddr))).pipe(
    Effect.provide(EmbeddedCluster.layerTcp())
  )
)
