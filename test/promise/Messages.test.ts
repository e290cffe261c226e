import { ManagedRuntime } from "effect"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import {
  DefaultMQProducer,
  messagesByQueue,
  type PlainDelivery,
  type PlainStreamOptions,
  type QueueMessages,
  StartError,
  Subscription
} from "../../src/promise/index.ts"

const QUEUES = 2

let cluster: Awaited<ReturnType<typeof startCluster>>
let unhandled: Array<unknown> = []
const onUnhandled = (reason: unknown) => void unhandled.push(reason)

const startCluster = async () => {
  const runtime = ManagedRuntime.make(
    EmbeddedCluster.layerTcp({ topics: { orders: { readQueueNums: QUEUES, writeQueueNums: QUEUES } } })
  )
  const service = await runtime.runPromise(EmbeddedCluster)
  return { ...service, run: runtime.runPromise, dispose: () => runtime.dispose() }
}

beforeEach(async () => {
  unhandled = []
  process.on("unhandledRejection", onUnhandled)
  cluster = await startCluster()
})

afterEach(async () => {
  await cluster.dispose()
  // A rejection is reported when the microtasks of its turn are done.
  await new Promise((resolve) => setImmediate(resolve))
  process.off("unhandledRejection", onUnhandled)
  assert.deepStrictEqual(unhandled, [])
})

const read = (options: Partial<PlainStreamOptions> = {}, signal?: AbortSignal) =>
  messagesByQueue(
    {
      consumerGroup: "search",
      subscriptions: [Subscription.all("orders")],
      namesrvAddr: cluster.namesrvAddr,
      consumeFromWhere: "first",
      ...options
    },
    { signal }
  )

/** Sends to one queue. */
const send = async (queueId: number, ...bodies: ReadonlyArray<string>) => {
  await using producer = await DefaultMQProducer.start({ producerGroup: "pg", namesrvAddr: cluster.namesrvAddr })
  for (const body of bodies) {
    await producer.send({ topic: "orders", body }, { queue: { topic: "orders", brokerName: "broker-a", queueId } })
  }
}

const text = ({ message }: PlainDelivery) => new TextDecoder().decode(message.body)

/** Waits until something holds. */
const until = async (what: string, holds: () => boolean) => {
  for (const end = Date.now() + 30_000; !holds();) {
    if (Date.now() > end) assert.fail(`not within 30 s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}

/** Begins to read every queue of the topic, acknowledging what comes; tells what was seen, and which queues have ended. */
const reading = (queues: AsyncIterable<QueueMessages>) => {
  const seen: Array<Array<string>> = Array.from({ length: QUEUES }, () => [])
  const ended: Array<number> = []
  const begin = async ({ messages, queue }: QueueMessages) => {
    for await (const delivery of messages) {
      seen[queue.queueId]?.push(text(delivery))
      assert.strictEqual(await delivery.ack(), "settled")
    }
    ended.push(queue.queueId)
  }
  const all = async () => {
    const begun: Array<Promise<void>> = []
    for await (const one of queues) if (one.queue.topic === "orders") begun.push(begin(one))
    await Promise.all(begun)
    return "ended"
  }
  return { seen, ended, over: all() }
}

describe("messagesByQueue", () => {
  it("gives each queue a loop of its own, in order; one that nobody reads holds up itself alone", async () => {
    await send(0, "a0", "a1", "a2")
    await send(1, "b0", "b1", "b2")
    const seen: Array<string> = []
    let left: PlainDelivery | undefined
    const queues = read()
    const first = async ({ messages }: QueueMessages) => {
      for await (const delivery of messages) {
        seen.push(text(delivery))
        await delivery.ack()
        if (seen.length === 1) break
      }
      // The next loop reads on where the last one was left.
      for await (const delivery of messages) {
        seen.push(text(delivery))
        if (seen.length === 3) left = delivery
        else await delivery.ack()
      }
      seen.push("end")
    }
    let begun: Promise<void> | undefined
    for await (const one of queues) {
      if (one.queue.topic !== "orders" || one.queue.queueId !== 1) continue
      begun = first(one)
      await until("all are handed out", () => left !== undefined)
      break
    }
    await begun
    assert.deepStrictEqual(seen, ["b0", "b1", "b2", "end"])
    assert.strictEqual(await left?.ack(), "revoked")
    assert.deepStrictEqual(await cluster.run(cluster.clients), [])

    // What was not settled comes again, and what nobody read comes.
    const again = read()
    const rest = reading(again)
    await until("the rest is read", () => rest.seen.flat().length === 4)
    await again.shutdown()
    assert.strictEqual(await rest.over, "ended")
    assert.deepStrictEqual(rest.seen, [["a0", "a1", "a2"], ["b2"]])
  })

  it("ends the loop of a queue that another member takes, and begins one anew when it comes back", async () => {
    await using mine = read({ instanceName: "mine" })
    const own = reading(mine)
    await send(0, "a0")
    await send(1, "b0")
    await until("both are read", () => own.seen.flat().length === 2)
    const theirs = read({ instanceName: "theirs" })
    const other = reading(theirs)
    await until("a queue was taken", () => own.ended.length === 1)
    const [taken = assert.fail()] = own.ended
    await send(taken, "c")
    await until("its new owner reads it", () => other.seen[taken]?.length === 1)
    assert.deepStrictEqual(other.seen[taken], ["c"])
    await theirs.shutdown()
    assert.strictEqual(await other.over, "ended")
    await send(taken, "d")
    await until("it has come back", () => own.seen[taken]?.includes("d") === true)
    assert.deepStrictEqual(own.seen[taken]?.slice(1), ["d"])
  })

  it("shutdown, await using and the signal end it and the loops of all queues, which throw nothing", async () => {
    const quiet = read()
    const reads = reading(quiet)
    let kept: QueueMessages | undefined
    const others = read({ consumerGroup: "others" })
    for await (const one of others) {
      kept = one
      break
    }
    // A loop that is begun when all is over has nothing to read.
    for await (const _ of kept?.messages ?? assert.fail()) assert.fail("there is nothing")
    await send(0, "a0")
    await until("it reads", () => reads.seen.flat().length === 1)
    await quiet.shutdown()
    assert.strictEqual(await reads.over, "ended")
    assert.deepStrictEqual(await quiet.next(), { done: true, value: undefined })

    const controller = new AbortController()
    const aborted = reading(read({}, controller.signal))
    await send(1, "b0")
    await until("it reads", () => aborted.seen.flat().length === 1)
    controller.abort(new Error("stop"))
    assert.strictEqual(await aborted.over.catch(String), "Error: stop")
    await until("both queues have ended", () => aborted.ended.length === QUEUES)
    assert.deepStrictEqual(await cluster.run(cluster.clients), [])
  })

  it("what one of the loops throws can end all of them; a consumer that cannot start is a StartError", async () => {
    await send(0, "a0")
    const queues = read()
    const failing = async () => {
      let fail: ((error: unknown) => void) | undefined
      const failed = new Promise<never>((_, reject) => (fail = reject))
      const all = async () => {
        for await (const { messages } of queues) {
          const one = async () => {
            for await (const delivery of messages) throw new Error(`mine: ${text(delivery)}`)
          }
          one().catch((error: unknown) => fail?.(error))
        }
      }
      try {
        await Promise.race([failed, all()])
      } finally {
        await queues.shutdown()
      }
    }
    assert.strictEqual(await failing().catch(String), "Error: mine: a0")
    assert.deepStrictEqual(await cluster.run(cluster.clients), [])

    const refused = await reading(read({ prefetch: -1 })).over.catch((reason: unknown) => reason)
    assert.instanceOf(refused, StartError)
  })
})
