// The producer and a consumer without Effect: promises, `await using`, AbortSignal. The embedded cluster runs in a process of its own
// here, as your cluster does; with yours, only the address changes.
import { spawn } from "node:child_process"
import { once } from "node:events"
import * as readline from "node:readline"
import { fileURLToPath } from "node:url"
import { DefaultMQProducer, messages, SendError, Subscription } from "effect-rocketmq/promise"

const bin = fileURLToPath(new URL("../../src/cli/bin.ts", import.meta.url))
const dev = spawn(process.execPath, [bin, "dev", "--port", "0", "--json"], { stdio: ["ignore", "pipe", "inherit"] })
const [line] = await once(readline.createInterface({ input: dev.stdout }), "line")
const { namesrvAddr } = JSON.parse(String(line))

const print = (text: string) => process.stdout.write(`${text}\n`)

{
  await using producer = await DefaultMQProducer.start({ producerGroup: "orders-pg", namesrvAddr })

  const result = await producer.send({ topic: "orders", body: JSON.stringify({ id: 7 }), keys: "order-7" })
  print(`${result.status} at ${result.queue.brokerName}:${result.queue.queueId}`)

  // At most a second, whatever happens on the way.
  await producer.send({ topic: "orders", body: "8" }, { signal: AbortSignal.timeout(1_000) })

  // A hundred messages, 16 at once, in order.
  const many = Array.from({ length: 100 }, (_, n) => ({ topic: "orders", body: `${n}` }))
  let stored = 0
  for await (const { status } of producer.sendAll(many, { concurrency: 16 })) if (status === "SEND_OK") stored++
  print(`${stored} of ${many.length} stored`)

  try {
    await producer.send({ topic: "not good", body: "9" })
  } catch (error) {
    if (!(error instanceof SendError)) throw error
    print(`${error.reason._tag}: ${error.outcome}`)
  }
}

// Leaving the loop ends the consumer.
let read = 0
for await (const { ack } of messages({
  consumerGroup: "billing",
  subscriptions: [Subscription.all("orders")],
  consumeFromWhere: "first",
  namesrvAddr
})) {
  await ack()
  if (++read === 102) break
}
print(`${read} read`)

dev.kill()
