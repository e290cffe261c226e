import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import * as SharedTurn from "../../src/client/SharedTurn.ts"

/** Runs, and says of each step in which turn of the event loop, counted by immediates, and before which microtask it was. */
const steps = () => {
  const seen: Array<string> = []
  const step = (name: string) =>
    Effect.sync(() => {
      seen.push(name)
      queueMicrotask(() => seen.push(`after ${name}`))
    })
  return { seen, step }
}

const turn = Effect.callback<void>((resume) => void setImmediate(() => resume(Effect.void)))

describe("shared turn", () => {
  it.live("all that gave way go on in one turn, in their order, with nothing between them", () =>
    Effect.gen(function* () {
      const giveWay = SharedTurn.make()
      const { seen, step } = steps()
      const fibers = yield* Effect.forEach(["a", "b", "c"], (name) =>
        Effect.forkChild(Effect.andThen(giveWay, step(name)), { startImmediately: true })
      )
      assert.deepStrictEqual(seen, [])
      yield* Fiber.joinAll(fibers)
      yield* turn
      assert.deepStrictEqual(seen, ["a", "b", "c", "after a", "after b", "after c"])
    })
  )

  it.live("whoever gives way again waits for the next turn", () =>
    Effect.gen(function* () {
      const giveWay = SharedTurn.make()
      const { seen, step } = steps()
      const twice = (name: string) =>
        giveWay.pipe(Effect.andThen(step(name)), Effect.andThen(giveWay), Effect.andThen(step(`${name}2`)))
      yield* Effect.all([twice("a"), twice("b")], { concurrency: "unbounded" })
      assert.deepStrictEqual(
        seen.filter((name) => !name.startsWith("after")),
        ["a", "b", "a2", "b2"]
      )
      assert.isBelow(seen.indexOf("after b"), seen.indexOf("a2"))
    })
  )

  it.live("the first of them may be interrupted: the others go on", () =>
    Effect.gen(function* () {
      const giveWay = SharedTurn.make()
      const { seen, step } = steps()
      const forked = (name: string) => Effect.forkChild(Effect.andThen(giveWay, step(name)), { startImmediately: true })
      const first = yield* forked("a")
      const second = yield* forked("b")
      yield* Fiber.interrupt(first)
      yield* Fiber.join(second)
      assert.notInclude(seen, "a")
      assert.include(seen, "b")
    })
  )
})
