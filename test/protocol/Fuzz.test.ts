import { assert, describe, it } from "@effect/vitest"
import { fuzz } from "./fuzzEngine.ts"

describe("hostile bytes", () => {
  it("C6, C7: 20,000 inputs give values or typed errors", () => {
    const report = fuzz({ inputs: 20_000, seed: 7 })
    assert.deepEqual(report.failures.slice(0, 3), [])
    // The inputs must reach every kind of outcome, or they prove nothing.
    const outcomes = [...report.outcomes.keys()].join("\n")
    for (const outcome of [
      "FrameError length",
      "FrameError headerLength",
      "FrameError serializeType",
      "FrameError header",
      "incomplete",
      "frame",
      "request or answer: value",
      "request or answer: DecodeError",
      "look-alikes: frame",
      "structured: JSON",
      "structured: ROCKETMQ",
      "JSON: value",
      "JSON: DecodeError",
      "messages: value",
      "messages: DecodeError",
      "batch: DecodeError",
      "CompressionError"
    ]) {
      assert.include(outcomes, outcome)
    }
  })

  it("a seed repeats a run", () => {
    assert.deepEqual(fuzz({ inputs: 300, seed: 3 }).outcomes, fuzz({ inputs: 300, seed: 3 }).outcomes)
  })
})
