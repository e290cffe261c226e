/** Starts, shutdowns and sends of one producer, in every order that a seeded scheduler comes up with. */
import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Exit, Fiber, Layer, Random, References, Schema } from "effect"
import type { MQClientManager } from "../../src/client/MQClientManager.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import { EmbeddedCluster, type EmbeddedClusterOptions } from "../../src/testing/index.ts"
import * as SimulationRun from "../../src/testing/SimulationRun.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { canSend, failureOf, held, makeProducer, memory, nothing, runs, text, valueOf } from "../support/rig.ts"

const cluster: EmbeddedClusterOptions = { topics: { orders: {} }, recordTraffic: false }

const world = Layer.merge(memory(cluster), Layer.succeed(References.MinimumLogLevel, "None"))

const seed = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000_000_000 })))

/** In a simulation, time goes on when nobody can run any more: whatever could happen has happened then. */
const quiet = Effect.sleep(1)

/** A moment that chance decides, in the first so many milliseconds. */
const sometime = (millis: number) => Effect.flatMap(Random.nextIntBetween(0, millis), (n) => Effect.sleep(n))

/** Runs a program on a cluster in memory, interleaved as the seed says. It has to leave no fiber behind. */
const interleaved = <A, E>(
  number: number,
  program: Effect.Effect<A, E, EmbeddedCluster | MemoryNetwork | MQClientManager>
) =>
  Effect.gen(function* () {
    const run = yield* SimulationRun.run(number, Effect.provide(program, world))
    valueOf(run.exit)
    assert.deepStrictEqual(run.left, { fibers: 0, sleepers: 0 })
  })

const forked = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(Effect.exit(effect))

/** The end of every run: what was started is shut down, and nothing is held. */
const closed = (producer: DefaultMQProducerShape) =>
  Effect.gen(function* () {
    yield* producer.shutdown
    yield* quiet
    assert.deepStrictEqual(yield* held, nothing)
  })

describe("100 starts at once", () => {
  it.effect.prop(
    "L3: in any order, one does the work and all share what comes of it",
    { seed, fails: Arbitrary.schema(Schema.Boolean), leaving: Arbitrary.schema(Schema.Boolean) },
    ({ fails, leaving, seed: number }) =>
      interleaved(
        number,
        Effect.gen(function* () {
          const { namesrvAddr } = yield* EmbeddedCluster
          const network = yield* MemoryNetwork
          // No answer comes before all of them have begun: the first one takes a moment, and they take no time.
          yield* network.setLatency(1)
          if (fails) yield* network.setReachable(namesrvAddr, "refuse")
          const producer = yield* makeProducer({ readiness: "registered", topics: ["orders"] })
          const starts = yield* Effect.forEach(Array.from({ length: 100 }), () => forked(producer.start))
          // Sharers may leave; chance may pick the one that does the work.
          const left = leaving ? yield* Random.nextIntBetween(0, 100) : undefined
          const leaver = left === undefined ? undefined : starts[left]
          if (leaver !== undefined) {
            yield* Effect.yieldNow
            yield* Fiber.interrupt(leaver)
          }
          const outcomes = yield* Effect.forEach(
            starts.filter((fiber) => fiber !== leaver),
            Fiber.join
          )
          yield* quiet
          const state = yield* producer.serviceState
          const dials = yield* network.dials(namesrvAddr)
          assert.isAtMost(dials, 1)
          // The first step is taken once, whoever came first.
          const { steps } = yield* producer.state
          assert.strictEqual(steps.filter(({ id }) => id === "2.1").length, 1)
          const failures = outcomes.filter(Exit.isFailure).map(failureOf)
          // Who comes when the one that did the work has left already is refused, as a second start is.
          const late = failures.filter(({ reason }) => leaving && reason._tag === "IllegalServiceState")
          const shared = failures.filter((error) => !late.includes(error))
          assert.isAtMost(new Set(shared).size, 1, "one outcome for all")
          if (failures.length === 0) {
            assert.isFalse(fails)
            assert.strictEqual(state, "RUNNING")
            assert.isTrue(yield* canSend(producer))
          } else {
            assert.strictEqual(failures.length, outcomes.length, "all or none")
            assert.strictEqual(state, "START_FAILED")
            const expected = [...(fails ? ["NameServerUnavailable"] : []), ...(leaving ? ["StartInterrupted"] : [])]
            for (const { reason } of shared) assert.include(expected, reason._tag)
          }
          yield* closed(producer)
        })
      ),
    runs(100)
  )
})

describe("starts, shutdowns, sends and interruptions that race", () => {
  it.effect.prop(
    "L4: end RUNNING or shut down, or failed where the start was interrupted, and never between",
    {
      seed,
      starts: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 }))),
      shutdowns: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 3 }))),
      interruptions: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 2 })))
    },
    ({ interruptions, seed: number, shutdowns, starts }) =>
      interleaved(
        number,
        Effect.gen(function* () {
          const network = yield* MemoryNetwork
          yield* network.setLatency(1)
          const producer = yield* makeProducer({ readiness: "registered", topics: ["orders"] })
          const starting = yield* Effect.forEach(Array.from({ length: starts }), () =>
            forked(Effect.andThen(sometime(4), producer.start))
          )
          const closing = yield* Effect.forEach(Array.from({ length: shutdowns }), () =>
            forked(Effect.andThen(sometime(16), producer.shutdown))
          )
          const sending = yield* Effect.forEach(Array.from({ length: 5 }), () =>
            forked(Effect.andThen(sometime(16), producer.send(text("orders"))))
          )
          for (const fiber of starting.slice(0, interruptions)) {
            yield* Effect.forkChild(Effect.andThen(sometime(10), Fiber.interrupt(fiber)))
          }
          yield* Effect.forEach(starting, Fiber.await)
          const closes = yield* Effect.forEach(closing, Fiber.join)
          assert.isTrue(closes.every(Exit.isSuccess))
          for (const sent of yield* Effect.forEach(sending, Fiber.join)) {
            if (Exit.isSuccess(sent)) continue
            assert.include(["IllegalServiceState", "ClientClosed"], failureOf(sent).reason._tag)
          }
          yield* quiet
          const state = yield* producer.serviceState
          assert.include(
            ["RUNNING", "SHUTDOWN_ALREADY", ...(interruptions > 0 ? ["START_FAILED", "CREATE_JUST"] : [])],
            state
          )
          assert.strictEqual(yield* canSend(producer), state === "RUNNING")
          if (state !== "RUNNING") assert.deepStrictEqual(yield* held, nothing)
          yield* closed(producer)
          assert.strictEqual(yield* producer.serviceState, state === "RUNNING" ? "SHUTDOWN_ALREADY" : state)
        })
      ),
    runs(150)
  )
})
