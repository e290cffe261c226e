import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Layer, Logger, Stream } from "effect"
import { TestClock } from "effect/testing"
import { NoNameServer, type StartError } from "../../src/client/ClientError.ts"
import * as ServiceLife from "../../src/client/ServiceLife.ts"
import type { ServiceState } from "../../src/client/ServiceState.ts"
import { StartObserver } from "../../src/client/StartStep.ts"
import { advance, countFibers, failureOf, settle, timed } from "../support/rig.ts"

const START = "9.1 set START_FAILED"

/** A life with one step, which may be told to hang. */
const makeLife = (more: Partial<ServiceLife.LifeOptions<string, never>> = {}) =>
  ServiceLife.make<string>({
    subject: "service s",
    number: "9",
    acquire: ({ step }) => step("9.2", "acquire everything", Effect.succeed("parts")),
    ...more
  })

const messages: Array<string> = []

const logged = Effect.provide(
  Logger.layer([
    Logger.make(({ message }) => void messages.push(String(Array.isArray(message) ? message.join(" ") : message)))
  ])
)

describe("a start", () => {
  it.effect("gives what it acquired, and its steps with what became of each", () =>
    Effect.gen(function* () {
      const life = yield* makeLife()
      assert.strictEqual(life.parts(), undefined)
      assert.strictEqual(yield* life.start, "parts")
      assert.strictEqual(life.running(), "parts")
      assert.deepStrictEqual(
        life.steps().map(({ id, name, outcome }) => `${id} ${name}: ${outcome}`),
        [`${START}: done`, "9.2 acquire everything: done"]
      )
    })
  )

  it.effect("that is repeated after a duplicate group forgets the steps of the first", () =>
    Effect.gen(function* () {
      let first = true
      const life = yield* makeLife({
        isStartableAfter: () => true,
        acquire: ({ step }) =>
          step(
            "9.2",
            "acquire everything",
            Effect.suspend(() => {
              if (!first) return Effect.succeed("parts")
              first = false
              return Effect.fail(new NoNameServer({ looked: [] }))
            })
          )
      })
      failureOf(yield* Effect.exit(life.start))
      assert.deepStrictEqual(
        life.steps().map(({ outcome }) => outcome),
        ["done", "failed"]
      )
      yield* life.start
      assert.deepStrictEqual(
        life.steps().map(({ outcome }) => outcome),
        ["done", "done"]
      )
    })
  )

  it.effect("that hangs outside of any step names the last one that it had taken", () =>
    Effect.gen(function* () {
      const life = yield* makeLife({ startTimeoutMillis: 50, acquire: () => Effect.never })
      const { exit, millis } = yield* timed(life.start)
      const error = failureOf(exit)
      assert.deepStrictEqual([error.step, error.reason._tag, millis], ["9.1", "StartTimeout", 50])
    })
  )

  it.effect("without a deadline takes as long as it likes", () =>
    Effect.gen(function* () {
      const life = yield* makeLife({ acquire: () => Effect.as(Effect.sleep("1 hour"), "parts") })
      const fiber = yield* Effect.forkChild(life.start, { startImmediately: true })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual(yield* Fiber.join(fiber), "parts")
    })
  )

  it.effect(
    "is CREATE_JUST until the observer lets its first step run, and can be made again when that was refused",
    () =>
      Effect.gen(function* () {
        const life = yield* makeLife()
        const states: Array<ServiceState> = []
        const around = <A, R>(_: unknown, self: Effect.Effect<A, StartError, R>) =>
          Effect.sync(() => void states.push(life.serviceStateNow())).pipe(
            Effect.andThen(self),
            Effect.tap(() => Effect.sync(() => void states.push(life.serviceStateNow())))
          )
        const refused = yield* Effect.exit(
          Effect.provideService(life.start, StartObserver, { around: () => Effect.die("no") })
        )
        assert.isTrue(Exit.isFailure(refused))
        assert.strictEqual(yield* life.serviceState, "CREATE_JUST")
        yield* Effect.provideService(life.start, StartObserver, { around })
        // RUNNING comes when nothing can fail any more: behind the last step.
        assert.deepStrictEqual(states, ["CREATE_JUST", "START_FAILED", "START_FAILED", "START_FAILED"])
        assert.strictEqual(yield* life.serviceState, "RUNNING")
      })
  )

  it.effect("has a step that follows it, whose failure harms nobody and which ends with the life", () =>
    Effect.gen(function* () {
      const fibers = countFibers()
      yield* Effect.gen(function* () {
        const before = fibers.live()
        const life = yield* makeLife({
          afterRunning: (_, { serviceStateNow, step }) =>
            step(
              "9.3",
              "say hello",
              Effect.suspend(() => (serviceStateNow() === "RUNNING" ? Effect.never : Effect.die("too early")))
            )
        })
        yield* life.start
        yield* settle
        assert.strictEqual(fibers.live(), before + 1)
        assert.deepStrictEqual(
          life.steps().map(({ id }) => id),
          ["9.1", "9.2"]
        )
        yield* life.shutdown
        assert.strictEqual(fibers.live(), before)
        assert.deepInclude(life.steps().at(-1), { id: "9.3", outcome: "interrupted" })
      }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
    })
  )

  it.effect("in a layer is undone when the layer is closed", () =>
    Effect.gen(function* () {
      const life = yield* makeLife()
      yield* Effect.scoped(
        Effect.gen(function* () {
          assert.strictEqual(yield* life.startScoped, "parts")
          assert.strictEqual(yield* life.serviceState, "RUNNING")
        })
      )
      assert.strictEqual(yield* life.serviceState, "SHUTDOWN_ALREADY")
      const again = failureOf(yield* Effect.exit(Effect.scoped(Layer.build(Layer.effectDiscard(life.startScoped)))))
      assert.deepInclude(again.reason, { _tag: "IllegalServiceState", actual: "SHUTDOWN_ALREADY" })
    })
  )
})

describe("a shutdown", () => {
  it.effect("drains side by side, flushes in the time that is left, and says how much was left over", () =>
    Effect.gen(function* () {
      messages.length = 0
      const flushed: Array<number> = []
      const life = yield* makeLife({
        drainTimeoutMillis: 1_000,
        work: "handler(s)",
        drains: (_, bound) => [Effect.as(Effect.sleep(bound * 0.4), 0), Effect.as(Effect.sleep(bound * 0.7), 3)],
        flush: (_, left) => Effect.sync(() => void flushed.push(left))
      })
      yield* life.start
      const { millis } = yield* timed(life.shutdown)
      assert.strictEqual(millis, 700)
      assert.deepStrictEqual(flushed, [300])
      assert.include(messages.join("\n"), "service s shuts down with 3 handler(s) under way after 1000 ms")
    }).pipe(logged)
  )

  it.effect("says that it is shut down from its begin on, while the state is RUNNING", () =>
    Effect.gen(function* () {
      const gate = yield* Deferred.make<void>()
      const life = yield* makeLife({ drains: () => [Effect.as(Deferred.await(gate), 0)] })
      yield* life.start
      assert.strictEqual(life.refusal("work"), undefined)
      const closing = yield* Effect.forkChild(life.shutdown, { startImmediately: true })
      yield* settle
      assert.strictEqual(yield* life.serviceState, "RUNNING")
      assert.strictEqual(life.running(), undefined)
      assert.strictEqual(life.parts(), "parts")
      assert.strictEqual(life.refusal("work")?.actual, "SHUTDOWN_ALREADY")
      const start = failureOf(yield* Effect.exit(life.start))
      assert.deepInclude(start.reason, { _tag: "IllegalServiceState", actual: "SHUTDOWN_ALREADY" })
      yield* Deferred.succeed(gate, undefined)
      yield* Fiber.join(closing)
      assert.strictEqual(yield* life.serviceState, "SHUTDOWN_ALREADY")
    })
  )

  it.effect("goes on when a drain, the flush or a release dies, and says so", () =>
    Effect.gen(function* () {
      messages.length = 0
      let released = false
      const life = yield* makeLife({
        acquire: () =>
          Effect.addFinalizer(() => Effect.sync(() => void (released = true))).pipe(
            Effect.andThen(Effect.addFinalizer(() => Effect.die(new Error("of a finalizer")))),
            Effect.as("parts")
          ),
        drains: () => [Effect.die(new Error("of a drain"))],
        flush: () => Effect.die(new Error("of the flush"))
      })
      yield* life.start
      yield* life.shutdown
      assert.isTrue(released)
      assert.strictEqual(yield* life.serviceState, "SHUTDOWN_ALREADY")
      for (const what of ["of a finalizer", "of a drain", "of the flush"]) assert.include(messages.join("\n"), what)
    }).pipe(logged)
  )
})

describe("a shutdown from inside", () => {
  it.effect("by a fiber of its own, or one below it, ends the life and not the program", () =>
    Effect.gen(function* () {
      for (const callers of [1, 2]) {
        let life: ServiceLife.ServiceLife<string> | undefined
        const gate = yield* Deferred.make<void>()
        const worker = Effect.andThen(
          Deferred.await(gate),
          Effect.suspend(() => Effect.all(Array.from({ length: callers }, () => life?.shutdown ?? Effect.void)))
        )
        // A child of the worker, as a handler that a user wrote would run.
        const working = Effect.all([worker, Effect.never], { concurrency: "unbounded" })
        life = yield* makeLife({
          acquire: () => Effect.as(Effect.forkScoped(working, { startImmediately: true }), "parts"),
          drains: (_, bound) => [Effect.as(Effect.sleep(bound), 1)],
          drainTimeoutMillis: 100
        })
        yield* life.start
        yield* Deferred.succeed(gate, undefined)
        yield* settle
        // Somebody from outside waits for the same end.
        const { exit, millis } = yield* timed(life.shutdown, 1_000)
        assert.isTrue(Exit.isSuccess(exit))
        assert.strictEqual(millis, 100)
        assert.strictEqual(yield* life.serviceState, "SHUTDOWN_ALREADY")
      }
    })
  )

  it.effect("by a release of another life that its own fiber ends", () =>
    Effect.gen(function* () {
      // As a timer of a client instance would, that ends the last producer which holds the instance.
      const begin = yield* Deferred.make<void>()
      const ended: Array<string> = []
      let outer: ServiceLife.ServiceLife<string> | undefined
      const worker = Effect.andThen(
        Deferred.await(begin),
        Effect.suspend(() => outer?.shutdown ?? Effect.void)
      )
      const inner = yield* makeLife({
        acquire: () => Effect.as(Effect.forkScoped(worker, { startImmediately: true }), "parts"),
        released: () => void ended.push("inner")
      })
      outer = yield* makeLife({ acquire: () => inner.startScoped, released: () => void ended.push("outer") })
      yield* outer.start
      yield* Deferred.succeed(begin, undefined)
      yield* settle
      assert.sameMembers(ended, ["inner", "outer"])
      assert.strictEqual(yield* inner.serviceState, "SHUTDOWN_ALREADY")
      assert.strictEqual(yield* outer.serviceState, "SHUTDOWN_ALREADY")
    })
  )

  it.effect("by a step of the start is what the start's deadline ends", () =>
    Effect.gen(function* () {
      let life: ServiceLife.ServiceLife<string> | undefined
      life = yield* makeLife({
        startTimeoutMillis: 100,
        acquire: ({ step }) =>
          step(
            "9.2",
            "shut down",
            Effect.as(
              Effect.suspend(() => life?.shutdown ?? Effect.void),
              "parts"
            )
          )
      })
      const { exit, millis } = yield* timed(life.start, 1_000)
      assert.deepStrictEqual([failureOf(exit).step, millis], ["9.2", 100])
      assert.strictEqual(yield* life.serviceState, "START_FAILED")
    })
  )
})

describe("changes", () => {
  it.effect(
    "are told now and after each, none is lost between the first look and the next, and they end with the life",
    () =>
      Effect.gen(function* () {
        let counter = 0
        const life = yield* makeLife()
        const looks: Array<string> = []
        const watching = yield* life.changes.pipe(
          // Whoever looks takes their time, so that something happens meanwhile.
          Stream.mapEffect(() => {
            const look = `${life.serviceStateNow()} ${counter}`
            return Effect.as(Effect.sleep(100), look)
          }),
          Stream.runForEach((look) => Effect.sync(() => void looks.push(look))),
          Effect.forkChild({ startImmediately: true })
        )
        yield* settle
        yield* life.start
        yield* advance(100, 100)
        counter++
        yield* life.notify
        counter++
        yield* life.notify
        yield* advance(500, 100)
        yield* life.shutdown
        yield* advance(500, 100)
        assert.deepStrictEqual(
          looks.filter((look, index) => look !== looks[index - 1]),
          ["CREATE_JUST 0", "RUNNING 0", "RUNNING 2", "SHUTDOWN_ALREADY 2"]
        )
        yield* Fiber.join(watching)
        assert.strictEqual((yield* Stream.runCollect(life.changes)).length, 1)
      })
  )
})
