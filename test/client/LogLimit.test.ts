import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { TestClock } from "effect/testing"
import * as LogLimit from "../../src/client/LogLimit.ts"

describe("LogLimit", () => {
  it.effect("A30: logs a few lines in a minute, and says how many there were besides", () => {
    const lines: Array<string> = []
    const logger = Logger.make(({ message }) => void lines.push(String(message)))
    return Effect.gen(function* () {
      const limit = LogLimit.make()
      for (let i = 0; i < 1_000; i++) yield* limit.warn(`line ${i}`)
      assert.deepStrictEqual(
        lines,
        Array.from({ length: 8 }, (_, i) => `line ${i}`)
      )
      yield* TestClock.adjust("59 seconds")
      yield* limit.warn("too soon")
      assert.lengthOf(lines, 8)
      yield* TestClock.adjust("1 second")
      yield* limit.warn("again")
      yield* limit.warn("and again")
      assert.deepStrictEqual(lines.slice(8), ["again (and 993 such lines before it that were not logged)", "and again"])
    }).pipe(Effect.provide(Logger.layer([logger])))
  })
})
