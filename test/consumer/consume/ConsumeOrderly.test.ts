import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as ConsumeResult from "../../../src/consumer/ConsumeResult.ts"
import * as MessageListener from "../../../src/consumer/MessageListener.ts"
import type { ReceivedMessage } from "../../../src/consumer/ReceivedMessage.ts"
import * as Message from "../../../src/message/Message.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import * as LockBatch from "../../../src/protocol/request/LockBatch.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import * as RemotingClient from "../../support/remoting.ts"
import { settle } from "../../support/rig.ts"
import { commits, consume, rig, text } from "../support.ts"

const { OrderlyResult, orderly } = MessageListener

const oneQueue = rig({ topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } } })

/** Sends texts to a queue, one after the other. */
const send = Effect.fnUntraced(function* (texts: ReadonlyArray<string>, queueId = 0) {
  const producer = yield* DefaultMQProducer
  for (const body of texts) {
    yield* producer.send(Message.make({ topic: "orders", body }), {
      queue: MessageQueue.make("orders", "broker-a", queueId)
    })
  }
})

/** A handler that notes what it gets, as `text/attempt@millis`, and then does something. */
const noting = <A>(then: (message: ReceivedMessage) => A) => {
  const seen: Array<string> = []
  const handler = (message: ReceivedMessage) =>
    Effect.map(Clock.currentTimeMillis, (now) => {
      seen.push(`${text(message)}/${message.attempt}@${now}`)
      return then(message)
    })
  return { seen, handler }
}

/** What was seen, without the times. */
const plain = (seen: ReadonlyArray<string>) => seen.map((one) => one.replace(/@.*/, "")).join(" ")

describe("messages in order", () => {
  it.effect("one of a queue at a time, queues side by side; their positions are committed", () =>
    Effect.gen(function* () {
      const running = new Map<number, number>()
      let most = 0
      const seen: Array<string> = []
      const consumer = yield* consume(
        orderly((message) =>
          Effect.gen(function* () {
            const { queueId } = message.queue
            running.set(queueId, (running.get(queueId) ?? 0) + 1)
            assert.strictEqual(running.get(queueId), 1)
            most = Math.max(
              most,
              [...running.values()].reduce((sum, n) => sum + n, 0)
            )
            yield* Effect.sleep(10)
            seen.push(text(message))
            running.set(queueId, 0)
          })
        )
      )
      for (const queueId of [0, 1, 2, 3])
        yield* send(
          ["a", "b", "c"].map((name) => `${name}${queueId}`),
          queueId
        )
      for (let n = 0; n < 10; n++) yield* TestClock.adjust(10)
      for (const queueId of [0, 1, 2, 3]) {
        assert.deepStrictEqual(
          seen.filter((one) => one.endsWith(String(queueId))),
          ["a", "b", "c"].map((name) => `${name}${queueId}`)
        )
      }
      assert.strictEqual(most, 4)
      yield* consumer.caughtUp()
      const { queues } = yield* consumer.state
      const now = yield* Clock.currentTimeMillis
      for (const { lockedUntil, queue } of queues) {
        assert.isAbove(lockedUntil ?? 0, now, MessageQueue.key(queue))
      }
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("suspend tries a message again before its successors, after the time it says", () =>
    Effect.gen(function* () {
      const { handler, seen } = noting(({ attempt }) =>
        attempt === 1 ? OrderlyResult.suspend() : attempt === 2 ? OrderlyResult.suspend("3 seconds") : undefined
      )
      const consumer = yield* consume(orderly(handler), { suspendCurrentQueueTimeMillis: 500 })
      yield* send(["a", "b"])
      yield* settle
      assert.strictEqual(plain(seen), "a/1")
      yield* TestClock.adjust(499)
      assert.strictEqual(plain(seen), "a/1")
      yield* TestClock.adjust(1)
      assert.strictEqual(plain(seen), "a/1 a/2")
      yield* TestClock.adjust(3_000)
      yield* settle
      assert.strictEqual(plain(seen), "a/1 a/2 a/3 b/1")
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual(plain(seen), "a/1 a/2 a/3 b/1 b/2 b/3")
      yield* consumer.caughtUp()
      const { counters } = yield* consumer.state
      assert.strictEqual(counters.succeeded, 2)
      assert.strictEqual(counters.reconsumeLater, 4)
    }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )

  it.effect("RECONSUME_LATER, a failure, a defect and a handler that takes too long mean suspend as well", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const consumer = yield* consume(
        orderly((message) =>
          Effect.suspend(() => {
            seen.push(`${text(message)}/${message.attempt}`)
            if (message.attempt === 1) return Effect.succeed(ConsumeResult.reconsumeLater("2 seconds"))
            if (message.attempt === 2) return Effect.fail("no")
            if (message.attempt === 3) return Effect.die("never")
            return message.attempt === 4 ? Effect.never : Effect.void
          })
        ),
        { consumeTimeout: "5 seconds" }
      )
      yield* send(["a", "b"])
      yield* TestClock.adjust(2_000)
      assert.strictEqual(seen.join(" "), "a/1 a/2")
      yield* TestClock.adjust(1_000)
      yield* TestClock.adjust(1_000)
      assert.strictEqual(seen.join(" "), "a/1 a/2 a/3 a/4")
      for (let n = 0; n < 7; n++) yield* TestClock.adjust(1_000)
      assert.strictEqual(seen.join(" "), "a/1 a/2 a/3 a/4 a/5 b/1")
      const { counters } = yield* consumer.state
      assert.deepStrictEqual(
        [counters.failures, counters.defects, counters.timeouts, counters.reconsumeLater],
        [1, 1, 1, 5]
      )
    }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )

  it.effect("without automatic commits nothing counts before a commit, and a rollback takes it back", () =>
    Effect.gen(function* () {
      let rolledBack = false
      const { handler, seen } = noting((message) => {
        if (text(message) === "c" && !rolledBack) {
          rolledBack = true
          return OrderlyResult.rollback
        }
        return text(message) === "d" ? OrderlyResult.commit : OrderlyResult.success
      })
      const consumer = yield* consume(orderly(handler, { autoCommit: false }))
      yield* send(["a", "b", "c"])
      yield* settle
      const position = Effect.map(
        consumer.state,
        ({ queues }) => queues.find(({ queue }) => queue.topic === "orders")?.consumeOffset
      )
      assert.strictEqual(plain(seen), "a/1 b/1 c/1")
      assert.strictEqual(yield* position, 0)
      yield* TestClock.adjust(1_000)
      assert.strictEqual(plain(seen), "a/1 b/1 c/1 a/1 b/1 c/1")
      yield* send(["d", "e"])
      yield* settle
      assert.strictEqual(yield* position, 4)
      yield* TestClock.adjust("30 seconds")
      yield* consumer.shutdown
      assert.strictEqual((yield* commits()).at(-1)?.offset, 4)
    }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )

  it.effect("a message that is put back while its consumer closes does not begin again", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const seen: Array<string> = []
      const consumer = yield* consume(
        orderly((message) =>
          Effect.gen(function* () {
            seen.push(`${text(message)}/${message.attempt}`)
            if (text(message) === "a") return OrderlyResult.success
            yield* Effect.sleep(200)
            return OrderlyResult.suspend(10)
          })
        )
      )
      yield* send(["a", "b"])
      yield* settle
      assert.deepStrictEqual(seen, ["a/1", "b/1"])
      // It suspends its queue within the time that handlers have, and the position behind "a" is slow to be written.
      yield* faults.add({ match: { code: RequestCode.UPDATE_CONSUMER_OFFSET }, actions: [FaultScript.delay(2_000)] })
      const closing = yield* Effect.forkChild(consumer.shutdown, { startImmediately: true })
      for (let n = 0; n < 100; n++) yield* TestClock.adjust(100)
      yield* Fiber.join(closing)
      assert.deepStrictEqual(seen, ["a/1", "b/1"])
    }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )

  it.effect("in a namespace the locks have it too, and none is anybody else's", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const { handler, seen } = noting(() => undefined)
      const consumer = yield* consume(orderly(handler), { namespace: "ns" })
      const producer = yield* DefaultMQProducer
      for (const body of ["a", "b"]) yield* producer.send(Message.make({ topic: "ns%orders", body }))
      yield* consumer.caughtUp()
      assert.strictEqual(plain(seen), "a/1 b/1")
      const { queues } = yield* consumer.state
      assert.isTrue(queues.every(({ lockedUntil }) => lockedUntil !== undefined))
      const client = yield* RemotingClient.make({})
      const lock = (consumerGroup: string, topic: string) => {
        const mqSet = [MessageQueue.make(topic, "broker-a", 0)]
        return Effect.map(
          client.invoke(
            brokers[0]?.address ?? "",
            LockBatch.request({ clientId: "another", consumerGroup, mqSet }, "lock"),
            1_000
          ),
          LockBatch.decodeResponse
        )
      }
      assert.deepStrictEqual(yield* lock("ns%billing", "ns%orders"), { lockOKMQSet: [] })
      assert.deepStrictEqual(yield* lock("billing", "orders"), {
        lockOKMQSet: [MessageQueue.make("orders", "broker-a", 0)]
      })
    }).pipe(Effect.scoped, Effect.provide(rig({ topics: { "ns%orders": { readQueueNums: 1, writeQueueNums: 1 } } })))
  )

  it.effect("with automatic commits a rollback takes the message back alone", () =>
    Effect.gen(function* () {
      const { handler, seen } = noting(({ attempt }) => (attempt === 1 ? OrderlyResult.rollback : OrderlyResult.commit))
      yield* consume(orderly(handler))
      yield* send(["a", "b"])
      for (let n = 0; n < 3; n++) yield* TestClock.adjust(1_000)
      assert.strictEqual(plain(seen), "a/1 a/2 b/1 b/2")
    }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )

  it.effect(
    "C-46: a message that never succeeds is delivered maxReconsumeTimes + 1 times, and its successors follow",
    () =>
      Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const { handler, seen } = noting((message) =>
          text(message) === "poison" ? OrderlyResult.suspend() : undefined
        )
        const consumer = yield* consume(orderly(handler), { maxReconsumeTimes: 3 })
        yield* send(["a", "poison", "b"])
        for (let n = 0; n < 4; n++) yield* TestClock.adjust(1_000)
        yield* settle
        assert.strictEqual(plain(seen), "a/1 poison/1 poison/2 poison/3 poison/4 b/1")
        yield* consumer.caughtUp()
        assert.strictEqual((yield* consumer.state).counters.deadLettered, 1)
        const dead = yield* messages("%DLQ%billing")
        assert.deepStrictEqual(
          dead.map((message) => [text(message), message.reconsumeTimes, message.properties["RETRY_TOPIC"]]),
          [["poison", 4, "orders"]]
        )
      }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )
})

const keyOf = (message: ReceivedMessage) => text(message).slice(0, 1)

describe("messages in order of their keys", () => {
  it.effect(
    "one of a key at a time over all queues, keys side by side; a failure is given back and holds up none",
    () =>
      Effect.gen(function* () {
        const running = new Set<string>()
        const seen: Array<string> = []
        let most = 0
        const consumer = yield* consume(
          MessageListener.keyed(keyOf, (message) =>
            Effect.gen(function* () {
              const key = keyOf(message)
              assert.isFalse(running.has(key))
              running.add(key)
              most = Math.max(most, running.size)
              yield* Effect.sleep(10)
              running.delete(key)
              seen.push(text(message))
              return text(message) === "a1" && message.attempt === 1 ? ConsumeResult.reconsumeLater() : undefined
            })
          )
        )
        for (const n of [1, 2, 3]) for (const key of ["a", "b", "c"]) yield* send([`${key}${n}`], 0)
        yield* send(["a4", "b4"], 1)
        for (let n = 0; n < 8; n++) yield* TestClock.adjust(10)
        for (const key of ["a", "b", "c"]) {
          const own = seen.filter((one) => one.startsWith(key))
          const ofQueue = own.filter((one) => !one.endsWith("4"))
          assert.deepStrictEqual(
            ofQueue,
            [1, 2, 3].map((n) => `${key}${n}`)
          )
        }
        assert.strictEqual(seen.length, 11)
        assert.strictEqual(most, 3)
        yield* TestClock.adjust("15 seconds")
        assert.strictEqual(seen.filter((one) => one === "a1").length, 2)
        assert.strictEqual((yield* consumer.state).counters.reconsumeLater, 1)
      }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("a key that cannot be found is a defect of that message alone", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      const consumer = yield* consume(
        MessageListener.keyed(
          (message) => {
            if (text(message) === "b") throw new Error("no key")
            return "key"
          },
          (message) => Effect.sync(() => seen.push(text(message))).pipe(Effect.asVoid)
        )
      )
      yield* send(["a", "b", "c"])
      yield* settle
      assert.deepStrictEqual(seen, ["a", "c"])
      const { counters } = yield* consumer.state
      assert.deepStrictEqual([counters.defects, counters.succeeded, counters.reconsumeLater], [1, 2, 1])
    }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )

  it.effect("a lock is given back after the answer to its renewal, which a broker might carry out later", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      const consumer = yield* consume(orderly(() => Effect.void))
      yield* send(["a"])
      yield* consumer.caughtUp()
      const slow = { match: { code: RequestCode.LOCK_BATCH_MQ }, actions: [FaultScript.delay(700)] }
      yield* faults.add(slow)
      yield* traffic.clear
      const renewals = traffic.ofCode(RequestCode.LOCK_BATCH_MQ)
      for (let step = 0; step < 300 && (yield* renewals).length === 0; step++) yield* TestClock.adjust(100)
      const closing = yield* Effect.forkChild(consumer.shutdown, { startImmediately: true })
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.join(closing)
      const [asked] = yield* renewals
      const [given] = yield* traffic.ofCode(RequestCode.UNLOCK_BATCH_MQ)
      assert.isDefined(asked?.answer)
      assert.isAtLeast(given?.time ?? 0, asked.answer.time)
    }).pipe(Effect.scoped, Effect.provide(oneQueue))
  )
})
