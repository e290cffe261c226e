import { assert, describe, it } from "@effect/vitest"
import { Clock, ConfigProvider, Effect, Exit, Fiber, Layer, Logger, Ref, Scope, Stream } from "effect"
import { TestClock } from "effect/testing"
import type { ClientOptions } from "../../src/client/ClientConfig.ts"
import { MQClientInstance } from "../../src/client/MQClientInstance.ts"
import { NameServerResolver } from "../../src/client/NameServerResolver.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import * as NotifyConsumerIdsChanged from "../../src/protocol/push/NotifyConsumerIdsChanged.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { consumer, producer } from "../support/members.ts"
import {
  advance,
  connections,
  countFibers,
  failureOf,
  onMemory,
  ownScope,
  settle,
  sorted,
  until
} from "../support/rig.ts"

const HOUR = 3_600_000

/** A started instance for the cluster in the context. */
const instance = (options: ClientOptions = {}) =>
  Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const context = yield* Layer.build(
      MQClientInstance.layer({ namesrvAddr: cluster.namesrvAddr, instanceName: "it", clientIP: "10.9.8.7", ...options })
    )
    return yield* Effect.provideContext(MQClientInstance, context)
  })

const bug = () => {
  throw new Error("bug")
}

const runsOf = (client: MQClientInstance["Service"]) =>
  Effect.map(client.state, (state) => state.timers.map((timer) => timer.runs))

const withEnvironment = (namesrvAddr: string) =>
  instance({ namesrvAddr: undefined }).pipe(
    Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ NAMESRV_ADDR: namesrvAddr })))
  )

describe("MQClientInstance", () => {
  it.effect("runs its timers 0, 120, 120, 719 and 60 times an hour where addresses are set", () =>
    Effect.gen(function* () {
      const client = yield* instance()
      yield* TestClock.adjust(HOUR)
      assert.deepStrictEqual(yield* runsOf(client), [0, 120, 120, 719, 60])
      const { timers } = yield* client.state
      assert.deepStrictEqual(
        timers.map((t) => [t.number, t.name, t.initialDelayMillis, t.periodMillis, t.failures]),
        [
          [1, "fetchNameServerAddr", 10_000, 120_000, 0],
          [2, "updateTopicRouteInfoFromNameServer", 10, 30_000, 0],
          [3, "cleanOfflineBroker, sendHeartbeatToAllBroker", 1_000, 30_000, 0],
          [4, "persistAllConsumerOffset", 10_000, 5_000, 0],
          [5, "adjustThreadPool", 60_000, 60_000, 0]
        ]
      )
      assert.strictEqual(timers[0]?.next, undefined)
    }).pipe(onMemory())
  )

  it.effect("begins timers 4 and 5 when the options say so, and goes on in their periods", () =>
    Effect.gen(function* () {
      const client = yield* instance({
        persistConsumerOffsetInitialDelay: "2 seconds",
        adjustThreadPoolInitialDelay: 1_000
      })
      for (const [millis, runs] of [
        [999, [0, 0]],
        [1, [0, 1]],
        [1_000, [1, 1]],
        [5_000, [2, 1]],
        [54_000, [12, 2]]
      ] as const) {
        yield* TestClock.adjust(millis)
        assert.deepStrictEqual((yield* runsOf(client)).slice(3), [...runs])
      }
    }).pipe(onMemory())
  )

  it.effect("and timer 1 30 times where a resolver gives them", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const asked = yield* Ref.make(0)
      const client = yield* instance({ namesrvAddr: undefined }).pipe(
        Effect.provide(
          NameServerResolver.layer(
            "test",
            Effect.as(
              Ref.update(asked, (n) => n + 1),
              [cluster.namesrvAddr]
            )
          )
        )
      )
      yield* TestClock.adjust(HOUR)
      assert.deepStrictEqual(yield* runsOf(client), [30, 120, 120, 719, 60])
      assert.strictEqual(yield* Ref.get(asked), 31)
    }).pipe(onMemory())
  )

  it.effect("takes its name servers from NAMESRV_ADDR where the options name none, and checks them", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const client = yield* withEnvironment(namesrvAddr)
      assert.deepStrictEqual((yield* client.state).nameServers.addresses, [namesrvAddr])
      const { reason } = failureOf(yield* Effect.exit(withEnvironment("nonsense")))
      assert.strictEqual(reason._tag, "InvalidConfig")
    }).pipe(onMemory())
  )

  it.effect("L10: polls and heartbeats on time whatever its consumers do in the other timers", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const client = yield* instance()
      yield* client.registerConsumer(
        consumer({ persistConsumerOffset: Effect.never, adjustThreadPool: Effect.die(new Error("bug")) })
      )
      yield* cluster.createTopic("orders")
      yield* advance(600_000, 10_000)
      const polls = (yield* cluster.traffic.ofCode(RequestCode.GET_ROUTEINFO_BY_TOPIC)).map((r) => r.time)
      assert.deepStrictEqual(
        polls,
        Array.from({ length: 20 }, (_, i) => 10 + i * 30_000)
      )
      // The first timer heartbeat opens the connection, on which a heartbeat is the first frame: two at that time.
      const beats = (yield* cluster.traffic.ofCode(RequestCode.HEART_BEAT)).map((r) => r.time)
      assert.deepStrictEqual(beats, [1_000, ...Array.from({ length: 20 }, (_, i) => 1_000 + i * 30_000)])
      const { timers } = yield* client.state
      assert.isAtLeast(timers[3]?.failures ?? 0, 39)
      assert.strictEqual(timers[4]?.failures, 10)
      assert.include(timers[4]?.lastFailure?.message ?? "", "bug")
    }).pipe(onMemory())
  )

  it.effect("a consumer that hangs or dies in a round or a timer costs the others none of theirs", () =>
    Effect.gen(function* () {
      const times = { doRebalance: 0, persistConsumerOffset: 0, adjustThreadPool: 0 }
      const count = (what: keyof typeof times) => Effect.sync(() => void times[what]++)
      const bad = {
        doRebalance: Effect.never,
        persistConsumerOffset: Effect.die("bug"),
        adjustThreadPool: Effect.never
      }
      const client = yield* instance()
      yield* client.registerConsumer(consumer({ consumerGroup: "bad", ...bad }))
      yield* client.registerConsumer(
        consumer({
          consumerGroup: "good",
          doRebalance: count("doRebalance"),
          persistConsumerOffset: count("persistConsumerOffset"),
          adjustThreadPool: count("adjustThreadPool")
        })
      )
      yield* TestClock.adjust(600_000)
      assert.deepStrictEqual(times, { doRebalance: 30, persistConsumerOffset: 119, adjustThreadPool: 10 })
      const [, , , persist, adjust] = (yield* client.state).timers
      assert.deepStrictEqual([persist?.runs, persist?.failures], [119, 119])
      assert.strictEqual(persist?.lastFailure?.message, "group bad: bug")
      assert.deepStrictEqual(
        [adjust?.runs, adjust?.lastFailure?.message],
        [10, "group bad: it was interrupted, as it took longer than 60000 ms"]
      )
    }).pipe(onMemory())
  )

  it.effect("a consumer that throws where it is asked for data, or told of a route, costs the others nothing", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      yield* cluster.createTopic("orders")
      const lines: Array<string> = []
      const routes: Array<string> = []
      const client = yield* instance().pipe(
        Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]))
      )
      const bad = { subscriptionTopics: bug, updateTopicSubscribeInfo: bug, heartbeatData: bug }
      yield* client.registerConsumer(consumer({ consumerGroup: "bad", ...bad }))
      yield* client.registerConsumer(
        consumer({ consumerGroup: "good", updateTopicSubscribeInfo: ({ topic }) => void routes.push(topic) })
      )
      yield* client.registerProducer(producer("pg"))
      yield* advance(65_000, 1_000)
      // Three polls, and a heartbeat of the others as soon as the broker is known.
      assert.deepStrictEqual(routes, ["orders", "orders", "orders"])
      assert.deepStrictEqual(
        sorted((yield* cluster.clients).map(({ group }) => group)),
        sorted(["CLIENT_INNER_PRODUCER", "good", "pg"])
      )
      assert.deepStrictEqual(
        (yield* client.state).timers.map(({ failures }) => failures),
        [0, 0, 0, 0, 0]
      )
      assert.deepStrictEqual(
        sorted(lines),
        sorted(
          ["subscriptionTopics", "updateTopicSubscribeInfo", "heartbeatData"].map(
            (what) => `${what} of group bad failed`
          )
        )
      )
    }).pipe(onMemory())
  )

  it.effect("L10: a name server that is silent delays no other timer", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const client = yield* instance()
      yield* client.registerConsumer(consumer())
      yield* network.setReachable(cluster.namesrvAddr, "blackhole")
      yield* TestClock.adjust(HOUR)
      const [, routes, ...others] = yield* runsOf(client)
      assert.deepStrictEqual(others, [120, 719, 60])
      // Each run of timer 2 took the 3 seconds that a look-up may take.
      assert.isAtLeast(routes ?? 0, 105)
    }).pipe(onMemory())
  )

  it.effect("leaves no fiber, connection or group when its scope closes", () =>
    Effect.gen(function* () {
      const fibers = countFibers()
      yield* Effect.gen(function* () {
        const cluster = yield* EmbeddedCluster
        yield* cluster.createTopic("orders")
        const before = fibers.live()
        const { close, value: client } = yield* ownScope(instance())
        yield* client.registerConsumer(consumer()).pipe(Effect.scoped)
        yield* client.routes.updateTopicRouteInfoFromNameServer("orders", undefined)
        yield* client.heartbeat.sendHeartbeatToAllBroker
        assert.strictEqual(yield* connections, 2)
        assert.deepStrictEqual(
          (yield* cluster.clients).map((c) => [c.group, c.clientId]),
          [["CLIENT_INNER_PRODUCER", "10.9.8.7@it"]]
        )
        assert.isAbove(fibers.live(), before + 5)
        yield* close
        yield* settle
        assert.strictEqual(yield* connections, 0)
        assert.deepStrictEqual(yield* cluster.clients, [])
        assert.strictEqual(fibers.live(), before)
        const told = yield* cluster.traffic.ofCode(RequestCode.UNREGISTER_CLIENT)
        assert.deepStrictEqual(
          told.map((r) => r.extFields?.["producerGroup"]),
          ["CLIENT_INNER_PRODUCER"]
        )
      }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
    }).pipe(onMemory())
  )

  it.effect("refuses a producer group that is taken, and a consumer group too", () =>
    Effect.gen(function* () {
      const client = yield* instance()
      const first = yield* ownScope(client.registerProducer(producer("pg")))
      const second = failureOf(yield* Effect.exit(Effect.scoped(client.registerProducer(producer("pg")))))
      assert.strictEqual(second._tag, "DuplicateProducerGroup")
      assert.include(second.message, '"pg"')
      assert.include(second.message, client.clientId)
      const groups = () => Effect.map(client.state, (s) => s.producerGroups)
      assert.deepStrictEqual(yield* groups(), ["CLIENT_INNER_PRODUCER", "pg"])
      yield* first.close
      assert.deepStrictEqual(yield* groups(), ["CLIENT_INNER_PRODUCER"])
      yield* Effect.scoped(client.registerProducer(producer("pg")))
      const consumers = yield* ownScope(client.registerConsumer(consumer()))
      const taken = failureOf(yield* Effect.exit(Effect.scoped(client.registerConsumer(consumer()))))
      assert.strictEqual(taken._tag, "DuplicateConsumerGroup")
      assert.include(taken.message, `"cg" is registered in client ${client.clientId}`)
      assert.deepStrictEqual((yield* client.state).consumerGroups, ["cg"])
      yield* consumers.close
      assert.deepStrictEqual((yield* client.state).consumerGroups, [])
      yield* Effect.scoped(client.registerConsumer(consumer()))
    }).pipe(onMemory())
  )

  it.effect(
    "wakes the rebalance when the broker says that a group has changed, and answers what it does not know",
    () =>
      Effect.gen(function* () {
        const cluster = yield* EmbeddedCluster
        yield* cluster.createTopic("orders")
        const rounds: Array<number> = []
        const clock = yield* Clock.Clock
        const client = yield* instance()
        yield* client.registerConsumer(
          consumer({ doRebalance: Effect.sync(() => void rounds.push(clock.currentTimeMillisUnsafe())) })
        )
        yield* client.routes.updateTopicRouteInfoFromNameServer("orders", undefined)
        yield* client.heartbeat.sendHeartbeatToAllBroker
        yield* settle
        yield* TestClock.adjust(2_000)
        const before = rounds.length
        // A second member makes the broker tell the first one.
        const other = yield* instance({ instanceName: "other" })
        yield* other.registerConsumer(consumer())
        yield* other.routes.updateTopicRouteInfoFromNameServer("orders", undefined)
        yield* other.heartbeat.sendHeartbeatToAllBroker
        yield* advance(1_000)
        assert.strictEqual(rounds.length, before + 1)
        assert.strictEqual(NotifyConsumerIdsChanged.request({ consumerGroup: "cg" }).code, 40)
      }).pipe(onMemory())
  )

  it.effect("shows its state as one value, and says when it changes", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      yield* cluster.createTopic("orders", { writeQueueNums: 3, readQueueNums: 5 })
      const scope = yield* Scope.make()
      const client = yield* Scope.provide(instance(), scope)
      const phases: Array<string> = []
      const routeCounts: Array<number> = []
      const watcher = yield* Stream.runForEach(client.changes, (state) =>
        Effect.sync(() => {
          phases.push(state.phase)
          routeCounts.push(state.routes.length)
        })
      ).pipe(Effect.forkChild({ startImmediately: true }))
      yield* settle
      assert.deepStrictEqual(phases, ["RUNNING"])
      yield* Effect.scoped(
        client.registerProducer({
          producerGroup: "pg",
          publishTopicList: () => ["orders"],
          updateTopicPublishInfo: () => {}
        })
      )
      yield* client.routes.updateTopicRouteInfoFromNameServer("orders", undefined)
      yield* client.heartbeat.sendHeartbeatToAllBroker
      yield* settle
      const state = yield* client.state
      assert.deepStrictEqual(JSON.parse(JSON.stringify(state)).clientId, "10.9.8.7@it")
      assert.strictEqual(state.phase, "RUNNING")
      assert.deepStrictEqual(state.nameServers, { addresses: [cluster.namesrvAddr], chosen: cluster.namesrvAddr })
      assert.deepStrictEqual(
        state.steps.map((s) => [s.id, s.outcome]),
        ["3.1", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8"].map((id) => [id, "done"])
      )
      assert.deepStrictEqual(state.routes, [
        { topic: "orders", borrowed: false, brokers: ["broker-a"], writeQueues: 3, readQueues: 5, warnings: [] }
      ])
      const address = cluster.brokers[0]?.address ?? ""
      assert.deepStrictEqual(state.brokers, [
        {
          brokerName: "broker-a",
          brokerId: 0,
          address,
          lastSuccess: 0,
          failures: 0,
          lastFailure: undefined,
          version: 513
        }
      ])
      assert.deepStrictEqual(
        sorted(state.sockets.map((s) => [s.address, s.state, s.inFlight])),
        sorted([cluster.namesrvAddr, address].map((a) => [a, "open", 0]))
      )
      assert.strictEqual(state.inFlight, 0)
      assert.isAbove(state.counters.framesOut, 1)
      assert.isTrue(phases.length > 1 && routeCounts.at(-1) === 1, "the change of the routes was told")
      const told = phases.length
      yield* TestClock.adjust(1_000)
      yield* until(
        "a timer's run is told",
        Effect.sync(() => phases.length > told)
      )
      yield* cluster.faults.add({ match: { code: RequestCode.HEART_BEAT }, actions: [{ _tag: "DropRequest" }] })
      const silent = yield* Effect.forkChild(
        Effect.exit(client.api.sendHeartbeat(address, heartbeatOf(client.clientId), 60_000)),
        { startImmediately: true }
      )
      yield* settle
      assert.strictEqual((yield* client.state).inFlight, 1)
      yield* Scope.close(scope, Exit.void)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(silent)))
      yield* Fiber.join(watcher)
      assert.strictEqual((yield* client.state).phase, "SHUTDOWN_ALREADY")
      assert.strictEqual((yield* client.state).sockets.length, 0)
      assert.deepStrictEqual((yield* client.state).producerGroups, [])
    }).pipe(onMemory())
  )
})

const heartbeatOf = (clientID: string) => ({
  clientID,
  producerDataSet: [],
  consumerDataSet: [],
  heartbeatFingerprint: 0,
  withoutSub: false
})
