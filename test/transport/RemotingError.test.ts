import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { makeHookedRequests } from "../../src/transport/HookedRequests.ts"
import { ClientClosed, RequestTimeout, TooManyRequests, withCallersTime } from "../../src/transport/RemotingError.ts"
import { invoke } from "../../src/transport/Requests.ts"
import { request } from "./support.ts"

const address = "10.0.0.1:10911"
const timeout = (timeoutMillis: number) => new RequestTimeout({ address, code: 10, timeoutMillis, sent: true })

describe("the error of a request that had a part of its caller's time", () => {
  it("names that part and all of it, through every layer", () => {
    const inner = withCallersTime(900)(timeout(900))
    assert.deepInclude(inner, { timeoutMillis: 900 })
    assert.isUndefined(inner.leftMillis)
    const outer = withCallersTime(3_000)(withCallersTime(2_000)(timeout(900)))
    assert.deepInclude(outer, { _tag: "RequestTimeout", timeoutMillis: 3_000, leftMillis: 900, sent: true, code: 10 })
    assert.include(outer.message, "within 900 ms of 3000 ms.")
    const waited = withCallersTime(3_000)(new TooManyRequests({ address, timeoutMillis: -2 }))
    assert.deepInclude(waited, { _tag: "TooManyRequests", timeoutMillis: 3_000, leftMillis: 0 })
    const other = new ClientClosed({ address, sent: false })
    assert.strictEqual(withCallersTime(3_000)(other), other)
  })

  it.effect("after a hook that took a part of it", () =>
    Effect.gen(function* () {
      let now = 0
      const hooked = makeHookedRequests(
        {
          doBeforeRequest: (_, sent) =>
            Effect.sync(() => {
              now += 400
              return sent
            })
        },
        () => now
      )
      const start = hooked.start((_, __, timeoutMillis, resume) => {
        resume(Effect.fail(timeout(timeoutMillis)))
        return undefined
      })
      const error = yield* Effect.flip(invoke({ start }, address, request(10), 1_000))
      assert.deepInclude(error, { timeoutMillis: 1_000, leftMillis: 600 })
    })
  )
})
