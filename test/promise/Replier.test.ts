import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { ManagedRuntime } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import {
  ConsumeResult,
  DefaultMQProducer,
  DefaultMQPushConsumer,
  IllegalServiceState,
  NotARequest,
  type PlainHandler,
  Replier,
  SendError,
  Subscription
} from "../../src/promise/index.ts"

let cluster: Awaited<ReturnType<typeof startCluster>>

const startCluster = async () => {
  const runtime = ManagedRuntime.make(EmbeddedCluster.layerTcp({ topics: { orders: { writeQueueNums: 1 } } }))
  const service = await runtime.runPromise(EmbeddedCluster)
  return { ...service, dispose: () => runtime.dispose() }
}
const producer = () => DefaultMQProducer.start({ producerGroup: "askers", namesrvAddr: cluster.namesrvAddr })
const consumer = (handler: PlainHandler) =>
  DefaultMQPushConsumer.start(
    { consumerGroup: "repliers", subscriptions: [Subscription.all("orders")], namesrvAddr: cluster.namesrvAddr },
    handler
  )
const text = ({ body }: { readonly body: Uint8Array }) => new TextDecoder().decode(body)

const lost = {
  topic: "orders",
  msgId: undefined,
  outcome: "not-sent",
  attempts: [],
  reason: new IllegalServiceState({
    subject: "producer askers",
    action: "send",
    expected: "RUNNING",
    actual: "SHUTDOWN_ALREADY"
  })
} as const
const unknown = { topic: "orders", msgId: "0", missing: [] }

beforeEach(async () => {
  cluster = await startCluster()
})
afterEach(() => cluster.dispose())

describe("a promise whose value is the reply", () => {
  it("answers; a message that is no request is handled otherwise", async () => {
    await using asker = await producer()
    const others: Array<string> = []
    await using member = await consumer(
      Replier.handler(asker, async (request) => `re: ${text(request)}`, {
        otherwise: (message) => {
          others.push(text(message))
        }
      })
    )
    assert.strictEqual(text(await asker.request({ topic: "orders", body: "?" }, 5_000)), "re: ?")
    await asker.send({ topic: "orders", body: "no request" })
    await member.caughtUp()
    assert.deepStrictEqual(others, ["no request"])
    assert.strictEqual((await member.state()).counters.succeeded, 2)
  })

  it("one that is rejected lets its request come again; a reply that cannot be sent is what the option says", async () => {
    await using asker = await producer()
    const broken = new Error("broken")
    const failing = Replier.handler(asker, () => Promise.reject(broken))
    const errors: Array<string> = []
    const silent = { reply: () => Promise.reject(new SendError({ ...lost })) }
    const told = Replier.handler(silent, () => "x", {
      onReplyError: (error) => {
        errors.push(error._tag)
        return ConsumeResult.deadLetter("lost")
      }
    })
    const forgotten = Replier.handler({ reply: () => Promise.reject(new NotARequest(unknown)) }, () => "x")
    const outcomes: Array<unknown> = []
    await using member = await consumer(async (message, signal) => {
      outcomes.push(await Promise.resolve(failing(message, signal)).catch((error: unknown) => error))
      outcomes.push(await told(message, signal))
      outcomes.push(await forgotten(message, signal))
    })
    await asker.request({ topic: "orders", body: "?" }, 300).catch(() => undefined)
    await member.caughtUp()
    assert.deepStrictEqual(outcomes, [broken, ConsumeResult.deadLetter("lost"), ConsumeResult.success])
    assert.deepStrictEqual(errors, ["SendError"])
  })
})
