import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Layer, Logger, ManagedRuntime, Redacted, References, Schema, Tracer } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import {
  DefaultMQProducer,
  Message,
  MessageDelay,
  type PlainOptions,
  type PlainTransactionOptions,
  RecallError,
  SendError,
  RequestReplyTimeout,
  RequestTimeout,
  StartError,
  Topic,
  TransactionMQProducer
} from "../../src/promise/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"

/** Every test has an embedded cluster over TCP, and ends with nobody's rejection unhandled. */
let cluster: Awaited<ReturnType<typeof startCluster>>
let unhandled: Array<unknown> = []
const onUnhandled = (reason: unknown) => void unhandled.push(reason)

const startCluster = async () => {
  const runtime = ManagedRuntime.make(
    EmbeddedCluster.layerTcp({
      topics: { orders: { writeQueueNums: 2 } },
      brokers: [
        {
          name: "broker-a",
          config: { recallMessageEnable: true, transactionTimeOut: 50, transactionCheckInterval: 50 }
        }
      ]
    })
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

const start = (options: Partial<PlainOptions> = {}) =>
  DefaultMQProducer.start({ producerGroup: "pg", namesrvAddr: cluster.namesrvAddr, ...options })

const startTransactional = (options: Partial<PlainTransactionOptions> = {}) =>
  TransactionMQProducer.start({
    producerGroup: "tx-pg",
    namesrvAddr: cluster.namesrvAddr,
    topics: ["orders"],
    checkLocalTransaction: async () => "UNKNOW",
    ...options
  })

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => assert.fail("it was not rejected"),
    (error: unknown) => error
  )

const collect = async <A>(items: AsyncIterable<A>): Promise<ReadonlyArray<A>> => {
  const all: Array<A> = []
  for await (const item of items) all.push(item)
  return all
}

/** Waits until something is the case; the test's own limit ends it. */
const until = async (condition: () => Promise<boolean>) => {
  while (!(await condition())) await new Promise((resolve) => setImmediate(resolve))
}

const sends = { code: RequestCode.SEND_MESSAGE_V2 }
const arrived = async () => (await cluster.run(cluster.traffic.ofCode(RequestCode.SEND_MESSAGE_V2))).length
const stored = async () => (await cluster.run(cluster.messages("orders"))).length
/** The bodies in the topic: a commit that takes longer than the time after which the broker asks is followed by that of the check. */
const committed = async () =>
  new Set((await cluster.run(cluster.messages("orders"))).map(({ body }) => new TextDecoder().decode(body))).size
const fault = (...actions: ReadonlyArray<ReturnType<typeof FaultScript.delay>>) =>
  cluster.run(cluster.faults.add({ match: sends, actions: [...actions] }))

describe("a producer of promises", () => {
  it("sends, and is gone at the end of its block", async () => {
    let kept: DefaultMQProducer
    {
      await using producer = await start()
      kept = producer
      assert.strictEqual(producer.producerGroup, "pg")
      const result = await producer.send({ topic: "orders", body: "hello", tags: "t", keys: "k" })
      assert.strictEqual(result.status, "SEND_OK")
      await producer.sendOneway(Message.make({ topic: "orders", body: "one way" }))
      const queues = await producer.fetchPublishMessageQueues("orders")
      const [queue] = queues
      assert.strictEqual(queues.length, 2)
      assert.deepStrictEqual((await producer.send({ topic: "orders", body: "here" }, { queue })).queue, queue)
      const { counters, serviceState } = await producer.state()
      assert.strictEqual(serviceState, "RUNNING")
      assert.strictEqual(counters.acknowledged, 2)
    }
    assert.strictEqual(await kept.serviceState(), "SHUTDOWN_ALREADY")
    const late = await rejection(kept.send({ topic: "orders", body: "late" }))
    assert.instanceOf(late, SendError)
    assert.deepInclude(late.reason, { _tag: "IllegalServiceState", actual: "SHUTDOWN_ALREADY" })
    assert.strictEqual(late.outcome, "not-sent")
  })

  it("sends batches and delayed messages, and recalls one", async () => {
    await using producer = await start()
    const { results } = await producer.sendBatch([
      { topic: "orders", body: "a" },
      Message.make({ topic: "orders", body: "b" })
    ])
    assert.strictEqual(results.length, 2)
    assert.strictEqual(await stored(), 2)
    const late = await producer.send({ topic: "orders", body: "late", delay: MessageDelay.by("1 hour") })
    assert.strictEqual(await producer.recallMessage("orders", late.recallHandle ?? ""), late.msgId)
    assert.instanceOf(await rejection(producer.recallMessage("orders", "none")), RecallError)
    const refused = await rejection(producer.sendBatch([]))
    assert.instanceOf(refused, SendError)
  })

  it("rejects with the typed errors themselves", async () => {
    await using producer = await start()
    const invalid = await rejection(producer.send({ topic: "not good", body: "x" }))
    assert.instanceOf(invalid, SendError)
    assert.strictEqual(invalid.reason._tag, "InvalidMessage")
    await fault(FaultScript.dropRequest)
    const silent = await rejection(producer.send({ topic: "orders", body: "x" }, { timeoutMillis: 200 }))
    assert.instanceOf(silent, SendError)
    assert.instanceOf(silent.reason, RequestTimeout)
    assert.strictEqual(silent.outcome, "unknown")
  })

  it("rejects a start that cannot be made, and holds nothing then", async () => {
    const refused = await rejection(start({ namesrvAddr: "127.0.0.1:1" }))
    assert.instanceOf(refused, StartError)
    assert.strictEqual(refused.reason._tag, "NameServerUnavailable")
    const invalid = await rejection(start({ producerGroup: "not good", sendMsgTimeout: -1 }))
    assert.instanceOf(invalid, StartError)
    // Nothing of a failed start stands in the way of the next one of its name.
    await using producer = await start()
    assert.strictEqual(await producer.serviceState(), "RUNNING")
    const duplicate = await rejection(start())
    assert.instanceOf(duplicate, StartError)
    assert.strictEqual(duplicate.reason._tag, "DuplicateProducerGroup")
  })

  it("shares the client instance among the producers of a process", async () => {
    await using first = await start()
    await using second = await start({ producerGroup: "other-pg" })
    const ids = [await first.state(), await second.state()].map(({ instance }) => instance?.clientId)
    assert.isDefined(ids[0])
    assert.strictEqual(ids[0], ids[1])
  })

  it("shuts down once, however often it is asked to", async () => {
    const producer = await start()
    await fault(FaultScript.delay(200))
    const sending = producer.send({ topic: "orders", body: "under way" })
    await Promise.all([producer.shutdown(), producer.shutdown(), producer[Symbol.asyncDispose]()])
    assert.strictEqual((await sending).status, "SEND_OK")
    await producer.shutdown()
    assert.strictEqual(await producer.serviceState(), "SHUTDOWN_ALREADY")
  })

  it("tells its states until it is shut down, and stops with the loop", async () => {
    const producer = await start()
    for await (const { serviceState } of producer.stateChanges()) {
      assert.strictEqual(serviceState, "RUNNING")
      break
    }
    const all = collect(producer.stateChanges())
    await producer.send({ topic: "orders", body: "hello" })
    await producer.shutdown()
    const states = (await all).map(({ serviceState }) => serviceState)
    assert.deepStrictEqual([states[0], states.at(-1)], ["RUNNING", "SHUTDOWN_ALREADY"])
  })

  it("reads what it is not told from the environment", async () => {
    process.env["ROCKETMQ_PRODUCER_GROUP"] = "from-environment"
    try {
      await using producer = await DefaultMQProducer.startConfig({ namesrvAddr: cluster.namesrvAddr })
      assert.strictEqual(producer.producerGroup, "from-environment")
    } finally {
      delete process.env["ROCKETMQ_PRODUCER_GROUP"]
    }
    const error = await rejection(DefaultMQProducer.startConfig({ namesrvAddr: "nonsense" }))
    assert.instanceOf(error, StartError)
    assert.match(error.message, /namesrvAddr\[0\].*|ROCKETMQ_PRODUCER_GROUP/)
  })

  it("takes plain secrets, keeps them to itself, and asks a function for each request", async () => {
    let asked = 0
    const credentials = async () => {
      asked++
      if (asked > 1_000) throw new Error("never")
      return { accessKey: "user", secretKey: "hush-hush", securityToken: Redacted.make("token-hush") }
    }
    await using producer = await start({ credentials })
    const before = asked
    await producer.send({ topic: "orders", body: "x" })
    assert.isAbove(asked, before)
    assert.notInclude(JSON.stringify(await producer.state()), "hush")
    await using fixed = await start({ producerGroup: "fixed", credentials: { accessKey: "user", secretKey: "hush" } })
    await fixed.send({ topic: "orders", body: "x" })
    const requests = await cluster.run(cluster.traffic.ofCode(RequestCode.SEND_MESSAGE_V2))
    assert.deepStrictEqual(
      requests.map(({ extFields }) => [extFields?.["AccessKey"], extFields?.["SecurityToken"]]),
      [
        ["user", "token-hush"],
        ["user", undefined]
      ]
    )
    const failing = await rejection(
      start({
        producerGroup: "failing",
        credentials: () => {
          throw new Error("the vault is closed")
        }
      })
    )
    assert.instanceOf(failing, StartError)
    assert.match(failing.message, /not-signed.*CredentialsUnavailable/)
  })

  it("hands services of Effect to the producer, a logger for instance", async () => {
    const lines: Array<string> = []
    const services = Layer.mergeAll(
      Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]),
      Layer.succeed(References.MinimumLogLevel, "Debug")
    )
    const producer = await start({ services })
    await producer.shutdown()
    assert.isTrue(lines.some((line) => line.includes("producer pg is RUNNING")))
    assert.isTrue(lines.some((line) => line.includes("producer pg is shut down")))
  })
})

describe("a producer of promises, many messages", () => {
  it("sends what an iterator gives, in order, and stops with the loop", async () => {
    await using producer = await start()
    let taken = 0
    const endless = async function* () {
      for (;;) yield { topic: "orders", body: `body-${taken++}` }
    }
    const results: Array<string> = []
    for await (const result of producer.sendAll(endless(), { concurrency: 2 })) {
      results.push(result.msgId)
      if (results.length === 10) break
    }
    assert.strictEqual(new Set(results).size, 10)
    assert.isBelow(taken, 100)
    const some = [1, 2, 3].map((n) => ({ topic: "orders", body: `${n}` }))
    const three = await collect(producer.sendAll(some))
    assert.deepStrictEqual(
      three.map(({ status }) => status),
      ["SEND_OK", "SEND_OK", "SEND_OK"]
    )
  })

  it("ends a loop with the error of a send, or with that of the iterator, as they are", async () => {
    await using producer = await start()
    const broken = new Error("the file has ended early")
    const failing = async function* () {
      yield { topic: "orders", body: "1" }
      throw broken
    }
    assert.strictEqual(await rejection(collect(producer.sendAll(failing()))), broken)
    const invalid = await rejection(collect(producer.sendAll([{ topic: "not good", body: "1" }])))
    assert.instanceOf(invalid, SendError)
  })

  it("sends in two steps, of which nobody need take the second", async () => {
    await using producer = await start()
    const queued = await producer.sendQueued({ topic: "orders", body: "1" }, { orderingKey: "a" })
    assert.strictEqual((await queued.acknowledged()).status, "SEND_OK")
    await fault(FaultScript.answer(1, "no"))
    // Nobody asks what becomes of it: its failure is no rejection that nobody handles.
    await producer.sendQueued({ topic: "orders", body: "2" }, { timeoutMillis: 200 })
    const failed = await producer.sendQueued({ topic: "orders", body: "3" }, { timeoutMillis: 200 })
    assert.instanceOf(await rejection(failed.acknowledged()), SendError)
  })

  it("sends values of a typed topic", async () => {
    await using producer = await start()
    const orders = Topic.make("orders", { schema: Schema.Struct({ id: Schema.Int }), key: ({ id }) => `order-${id}` })
    await producer.sendTo(orders, { id: 7 })
    const [message] = await cluster.run(cluster.messages("orders"))
    assert.strictEqual(new TextDecoder().decode(message?.body), '{"id":7}')
    assert.deepStrictEqual(message?.keys, ["order-7"])
    const queued = await producer.sendQueuedTo(orders, { id: 8 })
    await queued.acknowledged()
    await producer.sendOnewayTo(orders, { id: 9 })
    const { results } = await producer.sendBatchTo(orders, [{ id: 10 }, { id: 11 }])
    assert.strictEqual(results.length, 2)
    assert.strictEqual((await collect(producer.sendAllTo(orders, [{ id: 12 }, { id: 13 }]))).length, 2)
    await until(async () => (await stored()) === 7)
    const ids = (await cluster.run(cluster.messages("orders"))).map(({ keys }) => keys[0] ?? "")
    assert.sameMembers(
      ids,
      [7, 8, 9, 10, 11, 12, 13].map((id) => `order-${id}`)
    )
    const silence = await rejection(producer.requestTo(orders, { id: 14 }, 50))
    assert.instanceOf(silence, RequestReplyTimeout)
    const misfit = await rejection(producer.sendTo(orders, { id: 0.5 }))
    assert.instanceOf(misfit, SendError)
    assert.strictEqual(misfit.reason._tag, "TopicEncodeError")
  })
})

describe("a transactional producer of promises", () => {
  it("commits what has ended well, and leaves the rest to the check", async () => {
    const asked: Array<string> = []
    await using producer = await startTransactional({
      checkLocalTransaction: async (message) => {
        asked.push(message.topic)
        return "COMMIT_MESSAGE"
      }
    })
    const result = await producer.transaction({ topic: "orders", body: "1" }, async ({ msgId }) => `row of ${msgId}`)
    assert.strictEqual(result.value, `row of ${result.sendResult.msgId}`)
    assert.strictEqual(result.localTransactionState, "COMMIT_MESSAGE")
    await until(async () => (await committed()) === 1)

    const numbers = Topic.make("orders", { schema: Schema.Int })
    const typed = await producer.transactionTo(numbers, 7, () => "row")
    assert.strictEqual(typed.value, "row")
    await until(async () => (await committed()) === 2)

    const broken = new Error("the connection was lost during COMMIT")
    const error = await rejection(
      producer.transaction({ topic: "orders", body: "2" }, () => {
        throw broken
      })
    )
    assert.strictEqual(error, broken)
    assert.deepInclude(await producer.transactions(), { begun: 3, committed: 2, rolledBack: 0, unknown: 1 })
    await until(async () => (await committed()) === 3)
    assert.deepStrictEqual([...new Set(asked)], ["orders"])
  })

  it("rolls back where the error says that nothing was done", async () => {
    await using producer = await startTransactional({ stateOf: () => "ROLLBACK_MESSAGE" })
    const error = await rejection(
      producer.transaction({ topic: "orders", body: "1" }, async () => Promise.reject(new Error("no stock")))
    )
    assert.strictEqual(error instanceof Error && error.message, "no stock")
    assert.deepInclude(await producer.transactions(), { begun: 1, rolledBack: 1, unknown: 0 })
    await until(async () => (await cluster.run(cluster.halfMessages)).length === 0)
    assert.strictEqual(await stored(), 0)
  })

  it("passes an abort on to the local transaction, and leaves the message to the check", async () => {
    await using producer = await startTransactional()
    const controller = new AbortController()
    let heard = false
    const error = await rejection(
      producer.transaction(
        { topic: "orders", body: "1" },
        (_, signal) =>
          new Promise<void>((_resolve, reject) => {
            signal.addEventListener("abort", () => {
              heard = true
              reject(new Error("stopped"))
            })
            controller.abort(new Error("enough"))
          }),
        { signal: controller.signal }
      )
    )
    assert.strictEqual(error instanceof Error && error.message, "enough")
    assert.isTrue(heard)
    assert.deepInclude(await producer.transactions(), { begun: 1, committed: 0, unknown: 1 })
    assert.strictEqual((await cluster.run(cluster.halfMessages)).length, 1)
  })
})

describe("hooks and spans of a caller's services", () => {
  it("are run for promises too, which have no fiber of their own", async () => {
    const names: Array<string> = []
    const tracer = Tracer.make({
      span: (options) => {
        names.push(options.name)
        return new Tracer.NativeSpan(options)
      }
    })
    await using producer = await start({ services: Layer.succeed(Tracer.Tracer, tracer) })
    await producer.send({ topic: "orders", body: "x" })
    assert.include(names, "send orders")
  })
})

describe("a signal", () => {
  it("that was given before sends nothing", async () => {
    await using producer = await start()
    const reason = new Error("not now")
    const error = await rejection(producer.send({ topic: "orders", body: "x" }, { signal: AbortSignal.abort(reason) }))
    assert.strictEqual(error, reason)
    assert.strictEqual(await arrived(), 0)
    assert.strictEqual(
      await rejection(start({ producerGroup: "x" }).then((p) => p.shutdown().then(() => Promise.reject(reason)))),
      reason
    )
  })

  it("ends a send under way at once, and frees its place", async () => {
    await using producer = await start()
    await fault(FaultScript.dropRequest)
    const controller = new AbortController()
    const sending = rejection(
      producer.send({ topic: "orders", body: "x" }, { signal: controller.signal, timeoutMillis: 60_000 })
    )
    while ((await arrived()) === 0) await new Promise((resolve) => setImmediate(resolve))
    assert.strictEqual((await producer.state()).inFlight, 1)
    controller.abort()
    const error = await sending
    assert.instanceOf(error, DOMException)
    assert.strictEqual(error.name, "AbortError")
    assert.strictEqual((await producer.state()).inFlight, 0)
  })

  it("that times out rejects with its own reason", async () => {
    await using producer = await start()
    await fault(FaultScript.dropRequest)
    const error = await rejection(
      producer.send({ topic: "orders", body: "x" }, { signal: AbortSignal.timeout(50), timeoutMillis: 60_000 })
    )
    assert.instanceOf(error, DOMException)
    assert.strictEqual(error.name, "TimeoutError")
  })

  it("that comes after the answer changes nothing", async () => {
    await using producer = await start()
    const controller = new AbortController()
    const result = await producer.send({ topic: "orders", body: "x" }, { signal: controller.signal })
    controller.abort()
    assert.strictEqual(result.status, "SEND_OK")
    assert.strictEqual(await stored(), 1)
  })

  it("ends a start, which leaves nothing", async () => {
    const controller = new AbortController()
    await cluster.run(cluster.faults.add({ match: { broker: "namesrv" }, actions: [FaultScript.dropRequest] }))
    const starting = rejection(
      DefaultMQProducer.start({ producerGroup: "pg", namesrvAddr: cluster.namesrvAddr }, { signal: controller.signal })
    )
    while ((await cluster.run(cluster.faults.fired)).length === 0) await new Promise((resolve) => setImmediate(resolve))
    controller.abort(new Error("enough"))
    const error = await starting
    assert.instanceOf(error, Error)
    assert.strictEqual(error.message, "enough")
    const early = await rejection(
      DefaultMQProducer.start(
        { producerGroup: "pg", namesrvAddr: cluster.namesrvAddr },
        { signal: AbortSignal.abort(new Error("before")) }
      )
    )
    assert.strictEqual(early instanceof Error && early.message, "before")
    await cluster.run(cluster.faults.clear)
    await using producer = await start()
    assert.strictEqual(await producer.serviceState(), "RUNNING")
  })
})

describe("a process with a producer of promises", () => {
  it("ends by itself, with no rejection unhandled", { timeout: 60_000 }, async () => {
    const program = fileURLToPath(new URL("fixtures/program.ts", import.meta.url))
    const child = spawn(process.execPath, [program, cluster.namesrvAddr], { stdio: ["ignore", "pipe", "pipe"] })
    let out = ""
    child.stdout.on("data", (chunk: Buffer) => (out += chunk.toString()))
    child.stderr.on("data", (chunk: Buffer) => (out += chunk.toString()))
    const code = await new Promise((resolve) => child.on("close", resolve))
    const lines = out.trim().split("\n")
    const warnings = lines.filter((line) => line.includes(" WARN "))
    assert.deepStrictEqual(
      [code, lines.filter((line) => !warnings.includes(line))],
      [0, ["sent SendError AbortError", "StartError", "closed"]]
    )
    // The name server of the start that fails.
    assert.match(warnings.join("\n"), /^[^\n]* WARN [^\n]*No name server answered[^\n]*$/)
  })
})
