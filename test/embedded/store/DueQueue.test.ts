import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Schema } from "effect"
import * as DelayLevels from "../../../src/embedded/store/DelayLevels.ts"
import * as DueQueue from "../../../src/embedded/store/DueQueue.ts"
import * as TimerProperties from "../../../src/embedded/store/TimerProperties.ts"

const smallInt = Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 30 })))

describe("DueQueue", () => {
  it.prop(
    "gives everything once, the earliest first, what came first of one time",
    { steps: Arbitrary.array(Arbitrary.all({ at: smallInt, take: smallInt }), { maxLength: 60 }) },
    ({ steps }) => {
      const queue = DueQueue.make<number>()
      let model: Array<{ readonly at: number; readonly value: number }> = []
      for (const [value, { at, take }] of steps.entries()) {
        queue.add(at, value)
        model = [...model, { at, value }].toSorted((a, b) => a.at - b.at || a.value - b.value)
        assert.deepStrictEqual(queue.all(), model)
        assert.strictEqual(queue.next(), model[0]?.at)
        const due = model[0] !== undefined && model[0].at <= take ? model.shift() : undefined
        assert.strictEqual(queue.take(take), due?.value)
      }
      for (const { value } of model) assert.strictEqual(queue.take(Infinity), value)
      assert.isUndefined(queue.take(Infinity))
    }
  )
})

describe("DelayLevels", () => {
  it("the table of a real broker", () => {
    const levels = DelayLevels.parse(DelayLevels.DEFAULT_MESSAGE_DELAY_LEVEL)
    assert.strictEqual(levels.max, 18)
    assert.deepStrictEqual(
      [1, 4, 5, 14, 17, 18, 99].map(levels.millis),
      [1_000, 30_000, 60_000, 600_000, 3_600_000, 7_200_000, 7_200_000]
    )
  })

  it("other tables, and texts that are none", () => {
    assert.strictEqual(DelayLevels.parse(" 2d  3s ").millis(1), 172_800_000)
    for (const text of ["", "1", "s", "1x", "1s,2s", "-1s"]) assert.throws(() => DelayLevels.parse(text), RangeError)
  })
})

const at = (properties: Readonly<Record<string, string>>) => TimerProperties.deliverAt(properties, 1_000)

describe("timers", () => {
  it("the ticks of a real broker: the last one before a time", () => {
    assert.deepStrictEqual(
      [5_000, 5_001, 5_999, 6_000, 6_001].map((time) => TimerProperties.outAt(time, 1_000)),
      [4_000, 5_000, 5_000, 5_000, 6_000]
    )
  })

  it("which property counts", () => {
    assert.strictEqual(at({ TIMER_DELAY_SEC: "2", TIMER_DELAY_MS: "5", TIMER_DELIVER_MS: "9" }), 3_000)
    assert.strictEqual(at({ TIMER_DELAY_MS: "5", TIMER_DELIVER_MS: "9" }), 1_005)
    assert.strictEqual(at({ TIMER_DELIVER_MS: "9" }), 9)
    assert.isUndefined(at({ TIMER_DELIVER_MS: "soon" }))
    assert.isUndefined(at({ TIMER_DELAY_SEC: "1.5" }))
  })
})
