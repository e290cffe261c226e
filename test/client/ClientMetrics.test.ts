import { assert, describe, it } from "@effect/vitest"
import { Effect, Metric } from "effect"
import { TestClock } from "effect/testing"
import { timerLagMillis } from "../../src/client/ClientMetrics.ts"
import type { TimerState } from "../../src/client/Timers.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { advance, makeProducer, onMemory, settle, startProducer, text } from "../support/rig.ts"

const cluster = { topics: { orders: {} } }

/** The series of the client, by name and state. */
const series = Effect.map(Metric.snapshot, (all) => {
  const found: Record<string, number> = {}
  for (const { attributes, id, state } of all) {
    if (!id.startsWith("rocketmq.")) continue
    const name = attributes?.["state"] === undefined ? id : `${id} ${attributes["state"]}`
    found[name] = "value" in state ? Number(state.value) : "count" in state ? Number(state.count) : Number.NaN
  }
  return found
})

const ownRegistry = Effect.provideService(Metric.MetricRegistry, new Map())

describe("metrics of a client instance", () => {
  it.effect("show what the state shows, from the start to the shutdown", () =>
    Effect.gen(function* () {
      const registry: Metric.MetricRegistry = new Map()
      yield* Effect.gen(function* () {
        const producer = yield* makeProducer({ readiness: "registered", topics: ["orders"] })
        yield* producer.start
        yield* producer.send(text("orders"))
        const found = yield* series
        const { instance } = yield* producer.state
        assert.deepInclude(found, {
          "rocketmq.client.state": 1,
          "rocketmq.client.connections open": 2,
          "rocketmq.client.connections connecting": 0,
          "rocketmq.client.connections backing-off": 0,
          "rocketmq.client.in_flight": 0,
          "rocketmq.client.pending_bytes": 0,
          "rocketmq.client.reconnects": 0,
          "rocketmq.client.unmatched_responses": 0,
          "rocketmq.client.decode_errors": 0,
          "rocketmq.client.heartbeat.failures": 0,
          "rocketmq.client.timer.lag": 0,
          "rocketmq.client.timer.failures": 0,
          "rocketmq.client.sends": 0,
          "rocketmq.client.retries": 0,
          "rocketmq.client.send.unknown_outcome": 0,
          "rocketmq.client.hook.failures": 0
        })
        assert.strictEqual(found["rocketmq.client.bytes_sent"], instance?.counters.bytesOut)
        assert.strictEqual(found["rocketmq.client.bytes_received"], instance?.counters.bytesIn)
        for (const { attributes } of yield* Metric.snapshot)
          assert.strictEqual(attributes?.["messaging.system"], "rocketmq")
        const ids = (yield* Metric.snapshot)
          .filter(({ id }) => id.startsWith("rocketmq."))
          .map(({ attributes }) => attributes?.["messaging.client.id"])
        assert.deepStrictEqual([...new Set(ids)], [instance?.clientId])
        yield* producer.shutdown
        assert.deepStrictEqual(yield* series, {})
      }).pipe(Effect.provideService(Metric.MetricRegistry, registry))
    }).pipe(onMemory(cluster))
  )

  it.effect("tell the age of the oldest route", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* startProducer({ readiness: "routes", topics: ["orders"] })
      yield* advance(12_000, 1_000)
      const young = (yield* series)["rocketmq.client.route.age"] ?? -1
      assert.isTrue(young >= 11.9 && young <= 12.1, String(young))
      yield* faults.add({ match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC }, actions: [{ _tag: "DropRequest" }] })
      yield* advance(120_000, 1_000)
      const old = (yield* series)["rocketmq.client.route.age"] ?? -1
      assert.isTrue(old >= 131.9 && old <= 132.1, String(old))
    }).pipe(onMemory(cluster), ownRegistry)
  )

  it.effect(
    "show no old route while the name server answers: topics that are idle, lent, gone, or looked up once",
    () =>
      Effect.gen(function* () {
        const { createTopic, deleteTopic } = yield* EmbeddedCluster
        yield* createTopic("later")
        yield* createTopic("once")
        const producer = yield* startProducer({ readiness: "routes", topics: ["orders", "later"] })
        yield* producer.fetchPublishMessageQueues("once")
        // It is sent through the template's route, and no broker makes it.
        yield* producer.send(text("made-by-a-send"))
        yield* deleteTopic("made-by-a-send")
        yield* deleteTopic("later")
        for (let minute = 0; minute < 10; minute++) {
          yield* advance(60_000, 1_000)
          const age = (yield* series)["rocketmq.client.route.age"] ?? -1
          assert.isTrue(age >= 0 && age <= 31, `minute ${minute}: ${age}`)
        }
      }).pipe(onMemory(cluster), ownRegistry)
  )

  it.effect("count heartbeats that fail, requests under way, answers that come late, and reconnects", () =>
    Effect.gen(function* () {
      const { brokers, faults, startBroker, stopBroker } = yield* EmbeddedCluster
      const producer = yield* startProducer({ readiness: "registered", topics: ["orders"], sendMsgTimeout: 1_000 })
      yield* settle
      yield* faults.add({ match: { code: 310 }, actions: [{ _tag: "Delay", millis: 1_500 }] })
      const sending = yield* Effect.forkChild(Effect.exit(producer.send(text("orders"))), { startImmediately: true })
      const during = yield* series
      assert.strictEqual(during["rocketmq.client.in_flight"], 1)
      assert.isAbove(during["rocketmq.client.pending_bytes"] ?? 0, 0)
      assert.strictEqual(during["rocketmq.client.sends"], 1)
      yield* advance(2_000)
      assert.isDefined(sending.pollUnsafe())
      assert.strictEqual((yield* series)["rocketmq.client.unmatched_responses"], 1)
      yield* faults.clear
      const name = brokers[0]?.name ?? ""
      yield* stopBroker(name)
      yield* advance(31_000, 1_000)
      assert.isAbove((yield* series)["rocketmq.client.heartbeat.failures"] ?? 0, 0)
      yield* startBroker(name)
      yield* advance(31_000, 1_000)
      assert.isAbove((yield* series)["rocketmq.client.reconnects"] ?? 0, 0)
    }).pipe(onMemory(cluster), ownRegistry)
  )

  it.effect("of two clients stand beside each other", () =>
    Effect.gen(function* () {
      yield* startProducer({ instanceName: "one" })
      yield* startProducer({ instanceName: "two", producerGroup: "other" })
      const states = (yield* Metric.snapshot).filter(({ id }) => id === "rocketmq.client.state")
      assert.strictEqual(states.length, 2)
    }).pipe(onMemory(cluster), ownRegistry)
  )

  it.effect("are not there when they are switched off", () =>
    Effect.gen(function* () {
      yield* startProducer({ metrics: false })
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual(yield* series, {})
    }).pipe(onMemory(cluster), ownRegistry)
  )
})

const timer = (change: Partial<TimerState>): TimerState => ({
  number: 1,
  name: "t",
  initialDelayMillis: 0,
  periodMillis: 1_000,
  runs: 0,
  failures: 0,
  lastStart: undefined,
  lastEnd: undefined,
  lastFailure: undefined,
  next: undefined,
  ...change
})

describe("the lag of a timer", () => {
  const cases: ReadonlyArray<readonly [string, Partial<TimerState>, number]> = [
    ["is none before its time", { next: 5_001 }, 0],
    ["counts from when it should have run", { next: 4_000 }, 1_000],
    ["is none for a run that is younger than its period", { lastStart: 4_500 }, 0],
    ["counts what a run takes beyond its period", { lastStart: 1_000 }, 3_000],
    ["is none for a timer that is switched off", {}, 0]
  ]
  for (const [what, change, expected] of cases) {
    it(what, () => assert.strictEqual(timerLagMillis(timer(change), 5_000), expected))
  }
})
