import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect } from "effect"
import { execFile } from "node:child_process"
import * as Path from "node:path"
import { promisify } from "node:util"
import { EmbeddedCluster, MemoryWire, Simulation, Wire } from "../../src/testing/index.ts"
import * as Message from "../../src/message/Message.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { DefaultMQProducer } from "../../src/producer/DefaultMQProducer.ts"
import type { WireError } from "../../src/transport/Wire.ts"
import { orders } from "./programs.ts"

const run = promisify(execFile)

const none = { count: { least: 0, most: 0 } }

/** The checks of a seed's violations. */
const checks = ({ violations }: Simulation.SeedReport) => violations.map(({ check }) => check)

/** A program that does nothing but this. */
const only = <E>(
  program: Simulation.Scenario<E>["program"],
  more: Partial<Simulation.Scenario<E>> = {}
): Simulation.Scenario<E> => ({ faults: none, program, ...more })

/** A program that does not hold when one of the servers could not be reached. */
const needsItsServers: Simulation.Scenario<WireError> = {
  faults: { count: { least: 3, most: 8 } },
  program: ({ violation }) =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const wire = yield* Wire
      for (let n = 0; n < 100; n++) {
        yield* Effect.sleep(200)
        for (const { address, name } of brokers) {
          const dialled = yield* Effect.exit(Effect.scoped(wire.connect(address, { connectTimeoutMillis: 1_000 })))
          if (dialled._tag === "Failure") yield* violation("reach", `${name} could not be reached`)
        }
      }
    })
}

describe("Simulation", () => {
  it.effect("a program that holds: what was run is counted", () =>
    Effect.gen(function* () {
      const seen: Array<number> = []
      const summary = yield* Simulation.check(orders(), {
        seeds: 6,
        from: 10,
        onReport: ({ seed }) => Effect.sync(() => seen.push(seed))
      })
      assert.deepStrictEqual(seen, [10, 11, 12, 13, 14, 15])
      const { acknowledged, notSent, rejected, unknown } = summary.counts
      assert.strictEqual(acknowledged + notSent + rejected + unknown, 120)
      assert.strictEqual(summary.seeds, 6)
      assert.isAbove(summary.faults, 0)
      assert.isAbove(summary.virtualMillis, 6 * 10_000)
    })
  )

  it.effect("one seed is one run: the fingerprint and all else is equal, and differs from seed to seed", () =>
    Effect.gen(function* () {
      const one = yield* Simulation.runSeed(orders(), 3)
      assert.deepStrictEqual(yield* Simulation.runSeed(orders(), 3), one)
      assert.notStrictEqual((yield* Simulation.runSeed(orders(), 4)).fingerprint, one.fingerprint)
    })
  )

  it("one seed is one run in another process, whatever its number", { timeout: 60_000 }, async () => {
    const child = Path.join(import.meta.dirname, "child.ts")
    const args = ["--conditions=@effect-rocketmq/source", child, "orders", "3"]
    const { stdout } = await run(process.execPath, args)
    assert.deepStrictEqual(JSON.parse(stdout), await Effect.runPromise(Simulation.runSeed(orders(), 3)))
  })

  it.effect("what is logged is not shown, and showing it changes nothing", () =>
    Effect.gen(function* () {
      const quiet = yield* Simulation.runSeed(orders(), 5)
      // The default logger writes to the console, which the test's runner keeps for itself.
      assert.deepStrictEqual(yield* Simulation.runSeed(orders(), 5, { logs: true }), quiet)
    })
  )

  it.effect("one that fails names the seed and the faults that it needs, and fails again with these", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(Simulation.check(needsItsServers, { seeds: 50 }))
      assert.instanceOf(failed, Simulation.SimulationFailed)
      assert.strictEqual(failed.keep.length, failed.faults.length)
      // One fault is enough for a server not to be reached.
      assert.strictEqual(failed.keep.length, 1)
      assert.deepStrictEqual([...new Set(failed.violations.map(({ check }) => check))], ["reach"])
      assert.include(failed.message, `seed ${failed.seed} fails with 1 fault(s):`)
      assert.include(failed.message, failed.faults[0] ?? "a fault")
      assert.include(failed.message, `Run it again with seed ${failed.seed} and keep [${failed.keep.join(", ")}].`)

      const again = yield* Simulation.runSeed(needsItsServers, failed.seed, { keep: failed.keep })
      assert.deepStrictEqual(again.violations, failed.violations)
      const checked = yield* Effect.flip(
        Simulation.check(needsItsServers, { from: failed.seed, seeds: 1, keep: failed.keep })
      )
      assert.deepStrictEqual(
        [checked.seed, checked.keep, checked.violations],
        [failed.seed, failed.keep, failed.violations]
      )
      // Without it nothing is wrong.
      assert.deepStrictEqual((yield* Simulation.runSeed(needsItsServers, failed.seed, { keep: [] })).violations, [])
    })
  )

  it.effect("a program that fails by itself needs no fault for it", () =>
    Effect.gen(function* () {
      const failed = yield* Effect.flip(
        Simulation.check(
          only(() => Effect.fail("out of stock"), { faults: { count: { least: 3, most: 3 } } }),
          { seeds: 1 }
        )
      )
      assert.deepStrictEqual(failed.keep, [])
      assert.strictEqual(failed.violations[0]?.check, "program")
      assert.include(failed.message, "out of stock")
    })
  )

  it.effect("what is left behind is found: a connection, a client that brokers know, a fiber", () =>
    Effect.gen(function* () {
      const connection = only(() =>
        Effect.gen(function* () {
          const [broker] = (yield* EmbeddedCluster).brokers
          const wire = yield* Wire
          const open = Effect.andThen(wire.connect(broker?.address ?? "", { connectTimeoutMillis: 100 }), Effect.never)
          yield* Effect.forkDetach(Effect.scoped(open), { startImmediately: true })
          yield* Effect.sleep(10)
        })
      )
      const left = yield* Simulation.runSeed(connection, 1)
      assert.deepStrictEqual(checks(left), ["leak", "leak"])
      assert.include(left.violations[0]?.detail, "1 connection(s) are open")
      assert.include(left.violations[1]?.detail, "fiber(s) are left")

      const fiber = only(() => Effect.asVoid(Effect.forkDetach(Effect.sleep("1 hour"), { startImmediately: true })))
      const [violation] = (yield* Simulation.runSeed(fiber, 1)).violations
      assert.strictEqual(violation?.detail, "1 fiber(s) are left, 1 of them asleep")

      const forgotten = only(() =>
        Effect.gen(function* () {
          const { namesrvAddr } = yield* EmbeddedCluster
          const producer = yield* DefaultMQProducer.make({ producerGroup: "forgotten", namesrvAddr })
          yield* producer.start
          yield* producer.send(Message.make({ topic: "orders", body: "1" }))
          yield* Effect.never
        }).pipe(
          Effect.provide(MQClientManager.layer),
          Effect.forkDetach({ startImmediately: true }),
          // Long enough for a heartbeat.
          Effect.andThen(Effect.sleep(31_000))
        )
      )
      const { violations } = yield* Simulation.runSeed(forgotten, 1)
      assert.isTrue(violations.every(({ check }) => check === "leak"))
      const details = violations.map(({ detail }) => detail).join("\n")
      assert.match(details, /connection\(s\) are open/)
      assert.match(details, /still knows producer forgotten of client 127\.0\.0\.1@/)
      assert.match(details, /fiber\(s\) are left/)
    })
  )

  it.effect("a program that comes to no end says so", () =>
    Effect.gen(function* () {
      const [violation] = (yield* Simulation.runSeed(
        only(() => Effect.never, { limits: { maxVirtualMillis: 60_000 } }),
        1
      )).violations
      assert.strictEqual(violation?.check, "end")
      assert.match(violation?.detail ?? "", /the simulation does not end/)
    })
  )

  it.effect("healed: all faults are over, and every server can be reached at once", () =>
    Effect.gen(function* () {
      const scenario: Simulation.Scenario<WireError> = {
        faults: { count: { least: 8, most: 12 } },
        program: ({ healed, violation }) =>
          Effect.gen(function* () {
            yield* healed
            const cluster = yield* EmbeddedCluster
            const network = yield* MemoryWire.MemoryNetwork
            const wire = yield* Wire
            const begin = yield* Clock.currentTimeMillis
            for (const { address, running } of [...cluster.brokers, ...cluster.nameServers]) {
              if (!running) yield* violation("running", address)
              yield* Effect.scoped(wire.connect(address, { connectTimeoutMillis: 1 }))
            }
            if ((yield* Clock.currentTimeMillis) !== begin) yield* violation("latency", "a dial took time")
            if ((yield* cluster.faults.rules).length > 0) yield* violation("rules", "some are in force")
            if ((yield* network.connections()) !== 0) yield* violation("open", "a connection")
          })
      }
      const { seeds } = yield* Simulation.check(scenario, { seeds: 25 })
      assert.strictEqual(seeds, 25)
    })
  )

  it.effect("a service may provide its own limits of faults, and servers", () =>
    Effect.gen(function* () {
      const report = yield* Simulation.runSeed(
        orders({
          cluster: { brokers: 1, nameServers: 1, topics: { orders: {} } },
          faults: { nameServers: [], topics: [], count: { least: 5, most: 5 }, longestMillis: 100, withinMillis: 1_000 }
        }),
        1
      )
      assert.strictEqual(report.plan.length, 5)
      assert.isTrue(report.plan.every(({ at, forMillis }) => at <= 1_000 && forMillis <= 100))
      assert.deepStrictEqual(report.violations, [])
    })
  )
})
