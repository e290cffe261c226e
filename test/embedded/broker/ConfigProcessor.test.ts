import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import * as GetBrokerConfig from "../../../src/protocol/request/GetBrokerConfig.ts"
import * as GetRouteInfoByTopic from "../../../src/protocol/request/GetRouteInfoByTopic.ts"
import * as UpdateConfig from "../../../src/protocol/request/UpdateConfig.ts"
import { brokerAddress, namesrvAddress, orThrow, pullRequest, rawClient, sendRequest, utf8 } from "../support.ts"

const on = (version: number) => Effect.provide(EmbeddedCluster.layerMemory({ version, topics: { orders: {} } }))

const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  const namesrv = yield* namesrvAddress
  const call = (request: Parameters<typeof client.call>[1]) => client.call(address, request)
  return {
    call,
    set: (settings: Record<string, string>) =>
      Effect.map(call(UpdateConfig.request(new Map(Object.entries(settings)), "broker")), says),
    read: Effect.map(call(GetBrokerConfig.request()), (answer) => orThrow(GetBrokerConfig.decodeResponse(answer))),
    version: Effect.map(call(GetBrokerConfig.request()), (answer): unknown =>
      JSON.parse(answer.extFields?.["version"] ?? "")
    ),
    perm: Effect.map(
      client.call(namesrv, GetRouteInfoByTopic.request({ topic: "orders", acceptStandardJsonOnly: true })),
      (answer) => orThrow(GetRouteInfoByTopic.decodeResponse(answer)).queueDatas.map(({ perm }) => perm)
    )
  }
})

const says = ({ code, remark }: RemotingCommand) => [code, remark]
const done = [0, undefined]

describe("settings of a broker", () => {
  it.effect("A50: are changed while it runs; what there is not, and what is no such value, changes nothing", () =>
    Effect.gen(function* () {
      const { call, read, set } = yield* setup
      const before = yield* read
      assert.deepInclude(Object.fromEntries(before), {
        brokerName: "broker-a",
        brokerClusterName: "DefaultCluster",
        brokerId: "0",
        brokerRole: "ASYNC_MASTER",
        brokerIP1: "127.0.0.1",
        listenPort: "10911",
        autoCreateTopicEnable: "true",
        maxTransferCountOnMessageInMemory: "32"
      })
      assert.deepStrictEqual([...before.keys()], [...before.keys()].toSorted())
      for (const own of ["version", "maxStoreBytes"]) assert.isFalse(before.has(own), own)
      assert.deepStrictEqual(
        yield* set({ noSuchThing: "1", maxMessageSize: "abc", version: "1", maxStoreBytes: "1" }),
        done
      )
      assert.deepStrictEqual(yield* read, before)
      assert.deepStrictEqual(
        yield* set({ maxMessageSize: "3", autoCreateTopicEnable: "maybe", maxTransferCountOnMessageInMemory: "2" }),
        done
      )
      assert.deepInclude(Object.fromEntries(yield* read), {
        maxMessageSize: "3",
        autoCreateTopicEnable: "false",
        maxTransferCountOnMessageInMemory: "2"
      })
      assert.strictEqual((yield* call(sendRequest({}, utf8("four")))).code, 13)
      assert.strictEqual((yield* call(sendRequest({ topic: "new" }, utf8("x")))).code, 17)
      // Who switches it on again has no template topic any more.
      yield* set({ autoCreateTopicEnable: "true", autoCreateSubscriptionGroup: "false" })
      assert.strictEqual((yield* call(sendRequest({ topic: "new" }, utf8("x")))).code, 17)
      assert.strictEqual((yield* call(pullRequest({ consumerGroup: "new" }))).code, 26)
      assert.strictEqual((yield* EmbeddedCluster).brokers[0]?.config.maxMessageSize, 3)
    }).pipe(on(MQVersion.V5_5_0))
  )

  it.effect("a broker that closes tells the name servers", () =>
    Effect.gen(function* () {
      const { call, perm, set } = yield* setup
      assert.deepStrictEqual(yield* perm, [6])
      assert.deepStrictEqual(yield* set({ brokerPermission: "4" }), done)
      assert.deepStrictEqual(yield* perm, [4])
      yield* set({ brokerPermission: "2" })
      assert.deepStrictEqual(yield* perm, [2])
      assert.deepStrictEqual(says(yield* call(pullRequest())), [
        16,
        "the broker[127.0.0.1] pulling message is forbidden"
      ])
      yield* set({ brokerPermission: "6" })
      assert.deepStrictEqual(yield* perm, [6])
    }).pipe(on(MQVersion.V5_5_0))
  )

  it.effect("some are in a black list since 5.0; lines that Java cannot read are refused", () =>
    Effect.gen(function* () {
      const { call, set } = yield* setup
      for (const name of ["brokerConfigPath", "rocketmqHome", "configBlackList"]) {
        assert.deepStrictEqual(yield* set({ [name]: "x", maxMessageSize: "3" }), [
          16,
          "Can not update config in black list."
        ])
      }
      assert.strictEqual((yield* EmbeddedCluster).brokers[0]?.config.maxMessageSize, 4_194_304)
      const lines = (text: string) => Effect.map(call({ code: 25, extFields: undefined, body: utf8(text) }), says)
      assert.deepStrictEqual(yield* lines("a=\\u00zz"), [1, "string2Properties error"])
      assert.deepStrictEqual(yield* lines(""), done)
      assert.deepStrictEqual(yield* lines("  # comment\n maxMessageSize : 7\n"), done)
      assert.strictEqual((yield* EmbeddedCluster).brokers[0]?.config.maxMessageSize, 7)
    }).pipe(on(MQVersion.V5_5_0))
  )

  it.effect("4.9.7 has no black list, and another version of its settings", () =>
    Effect.gen(function* () {
      const { read, set, version } = yield* setup
      for (const name of ["timerWheelEnable", "useServerSideResetOffset"]) assert.isFalse((yield* read).has(name), name)
      assert.deepStrictEqual(yield* version, { counter: 0, timestamp: 0 })
      yield* TestClock.adjust(5)
      assert.deepStrictEqual(yield* set({ brokerConfigPath: "x" }), done)
      assert.deepStrictEqual(yield* version, { counter: 1, timestamp: 5 })
    }).pipe(on(MQVersion.V4_9_7))
  )
})
