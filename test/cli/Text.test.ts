import { assert, describe, it } from "@effect/vitest"
import { moment, table } from "../../src/cli/Text.ts"

describe("a table for people", () => {
  it("aligns its columns", () => {
    assert.deepStrictEqual(table([["a", "1"], ["long", "22"]], [1]), ["a      1", "long  22"]) // prettier-ignore
  })

  it("is not widened without end by one cell", () => {
    const rows = [...Array.from({ length: 1_000 }, (_, i) => [`row ${i}`, "x"]), ["y".repeat(1 << 20), "x"]]
    const lines = table(rows)
    assert.lengthOf(lines, 1_001)
    const length = lines.reduce((sum, line) => sum + line.length, 0)
    assert.isBelow(length, (1 << 20) + 1_001 * 300)
  })
})

describe("a point in time", () => {
  it("A28: is a date, or the number that no calendar has", () => {
    assert.strictEqual(moment(0), "1970-01-01T00:00:00.000Z")
    for (const millis of [8.64e15 + 1, -8.64e15 - 1, NaN, Infinity, 2 ** 63]) {
      assert.strictEqual(moment(millis), String(millis))
    }
  })
})
