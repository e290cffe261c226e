import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import type { AllocateStrategy } from "../../src/consumer/rebalance/AllocateStrategy.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { until } from "../support/rig.ts"
import { commits, consume, make, rig, text } from "./support.ts"

const send = Effect.fnUntraced(function* (count: number, queueId = 1, body = "x") {
  const producer = yield* DefaultMQProducer
  for (let n = 0; n < count; n++) {
    yield* producer.send(Message.make({ topic: "orders", body: body === "x" ? `${queueId}:${n}` : body }), {
      queue: { topic: "orders", brokerName: "broker-a", queueId }
    })
  }
})

const closing = <A, E, R>(shutdown: Effect.Effect<A, E, R>, wait: number) =>
  Effect.all([shutdown, TestClock.adjust(wait)], { concurrency: "unbounded" })

describe("a close", () => {
  it.effect(
    "R6: writes the offsets before the brokers are told; the next member gets exactly what is not finished",
    () =>
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const seen: Array<string> = []
        const scope = yield* Scope.make()
        const first = yield* Scope.provide(
          consume(
            (message) =>
              Effect.gen(function* () {
                const [, n] = text(message).split(":")
                if (Number(n) >= 3) yield* Effect.never
                seen.push(text(message))
              }),
            { instanceName: "first", concurrency: 8, drainTimeoutMillis: 1_000 }
          ),
          scope
        )
        yield* send(20)
        yield* until(
          "three are done",
          Effect.sync(() => seen.length === 3)
        )
        yield* traffic.clear
        yield* closing(Scope.close(scope, Exit.void), 2_000)
        assert.deepStrictEqual(yield* first.lastDrain, { finished: 0, interrupted: 8, discarded: 9, notPersisted: [] })
        const said = (yield* traffic.all).filter(
          ({ code, extFields }) =>
            (code === RequestCode.UPDATE_CONSUMER_OFFSET && extFields?.["topic"] === "orders") ||
            (code === RequestCode.UNREGISTER_CLIENT && extFields?.["consumerGroup"] === "billing")
        )
        assert.deepStrictEqual(
          said.map(({ code, extFields }) => [code, extFields?.["commitOffset"]]),
          [
            [RequestCode.UPDATE_CONSUMER_OFFSET, "3"],
            [RequestCode.UNREGISTER_CLIENT, undefined]
          ]
        )
        const second = yield* consume((message) => Effect.sync(() => void seen.push(text(message))), {
          instanceName: "second"
        })
        yield* second.caughtUp()
        assert.sameMembers(
          seen,
          Array.from({ length: 20 }, (_, n) => `1:${n}`)
        )
        assert.strictEqual(seen.length, 20)
      }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("R6, C-47: ends within its time although no broker answers, and says what was not written", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const consumer = yield* make(() => Effect.void, { drainTimeoutMillis: 1_000 })
      yield* consumer.start
      yield* faults.add({ match: { broker: "broker-a" }, actions: [FaultScript.dropRequest] })
      yield* closing(consumer.shutdown, 10_000)
      assert.strictEqual(yield* consumer.serviceState, "SHUTDOWN_ALREADY")
      // Nothing had moved: there was nothing to write.
      assert.deepStrictEqual((yield* consumer.lastDrain)?.notPersisted, [])

      yield* faults.clear
      const gate = yield* make(() => Effect.void, { drainTimeoutMillis: 1_000, instanceName: "second" })
      yield* gate.start
      yield* send(2)
      yield* gate.caughtUp()
      yield* faults.add({
        match: { broker: "broker-a", code: RequestCode.UPDATE_CONSUMER_OFFSET },
        actions: [FaultScript.dropRequest]
      })
      yield* closing(gate.shutdown, 10_000)
      assert.deepStrictEqual((yield* gate.lastDrain)?.notPersisted, ["orders@broker-a@1"])
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

describe("handlers that take long", () => {
  it.effect(
    "R31, C-31: one that never ends is interrupted at consumeTimeout and comes again, once; its place is free",
    () =>
      Effect.gen(function* () {
        const seen: Array<readonly [string, number]> = []
        const consumer = yield* consume(
          (message) =>
            Effect.suspend(() => {
              seen.push([text(message), message.attempt])
              return text(message) === "1:0" && message.attempt === 1 ? Effect.never : Effect.void
            }),
          { concurrency: 1 }
        )
        yield* send(2)
        yield* TestClock.adjust("14 minutes")
        assert.deepStrictEqual(seen, [["1:0", 1]])
        yield* TestClock.adjust("62 seconds")
        assert.deepStrictEqual(seen, [
          ["1:0", 1],
          ["1:1", 1]
        ])
        yield* TestClock.adjust("12 seconds")
        yield* consumer.caughtUp()
        assert.deepStrictEqual(seen.slice(2), [["1:0", 2]])
        assert.deepInclude((yield* consumer.state).counters, {
          timeouts: 1,
          succeeded: 2,
          reconsumeLater: 1,
          defects: 0
        })
        assert.strictEqual((yield* commits()).filter(({ queue }) => queue === "orders@1").at(-1)?.offset, 2)
      }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("R32: heartbeats, offsets, rounds and all five timers go on although no handler ever ends", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const consumer = yield* consume((message) => (message.queue.queueId === 1 ? Effect.never : Effect.void), {
        concurrency: 3,
        drainTimeoutMillis: 0
      })
      yield* send(2, 1)
      yield* until(
        "they run",
        Effect.map(consumer.state, ({ running }) => running === 2)
      )
      const runsOf = Effect.map(consumer.state, ({ instance }) =>
        (instance?.timers ?? []).filter(({ next }) => next !== undefined).map(({ runs }) => runs)
      )
      const before = yield* runsOf
      yield* traffic.clear
      yield* send(1, 2)
      yield* TestClock.adjust("5 minutes")
      const after = yield* runsOf
      // Timer 1 is off: the name servers are given.
      assert.strictEqual(after.length, 4)
      after.forEach((runs, index) => assert.isAbove(runs, before[index] ?? 0))
      for (const code of [RequestCode.HEART_BEAT, RequestCode.GET_CONSUMER_LIST_BY_GROUP, RequestCode.PULL_MESSAGE]) {
        assert.isAtLeast((yield* traffic.ofCode(code)).length, 9, String(code))
      }
      assert.isTrue((yield* commits()).some(({ queue }) => queue === "orders@2"))
      assert.isTrue(yield* consumer.healthy)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect(
    "R30, C-58: what is cached stays below the limits of a queue and of all together, in messages and bytes",
    () =>
      Effect.gen(function* () {
        const producer = yield* DefaultMQProducer
        const body = "x".repeat(64 * 1_024)
        for (let n = 0; n < 640; n++) {
          yield* producer.send(Message.make({ topic: "orders", body }), {
            queue: { topic: "orders", brokerName: "broker-a", queueId: n % 64 }
          })
        }
        const MIB = 1_024 * 1_024
        const cases = [
          [{ pullThresholdSizeForAll: 4 }, { count: Infinity, bytes: 4 * MIB }],
          [{ pullThresholdForAll: 100 }, { count: 100, bytes: Infinity }],
          [{ pullThresholdForQueue: 1 }, { count: 65, bytes: Infinity }],
          [
            { consumeConcurrentlyMaxSpan: 3, pullBatchSize: 2 },
            { count: 64 * 5, bytes: Infinity }
          ]
        ] as const
        for (const [limits, most] of cases) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const consumer = yield* consume(() => Effect.never, {
                consumerGroup: `stalled-${JSON.stringify(limits).replace(/\W/g, "")}`,
                consumeFromWhere: "first",
                drainTimeoutMillis: 0,
                ...limits
              })
              yield* TestClock.adjust("1 minute")
              const { queues } = yield* consumer.state
              const count = queues.reduce((sum, { cached }) => sum + cached, 0)
              const bytes = queues.reduce((sum, { cachedBytes }) => sum + cachedBytes, 0)
              const label = JSON.stringify(limits)
              // Each queue may have had one answer under way, which is 256 KiB at most.
              assert.isAtMost(count, most.count + (most.count === 100 ? 64 * 4 : 0), label)
              assert.isAtMost(bytes, most.bytes + 64 * 256 * 1_024, label)
              assert.isAbove(count, 20, label)
              assert.isTrue(
                queues.some(({ phase }) => phase === "full"),
                label
              )
            })
          )
        }
      }).pipe(Effect.scoped, Effect.provide(rig({ topics: { orders: { readQueueNums: 64, writeQueueNums: 64 } } })))
  )
})

describe("pulls", () => {
  it.effect("R14: a consumer that is suspended for long, or full, keeps its queues", () =>
    Effect.gen(function* () {
      const consumer = yield* consume(() => Effect.never, { pullThresholdForQueue: 1, drainTimeoutMillis: 0 })
      yield* send(3, 1)
      const generations = Effect.map(consumer.state, ({ queues }) => queues.map(({ generation }) => generation))
      const before = yield* generations
      yield* TestClock.adjust("5 minutes")
      yield* consumer.suspend
      yield* TestClock.adjust("10 minutes")
      assert.deepStrictEqual(yield* generations, before)
      const { queues } = yield* consumer.state
      assert.isTrue(queues.every(({ phase }) => phase === "suspended" || phase === "pulling" || phase === "full"))
      yield* consumer.resume
      yield* TestClock.adjust("1 second")
      assert.isTrue(yield* consumer.healthy)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("R11, C-24, C-25: every queue pulls again when its broker is well, whatever it answered meanwhile", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      const seen: Array<string> = []
      const consumer = yield* consume((message) => Effect.sync(() => void seen.push(text(message))))
      let sent = 0
      for (const action of [
        FaultScript.pull.systemError(),
        FaultScript.pull.busy,
        FaultScript.pull.flowControl,
        FaultScript.pull.groupUnknown,
        FaultScript.pull.subscriptionOld,
        FaultScript.pull.topicForbidden("orders"),
        FaultScript.corruptResponse,
        FaultScript.cut("before"),
        FaultScript.dropResponse
      ]) {
        yield* faults.add({ match: { code: RequestCode.PULL_MESSAGE }, actions: [action] })
        yield* send(1, sent++ % 4)
        yield* traffic.clear
        yield* TestClock.adjust("40 seconds")
        // Five queues. One that sheds load is asked every 20 to 40 ms, as by Java; all others less and less often.
        const most = action === FaultScript.pull.flowControl ? 5 * 40 * 50 : 5 * 45
        assert.isAtMost((yield* traffic.ofCode(RequestCode.PULL_MESSAGE)).length, most)
        yield* faults.clear
        yield* TestClock.adjust("61 seconds")
        assert.strictEqual(seen.length, sent)
        const { queues } = yield* consumer.state
        assert.deepStrictEqual([...new Set(queues.map(({ phase }) => phase))], ["pulling"])
      }
      assert.isTrue(yield* consumer.healthy)
      const { counters } = yield* consumer.state
      assert.isAbove(counters.pullFailures, 9)
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  it.effect("R22, C-21: what is given back goes where its broker is now, with the group's number of redeliveries", () =>
    Effect.gen(function* () {
      const { startBroker, stopBroker, traffic } = yield* EmbeddedCluster
      const seen: Array<number> = []
      const consumer = yield* consume(
        (message) =>
          Effect.gen(function* () {
            seen.push(message.attempt)
            if (message.attempt > 1) return
            yield* Effect.sleep("90 seconds")
            yield* Effect.fail("no")
          }),
        { maxReconsumeTimes: 7, pollNameServerInterval: 5_000 }
      )
      yield* send(1)
      yield* until(
        "it runs",
        Effect.map(consumer.state, ({ running }) => running === 1)
      )
      const [before] = yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)
      yield* stopBroker("broker-a")
      yield* startBroker("broker-a", { newPort: true })
      yield* TestClock.adjust("2 minutes")
      const [back] = yield* traffic.ofCode(RequestCode.CONSUMER_SEND_MSG_BACK)
      assert.notStrictEqual(back?.address, before?.address)
      assert.deepInclude(back?.extFields, {
        maxReconsumeTimes: "7",
        delayLevel: "0",
        group: "billing",
        originTopic: "orders"
      })
      yield* consumer.caughtUp()
      assert.deepStrictEqual(seen, [1, 2])
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )
})

describe("Java's options of pulls", () => {
  it.effect("pullTimeDelayMillsWhenException is the pause after a first failure, and doubles", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      yield* faults.add({
        match: { code: RequestCode.PULL_MESSAGE, topic: "orders" },
        actions: [FaultScript.answer(1)]
      })
      yield* consume(() => Effect.void, { pullTimeDelayMillsWhenException: "4 seconds" })
      yield* TestClock.adjust("40 seconds")
      const times = (yield* traffic.matching({ code: RequestCode.PULL_MESSAGE, topic: "orders" }))
        .filter(({ extFields }) => extFields?.["queueId"] === "0")
        .map(({ time }) => time)
      const pauses = times.slice(1).map((time, index) => time - (times[index] ?? 0))
      // Up to a quarter more, by chance.
      assert.isAtLeast(pauses.length, 3)
      for (const [index, least] of [4_000, 8_000, 16_000].entries()) {
        assert.isAtLeast(pauses[index] ?? 0, least)
        assert.isAtMost(pauses[index] ?? 0, least * 1.25)
      }
    }).pipe(Effect.scoped, Effect.provide(rig()))
  )

  for (const postSubscriptionWhenPull of [false, true]) {
    it.effect(`postSubscriptionWhenPull ${postSubscriptionWhenPull}: whose filter a pull has`, () =>
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const seen: Array<string> = []
        const handler = (message: ReceivedMessage) =>
          Effect.sync(() => {
            seen.push(message.tags ?? "")
          })
        const options = { postSubscriptionWhenPull, allocateMessageQueueStrategy: toFirst }
        yield* consume(handler, { ...options, instanceName: "a", subscriptions: [Subscription.tags("orders", "paid")] })
        yield* TestClock.adjust("3 seconds")
        // The newer one, by which the broker filters for the whole group.
        yield* consume(handler, { ...options, instanceName: "b", subscriptions: [Subscription.tags("orders", "open")] })
        yield* TestClock.adjust("3 seconds")
        yield* traffic.clear
        const producer = yield* DefaultMQProducer
        for (const tags of ["paid", "open"]) yield* producer.send(Message.make({ topic: "orders", body: "x", tags }))
        yield* TestClock.adjust("30 seconds")
        assert.deepStrictEqual(seen, postSubscriptionWhenPull ? ["paid"] : [])
        const pulls = yield* traffic.matching({ code: RequestCode.PULL_MESSAGE, topic: "orders" })
        assert.isAbove(pulls.length, 0)
        for (const { extFields } of pulls) {
          assert.strictEqual(extFields?.["subscription"], postSubscriptionWhenPull ? "paid" : undefined)
          assert.strictEqual((Number(extFields?.["sysFlag"]) & 4) !== 0, postSubscriptionWhenPull)
        }
      }).pipe(Effect.scoped, Effect.provide(rig()))
    )
  }
})

/** All queues to the member with the lowest id. */
const toFirst: AllocateStrategy = {
  name: "FIRST",
  allocate: ({ cidAll, currentCID, mqAll }) => (cidAll[0] === currentCID ? mqAll : [])
}
