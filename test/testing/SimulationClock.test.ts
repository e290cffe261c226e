import { assert, describe, it } from "@effect/vitest"
import { Clock, Duration, Effect, Fiber, Schema } from "effect"
import * as SimulationClock from "../../src/testing/SimulationClock.ts"
import { runs } from "../support/rig.ts"

/** A clock, and a way to let time go on until nobody waits. */
const rig = () => {
  const ready: Array<() => void> = []
  const clock = SimulationClock.make((task) => void ready.push(task))
  const woken: Array<{ readonly name: number; readonly at: number }> = []
  /** A sleeper that writes down when it wakes. */
  const sleeper = (name: number, duration: Duration.Input) =>
    Effect.runFork(
      Effect.andThen(
        clock.sleep(Duration.fromInputUnsafe(duration)),
        Effect.sync(() => woken.push({ name, at: clock.elapsedMillis() }))
      )
    )
  const run = () => {
    for (const task of ready.splice(0)) task()
  }
  const advance = () => {
    const moved = clock.advance()
    run()
    return moved
  }
  const toTheEnd = () => {
    while (advance());
  }
  return { clock, woken, sleeper, advance, toTheEnd, ready, run }
}

describe("SimulationClock", () => {
  it("stands still, and goes on to the next moment for which somebody waits", () => {
    const { advance, clock, sleeper, woken } = rig()
    const begin = clock.currentTimeMillisUnsafe()
    assert.strictEqual(new Date(begin).toISOString(), "2026-01-01T00:00:00.000Z")
    assert.isFalse(advance())
    sleeper(1, 300)
    sleeper(2, "1 day")
    sleeper(3, 20)
    assert.strictEqual(clock.waiting(), 3)
    assert.isTrue(advance())
    assert.deepStrictEqual(woken, [{ name: 3, at: 20 }])
    assert.isTrue(advance())
    assert.strictEqual(clock.elapsedMillis(), 300)
    assert.isTrue(advance())
    assert.strictEqual(clock.elapsedMillis(), 86_400_000)
    assert.strictEqual(clock.currentTimeMillisUnsafe(), begin + 86_400_000)
    assert.isFalse(advance())
    assert.strictEqual(clock.waiting(), 0)
  })

  it("who wakes at the same moment is handed over at once, in the order of falling asleep", () => {
    const { clock, ready, run, sleeper, woken } = rig()
    for (const name of [1, 2, 3]) sleeper(name, 50)
    assert.isTrue(clock.advance())
    assert.strictEqual(ready.length, 3)
    assert.deepStrictEqual(woken, [])
    run()
    assert.deepStrictEqual(
      woken.map(({ name }) => name),
      [1, 2, 3]
    )
  })

  it("who is interrupted waits no more, and time does not go on for it", () => {
    const { advance, clock, sleeper, woken } = rig()
    const gone = sleeper(1, 10)
    const stays = sleeper(2, 20)
    const last = sleeper(3, 1_000)
    gone.interruptUnsafe()
    last.interruptUnsafe()
    assert.strictEqual(clock.waiting(), 1)
    assert.isTrue(advance())
    assert.deepStrictEqual(woken, [{ name: 2, at: 20 }])
    assert.isDefined(stays.pollUnsafe())
    assert.isFalse(advance())
    assert.strictEqual(clock.elapsedMillis(), 20)
  })

  it("who is interrupted after its time has come is counted once", () => {
    const { clock, run, sleeper, woken } = rig()
    const fiber = sleeper(1, 10)
    assert.isTrue(clock.advance())
    fiber.interruptUnsafe()
    run()
    assert.strictEqual(clock.waiting(), 0)
    assert.deepStrictEqual(woken, [])
  })

  it("no time at all is a turn, and forever is forever", () => {
    const { advance, clock, sleeper } = rig()
    const forever = sleeper(1, Duration.infinity)
    sleeper(2, 0)
    sleeper(3, Duration.negate(Duration.millis(5)))
    assert.strictEqual(clock.waiting(), 0)
    assert.isFalse(advance())
    assert.isUndefined(forever.pollUnsafe())
    forever.interruptUnsafe()
  })

  it("fractions of a millisecond pass, and the three times agree", () => {
    const { advance, clock, sleeper, woken } = rig()
    sleeper(1, 0.25)
    sleeper(2, Duration.micros(900n))
    sleeper(3, Duration.nanos(1n))
    const begin = clock.currentTimeNanosUnsafe()
    advance()
    assert.deepInclude(woken[0], { name: 3 })
    assert.isAtLeast(Number(clock.monotonicTimeNanosUnsafe()), 1)
    advance()
    assert.deepStrictEqual(woken[1], { name: 1, at: 0.25 })
    advance()
    assert.deepStrictEqual(woken[2], { name: 2, at: 0.9 })
    assert.strictEqual(clock.currentTimeNanosUnsafe() - begin, 900_000n)
    assert.strictEqual(clock.monotonicTimeNanosUnsafe(), 900_000n)
    assert.strictEqual(clock.currentTimeMillisUnsafe(), Number(begin / 1_000_000n))
  })

  it.effect("is a clock like any other", () =>
    Effect.gen(function* () {
      const { advance, clock } = rig()
      const fiber = yield* Effect.all([
        Effect.timeout(Effect.never, 700).pipe(Effect.exit),
        Clock.currentTimeMillis
      ]).pipe(Effect.provideService(Clock.Clock, clock), Effect.forkChild({ startImmediately: true }))
      assert.isTrue(advance())
      const [exit, now] = yield* Fiber.join(fiber)
      assert.strictEqual(exit._tag, "Failure")
      assert.strictEqual(now, clock.currentTimeMillisUnsafe())
      assert.strictEqual(clock.elapsedMillis(), 700)
    })
  )

  const sleeps = Schema.Array(
    Schema.Struct({
      /** In eighths of a millisecond, which binary fractions hold exactly; close together, so that some are equal. */
      eighths: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 60 })),
      /** Whether it is interrupted, and after how many steps of time. */
      interruptedAfter: Schema.NullOr(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 10 })))
    })
  )

  it.prop(
    "wakes as a sorted list would",
    { first: sleeps, second: sleeps },
    ({ first, second }) => {
      const { advance, clock, sleeper, toTheEnd, woken } = rig()
      /** The model: who sleeps, in the order of falling asleep. */
      let asleep: Array<{ readonly name: number; readonly at: number }> = []
      const expected: Array<{ readonly name: number; readonly at: number }> = []
      let now = 0
      let name = 0
      const fibers = new Map<number, { readonly fiber: Fiber.Fiber<unknown>; readonly after: number | null }>()
      const add = (list: typeof first) => {
        for (const { eighths, interruptedAfter } of list) {
          fibers.set(name, { fiber: sleeper(name, eighths / 8), after: interruptedAfter })
          asleep.push({ name: name++, at: now + eighths / 8 })
        }
      }
      const next = () => {
        const at = Math.min(...asleep.map((each) => each.at))
        if (at === Infinity) return
        now = at
        expected.push(...asleep.filter((each) => each.at === at))
        asleep = asleep.filter((each) => each.at !== at)
      }
      add(first)
      for (let step = 0; step <= 10; step++) {
        for (const [each, { after, fiber }] of fibers) {
          if (after !== step) continue
          fiber.interruptUnsafe()
          asleep = asleep.filter((one) => one.name !== each)
        }
        assert.strictEqual(clock.waiting(), asleep.length)
        if (step === 5) add(second)
        next()
        advance()
      }
      while (asleep.length > 0) next()
      toTheEnd()
      assert.deepStrictEqual(woken, expected)
      assert.strictEqual(clock.waiting(), 0)
    },
    runs(300)
  )
})
