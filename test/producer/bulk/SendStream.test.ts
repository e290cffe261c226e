import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream, Tracer } from "effect"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import type { MessageExt } from "../../../src/message/MessageExt.ts"
import type { SendResult } from "../../../src/message/SendResult.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import {
  advance,
  failureOf,
  makeProducer,
  onMemory,
  settle,
  startProducer,
  text,
  timed,
  until,
  valueOf
} from "../../support/rig.ts"

const topics = { orders: {} }
const SEND = RequestCode.SEND_MESSAGE_V2
const BATCH = RequestCode.SEND_BATCH_MESSAGE

const bodyOf = (message: MessageExt | undefined): string => Buffer.from(message?.body ?? []).toString()

/** The bodies in each queue, in the order in which they lie there. */
const bodiesByQueue = (stored: ReadonlyArray<MessageExt>): ReadonlyArray<ReadonlyArray<string>> =>
  [...Map.groupBy(stored, ({ queueId, storeHost }) => `${storeHost} ${queueId}`).values()].map((list) =>
    list.toSorted((a, b) => a.queueOffset - b.queueOffset).map(bodyOf)
  )

const numbered = (count: number) => Array.from({ length: count }, (_, n) => text("orders", `${n}`))

describe("sendQueued", () => {
  it.effect("the outer effect ends when the message has its place, the inner one when it is stored", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* producer.fetchPublishMessageQueues("orders")
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(500)] })
      const acknowledged = yield* producer.sendQueued(text("orders", "hello"))
      assert.strictEqual((yield* messages("orders")).length, 0)
      assert.strictEqual((yield* producer.state).inFlight, 1)
      const { exit, millis } = yield* timed(acknowledged)
      const result = valueOf(exit)
      assert.isAtLeast(millis, 500)
      const [stored] = yield* messages("orders")
      assert.deepStrictEqual([bodyOf(stored), stored?.msgId], ["hello", result.msgId])
      assert.strictEqual((yield* producer.state).inFlight, 0)
    }).pipe(onMemory({ topics }))
  )

  it.effect.each([false, true])("keeps the order on each queue, whatever a broker does (autoBatch: %s)", (autoBatch) =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* startProducer({ autoBatch, sendMsgTimeout: 600_000 })
      // A broker that handles some requests later than those behind them, and refuses some for a while.
      yield* faults.add(
        { match: { code: [SEND, BATCH], probability: 0.3 }, actions: [FaultScript.delay(40)] },
        { match: { code: [SEND, BATCH], probability: 0.2 }, actions: [FaultScript.answer(2, "busy")] }
      )
      const send = Effect.gen(function* () {
        const inner = yield* Effect.forEach(numbered(200), (message, n) =>
          producer.sendQueued(message, { orderingKey: n % 7 })
        )
        return yield* Effect.all(inner, { concurrency: "unbounded" })
      })
      const results = valueOf((yield* timed(send, 600_000, 10)).exit)
      const queues = bodiesByQueue(yield* messages("orders"))
      assert.strictEqual(queues.flat().length, 200)
      for (const bodies of queues) {
        assert.deepStrictEqual(
          bodies,
          bodies.toSorted((a, b) => Number(a) - Number(b))
        )
      }
      assert.strictEqual(new Set(results.map(({ msgId }) => msgId)).size, 200)
    }).pipe(onMemory({ topics }))
  )

  it.effect("with autoBatch, what waits behind one another leaves together", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ autoBatch: true, readiness: "registered", topics: ["orders"] })
      yield* traffic.clear
      const inner = yield* Effect.forEach(numbered(100), (message) => producer.sendQueued(message, { orderingKey: 1 }))
      const results = yield* Effect.all(inner, { concurrency: "unbounded" })
      assert.deepStrictEqual(bodiesByQueue(yield* messages("orders")), [Array.from({ length: 100 }, (_, n) => `${n}`)])
      assert.deepStrictEqual(
        results.map(({ queueOffset }) => queueOffset),
        Array.from({ length: 100 }, (_, n) => n)
      )
      assert.isBelow((yield* traffic.ofCode(BATCH)).length + (yield* traffic.ofCode(SEND)).length, 10)
    }).pipe(onMemory({ topics }))
  )

  it.effect("waits while maxQueuedSends are under way, and goes on as they end, first come first served", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ maxQueuedSends: 4, sendMsgTimeout: 60_000 })
      yield* producer.fetchPublishMessageQueues("orders")
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(100)] })
      const order: Array<number> = []
      const fibers = yield* Effect.forEach([...Array(10).keys()], (n) =>
        Effect.forkChild(
          Effect.tap(producer.sendQueued(text("orders", `${n}`)), () => Effect.sync(() => void order.push(n))),
          { startImmediately: true }
        )
      )
      yield* settle
      assert.deepStrictEqual(order, [0, 1, 2, 3])
      yield* advance(150, 10)
      assert.deepStrictEqual(order, [0, 1, 2, 3, 4, 5, 6, 7])
      yield* advance(400, 10)
      assert.deepStrictEqual(order, [...Array(10).keys()])
      for (const fiber of fibers) assert.strictEqual((yield* yield* Fiber.join(fiber)).status, "SEND_OK")
    }).pipe(onMemory({ topics }))
  )

  it.effect("a caller who gives up waiting for a place has none, and the place is free", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* startProducer({ maxQueuedSends: 1 })
      yield* producer.fetchPublishMessageQueues("orders")
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(100)], times: 1 })
      const first = yield* producer.sendQueued(text("orders", "first"))
      const second = yield* Effect.forkChild(producer.sendQueued(text("orders", "second")), { startImmediately: true })
      const third = yield* Effect.forkChild(producer.sendQueued(text("orders", "third")), { startImmediately: true })
      yield* settle
      yield* Fiber.interrupt(second)
      yield* advance(150, 10)
      yield* first
      yield* yield* Fiber.join(third)
      assert.deepStrictEqual((yield* messages("orders")).map(bodyOf).toSorted(), ["first", "third"])
    }).pipe(onMemory({ topics }))
  )

  it.effect("waits for a place within its deadline", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer({ maxQueuedSends: 1 })
      yield* producer.fetchPublishMessageQueues("orders")
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.dropRequest] })
      yield* producer.sendQueued(text("orders"))
      const { exit, millis } = yield* timed(producer.sendQueued(text("orders"), { timeoutMillis: 200 }))
      const error = failureOf(exit)
      assert.deepInclude(error.reason, { _tag: "SendTimeout", during: "waiting for a place" })
      assert.strictEqual(error.outcome, "not-sent")
      assert.isAtMost(millis, 205)
    }).pipe(onMemory({ topics }))
  )

  it.effect("one that fails does not hold up those behind it", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* producer.fetchPublishMessageQueues("orders")
      yield* faults.add({ match: { code: SEND, nth: 2 }, actions: [FaultScript.answer(13, "no")] })
      const inner = yield* Effect.forEach(numbered(4), (message) => producer.sendQueued(message, { orderingKey: "k" }))
      const exits = yield* Effect.forEach(inner, Effect.exit)
      assert.deepStrictEqual(exits.map(Exit.isSuccess), [true, false, true, true])
      const [, second] = exits
      if (second !== undefined) assert.strictEqual(failureOf(second).outcome, "rejected")
      assert.deepStrictEqual(bodiesByQueue(yield* messages("orders")), [["0", "2", "3"]])
    }).pipe(onMemory({ topics }))
  )

  it.effect("without a choice the queues take turns, and a message leaves a broker that fails", () =>
    Effect.gen(function* () {
      const { messages, stopBroker } = yield* EmbeddedCluster
      const producer = yield* startProducer({ sendMsgTimeout: 30_000 })
      const inner = yield* Effect.forEach(numbered(16), (message) => producer.sendQueued(message))
      yield* Effect.all(inner, { concurrency: "unbounded" })
      assert.deepStrictEqual(
        bodiesByQueue(yield* messages("orders")).map((bodies) => bodies.length),
        Array.from({ length: 8 }, () => 2)
      )
      yield* stopBroker("broker-b", { unregister: "never" })
      const more = yield* Effect.forEach(numbered(16), (message) => producer.sendQueued(message))
      const { exit } = yield* timed(Effect.all(more, { concurrency: "unbounded" }))
      assert.isTrue(valueOf(exit).every(({ queue }) => queue.brokerName === "broker-a"))
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("nobody has to run the inner effect, and a shutdown waits all the same", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* makeProducer()
      yield* producer.start
      yield* producer.fetchPublishMessageQueues("orders")
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(50)] })
      yield* Effect.forEach(numbered(20), (message) => producer.sendQueued(message))
      const { millis } = yield* timed(producer.shutdown)
      assert.isBelow(millis, 1_000)
      assert.strictEqual((yield* messages("orders")).length, 20)
      const late = failureOf(yield* Effect.exit(producer.sendQueued(text("orders"))))
      assert.deepInclude(late.reason, { _tag: "IllegalServiceState" })
    }).pipe(onMemory({ topics }))
  )

  it.effect("what is left when the time of a shutdown is over ends with an error", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* makeProducer({ drainTimeoutMillis: 200 })
      yield* producer.start
      yield* producer.fetchPublishMessageQueues("orders")
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.dropRequest] })
      const inner = yield* Effect.forEach(numbered(3), (message) => producer.sendQueued(message, { orderingKey: 1 }))
      yield* timed(producer.shutdown)
      const { exit } = yield* timed(Effect.forEach(inner, Effect.exit))
      const [first, ...others] = valueOf(exit).map(failureOf)
      assert.strictEqual(first?.outcome, "unknown")
      for (const error of others) assert.strictEqual(error.outcome, "not-sent")
    }).pipe(onMemory({ topics }))
  )

  it.effect("refuses a message that is not allowed in the outer effect", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      for (const [message, options] of [
        [text("orders", ""), undefined],
        [text("orders"), { timeoutMillis: 0 }]
      ] as const) {
        const error = failureOf(yield* Effect.exit(producer.sendQueued(message, options)))
        assert.deepInclude(error.reason, { _tag: "InvalidMessage" })
      }
      assert.deepInclude((yield* producer.state).counters, { sends: 2, failed: 2 })
    }).pipe(onMemory({ topics }))
  )
})

describe("sendAll", () => {
  it.effect("sends a stream and gives the results in its order", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const results: ReadonlyArray<SendResult> = yield* producer
        .sendAll(Stream.fromIterable(numbered(300)))
        .pipe(Stream.runCollect)
      const stored = new Map((yield* messages("orders")).map((one) => [one.msgId, bodyOf(one)]))
      assert.deepStrictEqual(
        results.map(({ msgId }) => stored.get(msgId)),
        Array.from({ length: 300 }, (_, n) => `${n}`)
      )
    }).pipe(onMemory({ topics }))
  )

  it.effect("has no more than `concurrency` under way, and pulls no faster", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* producer.fetchPublishMessageQueues("orders")
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(100)] })
      let pulled = 0
      let most = 0
      const source = Stream.fromIterable(numbered(40)).pipe(
        Stream.rechunk(1),
        Stream.tap(() => Effect.sync(() => void pulled++))
      )
      const watch = Effect.forever(
        Effect.andThen(
          Effect.tap(producer.state, ({ inFlight }) => Effect.sync(() => void (most = Math.max(most, inFlight)))),
          Effect.sleep(10)
        )
      )
      yield* Effect.forkChild(watch)
      const fiber = yield* Effect.forkChild(Stream.runDrain(producer.sendAll(source, { concurrency: 5 })), {
        startImmediately: true
      })
      yield* until(
        "5 are under way",
        Effect.map(producer.state, ({ inFlight }) => inFlight === 5)
      )
      yield* settle
      assert.isAtMost(pulled, 7)
      yield* advance(2_000, 10)
      yield* Fiber.join(fiber)
      assert.deepStrictEqual([pulled, most], [40, 5])
    }).pipe(onMemory({ topics }))
  )

  it.effect("keeps the order of each key of the stream", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* startProducer({ sendMsgTimeout: 600_000 })
      yield* faults.add({ match: { code: SEND, probability: 0.3 }, actions: [FaultScript.delay(40)] })
      const run = producer
        .sendAll(Stream.fromIterable(numbered(200)), {
          concurrency: 32,
          options: (message) => ({ orderingKey: Number(Buffer.from(message.body).toString()) % 5 })
        })
        .pipe(Stream.runCollect)
      const results = valueOf((yield* timed(run, 600_000, 10)).exit)
      assert.strictEqual(results.length, 200)
      for (const bodies of bodiesByQueue(yield* messages("orders"))) {
        assert.deepStrictEqual(
          bodies,
          bodies.toSorted((a, b) => Number(a) - Number(b))
        )
      }
    }).pipe(onMemory({ topics }))
  )

  it.effect("ends with the first failure, of a send or of the stream", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const bad = [text("orders", "1"), text("orders", ""), text("orders", "3")]
      const error = failureOf(
        yield* Effect.exit(Stream.runDrain(producer.sendAll(Stream.fromIterable(bad), { concurrency: 1 })))
      )
      assert.strictEqual(error._tag, "SendError")
      const own = failureOf(
        yield* Effect.exit(
          Stream.runDrain(
            producer.sendAll(Stream.concat(Stream.make(text("orders")), Stream.fail("the source failed" as const)))
          )
        )
      )
      assert.strictEqual(own, "the source failed")
    }).pipe(onMemory({ topics }))
  )
})

describe("sendAll, begun without a fiber for each", () => {
  it.effect("an interruption ends the sends under way, and leaves nothing in flight", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* producer.fetchPublishMessageQueues("orders")
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.dropRequest] })
      const fiber = yield* Effect.forkChild(
        Stream.runDrain(producer.sendAll(Stream.fromIterable(numbered(9)), { concurrency: 4 })),
        { startImmediately: true }
      )
      yield* until(
        "4 are under way",
        Effect.map(producer.state, ({ inFlight }) => inFlight === 4)
      )
      yield* Fiber.interrupt(fiber)
      const { counters, inFlight } = yield* producer.state
      assert.deepStrictEqual([inFlight, counters.sends], [0, 4])
    }).pipe(onMemory({ topics }))
  )

  it.effect("sends again what a busy broker refused, and looks up a route first, in the order of the stream", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* startProducer({ sendMsgTimeout: 60_000 })
      yield* faults.add({ match: { code: SEND, probability: 0.3 }, actions: [FaultScript.answer(2, "busy")] })
      const run = Stream.runCollect(producer.sendAll(Stream.fromIterable(numbered(60)), { concurrency: 7 }))
      const results = valueOf((yield* timed(run, 600_000, 10)).exit)
      const stored = new Map((yield* messages("orders")).map((one) => [one.msgId, bodyOf(one)]))
      assert.deepStrictEqual(
        results.map(({ msgId }) => stored.get(msgId)),
        Array.from({ length: 60 }, (_, n) => `${n}`)
      )
    }).pipe(onMemory({ topics }))
  )

  it.effect.each([false, true])(
    "each send has its span below that of who runs the stream (autoBatch: %s)",
    (autoBatch) =>
      Effect.gen(function* () {
        const spans: Array<Tracer.NativeSpan> = []
        const tracer = Tracer.make({
          span: (options) => {
            const span = new Tracer.NativeSpan(options)
            spans.push(span)
            return span
          }
        })
        const producer = yield* startProducer({ autoBatch })
        const { exit } = yield* timed(
          Stream.run(Stream.fromIterable(numbered(3)), producer.sink).pipe(
            Effect.withSpan("import"),
            Effect.withTracer(tracer)
          )
        )
        assert.strictEqual(valueOf(exit), 3)
        const sends = spans.filter(({ name }) => name.startsWith("send "))
        const parents = sends.map(({ parent }) => (parent._tag === "Some" ? parent.value : undefined))
        const outer = spans.find(({ name }) => name === "import")
        // What leaves together has no span of its own: each message carries that of its caller.
        assert.strictEqual(sends.length, autoBatch ? 0 : 3)
        assert.isTrue(parents.every((parent) => parent?.spanId === outer?.spanId))
        assert.strictEqual((yield* producer.state).inFlight, 0)
      }).pipe(onMemory({ topics }))
  )

  it.effect("a shutdown waits for the sends of a stream that are under way", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const producer = yield* makeProducer()
      yield* producer.start
      yield* producer.fetchPublishMessageQueues("orders")
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(50)] })
      const source = Stream.concat(Stream.fromIterable(numbered(5)), Stream.never)
      const fiber = yield* Effect.forkChild(Stream.runDrain(producer.sendAll(source)), { startImmediately: true })
      yield* settle
      yield* timed(producer.shutdown)
      assert.strictEqual((yield* messages("orders")).length, 5)
      yield* Fiber.interrupt(fiber)
    }).pipe(onMemory({ topics }))
  )
})

describe("sink", () => {
  it.effect("stores what it is given and counts it", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const count = yield* Stream.run(Stream.fromIterable(numbered(150)), producer.sink)
      assert.strictEqual(count, 150)
      assert.strictEqual((yield* messages("orders")).length, 150)
      assert.strictEqual(yield* Stream.run(Stream.empty, producer.sink), 0)
    }).pipe(onMemory({ topics }))
  )

  it.effect("fails with the send that failed", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer()
      const error = failureOf(yield* Effect.exit(Stream.run(Stream.make(text("orders")), producer.sink)))
      assert.deepInclude(error.reason, { _tag: "IllegalServiceState" })
    }).pipe(onMemory({ topics }))
  )
})
