import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { TestClock } from "effect/testing"
import * as Changes from "../../src/client/Changes.ts"
import { settle } from "../support/rig.ts"

/** A number that is watched. */
const number = () => {
  const changes = Changes.make()
  let value = 0
  const set = (next: number) => {
    value = next
    changes.tell()
  }
  /** Watches it; each element is worked on for so long. */
  const watch = Effect.fnUntraced(function* (workMillis: number) {
    const seen: Array<number> = []
    const fiber = yield* Stream.runForEach(changes.signals, () =>
      Effect.andThen(
        Effect.sync(() => void seen.push(value)),
        workMillis === 0 ? Effect.void : Effect.sleep(workMillis)
      )
    ).pipe(Effect.forkChild({ startImmediately: true }))
    yield* settle
    return { seen, fiber }
  })
  return { set, watch }
}

describe("Changes", () => {
  it.effect("loses no change that comes while the first look, or a later one, is under way", () =>
    Effect.gen(function* () {
      const { set, watch } = number()
      const { seen } = yield* watch(100)
      assert.deepStrictEqual(seen, [0])
      set(1)
      yield* settle
      assert.deepStrictEqual(seen, [0])
      yield* TestClock.adjust(100)
      set(2)
      yield* TestClock.adjust(100)
      assert.deepStrictEqual(seen, [0, 1, 2])
      yield* TestClock.adjust(1_000)
      assert.deepStrictEqual(seen, [0, 1, 2])
    })
  )

  it.effect("many changes between two looks are one", () =>
    Effect.gen(function* () {
      const { set, watch } = number()
      const { seen } = yield* watch(100)
      for (let i = 1; i <= 1_000; i++) set(i)
      yield* TestClock.adjust(500)
      assert.deepStrictEqual(seen, [0, 1_000])
    })
  )

  it.effect("a watcher that is slow, or has gone, costs the others nothing", () =>
    Effect.gen(function* () {
      const { set, watch } = number()
      const slow = yield* watch(60_000)
      const gone = yield* watch(0)
      yield* Fiber.interrupt(gone.fiber)
      const fast = yield* watch(0)
      for (const value of [1, 2, 3]) {
        set(value)
        yield* settle
      }
      const late = yield* watch(0)
      assert.deepStrictEqual([slow.seen, gone.seen, fast.seen, late.seen], [[0], [0], [0, 1, 2, 3], [3]])
      yield* TestClock.adjust(60_000)
      assert.deepStrictEqual(slow.seen, [0, 3])
    })
  )
})
