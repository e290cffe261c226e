import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { day } from "./virtualDay.ts"

describe("one virtual day", () => {
  // Ten of each kind have a day by `npm run endurance -- day`.
  it.effect(
    "of ten members, of every kind: each period to the exact count, nothing is lost or doubled, and nothing grows",
    () =>
      Effect.gen(function* () {
        const { members, messages } = yield* day({
          members: { concurrent: 2, orderly: 2, batch: 1, keyed: 1, stream: 1, lite: 1, broadcast: 2 },
          queues: 2,
          hours: 24
        })
        assert.deepStrictEqual([members, messages], [10, 144])
      }),
    600_000
  )
})
