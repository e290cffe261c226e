import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Logger, Random, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Subscription from "../../../src/consumer/subscription/Subscription.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as Message from "../../../src/message/Message.ts"
import { DefaultMQProducer } from "../../../src/producer/DefaultMQProducer.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { commits, consume, rig, text } from "../support.ts"

const queue = { topic: "orders", brokerName: "broker-a", queueId: 1 }
const send = Effect.fnUntraced(function* (count: number, to = queue) {
  const producer = yield* DefaultMQProducer
  for (let n = 0; n < count; n++) yield* producer.send(Message.make({ topic: "orders", body: `${n}` }), { queue: to })
})

describe("what is committed", () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    it.effect(`R1, R4: is never above what is not finished, and never falls, in any order of ends: ${seed}`, () =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        /** By queue id and offset, when the message was finished by its handler. */
        const finished = new Map<string, number>()
        // Every third send-back is refused, and the copy that is sent instead as well.
        yield* faults.add({
          match: { code: RequestCode.CONSUMER_SEND_MSG_BACK, every: 3 },
          actions: [FaultScript.answer(2, "busy")]
        })
        yield* faults.add({
          match: { topic: "%RETRY%billing", code: RequestCode.SEND_MESSAGE_V2 },
          actions: [FaultScript.answer(2, "busy")]
        })
        const consumer = yield* consume(
          (message) =>
            Effect.gen(function* () {
              yield* Effect.sleep(yield* Random.nextIntBetween(1, 3_000))
              const chance = yield* Random.next
              if (chance < 0.15) return yield* Effect.fail("no")
              if (chance < 0.2) return yield* Effect.die("no")
              if (message.queue.topic === "orders") {
                finished.set(
                  `${message.queue.queueId}:${message.queueOffset}`,
                  yield* Effect.clockWith((clock) => clock.currentTimeMillis)
                )
              }
              return undefined
            }),
          { concurrency: 8, consumeFromWhere: "first" }
        )
        for (const queueId of [0, 1, 2, 3]) yield* send(40, { ...queue, queueId })
        for (let second = 0; second < 120; second++) yield* TestClock.adjust("1 second")
        yield* faults.clear
        for (let second = 0; second < 120; second++) yield* TestClock.adjust("1 second")
        yield* consumer.caughtUp()
        // What was given back is finished when a broker has acknowledged that.
        const given = yield* traffic.matching({
          code: RequestCode.CONSUMER_SEND_MSG_BACK,
          where: ({ answer }) => answer?.code === 0
        })
        const resent = yield* traffic.matching({
          code: RequestCode.SEND_MESSAGE_V2,
          topic: "%RETRY%billing",
          where: ({ answer }) => answer?.code === 0
        })
        const { counters } = yield* consumer.state
        assert.isAbove(counters.sendBackFailures, 0)
        assert.isAbove(given.length, 0)
        const all = yield* commits()
        assert.isAbove(all.length, 20)
        const last = new Map<string, number>()
        let checked = 0
        for (const { offset, queue: name, time } of all) {
          assert.isAtLeast(offset, last.get(name) ?? 0, `${name} fell`)
          last.set(name, offset)
          const queueId = name.split("@")[1] ?? ""
          for (let below = 0; below < offset; below++) {
            const at = finished.get(`${queueId}:${below}`)
            if (at === undefined) continue
            checked++
            assert.isAtMost(at, time, `${name} was committed to ${offset} before ${below} was finished`)
          }
        }
        assert.isAbove(checked, 500)
        // Each message of the topic was finished once by its handler, or was given back, acknowledged.
        const notByHandler = 160 - finished.size
        assert.isAtMost(notByHandler, given.length + resent.length)
        assert.deepStrictEqual([...last.values()], [40, 40, 40, 40])
      }).pipe(Random.withSeed(seed), Effect.scoped, Effect.provide(rig()))
    )
  }

  it.effect("R3: nothing is pulled or committed while it is not known where a queue begins", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      yield* send(3)
      const asked = { code: RequestCode.QUERY_CONSUMER_OFFSET }
      yield* faults.add({ name: "unknown", match: asked, actions: [FaultScript.answer(1, "a bug")] })
      const seen: Array<string> = []
      const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))), {
        consumeFromWhere: "first"
      })
      for (const action of [FaultScript.dropRequest, FaultScript.cut("before"), FaultScript.corruptResponse]) {
        yield* TestClock.adjust("10 seconds")
        yield* faults.remove("unknown")
        yield* faults.add({ name: "unknown", match: asked, actions: [action] })
      }
      yield* TestClock.adjust("40 seconds")
      const { problems, queues } = yield* consumer.state
      assert.isTrue(
        queues.every(({ consumeOffset, nextOffset }) => consumeOffset === undefined && nextOffset === undefined)
      )
      assert.include(problems.map(({ key }) => key).join(), "locate orders@broker-a@1")
      assert.deepStrictEqual(
        yield* traffic.matching({ code: [RequestCode.PULL_MESSAGE, RequestCode.UPDATE_CONSUMER_OFFSET] }),
        []
      )
      yield* faults.clear
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(seen, ["0", "1", "2"])
      assert.isTrue(yield* consumer.healthy)
      const bits = (yield* commits()).filter(({ by }) => by === "pull")
      assert.isTrue(bits.every(({ offset }) => offset > 0))
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("R5: a broker that has lost messages is loud: the state, the log and a count say from where to where", () =>
    Effect.gen(function* () {
      const lines: Array<string> = []
      const { faults } = yield* EmbeddedCluster
      const seen: Array<string> = []
      yield* Effect.gen(function* () {
        yield* send(5)
        const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))), {
          consumeFromWhere: "first"
        })
        yield* consumer.caughtUp()
        yield* faults.add({
          match: { code: RequestCode.PULL_MESSAGE, topic: "orders" },
          times: 1,
          actions: [FaultScript.pull.offsetIllegal({ nextBeginOffset: 2, minOffset: 0, maxOffset: 5 })]
        })
        yield* TestClock.adjust("20 seconds")
        const { counters, problems } = yield* consumer.state
        assert.strictEqual(counters.offsetsMoved, 1)
        const said = problems.find(({ key }) => key === "moved orders@broker-a@1")?.text ?? ""
        assert.match(said, /offset 5 of queue orders@broker-a@1 is not there; group billing reads on at 2 /)
        assert.include(said, "has lost messages")
        assert.isTrue(lines.some((line) => line.includes("reads on at 2")))
        assert.deepStrictEqual(seen, ["0", "1", "2", "3", "4", "2", "3", "4"])
        // Nothing tells that it is over: it is shown for ten minutes.
        const isShown = Effect.map(consumer.healthy, (healthy) => !healthy)
        yield* TestClock.adjust("570 seconds")
        assert.isTrue(yield* isShown)
        yield* TestClock.adjust("30 seconds")
        assert.isFalse(yield* isShown)
      }).pipe(Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])))
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("R37: one that could not be written is written again with the newest position", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const consumer = yield* consume(() => Effect.void)
      yield* faults.add({
        match: { code: RequestCode.UPDATE_CONSUMER_OFFSET },
        actions: [FaultScript.answer(2, "busy")]
      })
      yield* send(4)
      yield* consumer.caughtUp()
      yield* TestClock.adjust("10 seconds")
      const before = yield* consumer.state
      assert.isAbove(before.counters.commitFailures, 0)
      assert.include(before.problems.map(({ key }) => key).join(), "persist orders@broker-a@1")
      yield* send(3)
      yield* consumer.caughtUp()
      yield* faults.clear
      yield* TestClock.adjust("6 seconds")
      assert.isTrue(yield* consumer.healthy)
      const written = (yield* commits()).filter(({ by, queue: name }) => by === "update" && name === "orders@1")
      assert.strictEqual(written.at(-1)?.offset, 7)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

describe("where a group begins", () => {
  it.effect("R25: last is last on 5.x; on 4.x a young queue is read from its beginning, and one line says why", () =>
    Effect.gen(function* () {
      for (const [version, read] of [
        [MQVersion.V5_5_0, 0],
        [MQVersion.V4_9_7, 5]
      ] as const) {
        const lines: Array<string> = []
        yield* Effect.gen(function* () {
          yield* send(5)
          const consumer = yield* consume(() => Effect.void)
          yield* consumer.caughtUp()
          assert.strictEqual((yield* consumer.state).counters.received, read)
          const said = lines.filter((line) => line.includes("although consumeFromWhere is last"))
          assert.strictEqual(said.length, read === 0 ? 0 : 1)
          if (read > 0) assert.include(said[0] ?? "", "5 message(s) are read")
        }).pipe(
          Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))])),
          Effect.scoped,
          Effect.provide(rig({ version }))
        )
      }
    })
  )

  it.effect("R26: it is written at once, so that who takes over reads what came between", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* send(2)
      const scope = yield* Scope.make()
      const first = yield* Scope.provide(
        consume(() => Effect.void, { instanceName: "first" }),
        scope
      )
      yield* first.suspend
      const written = (yield* commits()).filter(({ by }) => by === "update")
      assert.deepInclude(
        written.find(({ queue: name }) => name === "orders@1"),
        { offset: 2 }
      )
      // Killed: nothing that it says reaches the broker any more.
      yield* faults.add({
        match: { code: [RequestCode.UPDATE_CONSUMER_OFFSET, RequestCode.PULL_MESSAGE] },
        actions: [FaultScript.answer(1, "gone")]
      })
      yield* send(3)
      yield* Effect.all([Scope.close(scope, Exit.void), TestClock.adjust("10 seconds")], { concurrency: "unbounded" })
      yield* faults.clear
      const seen: Array<string> = []
      const second = yield* consume((message) => Effect.sync(() => void seen.push(text(message))), {
        instanceName: "second"
      })
      yield* second.caughtUp()
      assert.deepStrictEqual(seen, ["0", "1", "2"])
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  // A thousand starts take as long as the machine is busy.
  it.effect(
    "R27: what is sent when the layer is built is received, with last too, 1,000 times of 1,000",
    () =>
      Effect.gen(function* () {
        for (let round = 0; round < 100; round++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const consumer = yield* consume(() => Effect.void, { consumerGroup: `group-${round}` })
              yield* send(1)
              yield* consumer.caughtUp()
              assert.strictEqual((yield* consumer.state).counters.succeeded, 1, `round ${round}`)
            })
          )
        }
        // A cluster of a thousand groups would make each of them slower.
      }).pipe(Effect.provide(rig(), { local: true }), Effect.repeat({ times: 9 })),
    120_000
  )

  it.effect(
    "R27: what the first message makes is read from there on, with last too, and without turning the clock",
    () =>
      Effect.gen(function* () {
        const producer = yield* DefaultMQProducer
        const seen: Array<string> = []
        const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))), {
          subscriptions: [Subscription.all("orders"), Subscription.all("made-by-a-send")]
        })
        for (const body of ["a", "b"]) yield* producer.send(Message.make({ topic: "made-by-a-send", body }))
        yield* consumer.caughtUp()
        assert.sameMembers(seen, ["a", "b"])
      }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect(
    "C-15: what came into a new queue before its first round is read, with last too; what is older is not",
    () =>
      Effect.gen(function* () {
        const { createTopic } = yield* EmbeddedCluster
        yield* send(3)
        yield* TestClock.adjust("1 hour")
        const seen: Array<string> = []
        const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))))
        yield* createTopic("orders", { broker: "broker-a", readQueueNums: 8, writeQueueNums: 8 })
        const producer = yield* DefaultMQProducer
        yield* producer.send(Message.make({ topic: "orders", body: "new" }), { queue: { ...queue, queueId: 7 } })
        yield* TestClock.adjust("61 seconds")
        yield* consumer.caughtUp()
        assert.deepStrictEqual(seen, ["new"])
      }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("a broker that was away and has messages of before is not read from its first one", () =>
    Effect.gen(function* () {
      const { startBroker, stopBroker } = yield* EmbeddedCluster
      const producer = yield* DefaultMQProducer
      const other = { topic: "orders", brokerName: "broker-b", queueId: 0 }
      yield* send(3, other)
      yield* TestClock.adjust("1 hour")
      yield* stopBroker("broker-b")
      const seen: Array<string> = []
      const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))))
      yield* startBroker("broker-b")
      yield* TestClock.adjust("31 seconds")
      yield* producer.send(Message.make({ topic: "orders", body: "new" }), { queue: other })
      yield* TestClock.adjust("31 seconds")
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen, ["new"])
    }).pipe(Effect.scoped, Effect.provide(rig({ brokers: [{ name: "broker-a" }, { name: "broker-b" }] })))
  )

  it.effect("R34: what the filter lets nobody have is finished", () =>
    Effect.gen(function* () {
      const consumer = yield* consume(() => Effect.die("nobody"), {
        subscriptions: [Subscription.tags("orders", "Aa")]
      })
      const producer = yield* DefaultMQProducer
      // BB has the hash of Aa: the broker sends it, and it is left out here.
      for (let n = 0; n < 100; n++)
        yield* producer.send(Message.make({ topic: "orders", body: "x", tags: "BB" }), { queue })
      yield* consumer.caughtUp()
      const { counters, queues } = yield* consumer.state
      assert.deepInclude(counters, { received: 0, filtered: 100, succeeded: 0 })
      assert.deepInclude(
        queues.find((one) => one.queue.topic === "orders" && one.queue.queueId === 1),
        {
          consumeOffset: 100,
          lag: 0
        }
      )
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})
