import { Message } from "effect-rocketmq"

const message = Message.make({ topic: "orders", body: "7", keys: "7" })
process.stdout.write(`${message.topic} ${message.body.length}\n`)
