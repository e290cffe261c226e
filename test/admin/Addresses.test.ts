/** Which addresses an administrator asks, whatever a name server and the user's own functions say. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { AdminError } from "../../src/admin/AdminError.ts"
import type { AdminOptions } from "../../src/admin/AdminConfig.ts"
import { MQAdmin, type MQAdminShape } from "../../src/admin/MQAdmin.ts"
import { AddressTranslator } from "../../src/client/AddressTranslator.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { encodeOffsetMessageId } from "../../src/message/MessageId.ts"
import * as ClusterInfo from "../../src/protocol/ClusterInfo.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import * as TopicRouteData from "../../src/protocol/TopicRouteData.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"

const cluster = Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))

/** Runs a test with an administrator of the cluster. */
const withAdmin = <A, E, R>(given: AdminOptions, body: (admin: MQAdminShape) => Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const { namesrvAddr } = yield* EmbeddedCluster
    const layer = Layer.provide(MQAdmin.layer({ namesrvAddr, ...given }), MQClientManager.layer)
    return yield* Effect.provide(Effect.flatMap(MQAdmin, body), layer)
  })

const reasonOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(self), (error) => {
    assert.instanceOf(error, AdminError)
    assert.isBelow(error.message.length, 2_000)
    assert.notMatch(error.message, /[\p{Cc}\p{Cf}]/u)
    return error.reason
  })

const bug = (): never => {
  throw new Error("the user's bug")
}

const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }

/** Every kind of call that asks a broker; each is made only when it runs. */
const calls = (admin: MQAdminShape, address: string): Readonly<Record<string, Effect.Effect<unknown, AdminError>>> => ({
  "a broker by name": Effect.suspend(() => admin.getBrokerConfig("broker-a")),
  "a broker by name, its figures": Effect.suspend(() => admin.fetchBrokerRuntimeStats("broker-a")),
  "all masters of a cluster": Effect.suspend(() => admin.createTopic({ topic: "new" })),
  "the masters of a topic": Effect.suspend(() => admin.examineTopicStats("orders")),
  "the brokers of a topic": Effect.suspend(() => admin.queryMessageByKey("orders", "k")),
  "all masters": Effect.suspend(() => admin.queryTopicsByConsumer("g")),
  "the broker of a message id": admin.viewMessage(encodeOffsetMessageId(address, 0n))
})

/** Answers with a view of the cluster. */
const seeing = (brokers: ReadonlyArray<readonly [name: string, address: string]>) =>
  Effect.flatMap(EmbeddedCluster, ({ faults }) =>
    faults.add({
      match: { code: RequestCode.GET_BROKER_CLUSTER_INFO },
      actions: [
        {
          _tag: "Answer",
          response: {
            code: 0,
            body: ClusterInfo.encode({
              brokerAddrTable: new Map(
                brokers.map(([brokerName, address]) => [
                  brokerName,
                  { brokerName, cluster: "c", brokerAddrs: new Map([[0, address]]) }
                ])
              ),
              clusterAddrTable: new Map([["c", brokers.map(([name]) => name)]])
            })
          }
        }
      ]
    })
  )

describe("MQAdmin: addresses", () => {
  it.effect("a rule that throws allows nothing, and is no defect", () =>
    Effect.gen(function* () {
      const address = (yield* EmbeddedCluster).brokers[0]?.address ?? ""
      const network = yield* MemoryNetwork
      yield* withAdmin({ allowAddress: bug }, (admin) =>
        Effect.gen(function* () {
          const byAddress = { "a broker by its address": admin.getBrokerConfig(address) }
          for (const [name, call] of Object.entries({ ...calls(admin, address), ...byAddress })) {
            const reason = yield* reasonOf(call)
            assert.deepInclude(reason, { _tag: "AddressRefused", problem: "rule-failed", address }, name)
            assert.include(reason.message, "the user's bug")
          }
          const route = yield* reasonOf(admin.maxOffset(queue))
          assert.deepInclude(route, { _tag: "RouteUnavailable", problem: "address-not-allowed" })
        })
      )
      assert.strictEqual(yield* network.dials(address), 0)
    }).pipe(cluster)
  )

  for (const [how, translate] of [
    ["throws", bug],
    ["dies", () => Effect.die(new Error("the user's bug"))]
  ] as const) {
    it.effect(`a translator that ${how} translates nothing, and is no defect`, () =>
      Effect.gen(function* () {
        const address = (yield* EmbeddedCluster).brokers[0]?.address ?? ""
        yield* withAdmin({}, (admin) =>
          Effect.gen(function* () {
            for (const [name, call] of Object.entries(calls(admin, address))) {
              const reason = yield* reasonOf(call)
              assert.deepInclude(reason, { _tag: "AddressRefused", problem: "not-translated", address }, name)
            }
          })
        ).pipe(Effect.provideService(AddressTranslator, { translate }))
      }).pipe(cluster)
    )
  }

  it.effect("only host:port is asked, and says what is wrong otherwise", () =>
    Effect.gen(function* () {
      for (const [address, problem] of [
        ["127.0.0.1 :10911", "unreadable"],
        ["/127.0.0.1:10911", "unreadable"],
        ["", "unreadable"],
        ["169.254.169.254:80", "link-local"],
        [`${"a".repeat(1 << 20)}:1`, "unreadable"]
      ] as const) {
        const { faults } = yield* EmbeddedCluster
        yield* faults.clear
        yield* seeing([["broker-a", address]])
        yield* withAdmin({}, (admin) =>
          Effect.gen(function* () {
            for (const call of [
              Effect.asVoid(admin.createTopic({ topic: "new" })),
              Effect.asVoid(admin.getBrokerConfig("broker-a"))
            ]) {
              const reason = yield* reasonOf(Effect.asVoid(call))
              assert.deepInclude(reason, { _tag: "AddressRefused", problem, brokerName: "broker-a" })
            }
          })
        )
      }
    }).pipe(cluster)
  )

  it.effect("a broker whose name a terminal acts on is left out", () =>
    Effect.gen(function* () {
      const address = (yield* EmbeddedCluster).brokers[0]?.address ?? ""
      yield* seeing([
        ["broker-a", address],
        ["b\u001b[2Jad", "127.0.0.1:1"],
        ["x".repeat(300), "127.0.0.1:2"]
      ])
      yield* withAdmin({}, (admin) =>
        Effect.gen(function* () {
          const { brokers } = yield* admin.createTopic({ topic: "new" })
          assert.deepStrictEqual(
            brokers.map(({ brokerName }) => brokerName),
            ["broker-a"]
          )
          const nobody = yield* reasonOf(admin.getBrokerConfig("nobody"))
          assert.deepInclude(nobody, { _tag: "UnknownBroker", brokers: ["broker-a"] })
        })
      )
    }).pipe(cluster)
  )

  it.effect("A17: nothing is asked of more brokers than can be worked through", () =>
    Effect.gen(function* () {
      const many = Array.from({ length: 5_000 }, (_, i) => [`b-${i}`, `127.0.0.1:${i + 1}`] as const)
      yield* seeing(many)
      yield* withAdmin({}, (admin) =>
        Effect.gen(function* () {
          for (const call of [Effect.asVoid(admin.createTopic({ topic: "new" })), admin.queryTopicsByConsumer("g")]) {
            const reason = yield* reasonOf(Effect.asVoid(call))
            assert.deepInclude(reason, { _tag: "TooManyBrokers", brokers: 5_000 })
          }
          const nobody = yield* reasonOf(admin.getBrokerConfig("nobody"))
          if (nobody._tag !== "UnknownBroker") throw new Error(nobody._tag)
          assert.isAtMost(nobody.brokers.length, 20)
        })
      )
    }).pipe(cluster)
  )

  it.effect("A1, A17: lists no queues of a topic that has more than it can", () =>
    Effect.gen(function* () {
      const { brokers, faults } = yield* EmbeddedCluster
      const names = Array.from({ length: 400 }, (_, i) => `b-${i}`)
      const body = TopicRouteData.encode(
        {
          brokerDatas: names.map((brokerName) => ({
            brokerName,
            cluster: "c",
            brokerAddrs: new Map([[0, brokers[0]?.address ?? ""]])
          })),
          queueDatas: names.map((brokerName) => ({
            brokerName,
            perm: 4,
            readQueueNums: 65_536,
            writeQueueNums: 0,
            topicSysFlag: 0
          })),
          filterServerTable: new Map()
        },
        { standardJson: true }
      )
      yield* faults.add({
        match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC },
        actions: [{ _tag: "Answer", response: { code: 0, body } }]
      })
      yield* withAdmin({}, (admin) =>
        Effect.gen(function* () {
          const reason = yield* reasonOf(admin.fetchSubscribeMessageQueues("orders"))
          assert.deepInclude(reason, { _tag: "RouteUnavailable", problem: "too-many-queues", queues: 400 * 65_536 })
        })
      )
    }).pipe(cluster)
  )
})
