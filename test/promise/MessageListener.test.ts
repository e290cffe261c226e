/** Kinds of handlers, filters and models through the promise form: each is what the other form has. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, ManagedRuntime, Schema } from "effect"
import { ConsumeMessageHooks, DeadLetterHooks, FilterMessageHooks } from "../../src/index.ts"
import {
  BatchResult,
  ConsumeResult,
  DefaultMQProducer,
  DefaultMQPushConsumer,
  MessageListener,
  messages,
  StartError,
  Subscription,
  Topic
} from "../../src/promise/index.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"

const text = ({ body }: { readonly body: Uint8Array }) => new TextDecoder().decode(body)

/** Runs a test on a cluster on TCP, with a producer that is started. */
const on = async (
  config: Readonly<Record<string, string>>,
  body: (namesrvAddr: string, producer: DefaultMQProducer, cluster: EmbeddedCluster["Service"]) => Promise<void>
) => {
  const runtime = ManagedRuntime.make(
    EmbeddedCluster.layerTcp({
      topics: { orders: { writeQueueNums: 1, readQueueNums: 1 } },
      brokers: [{ name: "broker-a", config }]
    })
  )
  try {
    const cluster = await runtime.runPromise(EmbeddedCluster)
    await using producer = await DefaultMQProducer.start({ producerGroup: "pg", namesrvAddr: cluster.namesrvAddr })
    await body(cluster.namesrvAddr, producer, cluster)
  } finally {
    await runtime.dispose()
  }
}

const group = (namesrvAddr: string, consumerGroup = "billing") => ({
  consumerGroup,
  subscriptions: [Subscription.all("orders")] as const,
  consumeFromWhere: "first" as const,
  namesrvAddr
})

describe("kinds of consumers as promises", () => {
  it("brokers filter by SQL92, for a handler and for a loop; what they refuse is a StartError", async () => {
    await on({ enablePropertyFilter: "true" }, async (namesrvAddr, producer) => {
      for (const price of ["50", "150", "250"])
        await producer.send({ topic: "orders", body: price, properties: { price } })
      const filtered = { subscriptions: [Subscription.sql("orders", "price > 100")] as const }
      const seen: Array<string> = []
      {
        await using consumer = await DefaultMQPushConsumer.start(
          { ...group(namesrvAddr), ...filtered },
          (message) => void seen.push(text(message))
        )
        await consumer.caughtUp()
      }
      assert.deepStrictEqual(seen, ["150", "250"])
      const read: Array<string> = []
      for await (const { ack, message } of messages({ ...group(namesrvAddr, "search"), ...filtered })) {
        read.push(text(message))
        await ack()
        if (read.length === 2) break
      }
      assert.deepStrictEqual(read, ["150", "250"])
      const refused = await DefaultMQPushConsumer.start(
        { ...group(namesrvAddr, "other"), subscriptions: [Subscription.sql("orders", "price >")] },
        () => undefined
      ).catch((error: unknown) => error)
      assert.instanceOf(refused, StartError)
      assert.strictEqual(refused.reason._tag, "FilterRefused")
    })
  })

  it("batches: all, each, up to an index, and a rejection", async () => {
    await on({}, async (namesrvAddr, producer) => {
      for (let n = 0; n < 4; n++) await producer.send({ topic: "orders", body: `${n}` })
      const sizes: Array<number> = []
      await using consumer = await DefaultMQPushConsumer.startBatch(
        { ...group(namesrvAddr), reconsumePolicy: { delay: () => "1 second" } },
        async (batch) => {
          sizes.push(batch.length)
          if (batch.some(({ attempt }) => attempt > 1)) return BatchResult.all(ConsumeResult.success)
          return BatchResult.ackIndex(1)
        },
        { maxSize: 4, within: "200 millis" }
      )
      await consumer.caughtUp({ redeliveries: true })
      assert.strictEqual(sizes[0], 4)
      const { counters } = await consumer.state()
      assert.deepStrictEqual([counters.succeeded, counters.reconsumeLater], [4, 2])
      await using failing = await DefaultMQPushConsumer.startBatch(
        group(namesrvAddr, "failing"),
        () => Promise.reject(new RangeError("no")),
        { maxSize: 4, onFailure: (error) => ConsumeResult.deadLetter(String(error)) }
      )
      await failing.caughtUp()
      assert.strictEqual((await failing.state()).counters.deadLettered, 4)
    })
  })

  it("a typed topic's values; what cannot be read is a dead letter, or what the option says", async () => {
    const orders = Topic.make("orders", { schema: Schema.Struct({ id: Schema.Int }) })
    await on({}, async (namesrvAddr, producer) => {
      await producer.sendTo(orders, { id: 7 })
      await producer.send({ topic: "orders", body: "nonsense" })
      const seen: Array<number> = []
      for (const [name, options, expected] of [
        ["default", {}, 1],
        ["own", { onDecodeError: () => ConsumeResult.success }, 0]
      ] as const) {
        await using consumer = await DefaultMQPushConsumer.start(
          group(namesrvAddr, name),
          MessageListener.decoded(orders, async ({ id }) => void seen.push(id), options)
        )
        await consumer.caughtUp()
        assert.strictEqual((await consumer.state()).counters.deadLettered, expected, name)
      }
      assert.deepStrictEqual(seen, [7, 7])
    })
  })

  it("broadcasting: each of two members gets everything", async () => {
    await on({}, async (namesrvAddr, producer) => {
      await producer.send({ topic: "orders", body: "all" })
      const seen: Array<string> = []
      for (const instanceName of ["one", "two"]) {
        await using consumer = await DefaultMQPushConsumer.start(
          { ...group(namesrvAddr), messageModel: "BROADCASTING", instanceName },
          (message) => void seen.push(`${instanceName} ${text(message)}`)
        )
        await consumer.caughtUp()
      }
      assert.deepStrictEqual(seen, ["one all", "two all"])
    })
  })

  it("hooks come as services", async () => {
    await on({}, async (namesrvAddr, producer) => {
      for (const body of ["kept", "left out"]) await producer.send({ topic: "orders", body })
      const heard: Array<string> = []
      const note = (what: string) => Effect.sync(() => void heard.push(what))
      await using consumer = await DefaultMQPushConsumer.start(
        {
          ...group(namesrvAddr),
          services: Layer.mergeAll(
            Layer.succeed(FilterMessageHooks, [
              {
                hookName: "mine",
                filterMessage: ({ messages: all }) => Effect.succeed(all.filter((message) => text(message) === "kept"))
              }
            ]),
            Layer.succeed(ConsumeMessageHooks, [
              {
                hookName: "audit",
                before: ({ messages: [message] }) => note(`before ${text(message)}`),
                after: (_, { status }) => note(status)
              }
            ]),
            Layer.succeed(DeadLetterHooks, [
              { hookName: "alert", deadLettered: ({ reason }) => note(`dead letter: ${reason}`) }
            ])
          )
        },
        () => ConsumeResult.deadLetter("it is of no use")
      )
      await consumer.caughtUp()
      assert.includeMembers(heard, ["before kept", "dead letter: it is of no use"])
      assert.notInclude(heard.join(), "left out")
    })
  })
})
