import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Latch, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as PullMessageService from "../../src/client/PullMessageService.ts"
import { countFibers, ownScope, settle } from "../support/rig.ts"

/** Gives each line that is logged, as text. */
const logged = () => {
  const lines: Array<string> = []
  return {
    lines,
    provide: Effect.provide(Logger.layer([Logger.make(({ message }) => void lines.push(String(message)))]))
  }
}

/** A loop that pulls once in so many milliseconds, and writes down when. */
const pulling = Effect.fnUntraced(function* (everyMillis: number) {
  const clock = yield* Clock.Clock
  const pulls: Array<number> = []
  const pull = Effect.sync(() => void pulls.push(clock.currentTimeMillisUnsafe()))
  return { pulls, loop: Effect.forever(Effect.andThen(pull, Effect.sleep(everyMillis))) }
})

describe("PullMessageService", () => {
  it.effect("runs one loop a queue, side by side, until it is stopped or ends by itself", () =>
    Effect.gen(function* () {
      const { close, value: service } = yield* ownScope(PullMessageService.start)
      const a = yield* pulling(100)
      const b = yield* pulling(1_000)
      yield* service.start("cg@a", a.loop)
      yield* service.start("cg@b", b.loop)
      yield* service.start("cg@hangs", Effect.never)
      yield* service.start("cg@ends", Effect.sleep(500))
      assert.strictEqual(yield* service.size, 4)
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual([a.pulls.length, b.pulls.length, yield* service.size], [11, 2, 3])
      yield* service.stop("cg@a")
      yield* service.stop("cg@nobody")
      assert.strictEqual(yield* service.size, 2)
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual([a.pulls.length, b.pulls.length], [11, 3])
      yield* close
      yield* TestClock.adjust(10_000)
      assert.deepStrictEqual([b.pulls.length, yield* service.size], [3, 0])
    })
  )

  it.effect("waits for the end of a loop that is stopped, and of one that another takes the place of", () =>
    Effect.gen(function* () {
      const service = yield* PullMessageService.start
      const steps: Array<string> = []
      const step = (name: string) => Effect.sync(() => void steps.push(name))
      const gate = yield* Latch.make(false)
      const loop = (name: string) =>
        Effect.andThen(step(`${name} begins`), Effect.never).pipe(
          Effect.onInterrupt(() => Effect.andThen(gate.await, step(`${name} has ended`)))
        )
      yield* service.start("cg@q", loop("first"))
      const second = yield* Effect.forkChild(service.start("cg@q", loop("second")), { startImmediately: true })
      yield* settle
      assert.deepStrictEqual(steps, ["first begins"])
      yield* gate.open
      yield* Fiber.join(second)
      assert.deepStrictEqual(steps, ["first begins", "first has ended", "second begins"])
      yield* gate.close
      const stop = yield* Effect.forkChild(service.stop("cg@q"), { startImmediately: true })
      yield* settle
      assert.isUndefined(stop.pollUnsafe())
      yield* gate.open
      yield* Fiber.join(stop)
      assert.strictEqual(steps.at(-1), "second has ended")
      assert.strictEqual(yield* service.size, 0)
    }).pipe(Effect.scoped)
  )

  it.effect("starts a loop that dies, throws or interrupts itself again after 3 seconds, and logs it once", () =>
    Effect.gen(function* () {
      const { lines, provide } = logged()
      const service = yield* PullMessageService.start
      const begun: Array<string> = []
      const dying = (key: string, end: Effect.Effect<void>) =>
        provide(
          service.start(
            key,
            Effect.suspend(() => {
              begun.push(key)
              return end
            })
          )
        )
      yield* dying("dies", Effect.die(new Error("bug")))
      yield* dying(
        "throws",
        Effect.suspend(() => {
          throw new Error("thrown")
        })
      )
      yield* dying("interrupts", Effect.interrupt)
      const good = yield* pulling(100)
      yield* service.start("good", good.loop)
      yield* settle
      assert.deepStrictEqual(begun, ["dies", "throws", "interrupts"])
      assert.strictEqual(yield* service.size, 4)
      yield* TestClock.adjust(2_999)
      assert.strictEqual(begun.length, 3)
      yield* TestClock.adjust(1)
      assert.strictEqual(begun.length, 6)
      yield* TestClock.adjust(27_000)
      assert.strictEqual(begun.length, 33)
      assert.deepStrictEqual(
        lines,
        ["dies", "throws", "interrupts"].map((key) => `the pull loop of ${key} died, and is started again in 3000 ms`)
      )
      assert.strictEqual(good.pulls.length, 301)
      yield* service.stop("dies")
      yield* TestClock.adjust(3_000)
      assert.strictEqual(begun.filter((key) => key === "dies").length, 11)
    }).pipe(Effect.scoped)
  )

  it.effect("tells of the same death again when the loop had worked for a minute", () =>
    Effect.gen(function* () {
      const { lines, provide } = logged()
      const service = yield* PullMessageService.start
      yield* provide(service.start("cg@q", Effect.andThen(Effect.sleep(61_000), Effect.die("bug"))))
      yield* TestClock.adjust(61_000)
      assert.strictEqual(lines.length, 1)
      yield* TestClock.adjust(64_000)
      assert.strictEqual(lines.length, 2)
    }).pipe(Effect.scoped)
  )

  it.effect("a loop is no part of the span in which it was started", () =>
    Effect.gen(function* () {
      const parents: Array<string> = []
      const service = yield* PullMessageService.start
      const loop = Effect.map(Effect.exit(Effect.currentParentSpan), ({ _tag }) => void parents.push(_tag))
      yield* Effect.withSpan(service.start("cg@q", loop), "a consumer's start")
      assert.deepStrictEqual(parents, ["Failure"])
    }).pipe(Effect.scoped)
  )

  it.effect("leaves no fiber when the scope closes", () =>
    Effect.gen(function* () {
      const fibers = countFibers()
      yield* Effect.gen(function* () {
        const before = fibers.live()
        const { close, value: service } = yield* ownScope(PullMessageService.start)
        yield* service.start("hangs", Effect.never)
        yield* service.start("dies", Effect.die("bug"))
        yield* settle
        assert.isAtLeast(fibers.live(), before + 2)
        yield* close
        yield* settle
        assert.strictEqual(fibers.live(), before)
      }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
    })
  )
})
