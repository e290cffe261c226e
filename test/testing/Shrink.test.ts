import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import * as Shrink from "../../src/testing/Shrink.ts"
import { runs } from "../support/rig.ts"

const shrink = (whole: ReadonlyArray<number>, fails: (part: ReadonlyArray<number>) => boolean) => {
  const asked: Array<ReadonlyArray<number>> = []
  const smallest = Effect.runSync(
    Shrink.shrink(whole, (part) =>
      Effect.sync(() => {
        asked.push(part)
        return fails(part)
      })
    )
  )
  return { smallest, asked }
}

const without = (list: ReadonlyArray<number>, index: number) => list.filter((_, each) => each !== index)

const hasAllEven = (part: ReadonlyArray<number>) => part.filter((n) => n % 2 === 0).length === 500

const numbers = Schema.Array(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 20 }))).check(
  Schema.isMaxLength(12)
)

describe("Shrink", () => {
  it("leaves what is needed, in its order", () => {
    const whole = Array.from({ length: 12 }, (_, n) => n)
    const { smallest } = shrink(whole, (part) => [2, 3, 11].every((n) => part.includes(n)))
    assert.deepStrictEqual(smallest, [2, 3, 11])
  })

  it("nothing is left of what fails by itself, and nothing is asked of an empty list", () => {
    assert.deepStrictEqual(shrink([1, 2, 3], () => true).smallest, [])
    assert.deepStrictEqual(shrink([1], () => true).smallest, [])
    assert.deepStrictEqual(
      shrink([], () => true),
      { smallest: [], asked: [] }
    )
  })

  it("what cannot be made smaller stays as it is", () => {
    const whole = [1, 2, 3, 4, 5]
    assert.deepStrictEqual(shrink(whole, () => false).smallest, whole)
  })

  it("a long list is given up on after 200 tries, with what fails so far", () => {
    const whole = Array.from({ length: 1_000 }, (_, n) => n)
    const { asked, smallest } = shrink(whole, hasAllEven)
    assert.strictEqual(asked.length, 200)
    assert.isTrue(hasAllEven(smallest))
  })

  it.prop(
    "exactly the needed ones remain, whichever they are",
    { whole: numbers, needed: numbers },
    ({ needed, whole }) => {
      const must = new Set(whole.filter((n) => needed.includes(n)))
      // Equal numbers cannot be told apart, so each is there once.
      const { smallest } = shrink([...new Set(whole)], (part) => [...must].every((n) => part.includes(n)))
      assert.deepStrictEqual(smallest, [...must])
    },
    runs(200)
  )

  it.prop(
    "the result still fails, is a part of the whole, and no single part can be left out, whatever fails",
    { whole: numbers, divisor: Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 5 })) },
    ({ divisor, whole }) => {
      const sum = (part: ReadonlyArray<number>) => part.reduce((total, n) => total + n, 0) % divisor
      const fails = (part: ReadonlyArray<number>) => sum(part) === sum(whole)
      const { smallest } = shrink(whole, fails)
      assert.isTrue(fails(smallest))
      let from = 0
      for (const n of smallest) {
        const at = whole.indexOf(n, from)
        assert.isAtLeast(at, 0)
        from = at + 1
      }
      for (const index of smallest.keys()) assert.isFalse(fails(without(smallest, index)))
    },
    runs(300)
  )
})
