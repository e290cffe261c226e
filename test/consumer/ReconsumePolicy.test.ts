import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Schedule } from "effect"
import * as ReconsumePolicy from "../../src/consumer/ReconsumePolicy.ts"

describe("ReconsumePolicy", () => {
  it("takes the smallest level that is not shorter, and the last above all of them", () => {
    const levels = (["0 millis", "1 second", "1001 millis", "1 minute", "2 hours", "3 days"] as const).map((after) =>
      ReconsumePolicy.levelOf(after)
    )
    assert.deepStrictEqual(levels, [1, 1, 2, 5, 18, 18])
    assert.strictEqual(ReconsumePolicy.levelOf("3 seconds", [2_000, 4_000]), 2)
  })

  it("has one delay for each attempt, and the last for all that follow", () => {
    const policy = ReconsumePolicy.delays("1 second", "5 seconds")
    assert.deepStrictEqual([1, 2, 3, 99].map(policy.delay), ["1 second", "5 seconds", "5 seconds", "5 seconds"])
  })

  it.effect("takes the delays of a schedule, and gives up where it ends", () =>
    Effect.gen(function* () {
      const policy = yield* ReconsumePolicy.fromSchedule(
        Schedule.exponential("1 second").pipe(Schedule.upTo({ times: 3 }))
      )
      const delays = [1, 2, 3, 4].map((attempt) => {
        const delay = policy.delay(attempt)
        return Duration.isDuration(delay) ? Duration.toMillis(delay) : delay
      })
      assert.deepStrictEqual(delays, [1_000, 2_000, 4_000, "dead-letter"])
    })
  )
})
