import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Exit, Fiber, Scope } from "effect"
import { TestClock } from "effect/testing"
import * as Timers from "../../src/client/Timers.ts"
import { countFibers, settle } from "../support/rig.ts"

const HOUR = 3_600_000

/** RocketMQ's five timers: number, name, first run, period, runs in an hour. */
const table = [
  [1, "fetchNameServerAddr", 10_000, 120_000, 30],
  [2, "updateTopicRouteInfoFromNameServer", 10, 30_000, 120],
  [3, "cleanOfflineBroker, sendHeartbeatToAllBroker", 1_000, 30_000, 120],
  [4, "persistAllConsumerOffset", 10_000, 5_000, 719],
  [5, "adjustThreadPool", 60_000, 60_000, 60]
] as const

const rig = (runs: Readonly<Record<number, Effect.Effect<void, Error>>> = {}, inactive: ReadonlyArray<number> = []) =>
  Effect.gen(function* () {
    const clock = yield* Clock.Clock
    const started = new Map<number, Array<number>>(table.map(([number]) => [number, []]))
    const states = new Map<number, Timers.TimerState>()
    const specs = table.map(([number, name, initialDelayMillis, periodMillis]): Timers.TimerSpec => ({
      number,
      name,
      initialDelayMillis,
      periodMillis,
      active: !inactive.includes(number),
      run: Effect.andThen(
        Effect.sync(() => started.get(number)?.push(clock.currentTimeMillisUnsafe())),
        runs[number] ?? Effect.void
      )
    }))
    const scope = yield* Scope.make("parallel")
    yield* Timers.start(specs, (state) => Effect.sync(() => states.set(state.number, state))).pipe(Scope.provide(scope))
    const state = (number: number): Timers.TimerState => {
      const found = states.get(number)
      if (found === undefined) throw new Error(`timer ${number} was never published`)
      return found
    }
    return {
      count: (number: number) => started.get(number)?.length ?? 0,
      times: (number: number) => started.get(number) ?? [],
      state,
      close: Scope.close(scope, Exit.void)
    }
  })

describe("Timers", () => {
  it.effect("one hour gives exactly 30, 120, 120, 719 and 60 runs, the first at the delays", () =>
    Effect.gen(function* () {
      const timers = yield* rig()
      yield* TestClock.adjust(HOUR)
      for (const [number, , first, period, runs] of table) {
        assert.strictEqual(timers.count(number), runs, `timer ${number}`)
        assert.deepStrictEqual(
          timers.times(number),
          Array.from({ length: runs }, (_, i) => first + i * period)
        )
      }
      yield* timers.close
    })
  )

  it.effect("nothing runs a millisecond too early", () =>
    Effect.gen(function* () {
      const timers = yield* rig()
      let last = 0
      for (const first of [10, 1_000, 10_000, 60_000]) {
        const due = table.filter((row) => row[2] === first).map(([number]) => number)
        yield* TestClock.adjust(first - 1 - last)
        for (const number of due) assert.strictEqual(timers.count(number), 0, `timer ${number}`)
        yield* TestClock.adjust(1)
        for (const number of due) assert.strictEqual(timers.count(number), 1, `timer ${number}`)
        last = first
      }
      yield* timers.close
    })
  )

  it.effect("a timer that is switched off never runs and has no next run", () =>
    Effect.gen(function* () {
      const timers = yield* rig({}, [1])
      assert.strictEqual(timers.state(1).next, undefined)
      yield* TestClock.adjust(HOUR)
      assert.strictEqual(timers.count(1), 0)
      assert.strictEqual(timers.state(1).runs, 0)
      assert.strictEqual(timers.count(2), 120)
      yield* timers.close
    })
  )

  const troubles: ReadonlyArray<readonly [string, Effect.Effect<void, Error>]> = [
    ["hangs", Effect.never],
    ["fails", Effect.fail(new Error("no"))],
    ["dies", Effect.die(new Error("bug"))],
    ["throws", Effect.sync(() => void JSON.parse("{"))],
    ["interrupts itself", Effect.interrupt]
  ]
  for (const [what, run] of troubles) {
    for (const [troubled, , first, period, normal] of table) {
      it.effect(`L10: when timer ${troubled} ${what}, the others run as ever, and so does it`, () =>
        Effect.gen(function* () {
          const timers = yield* rig({ [troubled]: run })
          yield* TestClock.adjust(HOUR)
          for (const [number, , , , runs] of table) {
            if (number !== troubled) assert.strictEqual(timers.count(number), runs, `timer ${number}`)
          }
          const state = timers.state(troubled)
          if (what === "hangs") {
            // Given up after a period, 10 seconds at least, and the next one a period later.
            const each = Math.max(period, 10_000) + period
            assert.strictEqual(timers.count(troubled), Math.floor((HOUR - first) / each) + 1)
            assert.include(state.lastFailure?.message ?? "", "gave up")
          } else {
            assert.strictEqual(timers.count(troubled), normal)
            assert.strictEqual(state.failures, normal)
            assert.strictEqual(state.runs, normal)
            assert.isNotEmpty(state.lastFailure?.message ?? "")
          }
          yield* timers.close
        })
      )
    }
  }

  it.effect("L10: a run that is slower than its period never overlaps the next, and the others are on time", () =>
    Effect.gen(function* () {
      let running = 0
      let most = 0
      // Period 5 s; a run is given up after 10 s.
      const slow = Effect.acquireUseRelease(
        Effect.sync(() => {
          most = Math.max(most, ++running)
        }),
        () => Effect.sleep(8_000),
        () => Effect.sync(() => running--)
      )
      const timers = yield* rig({ 4: slow })
      yield* TestClock.adjust(HOUR)
      assert.strictEqual(most, 1)
      // A run of 8 s and then the period, from second 10 on.
      assert.strictEqual(timers.count(4), Math.floor((3_600 - 10) / 13) + 1)
      assert.strictEqual(timers.state(4).failures, 0)
      for (const [number, , , , runs] of table) {
        if (number !== 4) assert.strictEqual(timers.count(number), runs, `timer ${number}`)
      }
      yield* timers.close
    })
  )

  it.effect("L10: closing the scope interrupts all five at once, hanging or waiting", () =>
    Effect.gen(function* () {
      const fibers = countFibers()
      const interrupted: Array<number> = []
      const hang = (number: number) =>
        Effect.onInterrupt(Effect.never, () => Effect.sync(() => void interrupted.push(number)))
      yield* Effect.gen(function* () {
        const clock = yield* Clock.Clock
        const before = fibers.live()
        const timers = yield* rig({ 1: hang(1), 2: hang(2), 3: hang(3) })
        yield* TestClock.adjust(10_000)
        assert.isAtLeast(fibers.live(), before + 5)
        const begin = clock.currentTimeMillisUnsafe()
        yield* timers.close
        assert.deepStrictEqual(
          interrupted.toSorted((a, b) => a - b),
          [1, 2, 3]
        )
        assert.strictEqual(clock.currentTimeMillisUnsafe(), begin)
        yield* settle
        assert.strictEqual(fibers.live(), before)
        const counts = table.map(([number]) => timers.count(number))
        yield* TestClock.adjust(HOUR)
        assert.deepStrictEqual(
          table.map(([number]) => timers.count(number)),
          counts
        )
      }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
    })
  )

  it.effect("the state of a timer says what was and what comes", () =>
    Effect.gen(function* () {
      let mode: "ok" | "slow" | "bad" = "ok"
      const timers = yield* rig({
        3: Effect.suspend(() =>
          mode === "bad" ? Effect.fail(new Error("broker away")) : mode === "slow" ? Effect.sleep(2_500) : Effect.void
        )
      })
      const [, name] = table[2]
      const basics = { number: 3, name, initialDelayMillis: 1_000, periodMillis: 30_000 }
      const of = (rest: Partial<Timers.TimerState>) => ({
        ...basics,
        runs: 0,
        failures: 0,
        lastStart: undefined,
        lastEnd: undefined,
        lastFailure: undefined,
        next: undefined,
        ...rest
      })
      assert.deepStrictEqual(timers.state(3), of({ next: 1_000 }))
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(timers.state(3), of({ runs: 1, lastStart: 1_000, lastEnd: 1_000, next: 31_000 }))
      mode = "slow"
      yield* TestClock.adjust(30_000)
      assert.deepStrictEqual(timers.state(3), of({ runs: 1, lastStart: 31_000, lastEnd: 1_000 }))
      yield* TestClock.adjust(2_500)
      assert.deepStrictEqual(timers.state(3), of({ runs: 2, lastStart: 31_000, lastEnd: 33_500, next: 63_500 }))
      mode = "bad"
      yield* TestClock.adjust(30_000)
      const lastFailure = { at: 63_500, message: "broker away" }
      assert.deepStrictEqual(
        timers.state(3),
        of({ runs: 3, failures: 1, lastStart: 63_500, lastEnd: 63_500, lastFailure, next: 93_500 })
      )
      mode = "ok"
      yield* TestClock.adjust(30_000)
      assert.deepStrictEqual(
        timers.state(3),
        of({ runs: 4, failures: 1, lastStart: 93_500, lastEnd: 93_500, lastFailure, next: 123_500 })
      )
      yield* timers.close
    })
  )
})
