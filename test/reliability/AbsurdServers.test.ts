/** What users give as name servers, which cannot be meant as it stands. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { failureOf, makeProducer, timed } from "../support/rig.ts"
import { leavesNothing, watchDials } from "./watch.ts"

describe("a list of name servers", () => {
  const lists = ["{1},{1}", "{1} {1}", "{1}，{1}", "{1}；{1}", "{1}、{1}", "http://{1},http://{1}"]

  it.effect.each(lists)("A10: %s: the start fails and says what separates, and nobody is asked", (list) => {
    const { dials, onMemory: watched } = watchDials()
    return leavesNothing(
      Effect.gen(function* () {
        const { namesrvAddr } = yield* EmbeddedCluster
        const producer = yield* makeProducer({ namesrvAddr: list.replaceAll("{1}", namesrvAddr) })
        const { exit, millis } = yield* timed(producer.start)
        const { reason, retryable } = failureOf(exit)
        if (reason._tag !== "InvalidConfig") throw new Error(reason.message)
        assert.strictEqual(millis, 0)
        assert.isFalse(retryable)
        assert.lengthOf(reason.problems, 1)
        assert.match(reason.problems[0]?.problem ?? "", /separated by ";"/)
        assert.deepStrictEqual(dials, [])
      })
    ).pipe(watched({}))
  })
})
