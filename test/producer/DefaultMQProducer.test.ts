import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Config, ConfigProvider, Effect, Exit, Fiber, Layer, Schema, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as fc from "fast-check"
import type { StartError } from "../../src/client/ClientError.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { NameServerResolver } from "../../src/client/NameServerResolver.ts"
import { RpcHooks } from "../../src/client/RpcHooks.ts"
import type { ServiceState } from "../../src/client/ServiceState.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import type { RpcHook } from "../../src/transport/RpcHook.ts"
import {
  advance,
  canSend,
  connections,
  countFibers,
  failureOf,
  held,
  knownGroups,
  makeProducer,
  nothing,
  onMemory,
  options,
  ownScope,
  settle,
  startProducer,
  text,
  timed,
  valueOf,
  runs
} from "../support/rig.ts"

const cluster = { topics: { orders: {} } }

/** A hook that appends a mark to each request. */
const marks = (mark: string): RpcHook => ({
  doBeforeRequest: (_, request) =>
    Effect.succeed({
      ...request,
      extFields: { ...request.extFields, marks: `${request.extFields?.["marks"] ?? ""}${mark}` }
    })
})

/** The reason of a failed start. */
const reasonOf = (exit: Exit.Exit<unknown, StartError>) => failureOf(exit).reason

const sendFive = (producer: DefaultMQProducerShape) =>
  Effect.forEach(Array.from({ length: 5 }), () => producer.send(text("orders")), { discard: true })

const signed = (key: string) => ({
  rpcHook: {
    doBeforeRequest: (
      _: string,
      request: { readonly code: number; readonly extFields: Record<string, string> | undefined }
    ) => ({
      ...request,
      extFields: { ...request.extFields, AccessKey: key }
    })
  }
})

// Its routes, its place in the round robin and its record of steps are the first start's.
/** Yields so many turns before it runs. */
const afterTurns = <A, E, R>(turns: number, effect: Effect.Effect<A, E, R>) =>
  Effect.andThen(Effect.repeat(Effect.yieldNow, { times: turns }), effect)

const startOn = (target: EmbeddedCluster["Service"], instanceName?: string) =>
  Effect.gen(function* () {
    const producer = yield* DefaultMQProducer.make({
      producerGroup: "pg",
      namesrvAddr: target.namesrvAddr,
      instanceName
    })
    yield* producer.start
    yield* Effect.addFinalizer(() => producer.shutdown)
    return producer
  })

const startByResolver = (target: EmbeddedCluster["Service"]) =>
  Effect.gen(function* () {
    const producer = yield* DefaultMQProducer.make({ producerGroup: `pg-${target.clusterName}` })
    yield* producer.start.pipe(
      Effect.provide(NameServerResolver.layer(target.clusterName, Effect.succeed([target.namesrvAddr])))
    )
    yield* Effect.addFinalizer(() => producer.shutdown)
    return producer
  })

/** Begins an effect when the scheduler lets it. */
const scheduled = <A, E>(scheduler: fc.Scheduler, name: string, effect: Effect.Effect<A, E, MQClientManager>) =>
  Effect.andThen(
    Effect.promise(() => scheduler.schedule(Promise.resolve(), name)),
    effect
  ).pipe(Effect.exit, Effect.forkChild({ startImmediately: true }))

describe("one client instance for many", () => {
  it.effect(
    "L9: 1,000 concurrent acquisitions give one instance, one set of timers, one socket per address",
    () =>
      Effect.gen(function* () {
        const fibers = countFibers()
        yield* Effect.gen(function* () {
          const before = fibers.live()
          const network = yield* MemoryNetwork
          const { brokers, namesrvAddr } = yield* EmbeddedCluster
          const manager = yield* MQClientManager
          const producers = yield* Effect.forEach(
            Array.from({ length: 1_000 }, (_, i) => i),
            (i) =>
              Effect.gen(function* () {
                const producer = yield* makeProducer({
                  producerGroup: `pg-${i}`,
                  instanceName: "shared",
                  readiness: "routes",
                  topics: ["orders"]
                })
                yield* producer.start
                assert.isTrue(yield* canSend(producer))
                return producer
              }),
            { concurrency: "unbounded" }
          )
          assert.strictEqual(yield* manager.size, 1)
          assert.strictEqual(yield* connections, 2)
          assert.strictEqual(yield* network.dials(namesrvAddr), 1)
          assert.strictEqual(yield* network.dials(brokers[0]?.address ?? ""), 1)
          const states = yield* Effect.forEach(producers, (producer) => producer.state)
          assert.strictEqual(new Set(states.map((state) => state.instance?.clientId)).size, 1)
          const [instance] = states.map((state) => state.instance)
          assert.strictEqual(instance?.timers.length, 5)
          assert.strictEqual(instance?.producerGroups.length, 1_001)
          assert.strictEqual(instance?.steps.filter((step) => step.id === "3.4").length, 1)
          yield* TestClock.adjust(30_010)
          const again = yield* (producers[0] ?? (yield* makeProducer())).state
          assert.deepStrictEqual(
            again.instance?.timers.map((timer) => timer.runs),
            [0, 2, 1, 5, 0]
          )
          // All of them close at once but one, which never notices.
          const [last, ...others] = producers
          if (last === undefined) throw new Error("no producer")
          const sending = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: 50 }), () => canSend(last)),
            {
              startImmediately: true
            }
          )
          yield* Effect.forEach(others, (producer) => producer.shutdown, { concurrency: "unbounded", discard: true })
          assert.isTrue((yield* Fiber.join(sending)).every(Boolean))
          assert.isTrue(yield* canSend(last))
          assert.strictEqual(yield* manager.size, 1)
          assert.strictEqual(yield* connections, 2)
          assert.deepStrictEqual((yield* last.state).instance?.producerGroups, ["CLIENT_INNER_PRODUCER", "pg-0"])
          yield* last.shutdown
          yield* settle
          assert.deepStrictEqual(yield* held, nothing)
          assert.strictEqual(fibers.live(), before)
        }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
      }).pipe(onMemory({ ...cluster, recordTraffic: false })),
    180_000
  )

  it.effect("L9: closing one user while a thousand send disturbs none of their sends", () =>
    Effect.gen(function* () {
      const staying = yield* startProducer({ producerGroup: "stays", instanceName: "shared" })
      const leaving = yield* startProducer({ producerGroup: "leaves", instanceName: "shared" })
      const sends = yield* Effect.forkChild(
        Effect.forEach(
          Array.from({ length: 1_000 }),
          () => Effect.andThen(Effect.yieldNow, Effect.exit(staying.send(text("orders")))),
          { concurrency: 50 }
        ),
        { startImmediately: true }
      )
      yield* leaving.shutdown
      assert.isTrue((yield* Fiber.join(sends)).every(Exit.isSuccess))
      yield* settle
      assert.notInclude(yield* knownGroups, "leaves")
    }).pipe(onMemory(cluster))
  )

  it.effect("an instance that closes is not handed out: who comes meanwhile gets a new one", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const first = yield* startProducer({ instanceName: "shared", readiness: "registered", topics: ["orders"] })
      const clientId = (yield* first.state).instance?.clientId
      // The broker does not answer the good-bye, so that the shutdown takes its time.
      yield* faults.add({ match: { code: RequestCode.UNREGISTER_CLIENT }, actions: [{ _tag: "DropRequest" }] })
      const closing = yield* Effect.forkChild(first.shutdown, { startImmediately: true })
      yield* settle
      assert.strictEqual(closing.pollUnsafe(), undefined)
      const second = yield* timed(makeProducer({ instanceName: "shared" }).pipe(Effect.tap((p) => p.start)))
      const producer = valueOf(second.exit)
      assert.isTrue(yield* canSend(producer))
      yield* advance(2_000)
      assert.strictEqual(yield* first.serviceState, "SHUTDOWN_ALREADY")
      assert.isTrue(yield* canSend(producer))
      assert.strictEqual((yield* producer.state).instance?.clientId, clientId)
      yield* faults.clear
      yield* producer.shutdown
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory(cluster))
  )

  it.effect("L14: a broker that does not answer one good-bye is not waited for at the next", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      const ready = { instanceName: "shared", readiness: "registered", topics: ["orders"] } as const
      const producers = [yield* startProducer(ready), yield* startProducer({ ...ready, producerGroup: "second" })]
      yield* settle
      yield* faults.add({
        match: { code: [RequestCode.UNREGISTER_CLIENT, RequestCode.HEART_BEAT] },
        actions: [{ _tag: "DropRequest" }]
      })
      const closing = yield* timed(Effect.forEach(producers, (producer) => producer.shutdown, { discard: true }))
      valueOf(closing.exit)
      // 500 ms for the first group, and 50 ms for the second one; that silence has then ended the connection.
      assert.isAtLeast(closing.millis, 550)
      assert.isAtMost(closing.millis, 600)
      const told = (yield* traffic.ofCode(RequestCode.UNREGISTER_CLIENT)).map((r) => r.extFields?.["producerGroup"])
      assert.includeMembers(told, ["pg", "second"])
      assert.deepInclude(yield* held, { connections: 0, instances: 0 })
    }).pipe(onMemory(cluster))
  )

  it.effect("the closed manager takes every instance down", () =>
    Effect.gen(function* () {
      const context = yield* Effect.context<EmbeddedCluster | MemoryNetwork>()
      const built = yield* ownScope(Layer.build(Layer.fresh(MQClientManager.layer)))
      const producer = yield* makeProducer().pipe(Effect.provideContext(built.value))
      yield* producer.start
      assert.strictEqual(yield* connections, 1)
      yield* built.close
      yield* settle
      assert.strictEqual(yield* connections, 0)
      const error = failureOf(yield* Effect.exit(producer.send(text("orders"))))
      assert.strictEqual(error.outcome, "not-sent")
      assert.include(["ClientClosed", "IllegalServiceState"], error.reason._tag)
      yield* producer.shutdown
      return context
    }).pipe(onMemory(cluster))
  )
})

/** Two clusters on one network in memory. */
const twoClusters = Effect.gen(function* () {
  const east = yield* Layer.build(
    Layer.fresh(EmbeddedCluster.layer({ clusterName: "east", topics: { orders: {} } }))
  ).pipe(Effect.flatMap((context) => Effect.provideContext(EmbeddedCluster, context)))
  const west = yield* Layer.build(
    Layer.fresh(EmbeddedCluster.layer({ clusterName: "west", topics: { orders: {} } }))
  ).pipe(Effect.flatMap((context) => Effect.provideContext(EmbeddedCluster, context)))
  return { east, west }
})

const onNetwork = Effect.provide(MQClientManager.layer.pipe(Layer.provideMerge(MemoryWire.layer)))

describe("several clusters in one process", () => {
  it.effect("are never mixed, whatever the instances are called", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const { east, west } = yield* twoClusters
      const a = yield* startOn(east, "same")
      const b = yield* startOn(west, "same")
      assert.strictEqual(yield* manager.size, 2)
      yield* sendFive(a)
      assert.strictEqual((yield* east.messages("orders")).length, 5)
      assert.strictEqual((yield* west.messages("orders")).length, 0)
      yield* sendFive(b)
      assert.strictEqual((yield* east.messages("orders")).length, 5)
      assert.strictEqual((yield* west.messages("orders")).length, 5)
      yield* a.shutdown
      assert.isTrue(Exit.isSuccess(yield* Effect.exit(sendFive(b))))
    }).pipe(onNetwork)
  )

  it.effect("nor when their addresses come from two resolvers", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const { east, west } = yield* twoClusters
      const a = yield* startByResolver(east)
      const b = yield* startByResolver(west)
      assert.strictEqual(yield* manager.size, 2)
      yield* sendFive(a)
      yield* sendFive(b)
      assert.strictEqual((yield* east.messages("orders")).length, 5)
      assert.strictEqual((yield* west.messages("orders")).length, 5)
    }).pipe(onNetwork)
  )

  it.effect("nor are requests of different RpcHooks, which run in their order, behind the option's", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const { traffic } = yield* EmbeddedCluster
      const option = { rpcHook: marks("0") }
      const hooks = Effect.provideService(RpcHooks, [marks("1"), {}, marks("2")])
      const hooked = yield* startProducer({ producerGroup: "hooked", remoting: option }).pipe(hooks)
      const bare = yield* startProducer({ producerGroup: "bare" })
      assert.strictEqual(yield* manager.size, 2)
      yield* hooked.send(text("orders"))
      yield* bare.send(text("orders"))
      const sends = yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)
      assert.deepStrictEqual(
        sends.map((r) => r.extFields?.["marks"]),
        ["012", undefined]
      )
    }).pipe(onMemory(cluster))
  )

  it.effect("nor are requests that are signed by different hooks", () =>
    Effect.gen(function* () {
      const manager = yield* MQClientManager
      const { traffic } = yield* EmbeddedCluster
      const alice = yield* startProducer({ producerGroup: "alice", remoting: signed("alice") })
      const bob = yield* startProducer({ producerGroup: "bob", remoting: signed("bob") })
      assert.strictEqual(yield* manager.size, 2)
      yield* alice.send(text("orders"))
      yield* bob.send(text("orders"))
      const sends = yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)
      assert.deepStrictEqual(
        sends.map((r) => [r.extFields?.["a"], r.extFields?.["AccessKey"]]),
        [
          ["alice", "alice"],
          ["bob", "bob"]
        ]
      )
    }).pipe(onMemory(cluster))
  )
})

describe("start", () => {
  it.effect("L3: 100 concurrent starts of one producer share one outcome, good or bad", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const { namesrvAddr } = yield* EmbeddedCluster
      const good = yield* makeProducer()
      const starts = yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.exit(good.start), {
        concurrency: "unbounded"
      })
      assert.isTrue(starts.every(Exit.isSuccess))
      assert.strictEqual(yield* network.dials(namesrvAddr), 1)
      yield* settle
      assert.strictEqual((yield* good.state).steps.length, 8)
      yield* good.shutdown
      yield* network.setReachable(namesrvAddr, "refuse")
      const bad = yield* makeProducer()
      const failures = (yield* Effect.forEach(Array.from({ length: 100 }), () => Effect.exit(bad.start), {
        concurrency: "unbounded"
      })).map(failureOf)
      assert.strictEqual(new Set(failures).size, 1)
      assert.strictEqual(failures[0]?.reason._tag, "NameServerUnavailable")
      assert.strictEqual(yield* bad.serviceState, "START_FAILED")
      assert.strictEqual(yield* network.dials(namesrvAddr), 2)
    }).pipe(onMemory(cluster))
  )

  it.effect("L3: when the caller that began it is interrupted, those who share it are told so", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const { namesrvAddr } = yield* EmbeddedCluster
      yield* network.setReachable(namesrvAddr, "blackhole")
      const producer = yield* makeProducer()
      const first = yield* Effect.forkChild(Effect.exit(producer.start), { startImmediately: true })
      const second = yield* Effect.forkChild(Effect.exit(producer.start), { startImmediately: true })
      const third = yield* Effect.forkChild(Effect.exit(producer.start), { startImmediately: true })
      yield* settle
      // One that only shares may leave without a consequence.
      yield* Fiber.interrupt(third)
      assert.strictEqual(second.pollUnsafe(), undefined)
      yield* Fiber.interrupt(first)
      const error = failureOf(yield* Fiber.join(second))
      assert.strictEqual(error.reason._tag, "StartInterrupted")
      assert.strictEqual(yield* producer.serviceState, "START_FAILED")
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory(cluster))
  )

  it.effect("L2: a second one is refused with a typed error, and the first stays as it is", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ readiness: "routes", topics: ["orders"] })
      yield* producer.send(text("orders"))
      yield* settle
      const before = yield* producer.state
      const { traffic } = yield* EmbeddedCluster
      yield* traffic.clear
      const error = failureOf(yield* Effect.exit(producer.start))
      assert.strictEqual(error.step, "2.1")
      const { reason } = error
      if (reason._tag !== "IllegalServiceState") throw new Error(reason._tag)
      assert.deepStrictEqual([reason.expected, reason.actual, reason.action], ["CREATE_JUST", "RUNNING", "start"])
      assert.include(reason.message, "was started already")
      assert.isFalse(error.retryable)
      assert.strictEqual(yield* producer.serviceState, "RUNNING")
      const after = yield* producer.state
      assert.deepStrictEqual(after.topics, before.topics)
      assert.deepStrictEqual(after.steps, before.steps)
      yield* producer.send(text("orders"))
      assert.strictEqual((yield* traffic.ofCode(RequestCode.GET_ROUTEINFO_BY_TOPIC)).length, 0)
    }).pipe(onMemory(cluster))
  )

  it.effect("L5: after a shutdown is refused; a new producer of the same identity is welcome", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ instanceName: "same" })
      yield* producer.shutdown
      const reason = reasonOf(yield* Effect.exit(producer.start))
      assert.deepInclude(reason, { _tag: "IllegalServiceState", actual: "SHUTDOWN_ALREADY", expected: "CREATE_JUST" })
      yield* startProducer({ instanceName: "same" })
    }).pipe(onMemory(cluster))
  )

  it.effect("after a failure is refused, and says that a new one is needed", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer({ namesrvAddr: "127.0.0.1:1" })
      assert.strictEqual(reasonOf(yield* Effect.exit(producer.start))._tag, "NameServerUnavailable")
      const reason = reasonOf(yield* Effect.exit(producer.start))
      assert.deepInclude(reason, { _tag: "IllegalServiceState", actual: "START_FAILED" })
      assert.strictEqual(yield* producer.serviceState, "START_FAILED")
    }).pipe(onMemory(cluster))
  )

  it.effect("L8: with a group that is taken fails typed, poisons nothing, and may be tried again", () =>
    Effect.gen(function* () {
      const first = yield* startProducer({ instanceName: "same" })
      const second = yield* makeProducer({ instanceName: "same" })
      const error = failureOf(yield* Effect.exit(second.start))
      assert.deepStrictEqual([error.step, error.reason._tag], ["2.3.2", "DuplicateProducerGroup"])
      assert.strictEqual(yield* second.serviceState, "CREATE_JUST")
      assert.isTrue(yield* canSend(first))
      yield* startProducer({ instanceName: "same", producerGroup: "other" })
      assert.strictEqual(reasonOf(yield* Effect.exit(second.start))._tag, "DuplicateProducerGroup")
      yield* first.shutdown
      yield* second.start
      assert.isTrue(yield* canSend(second))
      yield* second.shutdown
    }).pipe(onMemory(cluster))
  )

  it.effect("reports every problem of the configuration and of the group, before anything is opened", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const bad = yield* makeProducer({ sendMsgTimeout: -1, mqClientApiTimeout: 0 })
      const error = failureOf(yield* Effect.exit(bad.start))
      assert.deepStrictEqual([error.step, error.reason._tag], ["2.2", "InvalidConfig"])
      assert.include(error.message, "sendMsgTimeout")
      assert.include(error.message, "mqClientApiTimeout")
      for (const producerGroup of ["", "a b", "DEFAULT_PRODUCER", "g".repeat(121)]) {
        const producer = yield* makeProducer({ producerGroup })
        const refused = failureOf(yield* Effect.exit(producer.start))
        assert.deepStrictEqual([refused.step, refused.reason._tag], ["2.2", "InvalidGroup"])
        assert.strictEqual(yield* producer.serviceState, "START_FAILED")
      }
      const { namesrvAddr } = yield* EmbeddedCluster
      assert.strictEqual(yield* network.dials(namesrvAddr), 0)
    }).pipe(onMemory(cluster))
  )

  it.effect("shows each state once, in order", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer()
      const seen: Array<ServiceState> = []
      yield* Stream.runForEach(producer.serviceStateChanges, (state) => Effect.sync(() => void seen.push(state))).pipe(
        Effect.forkChild({ startImmediately: true })
      )
      yield* settle
      yield* producer.start
      yield* settle
      yield* producer.shutdown
      yield* settle
      assert.deepStrictEqual(seen, ["CREATE_JUST", "START_FAILED", "RUNNING", "SHUTDOWN_ALREADY"])
    }).pipe(onMemory(cluster))
  )
})

describe("the layers", () => {
  it.effect("give a started producer, and closing them is its shutdown", () =>
    Effect.gen(function* () {
      const given = yield* options({ readiness: "registered", topics: ["orders"] })
      const built = yield* ownScope(Layer.build(DefaultMQProducer.layer(given)))
      const producer = yield* DefaultMQProducer.pipe(Effect.provideContext(built.value))
      assert.isTrue(yield* canSend(producer))
      yield* built.close
      yield* settle
      assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory(cluster))
  )

  it.effect("take their options from Config", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const layer = DefaultMQProducer.layerConfig(
        Config.all({ producerGroup: Config.String("GROUP"), namesrvAddr: Config.String("ADDRESSES") })
      )
      const environment = ConfigProvider.layer(
        ConfigProvider.fromUnknown({ GROUP: "from-config", ADDRESSES: namesrvAddr })
      )
      const state = yield* Effect.flatMap(DefaultMQProducer, (producer) => producer.state).pipe(
        Effect.provide(Layer.provide(layer, environment))
      )
      assert.strictEqual(state.producerGroup, "from-config")
      assert.strictEqual(state.serviceState, "RUNNING")
    }).pipe(onMemory(cluster))
  )

  it.effect("whose start is interrupted leave nothing", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const given = yield* options()
      yield* network.setReachable(String(given.namesrvAddr), "blackhole")
      const building = yield* Effect.forkChild(Effect.scoped(Layer.build(DefaultMQProducer.layer(given))), {
        startImmediately: true
      })
      yield* settle
      yield* Fiber.interrupt(building)
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory(cluster))
  )
})

describe("start racing shutdown", () => {
  it.effect.prop(
    "L4: ends RUNNING or SHUTDOWN_ALREADY, never between, in any interleaving of several of each",
    {
      starts: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))), {
        minLength: 1,
        maxLength: 4
      }),
      shutdowns: Arbitrary.array(Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 40 }))), {
        minLength: 1,
        maxLength: 4
      })
    },
    ({ shutdowns, starts }) =>
      Effect.gen(function* () {
        const producer = yield* makeProducer({ readiness: "registered", topics: ["orders"] })
        const outcomes = yield* Effect.all(
          [
            ...starts.map((turns) => Effect.exit(afterTurns(turns, producer.start))),
            ...shutdowns.map((turns) => Effect.exit(afterTurns(turns, producer.shutdown)))
          ],
          { concurrency: "unbounded" }
        )
        const state = yield* producer.serviceState
        yield* settle
        assert.include(["RUNNING", "SHUTDOWN_ALREADY"], state)
        assert.isTrue(outcomes.slice(starts.length).every(Exit.isSuccess))
        if (state === "RUNNING") {
          assert.isTrue(yield* canSend(producer))
          yield* producer.shutdown
          yield* settle
        }
        assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
        assert.deepStrictEqual(yield* held, nothing)
      }).pipe(onMemory(cluster)),
    runs(150)
  )

  it("L4: holds under fast-check's scheduler too, with a name server that answers when it likes", () =>
    fc.assert(
      fc.asyncProperty(fc.scheduler(), fc.integer({ min: 1, max: 3 }), (scheduler, starters) =>
        Effect.runPromise(
          Effect.gen(function* () {
            const producer = yield* DefaultMQProducer.make({ producerGroup: "pg" })
            const { namesrvAddr } = yield* EmbeddedCluster
            const start = producer.start.pipe(
              Effect.provide(
                NameServerResolver.layer(
                  "scheduled",
                  Effect.promise(() => scheduler.schedule(Promise.resolve([namesrvAddr]), "resolve"))
                )
              )
            )
            const fibers = [
              ...(yield* Effect.forEach(Array.from({ length: starters }), (_, i) =>
                scheduled(scheduler, `start ${i}`, start)
              )),
              yield* scheduled(scheduler, "shutdown", producer.shutdown)
            ]
            yield* Effect.promise(() => scheduler.waitFor(Effect.runPromise(Effect.forEach(fibers, Fiber.await))))
            const state = yield* producer.serviceState
            assert.include(["RUNNING", "SHUTDOWN_ALREADY"], state)
            yield* producer.shutdown
            yield* settle
            assert.deepStrictEqual(yield* held, nothing)
          }).pipe(onMemory(cluster), Effect.scoped)
        )
      ),
      { numRuns: 40, seed: 20_241 }
    ))
})

describe("the model of ServiceState", () => {
  type Command = "start" | "shutdown" | "send" | "break" | "heal" | "interruptedStart" | "duplicate"
  const commands: ReadonlyArray<Command> = [
    "start",
    "shutdown",
    "send",
    "break",
    "heal",
    "interruptedStart",
    "duplicate"
  ]

  it.effect.prop(
    "is what a producer does, for any order of start, shutdown, send and failures",
    { run: Arbitrary.array(Arbitrary.schema(Schema.Literals(commands)), { minLength: 1, maxLength: 12 }) },
    ({ run }) =>
      Effect.gen(function* () {
        const network = yield* MemoryNetwork
        const { namesrvAddr } = yield* EmbeddedCluster
        const producer = yield* makeProducer({ instanceName: "same", readiness: "routes", topics: ["orders"] })
        const rival = yield* makeProducer({ instanceName: "same", readiness: "lazy" })
        let model: ServiceState = "CREATE_JUST"
        let broken = false
        let rivalRuns = false
        for (const command of run) {
          switch (command) {
            case "start": {
              const { exit } = yield* timed(producer.start)
              if (model !== "CREATE_JUST") {
                assert.strictEqual(reasonOf(exit)._tag, "IllegalServiceState")
              } else if (rivalRuns) {
                assert.strictEqual(reasonOf(exit)._tag, "DuplicateProducerGroup")
              } else if (broken) {
                assert.strictEqual(reasonOf(exit)._tag, "NameServerUnavailable")
                model = "START_FAILED"
              } else {
                assert.isTrue(Exit.isSuccess(exit), String(exit))
                model = "RUNNING"
              }
              break
            }
            case "interruptedStart": {
              if (model !== "CREATE_JUST" || rivalRuns) break
              yield* network.setReachable(namesrvAddr, "blackhole")
              const fiber = yield* Effect.forkChild(producer.start, { startImmediately: true })
              yield* settle
              yield* Fiber.interrupt(fiber)
              yield* network.setReachable(namesrvAddr, broken ? "refuse" : "open")
              model = "START_FAILED"
              break
            }
            case "shutdown":
              yield* timed(producer.shutdown)
              if (model === "RUNNING") model = "SHUTDOWN_ALREADY"
              break
            case "send": {
              const { exit } = yield* timed(producer.send(text("orders")))
              if (model === "RUNNING") {
                assert.isTrue(Exit.isSuccess(exit), String(exit))
              } else {
                const error = failureOf(exit)
                assert.deepInclude(error.reason, { _tag: "IllegalServiceState", actual: model, action: "send" })
                assert.strictEqual(error.outcome, "not-sent")
              }
              break
            }
            case "break":
              broken = true
              yield* network.setReachable(namesrvAddr, "refuse")
              yield* network.cutAll(namesrvAddr)
              break
            case "heal":
              broken = false
              yield* network.setReachable(namesrvAddr, "open")
              // Past the pause after a dial that failed.
              yield* advance(3_000, 1_000)
              break
            case "duplicate": {
              if (model === "RUNNING" || rivalRuns) break
              const exit = yield* Effect.exit(rival.start)
              rivalRuns = Exit.isSuccess(exit)
              break
            }
          }
          assert.strictEqual(yield* producer.serviceState, model, `after ${command}`)
        }
        yield* timed(producer.shutdown)
        yield* timed(rival.shutdown)
        yield* settle
        const left = yield* held
        assert.deepStrictEqual(left, nothing)
      }).pipe(onMemory(cluster)),
    runs(120)
  )
})
