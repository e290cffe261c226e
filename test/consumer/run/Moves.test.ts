import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Latch } from "effect"
import { TestClock } from "effect/testing"
import { MQAdmin } from "../../../src/admin/MQAdmin.ts"
import type { DefaultMQPushConsumerShape } from "../../../src/consumer/DefaultMQPushConsumer.ts"
import type { PushConsumerOptions } from "../../../src/consumer/ConsumerOptions.ts"
import * as MessageListener from "../../../src/consumer/MessageListener.ts"
import * as Message from "../../../src/message/Message.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { until } from "../../support/rig.ts"
import { commits, consume, namesrvAddr, rig, text } from "../support.ts"

const QUEUE = { topic: "orders", brokerName: "broker-a", queueId: 0 }

const onRig =
  (version: number = MQVersion.V5_5_0, queues = 1) =>
  <A, E, R>(self: Effect.Effect<A, E, R>) =>
    // Nothing is stored at 0, which is the time of the beginning.
    Effect.andThen(TestClock.adjust("1 second"), self).pipe(
      Effect.provide(MQAdmin.layer({ namesrvAddr, instanceName: "admin" }), { local: true }),
      Effect.scoped,
      Effect.provide(rig({ version, topics: { orders: { readQueueNums: queues, writeQueueNums: queues } } }))
    )

const send = Effect.fnUntraced(function* (count: number, from = 0, queueId = 0) {
  const producer = yield* DefaultMQProducer
  for (let n = from; n < from + count; n++) {
    yield* producer.send(Message.make({ topic: "orders", body: String(n) }), { queue: { ...QUEUE, queueId } })
  }
})

const reset = (to: number | "earliest" | "latest") =>
  Effect.flatMap(MQAdmin, (admin) => admin.resetOffsetByTimestamp({ group: "billing", topic: "orders", to }))

const first = (handler: MessageListener.Handler<never, never>, options: Partial<PushConsumerOptions> = {}) =>
  consume(handler, { consumeFromWhere: "first", ...options })

const queueState = (consumer: DefaultMQPushConsumerShape) =>
  Effect.map(consumer.state, ({ queues }) => queues.find(({ queue }) => queue.topic === "orders") ?? assert.fail())

/** Lets time pass until the consumer has counted a reset. */
const untilReset = Effect.fnUntraced(function* (consumer: DefaultMQPushConsumerShape, count = 1) {
  for (let step = 0; step < 60; step++) {
    if ((yield* consumer.state).counters.resets >= count) return
    yield* TestClock.adjust("500 millis")
  }
  assert.fail("no reset within 30 seconds")
})

/** A member that has written 3 and is in the middle of the fourth message, however long it is waited for. */
const leaving = Effect.fnUntraced(function* (gate: Latch.Latch) {
  const consumer = yield* first(
    (message) => (text(message) === "3" ? Effect.uninterruptible(gate.await) : Effect.void),
    { instanceName: "b", revokeDrain: "20 seconds" }
  )
  yield* until(
    "one runs",
    Effect.map(consumer.state, ({ running }) => running === 1)
  )
  yield* TestClock.adjust("6 seconds")
  return consumer
})

/** The offsets that were sent for the queue, but for those that were refused. */
const written = Effect.map(commits(), (all) => all.map(({ offset }) => offset))

for (const version of [MQVersion.V5_5_0, MQVersion.V4_9_7]) {
  describe(`a group that is reset while it runs, as ${version}`, () => {
    it.effect(
      "R33: to the beginning, with a hundred cached and five running: all from 0, and nothing old written",
      () =>
        Effect.gen(function* () {
          const { traffic } = yield* EmbeddedCluster
          const gate = yield* Latch.make()
          const seen: Array<number> = []
          let interrupted = 0
          yield* send(200)
          const consumer = yield* first(
            (message) =>
              Effect.suspend(() => {
                const n = Number(text(message))
                seen.push(n)
                return n < 100 || gate.isOpen()
                  ? Effect.void
                  : Effect.onInterrupt(gate.await, () => Effect.sync(() => interrupted++))
              }),
            { concurrency: 5, pullThresholdForQueue: 100 }
          )
          yield* until(
            "five run, and the rest is cached",
            Effect.map(
              consumer.state,
              ({ queues, running }) => running === 5 && queues.some(({ cached }) => cached === 100)
            )
          )
          yield* TestClock.adjust("6 seconds")
          assert.strictEqual((yield* queueState(consumer)).committedOffset, 100)
          // A full queue is not pulled: who finishes something hears of the reset when its position is not taken.
          const before = seen.length
          yield* traffic.clear
          assert.deepStrictEqual(yield* reset("earliest"), [{ queue: QUEUE, offset: 0 }])
          yield* version === MQVersion.V4_9_7 ? TestClock.adjust(1) : Effect.void
          const isTold = (yield* consumer.state).counters.resets === 1
          if (!isTold) {
            // In 5.5.0 nobody tells it; a slot that is free lets it ask.
            assert.strictEqual(version, MQVersion.V5_5_0)
            yield* gate.open
          } else gate.openUnsafe()
          yield* untilReset(consumer)
          yield* TestClock.adjust("10 seconds")
          yield* consumer.caughtUp()
          const again = seen.slice(before)
          const begin = again.indexOf(0)
          assert.deepStrictEqual(
            again.slice(begin),
            Array.from({ length: 200 }, (_, n) => n)
          )
          const state = yield* queueState(consumer)
          assert.deepInclude(state, { consumeOffset: 200, cached: 0, running: 0 })
          assert.deepInclude(state.lastMove, { to: 0, by: "reset" })
          const { counters, problems } = yield* consumer.state
          assert.deepInclude(counters, { resets: 1, offsetsMoved: 0, failures: 0, reconsumeLater: 0 })
          assert.deepStrictEqual(problems, [])
          const offsets = yield* written
          const zero = offsets.indexOf(0)
          assert.isAtLeast(zero, 0, "the reset is written")
          assert.deepStrictEqual(
            offsets.slice(zero),
            offsets.slice(zero).toSorted((a, b) => a - b),
            "nothing of the old ones is written after it"
          )
          assert.strictEqual(interrupted, isTold ? 5 : interrupted)
        }).pipe(onRig(version))
    )

    it.effect("R33: to the end: what was waiting is skipped, and what comes is read", () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        const gate = yield* Latch.make()
        yield* send(50)
        const consumer = yield* first(
          (message) =>
            Effect.andThen(
              Effect.sync(() => void seen.push(text(message))),
              gate.await
            ),
          { concurrency: 2, pullBatchSize: 8, pullThresholdForQueue: 10 }
        )
        yield* until(
          "two run",
          Effect.map(consumer.state, ({ running }) => running === 2)
        )
        assert.deepStrictEqual(yield* reset("latest"), [{ queue: QUEUE, offset: 50 }])
        if (version === MQVersion.V5_5_0) yield* gate.open
        yield* untilReset(consumer)
        yield* gate.open
        yield* send(3, 50)
        yield* TestClock.adjust("6 seconds")
        yield* consumer.caughtUp()
        assert.deepStrictEqual(seen.slice(-3), ["50", "51", "52"])
        assert.isBelow(seen.length, 25, "the others are skipped")
        assert.strictEqual((yield* queueState(consumer)).consumeOffset, 53)
        const admin = yield* MQAdmin
        yield* TestClock.adjust("6 seconds")
        assert.strictEqual(yield* admin.fetchConsumeOffset("billing", QUEUE), 53)
      }).pipe(onRig(version))
    )

    it.effect("R33: an idle one reads on where it was set to within one pull, however often", () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        yield* send(4)
        const consumer = yield* first((message) => Effect.sync(() => void seen.push(text(message))))
        yield* consumer.caughtUp()
        for (const round of [1, 2, 3]) {
          yield* reset("earliest")
          yield* untilReset(consumer, round)
          yield* TestClock.adjust("5 seconds")
          assert.strictEqual(seen.length, 4 * (round + 1))
        }
        assert.strictEqual((yield* queueState(consumer)).consumeOffset, 4)
      }).pipe(onRig(version))
    )

    it.effect("R33, R19: in order: the handler that runs ends first, and all come again one after the other", () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        let running = 0
        let most = 0
        yield* send(6)
        const consumer = yield* consume(
          MessageListener.orderly((message) =>
            Effect.uninterruptible(
              Effect.gen(function* () {
                running++
                most = Math.max(most, running)
                yield* Effect.sleep(1_000)
                seen.push(text(message))
                running--
              })
            )
          ),
          { consumeFromWhere: "first" }
        )
        yield* TestClock.adjust("3500 millis")
        yield* reset("earliest")
        yield* untilReset(consumer)
        for (let step = 0; step < 60; step++) yield* TestClock.adjust("500 millis")
        assert.strictEqual(most, 1)
        assert.deepStrictEqual(seen.slice(-6), ["0", "1", "2", "3", "4", "5"])
        assert.isAbove(seen.length, 6)
        assert.strictEqual((yield* queueState(consumer)).consumeOffset, 6)
      }).pipe(onRig(version))
    )

    it.effect("R33: one that is suspended is reset as well, and reads on there when it goes on", () =>
      Effect.gen(function* () {
        const seen: Array<string> = []
        yield* send(4)
        const consumer = yield* first((message) => Effect.sync(() => void seen.push(text(message))))
        yield* consumer.caughtUp()
        yield* TestClock.adjust("6 seconds")
        yield* consumer.suspend
        yield* TestClock.adjust("30 seconds")
        yield* reset("earliest")
        yield* TestClock.adjust("30 seconds")
        assert.strictEqual(seen.length, 4)
        yield* consumer.resume
        yield* TestClock.adjust("5 seconds")
        assert.strictEqual(seen.length, 8)
        const admin = yield* MQAdmin
        yield* TestClock.adjust("6 seconds")
        assert.strictEqual(yield* admin.fetchConsumeOffset("billing", QUEUE), 4)
      }).pipe(onRig(version))
    )
  })
}

describe("a reset that a broker tells of", () => {
  it.effect("when it does not take a position: the queue is read on where the broker has it, though it is full", () =>
    Effect.gen(function* () {
      const release = yield* Deferred.make<void>()
      const seen: Array<number> = []
      yield* send(60)
      const consumer = yield* first(
        (message) =>
          Effect.suspend(() => {
            const n = Number(text(message))
            seen.push(n)
            // The second stays, so that the queue remains full.
            return n === 1 ? Effect.never : n === 0 && seen.length < 3 ? Deferred.await(release) : Effect.void
          }),
        { concurrency: 2, pullThresholdForQueue: 20, drainTimeoutMillis: 0 }
      )
      yield* until(
        "both run",
        Effect.map(consumer.state, ({ running }) => running === 2)
      )
      yield* reset("latest")
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* consumer.state).counters.resets, 0, "nothing was asked of the broker")
      yield* Deferred.succeed(release, undefined)
      yield* TestClock.adjust("5 seconds")
      assert.deepInclude((yield* queueState(consumer)).lastMove, { from: 1, to: 60, by: "reset" })
      assert.strictEqual((yield* consumer.state).counters.resets, 1)
      yield* send(1, 60)
      yield* TestClock.adjust("1 second")
      assert.strictEqual(seen.at(-1), 60)
    }).pipe(onRig())
  )

  it.effect("again and again: it decides neither how often it is asked, nor that anything is read twice a second", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      const seen: Array<string> = []
      yield* send(4)
      yield* faults.add({
        match: { code: RequestCode.PULL_MESSAGE, topic: "orders" },
        actions: [FaultScript.pull.offsetIllegal({ nextBeginOffset: 0, minOffset: 0, maxOffset: 4 }, "OFFSET_RESET")]
      })
      const consumer = yield* first((message) => Effect.sync(() => void seen.push(text(message))))
      yield* traffic.clear
      for (let step = 0; step < 120; step++) yield* TestClock.adjust("1 second")
      const pulls = yield* traffic.matching({ code: RequestCode.PULL_MESSAGE, topic: "orders" })
      assert.isAtMost(pulls.length, 20)
      yield* faults.clear
      yield* TestClock.adjust("60 seconds")
      assert.strictEqual(new Set(seen).size, 4)
      assert.isTrue(yield* consumer.healthy)
    }).pipe(onRig())
  )

  it.effect("time after time: only reading waits, the position is written at once for whoever comes next", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const stored = admin.fetchConsumeOffset("billing", QUEUE)
      const { traffic } = yield* EmbeddedCluster
      let seen = 0
      yield* send(4)
      const consumer = yield* first(() => Effect.sync(() => void seen++))
      yield* consumer.caughtUp()
      /** The group is reset before it has written that it read all, and whatever is sent lets the broker answer. */
      const again = Effect.fnUntraced(function* (round: number) {
        yield* reset("earliest")
        seen = 0
        yield* send(1, 3 + round)
      })
      // The pauses are 0, 1, 2, 4 and then 8 s.
      for (const round of [1, 2, 3, 4]) {
        yield* again(round)
        // The answer, from which the pause begins; the pause; the answer to the pull after it.
        yield* TestClock.adjust(50)
        yield* TestClock.adjust(round === 1 ? 0 : 1_000 * 2 ** (round - 2))
        yield* TestClock.adjust(50)
        assert.strictEqual(seen, 4 + round, `round ${round}`)
      }
      yield* traffic.clear
      yield* again(5)
      yield* TestClock.adjust("7 seconds")
      assert.strictEqual(seen, 0)
      assert.strictEqual(yield* stored, 0)
      assert.deepStrictEqual(yield* written, [0])
      assert.strictEqual((yield* queueState(consumer)).phase, "waiting")
      yield* TestClock.adjust("8 seconds")
      assert.strictEqual(seen, 9)
      assert.strictEqual(yield* stored, 9)
    }).pipe(onRig())
  )

  it.effect("by 220, hundreds of times: the newest counts, and few are carried out", () =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      yield* send(4)
      const consumer = yield* first((message) => Effect.sync(() => void seen.push(text(message))))
      yield* consumer.caughtUp()
      for (let n = 0; n < 300; n++) yield* reset(n % 2 === 0 ? "latest" : "earliest")
      yield* TestClock.adjust("60 seconds")
      assert.isAtMost((yield* consumer.state).counters.resets, 4)
      assert.deepInclude((yield* queueState(consumer)).lastMove, { to: 0 })
      assert.strictEqual((yield* queueState(consumer)).consumeOffset, 4)
      assert.isAtMost(seen.length, 16)
    }).pipe(onRig(MQVersion.V4_9_7))
  )

  it.effect("by 220, time after time: only reading waits, and who ends meanwhile takes nothing with it", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const stored = admin.fetchConsumeOffset("billing", QUEUE)
      let seen = 0
      yield* send(4)
      const consumer = yield* first(() => Effect.sync(() => void seen++))
      yield* consumer.caughtUp()
      // The pauses are 0, 1, 2, 4 and then 8 s.
      for (const pause of [0, 1_000, 2_000, 4_000]) {
        seen = 0
        yield* reset("earliest")
        yield* TestClock.adjust(50)
        yield* TestClock.adjust(pause)
        yield* TestClock.adjust(50)
        assert.strictEqual(seen, 4, `after ${pause} ms`)
      }
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* stored, 4)
      seen = 0
      yield* reset("earliest")
      yield* TestClock.adjust(50)
      assert.strictEqual(yield* stored, 0, "it is written at once")
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* stored, 0, "and nothing old over it")
      assert.strictEqual((yield* queueState(consumer)).phase, "waiting")
      // Another one meanwhile: the newest counts, without another pause.
      yield* admin.resetOffsetByTimestamp({ group: "billing", topic: "orders", to: "latest" })
      yield* TestClock.adjust(50)
      assert.strictEqual(yield* stored, 4)
      assert.deepInclude((yield* queueState(consumer)).lastMove, { to: 4 })
      yield* reset("earliest")
      yield* TestClock.adjust(50)
      assert.strictEqual(yield* stored, 0)
      assert.strictEqual(seen, 0)
      yield* TestClock.adjust("2 seconds")
      yield* TestClock.adjust(50)
      assert.strictEqual(seen, 4)
      yield* TestClock.adjust("6 seconds")
      assert.strictEqual(yield* stored, 4)
    }).pipe(onRig(MQVersion.V4_9_7))
  )

  it.effect("by 220, while its queue is given up: it is written, and nothing old over it", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const stored = admin.fetchConsumeOffset("billing", QUEUE)
      const gate = yield* Latch.make()
      yield* send(4)
      const consumer = yield* leaving(gate)
      // Nobody takes it: only who gives it up can write where it was reset to.
      yield* Effect.forkScoped(consumer.unsubscribe("orders"))
      yield* TestClock.adjust("1 second")
      assert.isFalse((yield* consumer.assignment).some(({ topic }) => topic === "orders"))
      assert.strictEqual(yield* stored, 3)
      yield* reset("earliest")
      yield* TestClock.adjust("1 second")
      assert.strictEqual(yield* stored, 0)
      yield* gate.open
      yield* TestClock.adjust("40 seconds")
      assert.strictEqual(yield* stored, 0)
      assert.strictEqual((yield* written).at(-1), 0)
    }).pipe(onRig(MQVersion.V4_9_7))
  )

  it.effect("in a pull that its broker held while the queue is handed over: who takes it reads on there", () =>
    Effect.gen(function* () {
      const gate = yield* Latch.make()
      yield* send(4)
      const consumer = yield* leaving(gate)
      const seen: Array<string> = []
      yield* first((message) => Effect.sync(() => void seen.push(text(message))), {
        instanceName: "a",
        revokeDrain: "20 seconds",
        readiness: "lazy"
      })
      yield* TestClock.adjust("2 seconds")
      assert.isFalse((yield* consumer.assignment).some(({ topic }) => topic === "orders"))
      yield* reset("earliest")
      // The broker tells the old owner, which it has held a pull of, and forgets it.
      yield* send(1, 4)
      yield* TestClock.adjust("1 second")
      yield* gate.open
      yield* TestClock.adjust("40 seconds")
      assert.deepStrictEqual(seen, ["0", "1", "2", "3", "4"])
    }).pipe(onRig())
  )

  it.effect("by 220, of a topic that it does not read: nothing happens", () =>
    Effect.gen(function* () {
      const { createTopic } = yield* EmbeddedCluster
      const admin = yield* MQAdmin
      yield* createTopic("other", { readQueueNums: 1, writeQueueNums: 1 })
      yield* send(4)
      const consumer = yield* first(() => Effect.void)
      yield* consumer.caughtUp()
      yield* admin.updateConsumeOffset("billing", { ...QUEUE, topic: "other" }, 3)
      yield* admin.resetOffsetByTimestamp({ group: "billing", topic: "other", to: "earliest" })
      yield* TestClock.adjust("30 seconds")
      assert.strictEqual((yield* consumer.state).counters.resets, 0)
      assert.strictEqual((yield* queueState(consumer)).consumeOffset, 4)
    }).pipe(onRig(MQVersion.V4_9_7))
  )
})
