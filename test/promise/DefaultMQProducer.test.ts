import { afterEach, assert, beforeEach, describe, it } from "@effect/vitest"
import { Layer, Logger, ManagedRuntime, Redacted, References } from "effect"
import { spawn } from "node:child_process"
import { fileURLToPath } from "node:url"
import { EmbeddedCluster, FaultScript } from "../../src/embedded/index.ts"
import {
  DefaultMQProducer,
  Message,
  MessageDelay,
  type PlainOptions,
  RecallError,
  SendError,
  RequestTimeout,
  StartError
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
      brokers: [{ name: "broker-a", config: { recallMessageEnable: true } }]
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

const rejection = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => assert.fail("it was not rejected"),
    (error: unknown) => error
  )

const sends = { code: RequestCode.SEND_MESSAGE_V2 }
const arrived = async () => (await cluster.run(cluster.traffic.ofCode(RequestCode.SEND_MESSAGE_V2))).length
const stored = async () => (await cluster.run(cluster.messages("orders"))).length
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
    assert.deepStrictEqual([code, out], [0, "sent SendError AbortError\nStartError\nclosed\n"])
  })
})
