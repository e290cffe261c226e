import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Simulation from "../../src/testing/Simulation.ts"
import { scenario } from "./broadcast.ts"

describe("members of a group that broadcasts", () => {
  it.live("each get every message, whatever becomes of them and of the cluster", () =>
    Effect.gen(function* () {
      const { seeds } = yield* Simulation.check(scenario, { seeds: 12, from: 1 })
      assert.strictEqual(seeds, 12)
    })
  )
})
