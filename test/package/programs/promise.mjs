import { DefaultMQProducer, messages, Subscription } from "effect-rocketmq/promise"

const namesrvAddr = process.argv[2]
const producer = await DefaultMQProducer.start({ producerGroup: "orders-pg", namesrvAddr })
await producer.send({ topic: "orders", body: "7" })
await producer.shutdown()
for await (const { message, ack } of messages({
  consumerGroup: "billing",
  subscriptions: [Subscription.all("orders")],
  consumeFromWhere: "first",
  namesrvAddr
})) {
  await ack()
  process.stdout.write(`consumed ${Buffer.from(message.body).toString()}\n`)
  break
}
