import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Position } from "../../../src/consumer/queue/Position.ts"

/** Offsets with gaps, and an order in which they are finished. */
const Plan = Schema.Array(
  Schema.Struct({ gap: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 3 })), rank: Schema.Int })
)

describe("Position", () => {
  it.prop("is the smallest offset that is not finished, whatever the order of finishing", [Plan], ([plan]) => {
    const start = 7
    const position = new Position(start)
    let next = start
    const taken = plan.map(({ gap, rank }) => {
      const offset = next + gap
      next = offset + 1
      return { offset, rank, slot: position.accept(offset) }
    })
    assert.strictEqual(position.outstanding, plan.length)
    const open = new Set(taken.map(({ offset }) => offset))
    for (const { offset, slot } of taken.toSorted((a, b) => a.rank - b.rank)) {
      const before = position.value
      assert.isFalse(position.isDone(slot))
      const moved = position.finish(slot)
      open.delete(offset)
      const smallest = Math.min(...open, Infinity)
      // What was never taken over lies in no answer: the position may stand before it.
      assert.isAtMost(position.value, Math.min(smallest, next))
      for (const { offset: other } of taken) if (other < position.value) assert.isFalse(open.has(other), `${other}`)
      assert.isAtLeast(position.value, before)
      assert.strictEqual(moved, position.value !== before || offset === start)
      assert.isTrue(position.isDone(slot))
      assert.isFalse(position.finish(slot), "twice")
    }
    assert.strictEqual(position.value, plan.length === 0 ? start : next)
    assert.strictEqual(position.outstanding, 0)
  })

  it("reaches over what the broker passed over once all before it is finished", () => {
    const position = new Position(0)
    position.reach(5)
    assert.strictEqual(position.value, 5)
    const slot = position.accept(7)
    position.reach(20)
    assert.strictEqual(position.value, 5)
    position.finish(slot)
    assert.strictEqual(position.value, 20)
    position.reach(3)
    assert.strictEqual(position.value, 20, "never back")
  })

  it("grows while messages wait behind one that is slow", () => {
    const position = new Position(0)
    const slots = Array.from({ length: 1_000 }, (_, offset) => position.accept(offset))
    for (const slot of slots.slice(1)) position.finish(slot)
    assert.deepInclude(
      { value: position.value, oldest: position.oldest, newest: position.newest },
      { value: 0, oldest: 0, newest: 999 }
    )
    position.finish(slots[0] ?? -1)
    assert.strictEqual(position.value, 1_000)
  })
})
