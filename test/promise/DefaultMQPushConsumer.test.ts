import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Layer, Logger, ManagedRuntime } from "effect"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import {
  ConsumeResult,
  ConsumerFailed,
  DefaultMQProducer,
  DefaultMQPushConsumer,
  InvalidConfig,
  LocalOffsetStore,
  messages,
  OffsetStoreError,
  OrderlyResult,
  type PlainConsumerOptions,
  type PlainHandler,
  type PlainStreamOptions,
  type StartConsumerOptions,
  StartError,
  Subscription
} from "../../src/promise/index.ts"

let cluster: Awaited<ReturnType<typeof startCluster>>
let unhandled: Array<unknown> = []
const onUnhandled = (reason: unknown) => void unhandled.push(reason)

const startCluster = async () => {
  const runtime = ManagedRuntime.make(EmbeddedCluster.layerTcp({ topics: { orders: { writeQueueNums: 1 } } }))
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

const common = () => ({
  consumerGroup: "billing",
  subscriptions: [Subscription.all("orders")] as const,
  namesrvAddr: cluster.namesrvAddr
})

const start = (handler: PlainHandler, options: Partial<PlainConsumerOptions> = {}, more: StartConsumerOptions = {}) =>
  DefaultMQPushConsumer.start({ ...common(), ...options }, handler, more)

const read = (options: Partial<PlainStreamOptions> = {}, signal?: AbortSignal) =>
  messages({ ...common(), consumeFromWhere: "first", ...options }, { signal })

const send = async (...bodies: ReadonlyArray<string>) => {
  await using producer = await DefaultMQProducer.start({ producerGroup: "pg", namesrvAddr: cluster.namesrvAddr })
  for (const body of bodies) await producer.send({ topic: "orders", body })
}

const text = ({ body }: { readonly body: Uint8Array }) => new TextDecoder().decode(body)

/** What the group has not finished, read anew. */
const rest = async (count: number) => {
  const found: Array<string> = []
  for await (const { ack, message } of read()) {
    found.push(text(message))
    assert.strictEqual(await ack(), "settled")
    if (found.length === count) break
  }
  return found
}

describe("DefaultMQPushConsumer", () => {
  it("handles the messages of a queue, or of a key, in order", async () => {
    const seen: Array<string> = []
    {
      await using consumer = await start(
        async (message) => {
          seen.push(`${text(message)}/${message.attempt}`)
          if (text(message) === "a" && message.attempt === 1) return OrderlyResult.suspend("10 millis")
          return text(message) === "c" ? OrderlyResult.commit : OrderlyResult.success
        },
        {},
        { order: "queue", autoCommit: false }
      )
      await send("a", "b", "c")
      await consumer.caughtUp()
    }
    assert.deepStrictEqual(seen, ["a/1", "a/2", "b/1", "c/1"])
    let running = 0
    await using consumer = await start(
      async (message) => {
        assert.strictEqual(++running, 1)
        await Promise.resolve()
        running--
        if (text(message) === "e" && message.attempt === 1) throw new Error("no")
      },
      { reconsumePolicy: { delay: () => "1 second" } },
      { order: () => "key", onFailure: () => OrderlyResult.suspend() }
    )
    await send("d", "e", "f")
    await consumer.caughtUp()
    const { counters } = await consumer.state()
    assert.deepStrictEqual([counters.succeeded, counters.failures, counters.reconsumeLater], [2, 1, 1])
  })

  it("hands messages to an async function, and applies what it gives", async () => {
    const seen: Array<string> = []
    await using consumer = await start(async (message) => {
      await new Promise((resolve) => setImmediate(resolve))
      seen.push(text(message))
      return text(message) === "poison" ? ConsumeResult.deadLetter() : undefined
    })
    assert.strictEqual(await consumer.serviceState(), "RUNNING")
    assert.strictEqual(
      (await consumer.assignment()).some(({ topic }) => topic === "orders"),
      true
    )
    await send("good", "poison")
    await consumer.caughtUp()
    assert.deepStrictEqual(
      seen.toSorted((a, b) => a.localeCompare(b)),
      ["good", "poison"]
    )
    assert.deepInclude((await consumer.state()).counters, { succeeded: 1, deadLettered: 1 })
    assert.isTrue(await consumer.healthy())
    await consumer.shutdown()
    assert.deepInclude(await consumer.lastDrain(), { interrupted: 0, notPersisted: [] })
    assert.strictEqual(await consumer.serviceState(), "SHUTDOWN_ALREADY")
  })

  it("a rejection means that the message comes again: told in the log, or classified by onFailure", async () => {
    const lines: Array<string> = []
    const services = Logger.layer([
      Logger.make(({ cause, message }) => lines.push(`${String(message)} ${String(cause)}`))
    ])
    await send("1")
    {
      await using consumer = await start(
        async () => {
          throw new Error("no such order")
        },
        { consumeFromWhere: "first", services }
      )
      await consumer.caughtUp()
      assert.deepInclude((await consumer.state()).counters, { defects: 1, reconsumeLater: 1 })
      const told = lines.filter((line) => line.includes("a handler of group billing"))
      assert.strictEqual(told.length, 1)
      assert.include(told.join(), "no such order")
    }
    const failures: Array<unknown> = []
    await using consumer = await start(
      () => Promise.reject(new Error("not now")),
      { consumerGroup: "search", consumeFromWhere: "first", services: Layer.empty },
      {
        onFailure: (error) => {
          failures.push(error)
          return ConsumeResult.deadLetter()
        }
      }
    )
    await consumer.caughtUp()
    assert.deepStrictEqual(failures.map(String), ["Error: not now"])
    assert.deepInclude((await consumer.state()).counters, { failures: 1, deadLettered: 1 })
  })

  it("a handler that the end does not wait for sees its signal aborted", async () => {
    const begun = Promise.withResolvers<AbortSignal>()
    const consumer = await start(
      (_message, signal) => {
        begun.resolve(signal)
        return new Promise(() => {})
      },
      { drainTimeoutMillis: 10 }
    )
    await send("1")
    const signal = await begun.promise
    await consumer.shutdown()
    assert.isTrue(signal.aborted)
    assert.deepInclude(await consumer.lastDrain(), { interrupted: 1 })
    assert.deepStrictEqual(await rest(1), ["1"])
  })

  it("a start that cannot be is rejected with a StartError; one that is aborted with the signal's reason", async () => {
    const error = await start(() => {}, { pullBatchSize: 0 }).then(
      () => undefined,
      (reason: unknown) => reason
    )
    assert.instanceOf(error, StartError)
    const reason = await start(() => {}, {}, { signal: AbortSignal.abort(new Error("stop")) }).catch(String)
    assert.strictEqual(reason, "Error: stop")
    const unread = await DefaultMQPushConsumer.startConfig(() => {}, { ...common(), consumerGroup: "no group!" }).catch(
      String
    )
    assert.include(unread, "consumerGroup")
  })

  it("is ended by a problem for which onProblem says so", async () => {
    await using consumer = await start(() => {}, {
      subscriptions: [Subscription.all("nowhere")],
      onProblem: () => "fail"
    })
    const error = await consumer.failed().catch((reason: unknown) => reason)
    assert.instanceOf(error, ConsumerFailed)
    const aborted = await consumer.failed({ signal: AbortSignal.abort(new Error("stop")) }).catch(String)
    assert.strictEqual(aborted, "Error: stop")
  })

  it("keeps offsets in a store of async functions; what that throws is a problem, not the end", async () => {
    const offsets = new Map<string, number>()
    let isBroken = false
    await send("1", "2")
    const offsetStore: PlainConsumerOptions["offsetStore"] = {
      load: async (_group, { queueId, topic }) => offsets.get(`${topic}-${queueId}`),
      persist: async (_group, { offset, queue }) => {
        if (isBroken) throw new Error("the disk is full")
        offsets.set(`${queue.topic}-${queue.queueId}`, offset)
      }
    }
    const consumer = await start(() => {}, { consumeFromWhere: "first", offsetStore })
    await consumer.caughtUp()
    await consumer.shutdown()
    assert.strictEqual(offsets.get("orders-0"), 2)
    isBroken = true
    await send("3")
    const broken = await start(() => {}, { consumeFromWhere: "first", offsetStore })
    await broken.caughtUp()
    await broken.shutdown()
    assert.strictEqual((await broken.lastDrain())?.notPersisted.length, 1)
    assert.isTrue((await broken.state()).problems.some(({ text: problem }) => problem.includes("the disk is full")))
  })
})

describe("LocalOffsetStore", () => {
  it("keeps offsets in a file, and what it says of it is a typed error", async () => {
    const directory = await mkdtemp(join(tmpdir(), "offsets-"))
    try {
      const options = { directory, identity: "node-7" }
      await send("1", "2")
      const consumer = await start(() => {}, {
        consumeFromWhere: "first",
        offsetStore: await LocalOffsetStore.file(options)
      })
      await consumer.caughtUp()
      await consumer.shutdown()
      const again = await LocalOffsetStore.file(options)
      const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
      assert.strictEqual(await again.load(consumer.consumerGroup, queue), 2)
      await (await LocalOffsetStore.file(options)).load(consumer.consumerGroup, queue)
      const taken = await again.persist(consumer.consumerGroup, { queue, offset: 1 }).catch((error: unknown) => error)
      assert.instanceOf(taken, OffsetStoreError)
      assert.include(taken.message, "an identity of its own")
      const refused = await LocalOffsetStore.file({ directory, identity: "" }).catch((error: unknown) => error)
      assert.instanceOf(refused, InvalidConfig)
    } finally {
      await rm(directory, { recursive: true })
    }
  })
})

/** Reads what there is: nothing. */
const loop = async (all: AsyncIterable<unknown>) => {
  for await (const _ of all) assert.fail("there is nothing")
  return "ended"
}

describe("messages", () => {
  it("are read until the loop is left; what was settled does not come again", async () => {
    await send("0", "1", "2", "3")
    let left: (() => Promise<string>) | undefined
    for await (const { ack, message } of read()) {
      if (text(message) === "2") {
        left = ack
        break
      }
      assert.strictEqual(await ack(), "settled")
    }
    assert.strictEqual(await left?.(), "revoked")
    assert.deepStrictEqual(await cluster.run(cluster.clients), [])
    assert.deepStrictEqual(await rest(2), ["2", "3"])
  })

  it("a throw in the loop leaves it the same way, and is the loop's own error", async () => {
    await send("0")
    const error = await (async () => {
      for await (const _ of read()) throw new Error("mine")
    })().catch(String)
    assert.strictEqual(error, "Error: mine")
    assert.deepStrictEqual(await cluster.run(cluster.clients), [])
    assert.deepStrictEqual(await rest(1), ["0"])
  })

  it("a loop that waits is ended by shutdown, by await using, and by its signal with the signal's reason", async () => {
    const quiet = read()
    const ending = loop(quiet)
    await new Promise((resolve) => setTimeout(resolve, 100))
    await quiet.shutdown()
    assert.strictEqual(await ending, "ended")
    assert.deepStrictEqual(await quiet.next(), { done: true, value: undefined })

    let scoped: Promise<string>
    {
      await using all = read()
      scoped = loop(all)
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
    assert.strictEqual(await scoped, "ended")

    const controller = new AbortController()
    const aborted = loop(read({}, controller.signal)).catch(String)
    await new Promise((resolve) => setTimeout(resolve, 100))
    controller.abort(new Error("stop"))
    assert.strictEqual(await aborted, "Error: stop")
    assert.deepStrictEqual(await cluster.run(cluster.clients), [])
  })

  it("a consumer that cannot start is the loop's StartError", async () => {
    const error = await (async () => {
      for await (const _ of read({ prefetch: -1 })) assert.fail("there is nothing")
    })().catch((reason: unknown) => reason)
    assert.instanceOf(error, StartError)
  })

  it("comes again after a nack, and lies with the dead letters when it was given up", async () => {
    await send("0", "1")
    let count = 0
    for await (const { deadLetter, message, nack } of read({ consumerGroup: "search" })) {
      assert.strictEqual(await (text(message) === "0" ? nack("10 minutes") : deadLetter("no good")), "settled")
      if (++count === 2) break
    }
    assert.strictEqual((await cluster.run(cluster.messages("%DLQ%search"))).length, 1)
    assert.strictEqual((await cluster.run(cluster.messages("SCHEDULE_TOPIC_XXXX"))).length, 1)
  })
})
