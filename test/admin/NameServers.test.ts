import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AdminError } from "../../src/admin/AdminError.ts"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"

const withAdmin = (version: number = MQVersion.V5_5_0) =>
  Effect.provide(
    Layer.unwrap(Effect.map(EmbeddedCluster, ({ namesrvAddr }) => MQAdmin.layer({ namesrvAddr }))).pipe(
      Layer.provide(MQClientManager.layer),
      Layer.provideMerge(
        EmbeddedCluster.layerMemory({
          version,
          brokers: 2,
          nameServers: 2,
          topics: { orders: { readQueueNums: 4, writeQueueNums: 4 } }
        })
      )
    )
  )

const reasonOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(self), (error) => {
    assert.instanceOf(error, AdminError)
    return error.reason
  })

const permsOf = (topic: string) =>
  Effect.flatMap(MQAdmin, (admin) =>
    Effect.map(admin.examineTopicRouteInfo(topic), ({ queueDatas }) =>
      Object.fromEntries(queueDatas.map(({ brokerName, perm }) => [brokerName, perm]))
    )
  )

for (const version of [MQVersion.V5_5_0, MQVersion.V4_9_7]) {
  describe(`name servers as ${version}`, () => {
    it.effect("a broker is made unwritable and writable at each of them", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const { nameServers } = yield* EmbeddedCluster
        const told = yield* admin.wipeWritePermOfBroker("broker-a")
        assert.sameMembers(
          told.map(({ nameServer }) => nameServer),
          nameServers.map(({ address }) => address)
        )
        assert.isTrue(told.every(({ topicCount }) => topicCount > 0))
        assert.deepStrictEqual(yield* permsOf("orders"), { "broker-a": 4, "broker-b": 6 })
        assert.lengthOf(yield* admin.addWritePermOfBroker("broker-a"), 2)
        assert.deepStrictEqual(yield* permsOf("orders"), { "broker-a": 6, "broker-b": 6 })
        for (const call of [admin.wipeWritePermOfBroker, admin.addWritePermOfBroker]) {
          assert.deepInclude(yield* reasonOf(call("nope")), {
            _tag: "UnknownBroker",
            brokers: ["broker-a", "broker-b"]
          })
        }
      }).pipe(withAdmin(version))
    )

    it.effect("an order configuration: what is named changes, the other brokers stay", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        assert.strictEqual((yield* admin.getOrderConf("orders")).size, 0)
        yield* admin.createOrUpdateOrderConf("orders", { "broker-b": 4, "broker-a": 2 })
        const both = yield* admin.createOrUpdateOrderConf("orders", { "broker-a": 3 })
        assert.deepStrictEqual(
          [...both],
          [
            ["broker-a", 3],
            ["broker-b", 4]
          ]
        )
        assert.deepStrictEqual(
          [...(yield* admin.getOrderConf("orders"))],
          [
            ["broker-a", 3],
            ["broker-b", 4]
          ]
        )
        yield* admin.updateNameServerConfig({ orderMessageEnable: "true" })
        assert.strictEqual((yield* admin.examineTopicRouteInfo("orders")).orderTopicConf, "broker-a:3;broker-b:4")
        for (const [conf, problem] of [
          [{ "broker-a": 5 }, "broker broker-a has 4 queues of it to write, and 5 were named"],
          [{ nope: 1 }, "broker nope does not have the topic"],
          [{ "broker-a": 0 }, "broker broker-a has 4 queues of it to write, and 0 were named"],
          [{}, "no broker was named"]
        ] as const) {
          assert.deepInclude(yield* reasonOf(admin.createOrUpdateOrderConf("orders", conf)), {
            _tag: "InvalidOrderConf",
            problem
          })
        }
        assert.deepStrictEqual(
          [...(yield* admin.createOrUpdateOrderConf("orders", { "broker-b": 1 }, { replace: true }))],
          [["broker-b", 1]]
        )
        yield* admin.deleteOrderConf("orders")
        assert.strictEqual((yield* admin.getOrderConf("orders")).size, 0)
        assert.strictEqual(
          (yield* reasonOf(admin.createOrUpdateOrderConf("nope", { "broker-a": 1 })))._tag,
          "RouteUnavailable"
        )
      }).pipe(withAdmin(version))
    )

    it.effect("settings: each is told, and one of them alone where it is named", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const { nameServers } = yield* EmbeddedCluster
        const [first] = nameServers
        const settingOf = Effect.map(admin.getNameServerConfig(), (all) =>
          all.map(({ config }) => config.get("orderMessageEnable"))
        )
        assert.deepStrictEqual(yield* settingOf, ["false", "false"])
        const changed = yield* admin.updateNameServerConfig({ orderMessageEnable: "true" }, first?.address)
        assert.deepStrictEqual(changed, [
          {
            nameServer: first?.address ?? "",
            changes: [{ name: "orderMessageEnable", before: "false", after: "true", taken: true }]
          }
        ])
        assert.sameMembers(yield* settingOf, ["false", "true"])
        assert.deepInclude(yield* reasonOf(admin.updateNameServerConfig({ ordermessage: "true", listenPort: "1" })), {
          _tag: "UnknownSetting",
          names: ["ordermessage"],
          similar: ["orderMessageEnable"]
        })
      }).pipe(withAdmin(version))
    )

    it.effect("a broker's settings: what it has changes, and what it cannot use is told", () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        const [{ name, after, before, taken } = assert.fail("nothing")] = yield* admin.updateBrokerConfig("broker-a", {
          autoCreateTopicEnable: "false"
        })
        assert.deepStrictEqual([name, before, after, taken], ["autoCreateTopicEnable", "true", "false", true])
        assert.strictEqual((yield* admin.getBrokerConfig("broker-a")).get("autoCreateTopicEnable"), "false")
        assert.strictEqual((yield* admin.getBrokerConfig("broker-b")).get("autoCreateTopicEnable"), "true")
        const [kept] = yield* admin.updateBrokerConfig("broker-a", { brokerPermission: "many" })
        assert.deepInclude(kept, { before: "6", after: "6", taken: false })
        assert.deepInclude(yield* reasonOf(admin.updateBrokerConfig("broker-a", { autocreate: "x" })), {
          _tag: "UnknownSetting",
          server: "Broker broker-a"
        })
      }).pipe(withAdmin(version))
    )
  })
}
