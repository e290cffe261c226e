import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as Message from "../../../src/message/Message.ts"
import { RMQ_SYS_TRACE_TOPIC } from "../../../src/message/MixAll.ts"
import { BrokerNotExist } from "../../../src/client/ClientError.ts"
import { SendError } from "../../../src/producer/send/SendError.ts"
import * as TraceDispatcher from "../../../src/client/telemetry/TraceDispatcher.ts"
import * as TraceData from "../../../src/protocol/TraceData.ts"
import { advance, makeProducer, onMemory, ownScope, settle, startProducer, text, timed } from "../../support/rig.ts"

const cluster = { topics: { orders: {} } }

const pub = (msgId: string, change: Partial<TraceData.TracePub> = {}): TraceData.TracePub => ({
  type: "Pub",
  timeStamp: 1,
  regionId: "DefaultRegion",
  groupName: "pg",
  topic: "orders",
  msgId,
  storeHost: "127.0.0.1:10911",
  bodyLength: 1,
  costTime: 1,
  msgType: 0,
  offsetMsgId: "0",
  isSuccess: true,
  ...change
})

/** The traces that the cluster holds, and the keys that they can be found by. */
const traces = (topic = RMQ_SYS_TRACE_TOPIC) =>
  Effect.gen(function* () {
    const { messages } = yield* EmbeddedCluster
    return (yield* messages(topic)).map((message) => ({
      keys: [...message.keys],
      records: TraceData.decode(message.body).records
    }))
  })

describe("message traces on a cluster", () => {
  it.effect("ten acknowledged messages leave one trace message with ten records", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const producer = yield* startProducer({ enableTrace: true })
      const results = yield* Effect.forEach(
        Array.from({ length: 10 }, (_, i) => i),
        (i) => producer.send(Message.make({ topic: "orders", body: "12345", tags: "t", keys: [`k${i}`, "all"] }))
      )
      yield* settle
      const found = yield* traces()
      assert.strictEqual(found.length, 1)
      assert.deepStrictEqual(
        found[0]?.records,
        results.map((result, i): TraceData.TraceRecord => ({
          type: "Pub",
          timeStamp: 0,
          regionId: "DefaultRegion",
          groupName: "pg",
          topic: "orders",
          msgId: result.msgId,
          tags: "t",
          keys: `k${i} all`,
          storeHost: brokers[0]?.address ?? "",
          bodyLength: 5,
          costTime: 0,
          msgType: 0,
          offsetMsgId: result.offsetMsgId,
          isSuccess: true
        }))
      )
      assert.sameMembers(found[0]?.keys ?? [], ["all", ...results.flatMap(({ msgId }, i) => [msgId, `k${i}`])])
      const state = yield* producer.state
      assert.deepStrictEqual(state.trace, {
        topic: RMQ_SYS_TRACE_TOPIC,
        sent: 10,
        buffered: 0,
        dropped: 0,
        failed: 0
      })
      // The traces are no business of the application.
      assert.strictEqual(state.counters.sends, 10)
    }).pipe(onMemory(cluster))
  )

  it.effect("fewer leave after five seconds", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ enableTrace: true, traceTopic: "my-traces" })
      const { msgId } = yield* producer.send(text("orders"))
      yield* advance(4_900)
      assert.deepStrictEqual(yield* traces("my-traces"), [])
      assert.strictEqual((yield* producer.state).trace?.buffered, 1)
      yield* advance(200)
      const found = yield* traces("my-traces")
      assert.deepStrictEqual(
        found.flatMap(({ records }) => records.map((record) => record.msgId)),
        [msgId]
      )
      yield* producer.send(text("orders"))
      yield* advance(5_100)
      assert.strictEqual((yield* traces("my-traces")).length, 2)
    }).pipe(onMemory(cluster))
  )

  it.effect("what waits leaves when the producer is shut down", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ enableTrace: true })
      yield* producer.send(text("orders"))
      const { exit, millis } = yield* timed(producer.shutdown)
      assert.strictEqual(exit._tag, "Success")
      assert.isAtMost(millis, 100)
      assert.strictEqual((yield* traces()).length, 1)
    }).pipe(onMemory(cluster))
  )

  it.effect("a trace topic that does not answer delays neither a send nor a shutdown beyond its bound", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* makeProducer({ enableTrace: true, drainTimeoutMillis: 1_000 })
      yield* producer.start
      yield* producer.send(text("orders"))
      yield* faults.add({ match: { code: 310 }, actions: [{ _tag: "DropRequest" }] })
      const { millis } = yield* timed(producer.shutdown)
      assert.isAtMost(millis, 1_000 + 600)
      assert.deepStrictEqual(yield* traces(), [])
    }).pipe(onMemory(cluster))
  )

  it.effect("one-way sends and failed ones leave none, nor do brokers that switch traces off", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ enableTrace: true })
      yield* producer.sendOneway(text("orders"))
      yield* Effect.exit(producer.send(Message.make({ topic: "orders", body: "" })))
      assert.strictEqual((yield* producer.state).trace?.buffered, 0)
      yield* producer.send(text(RMQ_SYS_TRACE_TOPIC))
      assert.strictEqual((yield* producer.state).trace?.buffered, 0)
    }).pipe(onMemory(cluster))
  )

  it.effect("none without the switch", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      yield* producer.send(text("orders"))
      yield* advance(6_000)
      assert.deepStrictEqual(yield* traces(), [])
      assert.isUndefined((yield* producer.state).trace)
    }).pipe(onMemory(cluster))
  )
})

const ids = (n: number) => Array.from({ length: 200 }, (_, i) => `${n}-${i}`.padEnd(32, "0")).join(",")

/** A dispatcher whose sends are kept, and hang until `answer` is called. */
const rig = Effect.gen(function* () {
  const sent: Array<Message.Message> = []
  let hang = false
  let fails = false
  const { close, value: dispatcher } = yield* ownScope(
    TraceDispatcher.make<TraceData.TracePub>({
      topic: "traces",
      group: "pg",
      send: (message) =>
        Effect.suspend(() => {
          sent.push(message)
          if (hang) return Effect.never
          return fails
            ? Effect.fail(
                new SendError({
                  topic: "traces",
                  msgId: undefined,
                  outcome: "not-sent",
                  attempts: [],
                  reason: new BrokerNotExist({ topic: "traces", brokerName: "b" })
                })
              )
            : Effect.void
        })
    })
  )
  return {
    dispatcher,
    close,
    sent,
    hang: (value: boolean) => {
      hang = value
    },
    fail: (value: boolean) => {
      fails = value
    }
  }
})

describe("the dispatcher", () => {
  it.effect("holds 2,048 records at most; those beyond are counted", () =>
    Effect.gen(function* () {
      const { close, dispatcher, hang } = yield* rig
      hang(true)
      for (let i = 0; i < 10; i++) dispatcher.append(pub(`first-${i}`))
      yield* settle
      for (let i = 0; i < TraceDispatcher.BUFFER_SIZE + 7; i++) dispatcher.append(pub(`${i}`))
      const state = dispatcher.state()
      assert.strictEqual(state.dropped, 7)
      assert.strictEqual(state.buffered, TraceDispatcher.BUFFER_SIZE + 10)
      const flushing = yield* Effect.forkChild(dispatcher.flush(1_000), { startImmediately: true })
      yield* TestClock.adjust(1_000)
      yield* Fiber.join(flushing)
      assert.strictEqual(dispatcher.state().dropped, 7 + TraceDispatcher.BUFFER_SIZE + 10)
      assert.strictEqual(dispatcher.state().buffered, 0)
      dispatcher.append(pub("late"))
      assert.strictEqual(dispatcher.state().buffered, 0)
      yield* close
    })
  )

  it.effect("sends many at once, ten to a message, never of two topics", () =>
    Effect.gen(function* () {
      const { close, dispatcher, sent } = yield* rig
      for (let i = 0; i < 25; i++) dispatcher.append(pub(`a${i}`))
      for (let i = 0; i < 5; i++) dispatcher.append(pub(`b${i}`, { topic: "other" }))
      yield* settle
      const counts = sent.map(({ body }) => TraceData.decode(body).records.length)
      assert.deepStrictEqual(
        counts.toSorted((a, b) => a - b),
        [5, 5, 10, 10]
      )
      for (const { body } of sent) {
        const topics = TraceData.decode(body).records.map((record) => "topic" in record && record.topic)
        assert.strictEqual(new Set(topics).size, 1)
      }
      assert.strictEqual(dispatcher.state().sent, 30)
      yield* close
    })
  )

  it.effect("splits texts and keys that would not fit a message", () =>
    Effect.gen(function* () {
      const { close, dispatcher, sent } = yield* rig
      for (let i = 0; i < 10; i++) dispatcher.append(pub(ids(i)))
      yield* settle
      assert.strictEqual(sent.length, 10)
      for (const { keys } of sent) assert.isAtMost(keys?.join(" ").length ?? 0, 8_000)
      sent.length = 0
      dispatcher.append(pub(Array.from({ length: 5_000 }, (_, i) => `${i}`.padEnd(32, "0")).join(",")))
      yield* TestClock.adjust(TraceDispatcher.FLUSH_INTERVAL_MILLIS)
      yield* settle
      assert.strictEqual(sent.length, 1)
      assert.isAtMost(sent[0]?.keys?.join(" ").length ?? 0, 8_000)
      yield* close
    })
  )

  it.effect("counts what could not be sent, and goes on", () =>
    Effect.gen(function* () {
      const { close, dispatcher, fail } = yield* rig
      fail(true)
      for (let i = 0; i < 10; i++) dispatcher.append(pub(`${i}`))
      yield* settle
      assert.deepInclude(dispatcher.state(), { failed: 10, sent: 0, buffered: 0 })
      fail(false)
      for (let i = 0; i < 10; i++) dispatcher.append(pub(`${i}`))
      yield* settle
      assert.deepInclude(dispatcher.state(), { failed: 10, sent: 10, buffered: 0 })
      yield* close
    })
  )

  it.effect("has no timer while nothing waits", () =>
    Effect.gen(function* () {
      const { close, dispatcher, sent } = yield* rig
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(sent, [])
      dispatcher.append(pub("1"))
      yield* TestClock.adjust(TraceDispatcher.FLUSH_INTERVAL_MILLIS - 1)
      assert.strictEqual(sent.length, 0)
      yield* TestClock.adjust(1)
      yield* settle
      assert.strictEqual(sent.length, 1)
      yield* close
    })
  )
})
