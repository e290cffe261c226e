import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { ManagedRuntime } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import {
  CommitFailed,
  DefaultLitePullConsumer,
  DefaultMQProducer,
  Message,
  MessageQueue,
  type PlainLitePullOptions,
  SeekRefused,
  Subscription,
  SubscriptionConflict
} from "../../src/promise/index.ts"

let cluster: Awaited<ReturnType<typeof startCluster>>

const startCluster = async () => {
  const runtime = ManagedRuntime.make(
    EmbeddedCluster.layerTcp({ topics: { orders: { writeQueueNums: 1, readQueueNums: 1 } } })
  )
  const { namesrvAddr } = await runtime.runPromise(EmbeddedCluster)
  return { namesrvAddr, dispose: () => runtime.dispose() }
}

beforeEach(async () => {
  cluster = await startCluster()
})

afterEach(() => cluster.dispose())

const queue = MessageQueue.make("orders", "broker-a", 0)

const start = (options: Partial<PlainLitePullOptions> = {}) =>
  DefaultLitePullConsumer.start({
    consumerGroup: "reports",
    consumeFromWhere: "first",
    namesrvAddr: cluster.namesrvAddr,
    ...options
  })

const send = async (...bodies: ReadonlyArray<string>) => {
  await using producer = await DefaultMQProducer.start({ producerGroup: "pg", namesrvAddr: cluster.namesrvAddr })
  for (const body of bodies) await producer.send(Message.make({ topic: "orders", body }))
}

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => assert.fail("it was fulfilled"),
    (error: unknown) => error
  )

const text = ({ body }: { readonly body: Uint8Array }) => new TextDecoder().decode(body)

describe("the lite pull consumer for code without Effect", () => {
  it("polls, seeks, commits, and goes on where it committed", async () => {
    await send("0", "1", "2")
    {
      await using consumer = await start({ subscriptions: [Subscription.all("orders")], autoCommit: false })
      assert.deepStrictEqual((await consumer.poll({ max: 2 })).map(text), ["0", "1"])
      await consumer.seek(queue, 1)
      assert.deepStrictEqual((await consumer.poll({ max: 1 })).map(text), ["1"])
      await consumer.commit()
      assert.strictEqual(await consumer.committed(queue), 2)
      assert.strictEqual(await consumer.position(queue), 2)
      assert.instanceOf(await rejection(consumer.seek(queue, 9)), SeekRefused)
      assert.instanceOf(await rejection(consumer.commit(new Map([[queue, -1]]))), CommitFailed)
      assert.instanceOf(await rejection(consumer.assign([queue])), SubscriptionConflict)
    }
    await using consumer = await start()
    await consumer.assign(await consumer.queues("orders"))
    assert.deepStrictEqual((await consumer.poll()).map(text), ["2"])
  })

  it("a poll that is aborted has taken nothing, and one that waits at the shutdown gives nothing", async () => {
    await using consumer = await start({ subscriptions: [Subscription.all("orders")] })
    const abort = new AbortController()
    const aborted = rejection(consumer.poll({ signal: abort.signal }))
    abort.abort(new Error("enough"))
    assert.deepInclude(await aborted, { message: "enough" })
    await send("0")
    assert.deepStrictEqual((await consumer.poll()).map(text), ["0"])
    const waiting = consumer.poll({ timeout: "1 minute" })
    await consumer.shutdown()
    assert.deepStrictEqual(await waiting, [])
  })
})
