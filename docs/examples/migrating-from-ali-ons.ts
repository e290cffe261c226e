// What a program with ali-ons does, with this package: promises, an ordered message, a delayed one, and an end of the
// process by itself. On an embedded cluster over TCP; with a cluster of your own, only the address changes.
import { ManagedRuntime } from "effect"
import { DefaultMQProducer, MessageDelay, SendError } from "effect-rocketmq/promise"
import { EmbeddedCluster } from "effect-rocketmq/testing"

const cluster = ManagedRuntime.make(EmbeddedCluster.layerTcp({ topics: { orders: {} } }))
const { namesrvAddr } = await cluster.runPromise(EmbeddedCluster)

const print = (text: string) => process.stdout.write(`${text}\n`)

{
  // new Producer({ nameSrv, producerGroup, ... }); await producer.ready()
  await using producer = await DefaultMQProducer.start({
    namesrvAddr,
    producerGroup: "orders-pg",
    // The keys of a queue stay where ali-ons puts them, while both run side by side.
    orderingHash: "ali-ons",
    retryTimesWhenSendFailed: 3
  })

  // const msg = new Message("orders", "created", "hello"); msg.keys = ["order-7"]; await producer.send(msg)
  const result = await producer.send({ topic: "orders", tags: "created", body: "hello", keys: "order-7" })
  print(`${result.status} ${result.msgId.length === 32 || result.msgId.length === 56}`)

  // msg.shardingKey = "order-7"; await producer.send(msg)
  const [a, b] = [
    await producer.send({ topic: "orders", body: "1" }, { orderingKey: "order-7" }),
    await producer.send({ topic: "orders", body: "2" }, { orderingKey: "order-7" })
  ]
  print(`one queue: ${a.queue.queueId === b.queue.queueId}`)

  // msg.setStartDeliverTime(Date.now() + 60_000)
  await producer.send({ topic: "orders", body: "later", delay: MessageDelay.by("1 minute") })

  // catch (err) { if (err.name === "MQClientException") ... }
  const failed = await producer.send({ topic: "no good", body: "x" }).catch((error: unknown) => error)
  if (failed instanceof SendError) print(`${failed.reason._tag}, ${failed.outcome}`)
}

await cluster.dispose()
