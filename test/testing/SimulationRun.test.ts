import { assert, describe, it } from "@effect/vitest"
import { Clock, Deferred, Effect, Exit, Fiber, Random } from "effect"
import { execFile } from "node:child_process"
import * as Path from "node:path"
import { promisify } from "node:util"
import * as SimulationRun from "../../src/testing/SimulationRun.ts"
import { failureOf, valueOf } from "../support/rig.ts"
import { interleaving } from "./programs.ts"

const run = promisify(execFile)

/** Runs a program that must come to no end, and gives why and what was left. */
const stuck = <A>(program: Effect.Effect<A>, limits?: SimulationRun.RunLimits) =>
  Effect.map(SimulationRun.run(1, program, limits), ({ exit, left, virtualMillis }) => {
    const error = failureOf(exit)
    assert.instanceOf(error, SimulationRun.SimulationStuck)
    return { error, left, virtualMillis }
  })

/** The first number that a program draws. */
const drawn = (seed: string | number) =>
  Effect.map(SimulationRun.run(seed, Random.nextIntBetween(0, 2 ** 30)), ({ exit }) => valueOf(exit))

/** What is left of a program that does this and ends. */
const leaving = (leak: Effect.Effect<unknown>) =>
  Effect.map(SimulationRun.run(1, Effect.asVoid(leak)), ({ exit, left }) => {
    assert.isTrue(Exit.isSuccess(exit))
    return left
  })

const leaked = <A>(effect: Effect.Effect<A>) => Effect.forkDetach(effect, { startImmediately: true })

describe("SimulationRun", () => {
  it.effect("gives what the program gives, and how much virtual time went by", () =>
    Effect.gen(function* () {
      const { exit, left, steps, virtualMillis } = yield* SimulationRun.run(
        1,
        Effect.gen(function* () {
          const begin = yield* Clock.currentTimeMillis
          yield* Effect.sleep("3 hours")
          return (yield* Clock.currentTimeMillis) - begin
        }),
        { maxVirtualMillis: Infinity }
      )
      assert.strictEqual(valueOf(exit), 10_800_000)
      assert.strictEqual(virtualMillis, 10_800_000)
      assert.deepStrictEqual(left, { fibers: 0, sleepers: 0 })
      assert.isAbove(steps, 0)
      const failed = yield* SimulationRun.run(1, Effect.fail("no"))
      assert.strictEqual(failureOf(failed.exit), "no")
      assert.match(SimulationRun.reasonOf(failed.exit) ?? "", /no/)
      assert.isUndefined(SimulationRun.reasonOf(exit))
    })
  )

  it.effect("the same seed does the same: the order of fibers, what Random gives, virtual time", () =>
    Effect.gen(function* () {
      const journals = new Set<string>()
      for (let seed = 1; seed <= 20; seed++) {
        const first = yield* interleaving(seed)
        assert.isAbove(first.journal.length, 40)
        assert.deepStrictEqual(yield* interleaving(seed), first)
        journals.add(first.journal.join())
      }
      assert.strictEqual(journals.size, 20)
    })
  )

  it("and in another process", { timeout: 60_000 }, async () => {
    const child = Path.join(import.meta.dirname, "child.ts")
    const args = ["--conditions=@effect-rocketmq/source", child, "interleaving", "7"]
    const { stdout } = await run(process.execPath, args)
    assert.deepStrictEqual(JSON.parse(stdout), await Effect.runPromise(interleaving(7)))
  })

  it.effect("the schedule alone differs between seeds as well", () =>
    Effect.gen(function* () {
      const order = Effect.gen(function* () {
        const names: Array<string> = []
        yield* Effect.forEach(
          ["a", "b", "c"],
          (name) =>
            Effect.andThen(
              Effect.yieldNow,
              Effect.sync(() => names.push(name))
            ),
          { concurrency: "unbounded" }
        )
        return names.join("")
      })
      const orders = new Set<string>()
      for (let seed = 0; seed < 100; seed++) orders.add(valueOf((yield* SimulationRun.run(seed, order)).exit))
      assert.isAbove(orders.size, 3)
    })
  )

  it.effect("a seed may be text, and a program's own seed within stays its own", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* drawn("one"), yield* drawn("one"))
      assert.notStrictEqual(yield* drawn("one"), yield* drawn("two"))
      const inner = Effect.map(
        SimulationRun.run(5, Random.withSeed(Random.nextIntBetween(0, 2 ** 30), "mine")),
        ({ exit }) => valueOf(exit)
      )
      assert.strictEqual(yield* inner, yield* Random.withSeed(Random.nextIntBetween(0, 2 ** 30), "mine"))
    })
  )

  it.effect("microtasks run between two turns of fibers", () =>
    Effect.gen(function* () {
      const program = Effect.gen(function* () {
        let turns = 0
        for (let n = 0; n < 300; n++) {
          let ran = false
          yield* Effect.sync(() => queueMicrotask(() => (ran = true)))
          yield* Effect.yieldNow
          if (ran) turns++
        }
        return turns
      })
      for (let seed = 1; seed <= 5; seed++) {
        assert.strictEqual(valueOf((yield* SimulationRun.run(seed, program)).exit), 300)
      }
    })
  )

  it.effect("the world outside is waited for, though nothing repeats itself then", () =>
    Effect.gen(function* () {
      const { exit } = yield* SimulationRun.run(
        1,
        Effect.promise(() => new Promise<string>((resolve) => setImmediate(() => setImmediate(() => resolve("here")))))
      )
      assert.strictEqual(valueOf(exit), "here")
    })
  )

  it.effect("stuck: nobody can run", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const program = Effect.gen(function* () {
        const never = yield* Deferred.make<void>()
        yield* Effect.sleep(50)
        yield* Deferred.await(never).pipe(
          Effect.ensuring(
            Effect.andThen(
              Effect.sleep(10),
              Effect.sync(() => ran.push("finalizer"))
            )
          )
        )
      })
      const { error, left } = yield* stuck(program)
      assert.strictEqual(error.problem, "nobody can run")
      assert.strictEqual(error.virtualMillis, 50)
      assert.deepStrictEqual(ran, ["finalizer"])
      assert.deepStrictEqual(left, { fibers: 0, sleepers: 0 })
      assert.match(error.message, /after 50 virtual ms and \d+ steps\. Something waits for a wake-up that never comes/)
    })
  )

  it.effect("stuck: too many steps", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const circle = Effect.forever(Effect.yieldNow).pipe(Effect.ensuring(Effect.sync(() => ran.push("finalizer"))))
      const { error, left } = yield* stuck(circle, { maxSteps: 500 })
      assert.strictEqual(error.problem, "too many steps")
      assert.strictEqual(error.steps, 501)
      assert.strictEqual(error.virtualMillis, 0)
      assert.deepStrictEqual(ran, ["finalizer"])
      assert.deepStrictEqual(left, { fibers: 0, sleepers: 0 })
    })
  )

  it.effect("stuck: too much virtual time", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const ticking = Effect.forever(Effect.sleep(1_000)).pipe(
        Effect.ensuring(Effect.sync(() => ran.push("finalizer")))
      )
      const { error, left } = yield* stuck(ticking, { maxVirtualMillis: 10_000 })
      assert.strictEqual(error.problem, "too much virtual time")
      assert.strictEqual(error.virtualMillis, 11_000)
      assert.deepStrictEqual(ran, ["finalizer"])
      assert.deepStrictEqual(left, { fibers: 0, sleepers: 0 })
    })
  )

  it.effect("a finalizer that comes to no end either is given up", () =>
    Effect.gen(function* () {
      const program = Effect.never.pipe(Effect.ensuring(Effect.forever(Effect.sleep(10))))
      const { error, virtualMillis } = yield* stuck(program)
      assert.strictEqual(error.problem, "nobody can run")
      assert.isAbove(virtualMillis, error.virtualMillis)
    })
  )

  it.effect("counts what is left: a fiber that waits, and one that sleeps", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* leaving(leaked(Effect.never)), { fibers: 1, sleepers: 0 })
      assert.deepStrictEqual(yield* leaving(leaked(Effect.sleep("1 day"))), { fibers: 1, sleepers: 1 })
      assert.deepStrictEqual(yield* leaving(Effect.flatMap(leaked(Effect.sleep("1 day")), Fiber.interrupt)), {
        fibers: 0,
        sleepers: 0
      })
      // What only needs a turn more gets it; time does not go on for it.
      assert.deepStrictEqual(yield* leaving(leaked(Effect.repeat(Effect.yieldNow, { times: 50 }))), {
        fibers: 0,
        sleepers: 0
      })
    })
  )

  it.effect("who is interrupted while it runs a simulation ends it", () =>
    Effect.gen(function* () {
      const ran: Array<string> = []
      const begun = yield* Deferred.make<void>()
      const program = Effect.forever(Effect.andThen(Deferred.succeed(begun, undefined), Effect.sleep(1))).pipe(
        Effect.ensuring(Effect.sync(() => ran.push("finalizer")))
      )
      const fiber = yield* Effect.forkChild(
        SimulationRun.run(1, program, { maxVirtualMillis: Infinity, maxSteps: Infinity })
      )
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual(ran, ["finalizer"])
    })
  )
})
