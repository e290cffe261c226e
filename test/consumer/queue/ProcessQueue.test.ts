import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import { ProcessQueue, type Slot } from "../../../src/consumer/queue/ProcessQueue.ts"
import { TopicStats } from "../../../src/consumer/queue/TopicStats.ts"
import { runs } from "../../support/rig.ts"

const messageQueue = { topic: "orders", brokerName: "broker-a", queueId: 0 }

const step = Schema.Struct({
  what: Schema.Literals(["accept", "again", "begin", "finish", "twice", "reach"]),
  which: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 1_000 })),
  bytes: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 5_000 }))
})

describe("ProcessQueue", () => {
  it.prop(
    "R13: its counters are the sum of what is in it, whatever is done in whatever order; all finished, they are 0",
    [Arbitrary.schema(Schema.Array(step))],
    ([steps]) => {
      const totals = { count: 0, bytes: 0 }
      const queue = new ProcessQueue<number>(messageQueue, 1, 0, new TopicStats(0), totals, () => {})
      queue.locate(0)
      const open = new Map<number, Slot<number>>()
      const begun = new Set<number>()
      let next = 0
      const agree = () => {
        const sizes = [...open.values()].reduce((sum, { bytes }) => sum + bytes, 0)
        assert.deepStrictEqual(
          [queue.cachedCount, queue.cachedBytes, queue.waiting, totals],
          [open.size, sizes, open.size - begun.size, { count: open.size, bytes: sizes }]
        )
        // R1: what may be committed is never above the smallest that is not finished.
        assert.isAtMost(queue.consumeOffset ?? 0, Math.min(next, ...open.keys()))
      }
      let last: Slot<number> | undefined
      for (const { bytes, what, which } of steps) {
        const offsets = [...open.keys()]
        const offset = offsets[which % Math.max(1, offsets.length)]
        const slot = offset === undefined ? undefined : open.get(offset)
        if (what === "accept") {
          next += which % 3
          const taken = queue.accept(next, next, bytes)
          if (taken !== undefined) open.set(next++, taken)
        } else if (what === "again") {
          assert.isUndefined(queue.accept(0, next - 1, bytes))
        } else if (what === "reach") {
          queue.reach(next)
        } else if (what === "twice") {
          if (last !== undefined) assert.isFalse(queue.finish(last))
        } else if (slot !== undefined && offset !== undefined && what === "begin") {
          queue.begin(slot)
          begun.add(offset)
        } else if (slot !== undefined && offset !== undefined) {
          queue.finish(slot)
          open.delete(offset)
          begun.delete(offset)
          last = slot
        }
        agree()
      }
      for (const slot of open.values()) queue.finish(slot)
      open.clear()
      begun.clear()
      agree()
      queue.drop()
      assert.deepStrictEqual(totals, { count: 0, bytes: 0 })
    },
    runs(300)
  )

  it("R13: one that is given up takes what it has out of the sum, once, and results that come late change nothing", () => {
    const totals = { count: 0, bytes: 0 }
    const queue = new ProcessQueue<number>(messageQueue, 1, 0, new TopicStats(0), totals, () => {})
    queue.locate(0)
    const slots = [0, 1, 2].map((offset) => queue.accept(offset, offset, 10))
    queue.drop()
    queue.drop()
    for (const slot of slots) if (slot !== undefined) assert.isFalse(queue.finish(slot))
    assert.deepStrictEqual(totals, { count: 0, bytes: 0 })
    assert.strictEqual(queue.consumeOffset, 0)
  })

  it("lags by what lies between its position and the end of the queue, once an answer told of that", () => {
    const queue = new ProcessQueue<number>(messageQueue, 1, 0, new TopicStats(0), { count: 0, bytes: 0 }, () => {})
    queue.locate(3)
    assert.isUndefined(queue.lag)
    assert.strictEqual(queue.span, 0)
    queue.maxOffset = 10
    assert.strictEqual(queue.lag, 7)
    for (const offset of [3, 5]) queue.accept(offset, offset, 1)
    assert.strictEqual(queue.span, 2)
    queue.maxOffset = 2
    assert.strictEqual(queue.lag, 0)
  })
})
