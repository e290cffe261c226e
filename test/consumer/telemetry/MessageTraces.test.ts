import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { PushConsumerOptions } from "../../../src/consumer/ConsumerOptions.ts"
import * as ConsumeResult from "../../../src/consumer/ConsumeResult.ts"
import * as MessageListener from "../../../src/consumer/MessageListener.ts"
import * as MessageStream from "../../../src/consumer/MessageStream.ts"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../../src/message/Message.ts"
import { RMQ_SYS_TRACE_TOPIC } from "../../../src/message/MixAll.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as TraceData from "../../../src/protocol/TraceData.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { settle } from "../../support/rig.ts"
import { make, namesrvAddr, rig } from "../support.ts"

const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
const order = Message.make({ topic: "orders", body: "7", tags: "paid", keys: ["a", "b"] })

/** The traces that the cluster holds, in the order in which they were stored. */
const stored = (topic = RMQ_SYS_TRACE_TOPIC) =>
  Effect.gen(function* () {
    const { messages } = yield* EmbeddedCluster
    return (yield* messages(topic)).toSorted((a, b) => a.commitLogOffset - b.commitLogOffset)
  })
const recordsOf = (messages: ReadonlyArray<{ readonly body: Uint8Array }>) =>
  messages.flatMap(({ body }) => TraceData.decode(body).records)

/** Consumes what is sent, and is shut down; gives what was traced of it. */
const traced = <E>(
  handler: MessageListener.Handler<E, never> | MessageListener.MessageListener<E, never>,
  options: Partial<PushConsumerOptions> = {},
  count = 1
) =>
  Effect.gen(function* () {
    const { send } = yield* DefaultMQProducer
    const sent = yield* Effect.replicateEffect(send(order, { queue }), count)
    const consumer = yield* make(handler, { enableTrace: true, consumeFromWhere: "first", ...options })
    yield* consumer.start
    yield* consumer.caughtUp()
    yield* settle
    yield* consumer.shutdown
    const state = yield* consumer.state
    return { sent, state, messages: yield* stored(options.traceTopic) }
  })

describe("message traces of a consumer", () => {
  it.effect("tell before and after a handler, as Java writes it, under the ids and keys of the message", () =>
    Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      const { msgId } = yield* send(order, { queue })
      const consumer = yield* make(() => Effect.sleep(30), { enableTrace: true, consumeFromWhere: "first" })
      yield* consumer.start
      yield* settle
      yield* TestClock.adjust(30)
      yield* consumer.caughtUp()
      yield* consumer.shutdown
      const messages = yield* stored()
      const [before, after] = recordsOf(messages)
      assert.isTrue(before?.type === "SubBefore" && after?.type === "SubAfter")
      if (before?.type !== "SubBefore" || after?.type !== "SubAfter") return
      assert.deepInclude(before, {
        regionId: "DefaultRegion",
        groupName: "billing",
        msgId,
        retryTimes: 0,
        keys: "a b"
      })
      assert.match(before.requestId, /^[0-9A-F]{32}$/)
      assert.deepInclude(after, {
        requestId: before.requestId,
        msgId,
        costTime: 30,
        timeStamp: before.timeStamp + 30,
        isSuccess: true,
        keys: "a b",
        contextCode: TraceData.TraceContextCode.SUCCESS,
        groupName: "billing"
      })
      assert.strictEqual(messages.length, 1, "both in one message")
      assert.deepStrictEqual([...(messages[0]?.keys ?? [])], [msgId, "a", "b"])
      assert.strictEqual(
        new TextDecoder().decode(messages[0]?.body),
        `SubBefore\x01${before.timeStamp}\x01DefaultRegion\x01billing\x01${before.requestId}\x01${msgId}\x010\x01a b\x02` +
          `SubAfter\x01${before.requestId}\x01${msgId}\x01${after.costTime}\x01true\x01a b\x010\x01${after.timeStamp}\x01billing\x02`
      )
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  const { EXCEPTION, FAILED, SUCCESS } = TraceData.TraceContextCode
  const ends: ReadonlyArray<
    readonly [string, MessageListener.Handler<string, never> | MessageListener.MessageListener<string, never>, unknown]
  > = [
    ["asks for the message again", () => Effect.succeed(ConsumeResult.reconsumeLater()), [false, FAILED]],
    ["gives the message up", () => Effect.succeed(ConsumeResult.deadLetter("no")), [false, FAILED]],
    ["fails", () => Effect.fail("no"), [false, EXCEPTION]],
    ["dies", () => Effect.die("no"), [false, EXCEPTION]],
    [
      "throws",
      () => {
        throw new Error("no")
      },
      [false, EXCEPTION]
    ],
    [
      "fails in a way that its listener takes for consumed",
      MessageListener.concurrently(() => Effect.fail("no"), { onFailure: () => ConsumeResult.success }),
      [true, EXCEPTION]
    ]
  ]
  for (const [how, handler, expected] of ends) {
    it.effect(`say how a handler ended that ${how}`, () =>
      Effect.gen(function* () {
        const { messages } = yield* traced(handler)
        const after = recordsOf(messages).find((one): one is TraceData.TraceSubAfter => one.type === "SubAfter")
        assert.deepStrictEqual([after?.isSuccess, after?.contextCode], expected)
      }).pipe(Effect.scoped, Effect.provide(rig()))
    )
  }

  it.effect("say of each message of a batch what became of it, all under one request id", () =>
    Effect.gen(function* () {
      const { messages, sent } = yield* traced(
        MessageListener.batch({ maxSize: 3 }, () => Effect.succeed(MessageListener.BatchResult.ackIndex(0))),
        {},
        3
      )
      const records = recordsOf(messages)
      assert.deepStrictEqual(
        records.flatMap((one) => (one.type === "SubAfter" ? [[one.msgId, one.isSuccess, one.contextCode]] : [])),
        sent.map(({ msgId }, index) => [msgId, index === 0, index === 0 ? SUCCESS : FAILED])
      )
      assert.strictEqual(records.length, 6)
      assert.strictEqual(new Set(records.map((one) => ("requestId" in one ? one.requestId : ""))).size, 1)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("count redeliveries, and name the time-out of a handler", () =>
    Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      yield* send(order, { queue })
      const consumer = yield* make(({ attempt }) => (attempt === 1 ? Effect.never : Effect.void), {
        enableTrace: true,
        consumeFromWhere: "first",
        consumeTimeout: "2 seconds"
      })
      yield* consumer.start
      yield* TestClock.adjust("3 seconds")
      yield* TestClock.adjust("11 seconds")
      yield* consumer.caughtUp()
      yield* settle
      yield* consumer.shutdown
      const records = recordsOf(yield* stored())
      assert.deepStrictEqual(
        records.map((one) => (one.type === "SubBefore" ? one.retryTimes : one.type === "SubAfter" && one.contextCode)),
        [0, TraceData.TraceContextCode.TIME_OUT, 1, SUCCESS]
      )
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("tell of a stream when a message is handed out, and when it is settled", () =>
    Effect.gen(function* () {
      const { send } = yield* DefaultMQProducer
      yield* send(order, { queue })
      yield* send(order, { queue })
      const stream = MessageStream.make({
        consumerGroup: "search",
        subscriptions: [Subscription.all("orders")],
        consumeFromWhere: "first",
        enableTrace: true,
        namesrvAddr
      })
      const fiber = yield* stream.pipe(
        Stream.mapEffect(({ ack, message, nack }) => (message.queueOffset === 0 ? ack : nack())),
        Stream.take(2),
        Stream.runCollect,
        Effect.forkScoped({ startImmediately: true })
      )
      assert.deepStrictEqual(yield* Fiber.join(fiber), ["settled", "settled"])
      assert.deepStrictEqual(
        recordsOf(yield* stored()).map((one) => (one.type === "SubAfter" ? one.isSuccess : one.type)),
        ["SubBefore", true, "SubBefore", false]
      )
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("are not told of their own topic", () =>
    Effect.gen(function* () {
      const own = yield* traced(() => Effect.void, { traceTopic: "orders" })
      assert.strictEqual(own.state.counters.succeeded, 1)
      assert.strictEqual(own.messages.length, 1, "what was sent, and no trace of it")
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("are not told when they are off, nor when the message's broker wants none", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual((yield* traced(() => Effect.void)).messages, [])
      const off = yield* traced(() => Effect.void, { enableTrace: false, consumerGroup: "other" })
      assert.deepStrictEqual(off.messages, [])
      assert.isUndefined(off.state.trace)
    }).pipe(Effect.scoped, Effect.provide(rig({ brokers: [{ name: "broker-a", config: { traceOn: false } }] })))
  )

  it.effect("hold up no handler when they cannot be sent, and no shutdown beyond its time", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const { send } = yield* DefaultMQProducer
      const sent = yield* Effect.replicateEffect(send(order, { queue }), 40)
      yield* faults.add({ match: { code: RequestCode.SEND_MESSAGE_V2 }, actions: [{ _tag: "DropRequest" }] })
      let handled = 0
      const consumer = yield* make(() => Effect.sync(() => void handled++), {
        enableTrace: true,
        consumeFromWhere: "first",
        drainTimeoutMillis: 1_000
      })
      yield* consumer.start
      yield* consumer.caughtUp()
      assert.strictEqual(handled, sent.length)
      assert.strictEqual((yield* consumer.state).trace?.buffered, 80)
      const closing = yield* Effect.forkChild(consumer.shutdown, { startImmediately: true })
      yield* TestClock.adjust("1 seconds")
      yield* Fiber.join(closing)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})
