import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Scope } from "effect"
import { TestClock } from "effect/testing"
import { topicConfig } from "../../../src/embedded/store/TopicTable.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import type { EmbeddedClusterOptions } from "../../../src/testing/index.ts"
import * as DeleteTopic from "../../../src/protocol/request/DeleteTopic.ts"
import * as GetBrokerClusterInfo from "../../../src/protocol/request/GetBrokerClusterInfo.ts"
import * as GetRouteInfoByTopic from "../../../src/protocol/request/GetRouteInfoByTopic.ts"
import * as GetTopicList from "../../../src/protocol/request/GetTopicList.ts"
import * as KVConfig from "../../../src/protocol/request/KVConfig.ts"
import * as RegisterBroker from "../../../src/protocol/request/RegisterBroker.ts"
import * as UnregisterBroker from "../../../src/protocol/request/UnregisterBroker.ts"
import * as WritePermOfBroker from "../../../src/protocol/request/WritePermOfBroker.ts"
import { brokerAddress, namesrvAddress, orThrow, rawClient, sendRequest, textOf } from "../support.ts"

const onCluster = (options: EmbeddedClusterOptions = { brokers: 2, topics: { orders: { readQueueNums: 8 } } }) =>
  Effect.provide(EmbeddedCluster.layerMemory(options))

const route = (topic: string) =>
  Effect.gen(function* () {
    const client = yield* rawClient()
    const answer = yield* client.call(yield* namesrvAddress, GetRouteInfoByTopic.request({ topic }))
    return answer.code === 0 ? orThrow(GetRouteInfoByTopic.decodeResponse(answer)) : [answer.code, answer.remark]
  }).pipe(Effect.scoped)

const brokersOf = (topic: string) =>
  Effect.map(route(topic), (found) =>
    "brokerDatas" in found ? found.brokerDatas.map((data) => data.brokerName) : found
  )

const queues = (brokerName: string) => ({
  brokerName,
  readQueueNums: 8,
  writeQueueNums: 4,
  perm: 6,
  topicSysFlag: 0
})

const broker = (brokerName: string, address: string) => ({
  cluster: "DefaultCluster",
  brokerName,
  brokerAddrs: new Map([[0, address]]),
  enableActingMaster: false
})

describe("name server", () => {
  it.effect("routes a topic to its brokers", () =>
    Effect.gen(function* () {
      const [a, b] = [yield* brokerAddress("broker-a"), yield* brokerAddress("broker-b")]
      const found = yield* route("orders")
      assert.deepInclude(found, {
        queueDatas: [queues("broker-a"), queues("broker-b")],
        brokerDatas: [broker("broker-a", a), broker("broker-b", b)]
      })
      assert.deepInclude(yield* route("TBW102"), {
        queueDatas: ["broker-a", "broker-b"].map((name) => ({ ...queues(name), writeQueueNums: 8, perm: 7 }))
      })
      const hint = "\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
      assert.deepStrictEqual(yield* route("nope"), [
        17,
        `No topic route info in name server for the topic: nope${hint}`
      ])
    }).pipe(onCluster())
  )

  it.effect("writes bare map keys for old clients unless they ask for standard JSON", () =>
    Effect.gen(function* () {
      const address = yield* namesrvAddress
      const body = Effect.fnUntraced(function* (version: number, acceptStandardJsonOnly?: boolean) {
        const client = yield* rawClient(version)
        const request = GetRouteInfoByTopic.request({ topic: "orders", acceptStandardJsonOnly })
        return textOf((yield* client.call(address, request)).body)
      })
      assert.match(yield* body(400), /"brokerAddrs":\{0:"/)
      assert.match(yield* body(400, true), /"brokerAddrs":\{"0":"/)
      assert.match(yield* body(401), /"brokerAddrs":\{"0":"/)
    }).pipe(onCluster())
  )

  it.effect("knows a topic as soon as a send has created it, on the brokers that have it", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      assert.strictEqual((yield* client.call(yield* brokerAddress("broker-b"), sendRequest({ topic: "new" }))).code, 0)
      assert.deepStrictEqual(yield* brokersOf("new"), ["broker-b"])
      yield* client.call(yield* brokerAddress("broker-a"), sendRequest({ topic: "new" }))
      assert.deepStrictEqual(yield* brokersOf("new"), ["broker-b", "broker-a"])
    }).pipe(onCluster())
  )

  it.effect("has no template topic when auto-creation is off", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* brokersOf("TBW102"))[0], 17)
    }).pipe(onCluster({ autoCreateTopicEnable: false }))
  )

  it.effect("lists clusters, brokers and topics", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* namesrvAddress
      const info = yield* client.call(address, GetBrokerClusterInfo.request())
      assert.match(textOf(info.body), /"brokerAddrs":\{0:"/)
      const decoded = orThrow(GetBrokerClusterInfo.decodeResponse(info))
      assert.deepStrictEqual([...decoded.clusterAddrTable], [["DefaultCluster", ["broker-a", "broker-b"]]])
      const list = (header: Parameters<typeof GetTopicList.request>[0]) =>
        Effect.map(client.call(address, GetTopicList.request(header)), (answer) =>
          orThrow(GetTopicList.decodeResponse(answer))
        )
      const all = (yield* list({})).topicList
      assert.includeMembers(
        [...all],
        ["orders", "TBW102", "SCHEDULE_TOPIC_XXXX", "broker-a", "DefaultCluster_REPLY_TOPIC"]
      )
      assert.deepStrictEqual((yield* list({ cluster: "DefaultCluster" })).topicList.toSorted(), all.toSorted())
      assert.deepStrictEqual((yield* list({ cluster: "nope" })).topicList, [])
      assert.deepStrictEqual(yield* list({ system: true }), {
        topicList: ["DefaultCluster", "broker-a", "broker-b"],
        brokerAddr: yield* brokerAddress()
      })
      yield* client.call(address, DeleteTopic.request({ topic: "orders" }, "namesrv"))
      assert.notInclude((yield* list({})).topicList, "orders")
    }).pipe(onCluster())
  )

  it.effect("keeps key-value configuration", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* namesrvAddress
      const call = (header: KVConfig.KVConfigHeader) => client.call(address, KVConfig.request(header))
      assert.deepInclude(yield* call({ operation: "get", namespace: "ns", key: "k" }), {
        code: 22,
        remark: "No config item, Namespace: ns Key: k"
      })
      assert.deepInclude(yield* call({ operation: "list", namespace: "ns" }), {
        code: 22,
        remark: "No config item, Namespace: ns"
      })
      assert.strictEqual((yield* call({ operation: "put", namespace: "ns", key: "k", value: "v" })).code, 0)
      assert.strictEqual(
        orThrow(KVConfig.decodeResponse(yield* call({ operation: "get", namespace: "ns", key: "k" }))),
        "v"
      )
      const table = orThrow(KVConfig.decodeListResponse(yield* call({ operation: "list", namespace: "ns" }))).table
      assert.deepStrictEqual([...table], [["k", "v"]])
      yield* call({ operation: "delete", namespace: "ns", key: "k" })
      assert.strictEqual((yield* call({ operation: "get", namespace: "ns", key: "k" })).code, 22)
      assert.deepInclude(yield* client.call(address, { code: 100, extFields: {} }), {
        code: 1,
        remark: "namespace or key is null"
      })
    }).pipe(onCluster())
  )

  it.effect("takes brokers of other processes in, and drops them on goodbye, silence and a cut", () =>
    Effect.gen(function* () {
      const address = yield* namesrvAddress
      const scope = yield* Scope.make()
      const foreign = yield* rawClient().pipe(Scope.provide(scope))
      const identity = { brokerName: "foreign", brokerAddr: "192.0.2.7:10911", clusterName: "Other", brokerId: 0 }
      const register = foreign.call(
        address,
        RegisterBroker.request(
          { ...identity, haServerAddr: "192.0.2.7:10912" },
          {
            filterServerList: [],
            topicConfigSerializeWrapper: {
              dataVersion: { counter: 1, stateVersion: 0, timestamp: 1 },
              topicConfigTable: new Map(["orders", "theirs"].map((name) => [name, topicConfig(name)]))
            }
          }
        )
      )
      assert.strictEqual((yield* register).code, 0)
      assert.deepStrictEqual(yield* brokersOf("theirs"), ["foreign"])
      assert.deepStrictEqual(yield* brokersOf("orders"), ["broker-a", "broker-b", "foreign"])
      yield* foreign.call(address, UnregisterBroker.request(identity))
      assert.strictEqual((yield* brokersOf("theirs"))[0], 17)
      yield* register
      yield* TestClock.adjust("100 seconds")
      yield* register
      yield* TestClock.adjust(119_999)
      assert.deepStrictEqual(yield* brokersOf("theirs"), ["foreign"])
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* brokersOf("theirs"))[0], 17)
      yield* register
      assert.deepStrictEqual(yield* brokersOf("theirs"), ["foreign"])
      yield* Scope.close(scope, Exit.void)
      yield* TestClock.adjust(1)
      assert.strictEqual((yield* brokersOf("theirs"))[0], 17)
      assert.deepStrictEqual(yield* brokersOf("orders"), ["broker-a", "broker-b"])
    }).pipe(onCluster())
  )

  const putOrder = Effect.gen(function* () {
    const client = yield* rawClient()
    const entry = { namespace: "ORDER_TOPIC_CONFIG", key: "orders", value: "broker-a:4;broker-b:2" }
    yield* client.call(yield* namesrvAddress, KVConfig.request({ operation: "put", ...entry }))
    const found = yield* route("orders")
    return "brokerDatas" in found ? found.orderTopicConf : found
  }).pipe(Effect.scoped)

  it.effect("routes carry the configuration of ordered topics when that is enabled", () =>
    Effect.gen(function* () {
      const options: EmbeddedClusterOptions = { brokers: 2, topics: { orders: {} } }
      assert.isUndefined(yield* putOrder.pipe(onCluster(options)))
      assert.strictEqual(
        yield* putOrder.pipe(onCluster({ ...options, orderMessageEnable: true })),
        "broker-a:4;broker-b:2"
      )
    })
  )

  it.effect("takes the write permission of a broker out of the routes, and puts it back", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const change = Effect.fnUntraced(function* (writable: boolean) {
        const answer = yield* client.call(
          yield* namesrvAddress,
          WritePermOfBroker.request({ brokerName: "broker-a", writable })
        )
        const found = yield* route("orders")
        const perms = "queueDatas" in found ? found.queueDatas.map(({ brokerName, perm }) => [brokerName, perm]) : found
        return { count: orThrow(WritePermOfBroker.decodeResponse(answer)).topicCount, perms }
      })
      const wiped = yield* change(false)
      assert.isAbove(wiped.count, 10)
      assert.deepStrictEqual(wiped.perms, [
        ["broker-a", 4],
        ["broker-b", 6]
      ])
      assert.deepStrictEqual(yield* change(true), {
        count: wiped.count,
        perms: [
          ["broker-a", 6],
          ["broker-b", 6]
        ]
      })
    }).pipe(onCluster())
  )

  it.effect("answers an unknown code with 3, and as 4.9.7 not at all", () =>
    Effect.gen(function* () {
      const ask = Effect.gen(function* () {
        const client = yield* rawClient()
        return yield* client.call(yield* namesrvAddress, { code: 9_999, extFields: {} }, 5_000)
      })
      assert.deepInclude(yield* ask.pipe(onCluster()), { code: 3, remark: " request type 9999 not supported" })
      const fiber = yield* Effect.forkChild(Effect.flip(ask.pipe(onCluster({ version: 407 }))), {
        startImmediately: true
      })
      yield* TestClock.adjust(5_000)
      const exit = fiber.pollUnsafe()
      assert.isTrue(exit !== undefined && Exit.isSuccess(exit) && exit.value._tag === "RequestTimeout")
    })
  )
})
