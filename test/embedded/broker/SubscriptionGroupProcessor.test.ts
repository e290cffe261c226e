import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import * as SubscriptionGroup from "../../../src/protocol/request/SubscriptionGroup.ts"
import { brokerAddress, consumerHeartbeat, orThrow, rawClient, utf8 } from "../support.ts"

const on = (version: number) => Effect.provide(EmbeddedCluster.layerMemory({ version }))

const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  return (request: Parameters<typeof client.call>[1]) => client.call(address, request)
})

const says = ({ code, remark }: RemotingCommand) => [code, remark]

const { makeConfig } = SubscriptionGroup

describe("consumer groups of a broker", () => {
  it.effect("A50: several at once, none of them when a name is refused", () =>
    Effect.gen(function* () {
      const call = yield* setup
      const all = (...configs: ReadonlyArray<SubscriptionGroup.SubscriptionGroupConfig>) =>
        Effect.map(call(SubscriptionGroup.request({ operation: "updateAll", configs })), says)
      const listed = Effect.map(
        call(SubscriptionGroup.request({ operation: "list" })),
        (answer) => orThrow(SubscriptionGroup.decodeListResponse(answer)).subscriptionGroupTable
      )
      assert.deepStrictEqual(
        yield* all(makeConfig({ groupName: "ga", retryMaxTimes: 3 }), makeConfig({ groupName: "gb" })),
        [0, undefined]
      )
      const table = yield* listed
      assert.deepStrictEqual([table.get("ga")?.retryMaxTimes, table.get("gb")?.retryMaxTimes], [3, 16])
      for (const [groupName, remark] of [
        ["", "The specified group is blank."],
        ["bad name", "The specified group: bad name, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"],
        ["x".repeat(121), `The specified group: ${"x".repeat(121)}, is longer than group max length: 120`]
      ] as const) {
        assert.deepStrictEqual(yield* all(makeConfig({ groupName: "gc" }), makeConfig({ groupName })), [29, remark])
      }
      assert.isFalse((yield* listed).has("gc"))
      assert.deepStrictEqual(
        yield* all(makeConfig({ groupName: "gc" }), makeConfig({ groupName: "gd", attributes: { "+nope": "5" } })),
        [1, "java.lang.RuntimeException: unsupported key: nope"]
      )
      assert.isTrue((yield* listed).has("gc"))
      const body = (code: number, text: string) => call({ code, extFields: undefined, body: utf8(text) })
      assert.deepStrictEqual(says(yield* body(225, '{"groupConfigList":[]}')), [0, undefined])
      assert.deepStrictEqual(says(yield* body(225, '{"groupConfigList":[{}]}')), [29, "The specified group is blank."])
      for (const wrong of ["", "{}", "xx"]) assert.strictEqual((yield* body(225, wrong)).code, 1)
      // One group with nothing said about it changes nothing.
      assert.deepStrictEqual(says(yield* body(200, "")), [0, undefined])
    }).pipe(on(MQVersion.V5_5_0))
  )

  it.effect("attributes, and a group that there cannot be", () =>
    Effect.gen(function* () {
      const call = yield* setup
      const update = (attributes: Record<string, string>) =>
        Effect.map(
          call(SubscriptionGroup.request({ operation: "update", config: makeConfig({ groupName: "gx", attributes }) })),
          says
        )
      assert.deepStrictEqual(yield* update({ "+priority.factor": "5" }), [0, undefined])
      assert.deepStrictEqual(yield* update({ "+priority.factor": "500" }), [
        1,
        "java.lang.RuntimeException: value is not in range(0, 100)"
      ])
      const config = yield* call(SubscriptionGroup.request({ operation: "get", group: "gx" }))
      assert.deepStrictEqual(orThrow(SubscriptionGroup.decodeResponse(config)).attributes, { "priority.factor": "5" })
      assert.deepStrictEqual(says(yield* call(SubscriptionGroup.request({ operation: "get", group: "bad name" }))), [
        26,
        "No group in this broker"
      ])
    }).pipe(on(MQVersion.V5_5_0))
  )

  it.effect("4.9.7 takes any name, no lists, and does not tell of one group", () =>
    Effect.gen(function* () {
      const call = yield* setup
      const update = (groupName: string) =>
        Effect.map(call(SubscriptionGroup.request({ operation: "update", config: makeConfig({ groupName }) })), says)
      assert.deepStrictEqual(yield* update("bad name"), [0, undefined])
      assert.deepStrictEqual(yield* update(""), [0, undefined])
      assert.strictEqual((yield* call({ code: 200, extFields: undefined })).code, 1)
      // A group that shows up under any name is created too.
      yield* call(consumerHeartbeat("client-1", "a b", ["orders"]))
      const listed = yield* call(SubscriptionGroup.request({ operation: "list" }))
      assert.isTrue(orThrow(SubscriptionGroup.decodeListResponse(listed)).subscriptionGroupTable.has("a b"))
      for (const code of [225, 352]) {
        assert.deepStrictEqual(says(yield* call({ code, extFields: { group: "cg" } })), [
          3,
          ` request type ${code} not supported`
        ])
      }
    }).pipe(on(MQVersion.V4_9_7))
  )

  it.effect("those of the system are created although no other is", () =>
    Effect.gen(function* () {
      const call = yield* setup
      const get = (group: string) =>
        Effect.map(call(SubscriptionGroup.request({ operation: "get", group })), ({ code }) => code)
      assert.strictEqual(yield* get("cg"), 26)
      assert.strictEqual(yield* get("CID_RMQ_SYS_cg"), 0)
    }).pipe(
      Effect.provide(
        EmbeddedCluster.layerMemory({ brokers: [{ name: "broker-a", config: { autoCreateSubscriptionGroup: false } }] })
      )
    )
  )
})
