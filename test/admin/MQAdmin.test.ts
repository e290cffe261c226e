import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { deflateSync } from "node:zlib"
import { AdminError } from "../../src/admin/AdminError.ts"
import { explain } from "../../src/explain/Explain.ts"
import { MQAdmin } from "../../src/admin/MQAdmin.ts"
import type { ResetOffsetOptions, ResetQueue } from "../../src/admin/Offsets.ts"
import { HostLookup } from "../../src/client/HostLookup.ts"
import { AddressTranslator, type BrokerEndpoint } from "../../src/client/AddressTranslator.ts"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { encodeOffsetMessageId } from "../../src/message/MessageId.ts"
import { SysFlag } from "../../src/message/SysFlag.ts"
import * as ClusterInfo from "../../src/protocol/ClusterInfo.ts"
import * as MessageProperties from "../../src/protocol/MessageProperties.ts"
import { MQVersion } from "../../src/protocol/MQVersion.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import { listen } from "../../src/embedded/server/RemotingServer.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { brokerAddress, rawClient, sendRequest, textOf, utf8 } from "../embedded/support.ts"

/** A cluster in memory and an administrator of it. */
const onCluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = { topics: { orders: {} } }) => {
  const admin = Layer.unwrap(Effect.map(EmbeddedCluster, ({ namesrvAddr }) => MQAdmin.layer({ namesrvAddr }))).pipe(
    Layer.provide(MQClientManager.layer)
  )
  return Effect.provide(admin.pipe(Layer.provideMerge(EmbeddedCluster.layerMemory(options))))
}

/** The index of 4.3.2 in RocketMQ's list of releases. */
const V4_3_2 = 277

const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }

const store = Effect.fnUntraced(function* (...send: Parameters<typeof sendRequest>) {
  const client = yield* rawClient()
  return yield* client.call(yield* brokerAddress(), sendRequest(...send))
})

const reasonOf = <A, E, R>(self: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(self), (error) => {
    assert.instanceOf(error, AdminError)
    return error.reason
  })

describe("MQAdmin: topics", () => {
  it.effect("lists all topics, sorted", () =>
    Effect.gen(function* () {
      const { fetchAllTopicList } = yield* MQAdmin
      const topics = yield* fetchAllTopicList
      assert.includeMembers([...topics], ["TBW102", "alpha", "zeta"])
      assert.deepStrictEqual([...topics], topics.toSorted())
    }).pipe(onCluster({ topics: { zeta: {}, alpha: {} } }))
  )

  it.effect("reads a route, and says that an unknown topic is absent", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const route = yield* admin.examineTopicRouteInfo("orders")
      assert.deepStrictEqual(
        route.queueDatas.map((q) => [q.brokerName, q.readQueueNums, q.writeQueueNums, q.perm]),
        [["broker-a", 4, 4, 6]]
      )
      const reason = yield* reasonOf(admin.examineTopicRouteInfo("nope"))
      assert.deepInclude(reason, { _tag: "RouteUnavailable", topic: "nope", problem: "topic-absent" })
    }).pipe(onCluster())
  )

  it.effect("creates a topic on every master and waits for its route", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const created = yield* admin.createTopic({
        topic: "fresh",
        readQueueNums: 3,
        writeQueueNums: 2,
        perm: 4,
        attributes: { "message.type": "NORMAL" }
      })
      assert.deepStrictEqual(
        { ...created, brokers: created.brokers.map((b) => b.brokerName) },
        {
          topic: "fresh",
          clusterName: "DefaultCluster",
          brokers: ["broker-a", "broker-b"],
          readQueueNums: 3,
          writeQueueNums: 2,
          perm: 4,
          routed: true
        }
      )
      const { queueDatas } = yield* admin.examineTopicRouteInfo("fresh")
      assert.deepStrictEqual(
        queueDatas.map((q) => [q.readQueueNums, q.writeQueueNums, q.perm]),
        [
          [3, 2, 4],
          [3, 2, 4]
        ]
      )
      const { traffic } = yield* EmbeddedCluster
      const requests = yield* traffic.ofCode(RequestCode.UPDATE_AND_CREATE_TOPIC)
      assert.deepStrictEqual(
        requests.map((request) => request.extFields?.["attributes"]),
        ["+message.type=NORMAL", "+message.type=NORMAL"]
      )
    }).pipe(onCluster({ brokers: 2 }))
  )

  it.effect("says which broker refused a topic, and where it exists already", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { faults } = yield* EmbeddedCluster
      const bad = yield* reasonOf(admin.createTopic({ topic: "not good" }))
      assert.deepInclude(bad, { _tag: "BrokerRejected", code: 29 })
      yield* faults.add({
        match: { code: RequestCode.UPDATE_AND_CREATE_TOPIC, broker: "broker-b" },
        actions: [FaultScript.answer(1, "no \u001b[31mspace\u0007 left")]
      })
      const error = yield* Effect.flip(admin.createTopic({ topic: "half" }))
      assert.deepStrictEqual(error.done, ["broker-a"])
      assert.match(
        error.message,
        /^Could not create topic half: .* SYSTEM_ERROR \(1\): no +\[31mspace +left.* done on broker-a/
      )
    }).pipe(onCluster({ brokers: 2 }))
  )

  it.effect("asks which cluster is meant, and tells a cluster without a master", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { faults } = yield* EmbeddedCluster
      assert.deepInclude(yield* reasonOf(admin.createTopic({ topic: "t", clusterName: "other" })), {
        _tag: "UnknownCluster",
        clusters: ["DefaultCluster"]
      })
      const slave = { cluster: "c2", brokerName: "b2", brokerAddrs: new Map([[1, "127.0.0.1:1"]]) }
      const body = ClusterInfo.encode({
        brokerAddrTable: new Map([["b2", slave]]),
        clusterAddrTable: new Map([
          ["c2", ["b2"]],
          ["c1", []]
        ])
      })
      yield* faults.add({
        match: { code: RequestCode.GET_BROKER_CLUSTER_INFO },
        actions: [{ _tag: "Answer", response: { code: 0, body } }]
      })
      assert.deepInclude(yield* reasonOf(admin.createTopic({ topic: "t" })), {
        _tag: "UnknownCluster",
        clusterName: undefined,
        clusters: ["c1", "c2"]
      })
      assert.deepInclude(yield* reasonOf(admin.createTopic({ topic: "t", clusterName: "c2" })), {
        _tag: "NoMaster",
        clusterName: "c2"
      })
    }).pipe(onCluster())
  )

  it.effect("deletes a topic on brokers and name servers, and again without harm", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const cluster = yield* EmbeddedCluster
      yield* store()
      yield* admin.deleteTopic("orders")
      assert.deepInclude(yield* reasonOf(admin.examineTopicRouteInfo("orders")), { problem: "topic-absent" })
      assert.deepStrictEqual(yield* cluster.messages("orders"), [])
      yield* admin.deleteTopic("orders")
      const deletions = yield* cluster.traffic.ofCode(RequestCode.DELETE_TOPIC_IN_NAMESRV)
      assert.strictEqual(deletions.length, 4)
    }).pipe(onCluster({ topics: { orders: {} }, nameServers: 2 }))
  )

  it.effect("lists clusters and brokers, although their ids are no JSON strings", () =>
    Effect.gen(function* () {
      const { examineBrokerClusterInfo } = yield* MQAdmin
      const info = yield* examineBrokerClusterInfo
      assert.deepStrictEqual([...info.clusterAddrTable], [["DefaultCluster", ["broker-a", "broker-b"]]])
      assert.deepStrictEqual([...(info.brokerAddrTable.get("broker-b")?.brokerAddrs.keys() ?? [])], [0])
    }).pipe(onCluster({ brokers: 2 }))
  )

  it.effect("tells that no name server answers", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { nameServers } = yield* EmbeddedCluster
      yield* Effect.forEach(nameServers, (server) => server.stop)
      const error = yield* Effect.flip(admin.fetchAllTopicList)
      assert.strictEqual(error.reason._tag, "NameServerUnavailable")
      assert.strictEqual(error.operation, "list the topics")
    }).pipe(onCluster())
  )
})

describe("MQAdmin: messages", () => {
  it.effect("tells the ends of a queue and pulls what is between", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      assert.deepStrictEqual([yield* admin.minOffset(queue), yield* admin.maxOffset(queue)], [0, 0])
      yield* store({}, utf8("one"))
      yield* store({}, utf8("two"))
      assert.deepStrictEqual([yield* admin.minOffset(queue), yield* admin.maxOffset(queue)], [0, 2])
      const found = yield* admin.pull(queue, 0, 32)
      assert.deepInclude(found, { status: "FOUND", nextBeginOffset: 2, minOffset: 0, maxOffset: 2 })
      assert.deepStrictEqual(
        found.messages.map((m) => [m.queueOffset, textOf(m.body)]),
        [
          [0, "one"],
          [1, "two"]
        ]
      )
      assert.deepInclude(yield* admin.pull(queue, 2, 32), { status: "NO_NEW_MSG", nextBeginOffset: 2 })
      assert.deepInclude(yield* admin.pull(queue, 99, 32), { status: "OFFSET_ILLEGAL" })
      assert.strictEqual((yield* admin.pull(queue, 0, 1)).messages.length, 1)
    }).pipe(onCluster())
  )

  it.effect("A26: unpacks bodies, and leaves what it cannot unpack with its flag", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const zlib = SysFlag.COMPRESSED | SysFlag.COMPRESSION_ZLIB
      const lz4 = SysFlag.COMPRESSED | SysFlag.COMPRESSION_LZ4
      yield* store({ sysFlag: zlib }, deflateSync(utf8("packed")))
      yield* store({ sysFlag: lz4 }, utf8("not for node"))
      const { messages } = yield* admin.pull(queue, 0, 32)
      assert.deepStrictEqual(
        messages.map((m) => [textOf(m.body), m.sysFlag]),
        [
          ["packed", 0],
          ["not for node", lz4]
        ]
      )
    }).pipe(onCluster())
  )

  it.effect("lists the queues that can be read", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { setPermission } = yield* EmbeddedCluster
      yield* setPermission("orders", 2, "broker-b")
      assert.deepStrictEqual(
        (yield* admin.fetchSubscribeMessageQueues("orders")).map((q) => `${q.brokerName}:${q.queueId}`),
        ["broker-a:0", "broker-a:1"]
      )
      assert.deepInclude(yield* reasonOf(admin.fetchSubscribeMessageQueues("nope")), { problem: "topic-absent" })
      assert.deepInclude(yield* reasonOf(admin.maxOffset({ ...queue, brokerName: "broker-x" })), {
        _tag: "BrokerNotExist",
        brokerName: "broker-x"
      })
    }).pipe(onCluster({ brokers: 2, topics: { orders: { readQueueNums: 2, writeQueueNums: 2 } } }))
  )

  it.effect("views a message by its offset id", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const answer = yield* store({}, utf8("seen"))
      const id = answer.extFields?.["msgId"] ?? ""
      assert.strictEqual(textOf((yield* admin.viewMessage(id)).body), "seen")
      assert.deepInclude(yield* reasonOf(admin.viewMessage("C0FFEE")), { _tag: "InvalidMessageId", msgId: "C0FFEE" })
      assert.deepInclude(yield* reasonOf(admin.viewMessage(`${id.slice(0, -1)}7`)), { _tag: "BrokerRejected", code: 1 })
    }).pipe(onCluster())
  )

  it.effect("reaches brokers under translated addresses", () =>
    Effect.gen(function* () {
      const asked: Array<BrokerEndpoint> = []
      const real = yield* brokerAddress()
      yield* Effect.gen(function* () {
        const admin = yield* MQAdmin
        yield* admin.createTopic({ topic: "orders" })
        assert.strictEqual(yield* admin.maxOffset(queue), 0)
        yield* admin.deleteTopic("orders")
      }).pipe(
        Effect.provide(
          MQAdmin.layer({ namesrvAddr: (yield* EmbeddedCluster).namesrvAddr }).pipe(
            Layer.provide(MQClientManager.layer)
          )
        ),
        Effect.provideService(AddressTranslator, {
          translate: (endpoint) =>
            Effect.sync(() => {
              asked.push(endpoint)
              return real
            })
        })
      )
      assert.isAtLeast(asked.length, 3)
      assert.isTrue(asked.every((endpoint) => endpoint.brokerName === "broker-a" && endpoint.brokerId === 0))
    }).pipe(Effect.provide(EmbeddedCluster.layerMemory()))
  )
})

const offsetOf = (all: ReadonlyArray<ResetQueue>) => all.find((one) => one.queue.queueId === 0)?.offset

describe("MQAdmin: brokers", () => {
  const NO_SAMPLE = "java.util.NoSuchElementException, java.base/java.util.LinkedList.getLast(LinkedList.java:261)"

  it.effect("waits for the statistics of a broker that has just started", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({
        match: { code: RequestCode.GET_BROKER_RUNTIME_INFO },
        actions: [FaultScript.answer(ResponseCode.SYSTEM_ERROR, NO_SAMPLE)],
        times: 4
      })
      const reading = yield* Effect.forkChild(admin.fetchBrokerRuntimeStats("broker-a"), { startImmediately: true })
      yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 7 })
      assert.isTrue((yield* Fiber.join(reading)).has("bootTimestamp"))
    }).pipe(onCluster())
  )

  it.effect("waits two seconds for them, and for no other failure", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { faults, traffic } = yield* EmbeddedCluster
      const asked = Effect.map(traffic.ofCode(RequestCode.GET_BROKER_RUNTIME_INFO), (requests) => requests.length)
      const match = { code: RequestCode.GET_BROKER_RUNTIME_INFO }
      yield* faults.add({ match, actions: [FaultScript.answer(ResponseCode.SYSTEM_ERROR, "disk is gone")] })
      const other = yield* reasonOf(admin.fetchBrokerRuntimeStats("broker-a"))
      assert.deepInclude(other, { _tag: "BrokerRejected", remark: "disk is gone" })
      assert.strictEqual(yield* asked, 1)
      yield* faults.clear
      yield* faults.add({ match, actions: [FaultScript.answer(ResponseCode.SYSTEM_ERROR, NO_SAMPLE)] })
      const reading = yield* Effect.forkChild(reasonOf(admin.fetchBrokerRuntimeStats("broker-a")), {
        startImmediately: true
      })
      yield* Effect.repeat(TestClock.adjust("250 millis"), { times: 7 })
      assert.deepInclude(yield* Fiber.join(reading), { _tag: "BrokerRejected", code: ResponseCode.SYSTEM_ERROR })
      assert.strictEqual(yield* asked, 1 + 9)
    }).pipe(onCluster())
  )
})

describe("MQAdmin: who is asked", () => {
  it.effect("dials no address that allowAddress refuses, whoever names it", () =>
    Effect.gen(function* () {
      const { brokers, namesrvAddr } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const [a = assert.fail("no broker"), b = assert.fail("no second broker")] = brokers
      const choosy = Layer.provide(
        MQAdmin.layer({ namesrvAddr, allowAddress: (address) => address !== b.address }),
        MQClientManager.layer
      )
      yield* Effect.gen(function* () {
        const admin = yield* MQAdmin
        assert.isAbove((yield* admin.getBrokerConfig("broker-a")).size, 0)
        assert.isAbove((yield* admin.getBrokerConfig(a.address)).size, 0)
        const dials = yield* network.dials(b.address)
        const id = encodeOffsetMessageId(b.address, 0n) ?? ""
        for (const refused of [
          Effect.asVoid(admin.getBrokerConfig(b.address)),
          Effect.asVoid(admin.createTopic({ topic: "new" })),
          Effect.asVoid(admin.examineTopicStats("orders")),
          Effect.asVoid(admin.viewMessage(id))
        ]) {
          const reason = yield* reasonOf(refused)
          assert.deepInclude(reason, { _tag: "AddressRefused", address: b.address })
        }
        assert.strictEqual(yield* network.dials(b.address), dials)
      }).pipe(Effect.provide(choosy))
    }).pipe(onCluster({ brokers: 2, topics: { orders: {} } }))
  )

  it.effect("A12: deletes a topic on each name server that one host name stands for", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const port = namesrvAddr.slice(namesrvAddr.lastIndexOf(":") + 1)
      const told: Array<number> = []
      yield* listen({
        address: `127.0.0.2:${port}`,
        handler: (request) =>
          Effect.sync(() => {
            told.push(request.code)
            return { code: ResponseCode.SUCCESS }
          })
      })
      yield* Effect.gen(function* () {
        const admin = yield* MQAdmin
        yield* admin.deleteTopic("orders")
        assert.include(yield* admin.fetchAllTopicList, "calm")
        assert.notInclude(yield* admin.fetchAllTopicList, "orders")
      }).pipe(
        Effect.provide(MQAdmin.layer({ namesrvAddr: `localhost:${port}` }).pipe(Layer.provide(MQClientManager.layer))),
        Effect.provideService(HostLookup, (host) =>
          host === "localhost" ? Effect.succeed(["127.0.0.1", "127.0.0.2", "127.0.0.1"]) : Effect.fail("unknown")
        )
      )
      assert.deepStrictEqual(told, [RequestCode.DELETE_TOPIC_IN_NAMESRV])
    }).pipe(Effect.provide(EmbeddedCluster.layerTcp({ topics: { orders: {}, calm: {} } })))
  )

  it.effect("A13: asks a broker only for what its release knows: an old one leaves the rest without an answer", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { faults, traffic } = yield* EmbeddedCluster
      const unknown = [RequestCode.GET_TOPIC_CONFIG, RequestCode.QUERY_TOPICS_BY_CONSUMER]
      yield* faults.add(...unknown.map((code) => ({ match: { code }, actions: [FaultScript.dropRequest] })))
      // No time passes here: a request without an answer would hang.
      const [config] = yield* admin.examineTopicConfig("orders")
      assert.strictEqual(config?.config.writeQueueNums, 4)
      yield* admin.createTopic({ topic: "orders", ifExists: "keep" })
      yield* admin.createSubscriptionGroup({ groupName: "readers" })
      assert.deepStrictEqual([...(yield* admin.queryTopicsByConsumer("readers"))], [])
      const asked = (yield* traffic.all).map(({ code }) => code)
      for (const code of unknown) assert.notInclude(asked, code)
    }).pipe(onCluster({ version: V4_3_2, topics: { orders: {} } }))
  )

  it.effect("claims that there is no message only when every broker has said so", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { faults } = yield* EmbeddedCluster
      const absent = yield* reasonOf(admin.queryMessageById("orders", "7F0000010000000000000000DEADBEEF"))
      assert.deepInclude(absent, { _tag: "MessageNotFound", brokers: ["broker-a", "broker-b"] })
      const properties = MessageProperties.encode({ UNIQ_KEY: "ID-1", KEYS: "k" })
      yield* store({ properties })
      yield* faults.add({
        match: { code: RequestCode.QUERY_MESSAGE, broker: "broker-b" },
        actions: [FaultScript.answer(1, "the index is broken")]
      })
      // What broker-b cannot say does not matter here, and does there.
      assert.strictEqual((yield* admin.queryMessageByKey("orders", "k")).length, 1)
      assert.strictEqual((yield* admin.queryMessageById("orders", "ID-1")).brokerName, "broker-a")
      assert.deepInclude(yield* reasonOf(admin.queryMessageByKey("orders", "nothing")), { _tag: "BrokerRejected" })
      assert.deepInclude(yield* reasonOf(admin.queryMessageById("orders", "ID-2")), { _tag: "BrokerRejected" })
    }).pipe(onCluster({ brokers: 2, topics: { orders: {} } }))
  )

  it.effect("sends nothing to the address inside an id that no broker of the topic has", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const network = yield* MemoryNetwork
      const id = encodeOffsetMessageId("10.9.8.7:10911", 0n) ?? ""
      assert.strictEqual((yield* reasonOf(admin.queryMessageById("orders", id)))._tag, "MessageNotFound")
      assert.strictEqual(yield* network.dials("10.9.8.7:10911"), 0)
    }).pipe(onCluster())
  )

  it.effect("says on which brokers a group was made, when the next one refuses", () =>
    Effect.gen(function* () {
      const admin = yield* MQAdmin
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({
        match: { code: RequestCode.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, broker: "broker-b" },
        actions: [FaultScript.answer(1, "no space")]
      })
      const error = yield* Effect.flip(admin.createSubscriptionGroup({ groupName: "readers" }))
      assert.deepStrictEqual(error.done, ["broker-a"])
      assert.match(explain(error).evidence.join("\n"), /could not create group readers[^]*done on broker-a already/)
    }).pipe(onCluster({ brokers: 2 }))
  )

  for (const version of [MQVersion.V4_9_7, MQVersion.V5_5_0]) {
    it.effect(`resets a group without skipping messages when that is not meant, on release ${version}`, () =>
      Effect.gen(function* () {
        const admin = yield* MQAdmin
        yield* store({ queueId: 0 })
        yield* store({ queueId: 0 })
        yield* admin.createSubscriptionGroup({ groupName: "readers" })
        yield* admin.updateConsumeOffset("readers", queue, 1)
        const reset = { group: "readers", topic: "orders", to: "latest", force: false } as const
        const offset = Effect.fnUntraced(function* (options: ResetOffsetOptions) {
          const said = offsetOf(yield* admin.resetOffsetByTimestamp(options))
          assert.strictEqual(yield* admin.fetchConsumeOffset("readers", queue), said)
          return said
        })
        assert.strictEqual(yield* offset(reset), 1)
        assert.strictEqual(yield* offset({ ...reset, force: true }), 2)
        assert.strictEqual(yield* offset({ ...reset, to: "earliest" }), 0)
      }).pipe(onCluster({ version, topics: { orders: {} } }))
    )
  }
})
