import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import { type Verb, verbs } from "../support/mqadmin.ts"
import { brokerAddress, namesrvAddress, rawClient } from "./support.ts"

const NOT_SUPPORTED = 3

/** Which of the codes some server of the cluster answers. */
const answered = Effect.fnUntraced(function* (codes: ReadonlyArray<number>) {
  const client = yield* rawClient()
  const addresses = [yield* brokerAddress(), yield* namesrvAddress]
  const asked = codes.flatMap((code) => addresses.map((address) => ({ address, code })))
  const fiber = yield* Effect.forkChild(
    Effect.forEach(
      asked,
      ({ address, code }) =>
        client.call(address, { code, extFields: {} }).pipe(
          Effect.map((answer) => answer.code !== NOT_SUPPORTED),
          // A name server of 4.x does not answer what it does not know.
          Effect.orElseSucceed(() => false)
        ),
      { concurrency: "unbounded" }
    ),
    { startImmediately: true }
  )
  yield* TestClock.adjust("1 minute")
  const known = yield* Fiber.join(fiber)
  return new Set(asked.flatMap(({ code }, index) => (known[index] === true ? [code] : [])))
})

describe("docs/mqadmin.md", () => {
  for (const [release, version] of [
    ["5.5.0", MQVersion.V5_5_0],
    ["4.9.7", MQVersion.V4_9_7]
  ] as const) {
    it.effect(`says of every verb of ${release} whether the embedded cluster answers it`, () =>
      Effect.gen(function* () {
        const listed: ReadonlyArray<Verb> = verbs().filter(({ refused }) => refused[release] !== undefined)
        assert.isAbove(listed.length, 50)
        const known = yield* answered([...new Set(listed.flatMap(({ codes }) => codes))])
        assert.deepStrictEqual(
          listed.map(({ name, refused }) => [name, refused[release]]),
          listed.map(({ codes, name }) => [name, codes.filter((code) => !known.has(code))])
        )
      }).pipe(Effect.provide(EmbeddedCluster.layerMemory({ version })))
    )
  }
})
