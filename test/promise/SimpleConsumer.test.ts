import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { DefaultMQProducer, Message, SimpleConsumer, Subscription } from "../../src/promise/index.ts"

const text = ({ message }: { readonly message: { readonly body: Uint8Array } }) =>
  new TextDecoder().decode(message.body)

describe("SimpleConsumer for code without Effect", () => {
  it.live("receives, acknowledges, extends and runs handlers", () =>
    Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) =>
      Effect.promise(async () => {
        await using producer = await DefaultMQProducer.start({ producerGroup: "pg", namesrvAddr })
        for (const body of ["6", "7", "8"]) await producer.send(Message.make({ topic: "images", body }))
        const consumer = await SimpleConsumer.start({
          consumerGroup: "thumbnails",
          subscriptions: [Subscription.all("images")],
          consumeFromWhere: "first",
          namesrvAddr
        })
        const [first, second, third] = await consumer.receive()
        assert(first !== undefined && second !== undefined && third !== undefined)
        assert.deepStrictEqual([first, second, third].map(text), ["6", "7", "8"])
        assert.isAbove(await first.expiresAt(), Date.now() + 50_000)
        assert.strictEqual((await first.extend("10 seconds"))._tag, "Extended")
        assert.strictEqual((await first.ack())._tag, "Acked")
        assert.strictEqual((await second.process(async (message) => text({ message })))._tag, "Acked")
        const thrown = new Error("no")
        const rejected: unknown = await third
          .process(async () => {
            throw thrown
          })
          .catch((error: unknown) => error)
        assert.strictEqual(rejected, thrown)
        assert.deepInclude((await consumer.state()).counters, { received: 3, acked: 2, extended: 1 })
        const waiting = consumer.receive({ wait: "1 minute" })
        await consumer.shutdown()
        assert.deepStrictEqual(await waiting, [])
        const refused: unknown = await consumer.receive().catch((error: unknown) => error)
        assert.propertyVal(refused, "_tag", "ReceiveError")
      })
    ).pipe(Effect.provide(EmbeddedCluster.layerTcp({ topics: { images: { writeQueueNums: 1, readQueueNums: 1 } } })))
  )
})
