import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import * as Message from "../../../src/message/Message.ts"
import * as MessageQueue from "../../../src/message/MessageQueue.ts"
import * as MessageListener from "../../../src/consumer/MessageListener.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import { uncounted } from "../watch.ts"
import {
  advance,
  commitsOf,
  consumerRow,
  countersOf,
  isIdle,
  joining,
  numbers,
  problemsOf,
  settle,
  shared,
  timed,
  valueOf
} from "./rig.ts"

const PULL = RequestCode.PULL_MESSAGE

/** The pulls of `orders` that brokers got so far. */
const pulls = Effect.flatMap(EmbeddedCluster, ({ traffic }) => traffic.matching({ code: PULL, topic: "orders" }))

describe("brokers that fail a consumer", () => {
  it.effect("C-19: the answer to a held pull never comes: the next pull follows within its deadline", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* faults.add({
          match: { code: PULL, topic: "orders" },
          actions: [FaultScript.dropResponse],
          times: 4
        })
        const first = yield* rig.join("first")
        yield* rig.send(numbers(8))
        yield* advance(29_000, 500)
        assert.strictEqual(rig.delivered.length, 0)
        yield* rig.waitFor("all is delivered", () => rig.delivered.length === 8, 5_000)
        assert.isTrue(yield* shared([first], 4))
        yield* rig.waitFor(
          "well again",
          Effect.map(problemsOf(first), (problems) => problems.length === 0)
        )
      })
    )
  )

  for (const newPort of [false, true]) {
    const where = newPort ? "C-21: a broker starts again on another port" : "C-20: a broker starts again on its port"
    it.effect(`${where}: pulls, offsets and send-backs find it, nothing is lost`, () =>
      consumerRow({}, (rig) =>
        Effect.gen(function* () {
          const { startBroker, stopBroker } = yield* EmbeddedCluster
          const first = yield* rig.join(
            "first",
            (message) => (message.attempt === 1 && message.queueOffset > 1 ? Effect.fail("no") : Effect.void),
            {
              pollNameServerInterval: 5_000,
              heartbeatBrokerInterval: 5_000,
              reconsumePolicy: { delay: () => "1 second" }
            }
          )
          yield* rig.send(numbers(8))
          yield* first.consumer.caughtUp()
          yield* uncounted(Effect.orDie(stopBroker("broker-a")))
          yield* advance(3_000)
          assert.isNotEmpty(yield* problemsOf(first))
          yield* uncounted(Effect.orDie(startBroker("broker-a", { newPort })))
          yield* advance(12_000, 200)
          valueOf((yield* timed(rig.send(numbers(8, 8)))).exit)
          yield* rig.waitFor(
            "all is finished",
            Effect.map(countersOf(first), ({ succeeded }) => succeeded === 16),
            60_000
          )
          assert.strictEqual(new Set(rig.delivered.map(({ text }) => text)).size, 16)
          assert.deepStrictEqual(
            rig.delivered.filter(({ attempt }) => attempt > 2),
            []
          )
          yield* rig.waitFor(
            "well again",
            Effect.map(problemsOf(first), (problems) => problems.length === 0)
          )
        })
      )
    )
  }

  it.effect(
    "C-22: one of three brokers takes requests and never answers: the others' pulls and writes leave on time",
    () =>
      consumerRow({ brokerNames: ["broker-a", "broker-b", "broker-c"], closeMillis: 30_000 }, (rig) =>
        Effect.gen(function* () {
          const { faults, traffic } = yield* EmbeddedCluster
          const first = yield* rig.join("first", () => Effect.void, { persistConsumerOffsetInterval: 1_000 })
          for (let queueId = 0; queueId < 4; queueId++) {
            yield* rig.producer.send(Message.make({ topic: "orders", body: `b${queueId}` }), {
              queue: MessageQueue.make("orders", "broker-b", queueId)
            })
          }
          yield* rig.waitFor("of broker-b", () => rig.delivered.length === 4)
          // Their offsets are to be written there.
          yield* faults.add({ match: { broker: "broker-b" }, actions: [FaultScript.dropRequest] })
          yield* traffic.clear
          for (let n = 0; n < 20; n++) {
            yield* rig.producer.send(Message.make({ topic: "orders", body: `a${n}` }), {
              queue: MessageQueue.make("orders", "broker-a", n % 4)
            })
            yield* advance(1_000)
          }
          assert.strictEqual(rig.delivered.length, 24, "each at once")
          const commits = yield* traffic.matching({ code: RequestCode.UPDATE_CONSUMER_OFFSET, server: "broker-a" })
          const gaps = commits.slice(1).map(({ time }, index) => time - (commits[index]?.time ?? 0))
          assert.isAtMost(Math.max(...gaps), 2_000, "every second, whatever broker-b does")
          assert.isTrue(yield* shared([first], 12))
        })
      )
  )

  for (const [name, action, most] of [
    ["2 SYSTEM_BUSY", FaultScript.pull.busy, 10],
    ["215 FLOW_CONTROL", FaultScript.pull.flowControl, 600],
    ["1 SYSTEM_ERROR", FaultScript.pull.systemError(), 10]
  ] as const) {
    it.effect(`C-24: ${name} to the pulls of one queue: they pause, the other queues do not notice`, () =>
      consumerRow({}, (rig) =>
        Effect.gen(function* () {
          const { faults, traffic } = yield* EmbeddedCluster
          const first = yield* rig.join("first")
          yield* faults.add({ match: { code: PULL, topic: "orders", every: 1 }, actions: [action], times: 400 })
          yield* traffic.clear
          yield* rig.send(numbers(8))
          yield* advance(10_000)
          const asked = (yield* pulls).length
          assert.isAtMost(asked, most * 4)
          assert.isAbove(asked, 4)
          yield* faults.clear
          yield* rig.waitFor("all is delivered", () => rig.delivered.length === 8, 35_000)
          assert.deepStrictEqual(yield* problemsOf(first), [])
          assert.strictEqual(new Set(rig.delivered.map(({ text }) => text)).size, 8)
        })
      )
    )
  }

  for (const [name, action] of [
    ["24, the group is not known", FaultScript.pull.groupUnknown],
    ["24, the subscription is not known", FaultScript.pull.subscriptionUnknown],
    ["25, an older subscription is known", FaultScript.pull.subscriptionOld]
  ] as const) {
    it.effect(`C-25: ${name}: a heartbeat at once, and then the pull`, () =>
      consumerRow({}, (rig) =>
        Effect.gen(function* () {
          const { faults, traffic } = yield* EmbeddedCluster
          yield* faults.add({ match: { code: PULL, topic: "orders" }, actions: [action], times: 4 })
          yield* traffic.clear
          yield* rig.join("first")
          yield* rig.send(numbers(8))
          yield* advance(100)
          assert.isAtLeast((yield* traffic.ofCode(RequestCode.HEART_BEAT)).length, 2)
          assert.strictEqual(rig.delivered.length, 8, "no second has passed")
        })
      )
    )
  }

  it.effect("C-26: the broker's queue begins later than the group has read: it goes on there, and says so", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* rig.send(numbers(10), 0)
        yield* faults.add({
          match: { code: PULL, topic: "orders" },
          actions: [
            FaultScript.pull.offsetIllegal({ nextBeginOffset: 6, minOffset: 6, maxOffset: 10 }, "OFFSET_TOO_SMALL")
          ],
          times: 1
        })
        const first = yield* rig.join("first")
        yield* rig.waitFor("the rest", () => rig.delivered.length >= 4)
        yield* advance(1_000)
        // Whichever queue was asked first was told so; only queue 0 has messages.
        assert.isTrue(rig.delivered.length === 4 || rig.delivered.length === 10)
        assert.strictEqual(new Set(rig.delivered.map(({ text }) => text)).size, rig.delivered.length)
        assert.isTrue(yield* shared([first], 4))
      })
    )
  )

  it.effect("C-26: the broker has lost the end of a queue: the offset goes back, once, and that is a problem", () =>
    consumerRow({ queues: 1 }, (rig) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        const first = yield* rig.join("first")
        yield* rig.send(numbers(10), 0)
        yield* rig.waitFor("delivered", () => rig.delivered.length === 10)
        yield* advance(6_000)
        yield* faults.add({
          match: { code: PULL, topic: "orders" },
          actions: [FaultScript.pull.offsetIllegal({ nextBeginOffset: 6, minOffset: 0, maxOffset: 6 })],
          times: 1
        })
        yield* rig.send(["10"], 0)
        yield* rig.waitFor("from there on", () => rig.delivered.length === 16, 30_000)
        assert.deepStrictEqual(
          rig.delivered.slice(-5).map(({ text }) => text),
          ["6", "7", "8", "9", "10"]
        )
        assert.match((yield* problemsOf(first)).join("\n"), /has lost messages/)
        const offsets = (yield* commitsOf(0)).map(({ offset }) => offset)
        const falls = offsets.filter((offset, index) => index > 0 && offset < (offsets[index - 1] ?? 0))
        assert.deepStrictEqual(falls, [6], "one step back, to where the broker said")
      })
    )
  )

  it.effect(
    "C-27: a stored entry that is damaged: what lies before it is handled, and nothing is passed over unseen",
    () =>
      consumerRow({ queues: 1 }, (rig) =>
        Effect.gen(function* () {
          const { faults } = yield* EmbeddedCluster
          yield* faults.add({
            name: "damage",
            match: { code: PULL, topic: "orders" },
            actions: [FaultScript.pull.found(new Uint8Array(100).fill(7), { nextBeginOffset: 4, maxOffset: 4 })]
          })
          yield* rig.send(numbers(4), 0)
          const first = yield* rig.join("first")
          yield* advance(5_000)
          assert.strictEqual(rig.delivered.length, 0)
          const problems = yield* problemsOf(first)
          assert.strictEqual(problems.length, 1)
          const [queue] = (yield* first.consumer.state).queues.filter((one) => one.queue.topic === "orders")
          assert.deepInclude(queue, { consumeOffset: 0, phase: "failing" })
          assert.isTrue((yield* commitsOf(0)).every(({ offset }) => offset === 0))
          yield* faults.remove("damage")
          yield* rig.waitFor("all is delivered", () => rig.delivered.length === 4, 35_000)
          assert.deepStrictEqual(yield* problemsOf(first), [])
        })
      )
  )

  it.effect("C-28: a body that cannot be unpacked: that message is given back, the queue goes on", () =>
    consumerRow({ queues: 1 }, (rig) =>
      Effect.gen(function* () {
        const { brokers, messages } = yield* EmbeddedCluster
        yield* rig.send(["before"], 0)
        yield* rig.producer.send(Message.make({ topic: "orders", body: "all work and no play ".repeat(1_000) }), {
          queue: MessageQueue.make("orders", "broker-a", 0)
        })
        yield* rig.send(["after"], 0)
        const store = brokers[0]?.store
        assert.isDefined(store)
        // The packed body is spoilt where it lies.
        const packed = (yield* messages("orders")).find(({ sysFlag }) => sysFlag !== 0)
        assert.isDefined(packed)
        packed.body.fill(0)
        const first = yield* rig.join("first")
        yield* rig.waitFor("both others", () => rig.delivered.length === 2)
        yield* rig.waitFor("nothing held", isIdle(first))
        assert.deepStrictEqual(
          rig.delivered.map(({ text }) => text),
          ["before", "after"]
        )
        assert.deepInclude(yield* countersOf(first), { reconsumeLater: 1, succeeded: 2 })
        assert.match((yield* problemsOf(first)).join("\n"), /cannot be unpacked/)
      })
    )
  )

  it.effect("C-32: the process stands still for 40 s: one heartbeat is made up for, and everything goes on", () =>
    consumerRow({}, (rig) =>
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const first = yield* rig.join("first")
        yield* advance(2_000)
        yield* traffic.clear
        yield* TestClock.adjust("40 seconds")
        yield* settle
        assert.isAtMost((yield* traffic.ofCode(RequestCode.HEART_BEAT)).length, 4, "two clients, and no burst")
        yield* rig.send(numbers(8))
        yield* rig.waitFor("all is delivered", () => rig.delivered.length === 8, 5_000)
        assert.isTrue(yield* shared([first], 4))
      })
    )
  )

  for (const [name, action] of [
    ["refused", FaultScript.offset.systemError()],
    ["lost on the way", FaultScript.dropRequest],
    ["taken, and the answer is lost", FaultScript.dropResponse],
    ["slow", FaultScript.delay(3_000)]
  ] as const) {
    it.effect(`C-38: an offset that is written is ${name}: it is kept, and the newest one is written later`, () =>
      consumerRow({ queues: 1 }, (rig) =>
        Effect.gen(function* () {
          const { faults } = yield* EmbeddedCluster
          const first = yield* rig.join("first", () => Effect.void, { persistConsumerOffsetInterval: 1_000 })
          yield* faults.add({
            name: "writes",
            match: { code: RequestCode.UPDATE_CONSUMER_OFFSET, topic: "orders" },
            actions: [action]
          })
          yield* rig.send(numbers(10), 0)
          yield* rig.waitFor("delivered", () => rig.delivered.length === 10)
          yield* advance(12_000)
          yield* rig.send(numbers(5, 10), 0)
          yield* rig.waitFor("delivered", () => rig.delivered.length === 15)
          yield* faults.remove("writes")
          yield* advance(12_000)
          const commits = yield* commitsOf(0)
          const offsets = commits.map(({ offset }) => offset)
          assert.deepStrictEqual(
            offsets,
            offsets.toSorted((a, b) => a - b)
          )
          assert.strictEqual(offsets.at(-1), 15)
          assert.isAbove(commits.filter(({ code, offset }) => code === PULL && offset > 0).length, 0, "pulls carry it")
          assert.deepStrictEqual(yield* problemsOf(first), [])
          const [queue] = (yield* first.consumer.state).queues.filter((one) => one.queue.topic === "orders")
          assert.deepInclude(queue, { committedOffset: 15, lag: 0 })
        })
      )
    )
  }

  it.effect(
    "C-20: where a group begins cannot be read: nothing is pulled, nothing is written, until an answer came",
    () =>
      consumerRow({}, (rig) =>
        Effect.gen(function* () {
          const { faults, traffic } = yield* EmbeddedCluster
          yield* rig.send(numbers(8))
          for (const [n, action] of [
            FaultScript.offset.systemError(),
            FaultScript.offset.busy,
            FaultScript.dropRequest,
            FaultScript.corruptResponse,
            FaultScript.cut("before"),
            FaultScript.offset.stored(-1)
          ].entries()) {
            yield* faults.add({
              name: `look-up ${n}`,
              match: { code: RequestCode.QUERY_CONSUMER_OFFSET, topic: "orders" },
              actions: [action],
              times: 4
            })
          }
          const first = yield* joining(rig, "first", () => Effect.void)
          yield* rig.waitFor("all is delivered", () => rig.delivered.length === 8, 120_000)
          for (const request of yield* traffic.matching({ code: PULL, topic: "orders" })) {
            assert.isAtLeast(Number(request.extFields?.["queueOffset"]), 0)
            assert.isAtLeast(Number(request.extFields?.["commitOffset"]), 0)
          }
          for (const queueId of [0, 1, 2, 3]) {
            for (const { offset } of yield* commitsOf(queueId)) assert.isAtLeast(offset, 0)
          }
          yield* rig.waitFor(
            "well again",
            Effect.map(problemsOf(first), (problems) => problems.length === 0),
            30_000
          )
        })
      )
  )

  it.effect(
    "C-58: handlers that stand still: what is cached stays within the limits of all queues, by count and bytes",
    () =>
      consumerRow({ queues: 16 }, (rig) =>
        Effect.gen(function* () {
          const body = Buffer.alloc(64 * 1024, 7)
          for (let n = 0; n < 160; n++) {
            yield* rig.producer.send(Message.make({ topic: "orders", body }), {
              queue: MessageQueue.make("orders", "broker-a", n % 16)
            })
          }
          const first = yield* rig.join(
            "first",
            MessageListener.concurrently(() => Effect.never),
            {
              pullThresholdForAll: 50,
              pullThresholdSizeForAll: 2,
              pullBatchSize: 4,
              concurrency: 2,
              drainTimeoutMillis: 0
            }
          )
          yield* advance(10_000)
          const { queues } = yield* first.consumer.state
          const bytes = queues.reduce((sum, { cachedBytes }) => sum + cachedBytes, 0)
          const count = queues.reduce((sum, { cached }) => sum + cached, 0)
          // A limit is looked at before a pull: each queue may have one answer more.
          assert.isAtMost(bytes, 2 * 1024 * 1024 + 16 * 4 * 64 * 1024)
          assert.isAtMost(count, 50 + 16 * 4)
          assert.isAbove(queues.filter(({ phase }) => phase === "full").length, 10)
          assert.isTrue(yield* shared([first], 16), "a full queue is not taken for dead")
        })
      )
  )
})
