import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { type Call, onCluster } from "../support.ts"

const cluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = {}) =>
  Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} }, ...options }))

const sendOne = Effect.map(onCluster(["send", "orders", "--body", "hello"]), ({ out }) => {
  const idOf = (name: string) => out.find((line) => line.startsWith(name))?.replace(/^\S+ +/, "") ?? assert.fail(name)
  return { msgId: idOf("msgId"), offsetMsgId: idOf("offsetMsgId") }
})

const found = ({ exitCode, out, talk }: Call) => {
  assert.strictEqual(exitCode, 0, talk.join())
  return JSON.parse(out.join())
}

describe("message get", () => {
  it.effect("finds a message at the place that its offset id names, without a topic", () =>
    Effect.gen(function* () {
      const { msgId, offsetMsgId } = yield* sendOne
      const shown = found(yield* onCluster(["message", "get", offsetMsgId, "--json"]))
      assert.deepInclude(shown, { topic: "orders", body: "hello", msgId, offsetMsgId })
      assert.match(shown.brokerName, /^broker-[ab]$/)
      assert.deepStrictEqual(found(yield* onCluster(["message", "get", offsetMsgId, "orders", "--json"])), shown)
      assert.deepStrictEqual(found(yield* onCluster(["message", "get", msgId, "-t", "orders", "--json"])), shown)
    }).pipe(cluster({ brokers: 2 }))
  )

  it.effect("takes ids in any case, as consume and trace do", () =>
    Effect.gen(function* () {
      const { msgId, offsetMsgId } = yield* sendOne
      for (const args of [[offsetMsgId], [offsetMsgId, "orders"], [msgId, "orders"]]) {
        const [id = "", ...rest] = args
        const shown = found(yield* onCluster(["message", "get", id.toLowerCase(), ...rest, "--json"]))
        assert.deepInclude(shown, { msgId, offsetMsgId })
      }
      yield* onCluster(["group", "create", "readers"])
      const nobody = yield* onCluster(["message", "consume", msgId.toLowerCase(), "orders", "readers"])
      assert.match(nobody.talk.join(), /No member of group "readers" is online/)
    }).pipe(cluster())
  )

  it.effect("asks no address that is not the cluster's, names it, and says what to do", () =>
    Effect.gen(function* () {
      const { msgId, offsetMsgId } = yield* sendOne
      const elsewhere = `0A000001${offsetMsgId.slice(8)}`
      const other = yield* onCluster(["message", "get", elsewhere, "--json"])
      assert.strictEqual(other.exitCode, 4)
      const { error } = JSON.parse(other.out.join())
      assert.match(error.message, /is of broker 10\.0\.0\.1:10911, which the name server does not know/)
      assert.match(error.remedy, /if it is a sender's msgId, name its topic/)
      assert.strictEqual((yield* onCluster(["message", "get", msgId])).exitCode, 4)
      const nothing = yield* onCluster(["message", "get", `${offsetMsgId.slice(0, 16)}00000000000FFFFF`])
      assert.strictEqual(nothing.exitCode, 4)
      assert.match(nothing.talk.join(), /Broker broker-a \(127\.0\.0\.1:10911\) has no message at offset 1048575 /)
      const text = yield* onCluster(["message", "get", "ID-1"])
      assert.strictEqual(text.exitCode, 2)
      assert.match(text.talk.join(), /"ID-1" is no offset message id.*Name the topic/)
    }).pipe(cluster({ listen: { namesrvPort: 9_876, brokerPort: 10_911 } }))
  )
})
