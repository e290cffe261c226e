/** SQL92 filters of the embedded broker against RocketMQ's own: what is refused, in which words, and what matches. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { filters, messages, ours } from "../embedded/filter/filters.ts"
import * as JavaFilter from "./JavaFilter.ts"

/** The first few that differ. */
const SHOWN = 5

describe("SQL92 filters are RocketMQ's", () => {
  for (const version of ["5.5.0", "4.9.7"] as const) {
    it.live(`as ${version} makes and evaluates them`, () =>
      Effect.gen(function* () {
        const [texts, properties] = [filters(6_000), messages(40)]
        const theirs = yield* JavaFilter.evaluate(version, texts, properties)
        assert.strictEqual(theirs.length, texts.length)
        const differing = texts.flatMap((text, index) => {
          const [java, mine] = [theirs[index], ours(text, properties, version === "4.9.7")]
          return java?.error === mine.error && java?.results === mine.results ? [] : [{ text, java, mine }]
        })
        assert.deepStrictEqual(differing.slice(0, SHOWN), [], `${differing.length} of ${texts.length} differ`)
        // Of both kinds there are enough to mean something.
        const [refused, matched] = [
          theirs.filter(({ error }) => error !== undefined).length,
          theirs.filter(({ results }) => results?.includes("T") === true).length
        ]
        assert.isAbove(refused, 500)
        assert.isAbove(matched, 500)
      })
    )
  }
})
