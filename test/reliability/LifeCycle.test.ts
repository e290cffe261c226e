/** The life of a producer under trouble: interleavings, interruptions, and shutdowns that nobody answers. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Logger, References, Scheduler } from "effect"
import type { EmbeddedClusterOptions } from "../../src/testing/index.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { DefaultMQProducer, type DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import {
  advance,
  canSend,
  connections,
  countFibers,
  failureOf,
  held,
  makeProducer,
  nothing,
  onMemory,
  options,
  ownScope,
  settle,
  startProducer,
  text,
  timed,
  valueOf
} from "../support/rig.ts"

const cluster: EmbeddedClusterOptions = { topics: { orders: {} }, brokers: 2 }
const SEND = RequestCode.SEND_MESSAGE_V2

/** Milliseconds of the drain limit where nothing else is set, and what a shutdown may take besides. */
const DRAIN_MILLIS = 3_000
const SHUTDOWN_MILLIS = 1_000

/** A producer that knows the route of orders and has connections to all brokers. */
const warm = (given: Partial<ProducerOptions> = {}) =>
  Effect.tap(startProducer({ readiness: "registered", topics: ["orders"], ...given }), () => settle)

/** So many sends at once that may take a minute, under way. */
const sendMany = (producer: DefaultMQProducerShape, count: number) =>
  Effect.forEach(
    Array.from({ length: count }),
    () => Effect.exit(producer.send(text("orders"), { timeoutMillis: 60_000 })),
    { concurrency: "unbounded" }
  ).pipe(
    Effect.forkChild({ startImmediately: true }),
    Effect.tap(() => settle)
  )

/** Every address that a client of the cluster knows. */
const peers = Effect.map(EmbeddedCluster, ({ brokers, namesrvAddr }) => [
  ...namesrvAddr.split(";"),
  ...brokers.map((broker) => broker.address)
])

describe("a shutdown", () => {
  it.effect("L1: closing the layer's scope lets sends end for 3 s; the rest is ended with an unknown outcome", () =>
    Effect.gen(function* () {
      const { faults, messages } = yield* EmbeddedCluster
      const built = yield* ownScope(
        Layer.build(DefaultMQProducer.layer(yield* options({ readiness: "registered", topics: ["orders"] })))
      )
      const producer = yield* DefaultMQProducer.pipe(Effect.provideContext(built.value))
      yield* settle
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(2_900)] })
      const slow = yield* sendMany(producer, 3)
      yield* faults.clear
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.dropResponse] })
      const lost = yield* sendMany(producer, 5)
      const { exit, millis } = yield* timed(built.close)
      valueOf(exit)
      assert.isAtLeast(millis, DRAIN_MILLIS)
      assert.isAtMost(millis, DRAIN_MILLIS + SHUTDOWN_MILLIS)
      assert.isTrue((yield* Fiber.join(slow)).every(Exit.isSuccess))
      for (const { outcome, reason } of (yield* Fiber.join(lost)).map(failureOf)) {
        assert.deepStrictEqual([reason._tag, outcome], ["ClientClosed", "unknown"])
      }
      // "unknown" is the truth: the brokers have stored what they did not acknowledge.
      assert.strictEqual((yield* messages("orders")).length, 8)
      assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory(cluster))
  )

  const deaths: ReadonlyArray<readonly [string, Effect.Effect<void, never, EmbeddedCluster | MemoryNetwork>]> = [
    [
      "gone",
      Effect.gen(function* () {
        const network = yield* MemoryNetwork
        for (const address of yield* peers) {
          yield* network.setReachable(address, "refuse")
          yield* network.cutAll(address)
        }
      })
    ],
    [
      "cut off without a word",
      Effect.gen(function* () {
        const network = yield* MemoryNetwork
        for (const address of yield* peers) yield* network.setReachable(address, "blackhole")
      })
    ],
    [
      "silent",
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* faults.add({ match: {}, actions: [FaultScript.dropRequest] })
      })
    ]
  ]
  for (const [how, die] of deaths) {
    it.effect(`L14: idle, with every server ${how}, takes a second at most and leaves nothing`, () =>
      Effect.gen(function* () {
        const fibers = countFibers()
        yield* Effect.gen(function* () {
          const before = fibers.live()
          const producer = yield* makeProducer({ readiness: "registered", topics: ["orders"], enableTrace: true })
          yield* producer.start
          assert.isTrue(yield* canSend(producer))
          yield* advance(10_000, 500)
          yield* die
          const { exit, millis } = yield* timed(producer.shutdown, 60_000, 1)
          valueOf(exit)
          assert.isAtMost(millis, SHUTDOWN_MILLIS)
          assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
          yield* settle
          const { groups: _, ...left } = yield* held
          assert.deepStrictEqual(left, { connections: 0, instances: 0 })
          assert.strictEqual(fibers.live(), before)
        }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
      }).pipe(onMemory(cluster))
    )

    it.effect(`L1, L14: with sends under way and every server ${how}, takes the drain limit and a second at most`, () =>
      Effect.gen(function* () {
        const producer = yield* warm()
        yield* die
        const sending = yield* sendMany(producer, 4)
        const { exit, millis } = yield* timed(producer.shutdown, 60_000, 1)
        valueOf(exit)
        assert.isAtMost(millis, DRAIN_MILLIS + SHUTDOWN_MILLIS)
        for (const error of (yield* Fiber.join(sending)).map(failureOf)) {
          // Where nothing could be dialled, nothing was sent, and the attempts may have ended before.
          assert.include(how === "gone" ? ["not-sent"] : ["unknown"], error.outcome, error.message)
        }
        yield* settle
        const { groups: _, ...left } = yield* held
        assert.deepStrictEqual(left, { connections: 0, instances: 0 })
      }).pipe(onMemory(cluster))
    )
  }

  it.effect("L14: idle, with everybody there, takes no time at all", () =>
    Effect.gen(function* () {
      const producer = yield* warm()
      assert.isTrue(yield* canSend(producer))
      const { exit, millis } = yield* timed(producer.shutdown, 60_000, 1)
      valueOf(exit)
      assert.strictEqual(millis, 0)
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory(cluster))
  )

  const dialling: ReadonlyArray<readonly [string, (addresses: ReadonlyArray<string>) => ReadonlyArray<string>]> = [
    ["a name server", (addresses) => addresses.slice(0, 1)],
    ["the brokers", (addresses) => addresses.slice(1)],
    ["anybody", (addresses) => addresses]
  ]
  for (const [whom, chosen] of dialling) {
    it.effect(`L13: while it dials ${whom}, aborts the dial within 100 ms`, () =>
      Effect.gen(function* () {
        const network = yield* MemoryNetwork
        const addresses = chosen(yield* peers)
        for (const address of addresses) yield* network.setReachable(address, "blackhole")
        const fibers = countFibers()
        yield* Effect.gen(function* () {
          const before = fibers.live()
          const producer = yield* makeProducer({
            readiness: "lazy",
            topics: ["orders"],
            heartbeatBrokerInterval: 1_000
          })
          yield* producer.start
          // The poll of routes and the heartbeat dial without being asked; 3 s is what a dial may take.
          yield* advance(2_500)
          const { instance } = yield* producer.state
          const open =
            instance?.sockets.filter(({ state }) => state === "connecting").map(({ address }) => address) ?? []
          assert.isNotEmpty(open)
          for (const address of open) assert.include(addresses, address)
          const { exit, millis } = yield* timed(producer.shutdown, 60_000, 1)
          valueOf(exit)
          assert.isAtMost(millis, 100)
          yield* settle
          assert.strictEqual(yield* connections, 0)
          assert.strictEqual(fibers.live(), before)
        }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
      }).pipe(onMemory(cluster))
    )
  }
})

describe("a start", () => {
  it.effect("L6: interrupted after any number of turns leaves nothing, and the same identity starts again", () =>
    Effect.gen(function* () {
      const layer = DefaultMQProducer.layer(
        yield* options({ instanceName: "same", readiness: "registered", topics: ["orders"] })
      )
      let turns = 0
      for (let ended = false; !ended; turns++) {
        const about = `after ${turns} turns`
        const building = yield* Effect.scoped(Layer.build(layer)).pipe(
          // The turns are short, so that there is an interruption at every few operations.
          Effect.provideService(Scheduler.MaxOpsBeforeYield, 24),
          Effect.forkChild({ startImmediately: true })
        )
        for (let i = 0; i < turns; i++) yield* Effect.yieldNow
        yield* Fiber.interrupt(building)
        ended = Exit.isSuccess(yield* Fiber.await(building))
        yield* settle
        assert.deepStrictEqual(yield* held, nothing, about)
        const next = yield* makeProducer({ instanceName: "same" })
        yield* next.start
        assert.isTrue(yield* canSend(next), about)
        yield* next.shutdown
        yield* settle
        assert.deepStrictEqual(yield* held, nothing, about)
      }
      assert.isAbove(turns, 25)
    }).pipe(onMemory(cluster))
  )

  it.effect("L6: interrupted when its last step has been taken is shut down, for nobody has it", () =>
    Effect.gen(function* () {
      const states: Array<string> = []
      const shutDown: Array<string> = []
      for (const sharers of [0, 1]) {
        const producer = yield* makeProducer({ producerGroup: `pg-${sharers}` })
        const fibers: Array<Fiber.Fiber<unknown, unknown>> = []
        // The one thing between the last step and the return that a program has a part in.
        const late = Logger.layer([
          Logger.make(({ message }) => {
            if (/^producer .* is RUNNING$/.test(String(message))) fibers[0]?.interruptUnsafe()
          })
        ])
        const start = producer.start.pipe(
          Effect.provide(late),
          Effect.provideService(References.MinimumLogLevel, "Debug"),
          Effect.forkChild
        )
        for (let i = 0; i <= sharers; i++) fibers.push(yield* start)
        const [exit, shared] = yield* Effect.forEach(fibers, Fiber.await)
        assert.isTrue(exit !== undefined && Exit.isFailure(exit))
        const { serviceState, steps } = yield* producer.state
        states.push(`${steps.find(({ id }) => id === "2.6")?.outcome} ${serviceState}`)
        // Who shares it has a producer that runs.
        assert.strictEqual(shared !== undefined && Exit.isSuccess(shared), sharers > 0)
        if (sharers > 0) assert.isTrue(yield* canSend(producer))
        yield* producer.shutdown
        shutDown.push(yield* producer.serviceState)
        yield* settle
        assert.deepStrictEqual(yield* held, nothing)
      }
      assert.deepStrictEqual(states, ["done SHUTDOWN_ALREADY", "done RUNNING"])
      assert.deepStrictEqual(shutDown, ["SHUTDOWN_ALREADY", "SHUTDOWN_ALREADY"])
    }).pipe(onMemory(cluster))
  )
})
