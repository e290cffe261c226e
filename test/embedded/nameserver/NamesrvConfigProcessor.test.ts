import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import * as GetNamesrvConfig from "../../../src/protocol/request/GetNamesrvConfig.ts"
import * as GetRouteInfoByTopic from "../../../src/protocol/request/GetRouteInfoByTopic.ts"
import * as KVConfig from "../../../src/protocol/request/KVConfig.ts"
import * as UpdateConfig from "../../../src/protocol/request/UpdateConfig.ts"
import { namesrvAddress, orThrow, rawClient, utf8 } from "../support.ts"

const on = (version: number) => Effect.provide(EmbeddedCluster.layerMemory({ version, topics: { orders: {} } }))

const says = ({ code, remark }: RemotingCommand) => [code, remark]
const done = [0, undefined]

const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* namesrvAddress
  const call = (request: Parameters<typeof client.call>[1]) => client.call(address, request)
  return {
    call,
    set: (settings: Record<string, string>) =>
      Effect.map(call(UpdateConfig.request(new Map(Object.entries(settings)), "namesrv")), says),
    read: Effect.map(call(GetNamesrvConfig.request()), (answer) =>
      Object.fromEntries(orThrow(GetNamesrvConfig.decodeResponse(answer)))
    )
  }
})

describe("settings of a name server", () => {
  it.effect("A50: are read and changed while it runs", () =>
    Effect.gen(function* () {
      const { call, read, set } = yield* setup
      const before = {
        bindAddress: "127.0.0.1",
        clusterTest: "false",
        enableAllTopicList: "true",
        enableTopicList: "true",
        listenPort: "9876",
        orderMessageEnable: "false",
        productEnvName: "center"
      }
      assert.deepStrictEqual(yield* read, before)
      yield* call(
        KVConfig.request({ operation: "put", namespace: "ORDER_TOPIC_CONFIG", key: "orders", value: "broker-a:4" })
      )
      const orderTopicConf = Effect.map(
        call(GetRouteInfoByTopic.request({ topic: "orders", acceptStandardJsonOnly: true })),
        (answer) => orThrow(GetRouteInfoByTopic.decodeResponse(answer)).orderTopicConf
      )
      assert.isUndefined(yield* orderTopicConf)
      assert.deepStrictEqual(yield* set({ orderMessageEnable: "true", noSuch: "1" }), done)
      assert.strictEqual(yield* orderTopicConf, "broker-a:4")
      assert.deepStrictEqual(yield* read, { ...before, orderMessageEnable: "true" })
      yield* set({ enableAllTopicList: "false" })
      assert.deepStrictEqual(says(yield* call({ code: 206, extFields: {} })), [1, "disable"])
      assert.strictEqual((yield* call({ code: 224, extFields: { cluster: "DefaultCluster" } })).code, 0)
      yield* set({ enableTopicList: "false" })
      assert.deepStrictEqual(says(yield* call({ code: 224, extFields: { cluster: "DefaultCluster" } })), [1, "disable"])
      const lines = (text: string) => Effect.map(call({ code: 318, extFields: undefined, body: utf8(text) }), says)
      assert.deepStrictEqual(yield* lines("a=\\u00zz"), [1, "string2Properties error"])
      assert.deepStrictEqual(yield* lines(""), done)
    }).pipe(on(MQVersion.V5_5_0))
  )

  it.effect("some cannot be changed", () =>
    Effect.gen(function* () {
      const { set } = yield* setup
      for (const name of ["configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"]) {
        assert.deepStrictEqual(yield* set({ [name]: "x" }), [16, "Can not update config in black list."])
      }
    }).pipe(on(MQVersion.V5_5_0))
  )

  it.effect("4.9.7 keeps its paths alone", () =>
    Effect.gen(function* () {
      const { call, read, set } = yield* setup
      for (const name of ["configStorePath", "kvConfigPath"]) {
        assert.deepStrictEqual(yield* set({ [name]: "x" }), [16, "Can not update config path"])
      }
      assert.deepStrictEqual(yield* set({ rocketmqHome: "x", enableAllTopicList: "false" }), done)
      assert.strictEqual((yield* call({ code: 206, extFields: {} })).code, 0)
      assert.notProperty(yield* read, "enableAllTopicList")
    }).pipe(on(MQVersion.V4_9_7))
  )
})
