import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import * as CreateTopic from "../../../src/protocol/request/CreateTopic.ts"
import type { CreateTopicHeader } from "../../../src/protocol/request/CreateTopic.ts"
import * as DeleteTopic from "../../../src/protocol/request/DeleteTopic.ts"
import * as GetBrokerRuntimeInfo from "../../../src/protocol/request/GetBrokerRuntimeInfo.ts"
import * as GetConsumeStats from "../../../src/protocol/request/GetConsumeStats.ts"
import * as GetTopicConfig from "../../../src/protocol/request/GetTopicConfig.ts"
import * as GetTopicStats from "../../../src/protocol/request/GetTopicStats.ts"
import * as QueryMessage from "../../../src/protocol/request/QueryMessage.ts"
import * as SearchOffsetByTimestamp from "../../../src/protocol/request/SearchOffsetByTimestamp.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import * as SubscriptionGroup from "../../../src/protocol/request/SubscriptionGroup.ts"
import * as UpdateConsumerOffset from "../../../src/protocol/request/UpdateConsumerOffset.ts"
import * as ViewBrokerStatsData from "../../../src/protocol/request/ViewBrokerStatsData.ts"
import * as ViewMessageById from "../../../src/protocol/request/ViewMessageById.ts"
import {
  brokerAddress,
  messagesOf,
  namesrvAddress,
  orThrow,
  pullRequest,
  rawClient,
  sendRequest,
  textOf,
  utf8
} from "../support.ts"

const onCluster = Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))
const onLegacyCluster = Effect.provide(
  EmbeddedCluster.layerMemory({ topics: { orders: {} }, version: MQVersion.V4_9_7 })
)

const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  return {
    call: (request: Parameters<typeof client.call>[1]) => client.call(address, request),
    address,
    send: (text: string, properties: Record<string, string> = {}) =>
      Effect.map(
        client.call(
          address,
          sendRequest({ properties: MessageProperties.encode({ UNIQ_KEY: text, ...properties }) }, utf8(text))
        ),
        (answer) => orThrow(SendMessage.decodeResponse(answer))
      )
  }
})

const offsetOf = ({ code, extFields, remark }: RemotingCommand) =>
  code === 0 ? Number(extFields?.["offset"] ?? extFields?.["timestamp"]) : [code, remark]

const queueFields = { topic: "orders", queueId: "0" }

const topicHeader = (over: Partial<CreateTopicHeader> = {}): CreateTopicHeader => ({
  topic: "made",
  defaultTopic: "TBW102",
  readQueueNums: 2,
  writeQueueNums: 3,
  perm: 6,
  topicFilterType: "SINGLE_TAG",
  order: false,
  ...over
})

describe("broker", () => {
  it.effect("offsets of a queue: min, max, by time, earliest", () =>
    Effect.gen(function* () {
      const { call, send } = yield* setup
      const cluster = yield* EmbeddedCluster
      const ask = (code: number, more: Record<string, string> = {}) =>
        Effect.map(call({ code, extFields: { ...queueFields, ...more } }), offsetOf)
      assert.deepStrictEqual([yield* ask(30), yield* ask(31), yield* ask(32)], [0, 0, -1])
      for (const text of ["a", "b", "c"]) {
        yield* send(text)
        yield* TestClock.adjust(1_000)
      }
      assert.deepStrictEqual([yield* ask(30), yield* ask(31), yield* ask(32)], [3, 0, 0])
      const search = (timestamp: number, boundaryType?: "LOWER" | "UPPER") =>
        Effect.map(
          call(SearchOffsetByTimestamp.request({ topic: "orders", queueId: 0, timestamp, boundaryType })),
          offsetOf
        )
      assert.deepStrictEqual([yield* search(0), yield* search(1), yield* search(9_999)], [0, 1, 3])
      assert.deepStrictEqual([yield* search(1_500, "UPPER"), yield* search(9_999, "UPPER")], [1, 2])
      // Any other word is LOWER, and case does not count.
      for (const [boundaryType, offset] of [
        ["upper", 2],
        ["x", 3]
      ] as const) {
        assert.strictEqual(yield* ask(29, { timestamp: "9999", boundaryType }), offset)
      }
      assert.strictEqual((yield* call({ code: 31, extFields: queueFields })).remark, "")
      cluster.brokers[0]?.store.trim("orders", 0, 2)
      assert.deepStrictEqual([yield* ask(31), yield* ask(32)], [2, 2_000])
      assert.deepStrictEqual(yield* ask(30, { topic: "nope" }), 0)
    }).pipe(onCluster)
  )

  it.effect("before 5.0 a time is that of the message whose time is nearest", () =>
    Effect.gen(function* () {
      const { call, send } = yield* setup
      const search = (timestamp: number, boundaryType?: "LOWER" | "UPPER") =>
        Effect.map(
          call(SearchOffsetByTimestamp.request({ topic: "orders", queueId: 0, timestamp, boundaryType })),
          offsetOf
        )
      assert.deepStrictEqual(yield* search(1_000), 0)
      for (const text of ["a", "b", "c", "d"]) {
        yield* TestClock.adjust(1_000)
        yield* send(text)
      }
      const times = [-1, 0, 1_000, 1_500, 1_501, 2_000, 2_499, 2_501, 3_999, 4_000, 9_999, Number.MAX_SAFE_INTEGER]
      const found: Array<unknown> = []
      for (const time of times) found.push(yield* search(time, "UPPER"))
      assert.deepStrictEqual(found, [0, 0, 0, 0, 1, 1, 1, 2, 3, 3, 3, 3])
    }).pipe(onLegacyCluster)
  )

  it.effect("offsets of a group, and why there is none", () =>
    Effect.gen(function* () {
      const { call, send } = yield* setup
      const cluster = yield* EmbeddedCluster
      const query = (more: Record<string, string> = {}) =>
        Effect.map(call({ code: 14, extFields: { consumerGroup: "cg", ...queueFields, ...more } }), offsetOf)
      const bootFirst = [22, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"]
      // A queue without a message, and a topic that is not there.
      assert.deepStrictEqual(yield* query(), bootFirst)
      assert.deepStrictEqual(yield* query({ topic: "nope" }), bootFirst)
      assert.deepStrictEqual(yield* query({ setZeroIfNotFound: "false" }), [
        22,
        "Not found, do not set to zero, maybe this group boot first"
      ])
      const commit = (consumerGroup: string, topic: string) =>
        Effect.map(
          call(UpdateConsumerOffset.request({ consumerGroup, topic, queueId: 0, commitOffset: 5 })),
          ({ code, remark }) => [code, remark]
        )
      assert.deepStrictEqual(yield* commit("cg", "orders"), [26, "Group cg not exist!"])
      yield* call(SubscriptionGroup.request({ operation: "get", group: "cg" }))
      assert.deepStrictEqual(yield* commit("cg", "nope"), [17, "Topic nope not exist!"])
      assert.deepStrictEqual(yield* commit("cg", "orders"), [0, undefined])
      assert.deepStrictEqual(yield* query(), 5)
      yield* send("a")
      yield* send("b")
      // While the queue has its first message, who never committed begins with it.
      assert.deepStrictEqual(yield* query({ consumerGroup: "late" }), 0)
      assert.deepStrictEqual(yield* query({ consumerGroup: "late", setZeroIfNotFound: "true" }), 0)
      cluster.brokers[0]?.store.trim("orders", 0, 1)
      assert.deepStrictEqual(yield* query({ consumerGroup: "late" }), bootFirst)
      const stats = orThrow(
        GetConsumeStats.decodeResponse(yield* call(GetConsumeStats.request({ consumerGroup: "cg", topic: "orders" })))
      )
      assert.deepStrictEqual(stats.offsetTable[0], [
        { brokerName: "broker-a", queueId: 0, topic: "orders" },
        { brokerOffset: 2, consumerOffset: 5, lastTimestamp: 0, pullOffset: 5 }
      ])
      const none = orThrow(
        GetConsumeStats.decodeResponse(yield* call(GetConsumeStats.request({ consumerGroup: "nobody" })))
      )
      assert.deepStrictEqual(none.offsetTable, [])
    }).pipe(onCluster)
  )

  it.effect("offsets of a group as 4.9.7 has them: 0 for an empty queue, and a commit for any group and topic", () =>
    Effect.gen(function* () {
      const { call, send } = yield* setup
      const cluster = yield* EmbeddedCluster
      const query = (more: Record<string, string> = {}) =>
        Effect.map(call({ code: 14, extFields: { consumerGroup: "cg", ...queueFields, ...more } }), offsetOf)
      assert.deepStrictEqual(yield* query(), 0)
      assert.deepStrictEqual(yield* query({ topic: "nope" }), 0)
      assert.deepStrictEqual(yield* query({ setZeroIfNotFound: "false" }), 0)
      const queue = { consumerGroup: "nobody", topic: "nope", queueId: 9 }
      assert.strictEqual((yield* call(UpdateConsumerOffset.request({ ...queue, commitOffset: 5 }))).code, 0)
      assert.deepStrictEqual(yield* query({ consumerGroup: "nobody", topic: "nope", queueId: "9" }), 5)
      yield* send("a")
      yield* send("b")
      cluster.brokers[0]?.store.trim("orders", 0, 1)
      assert.deepStrictEqual(yield* query(), [22, "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first"])
    }).pipe(onLegacyCluster)
  )

  it.effect("finds messages by the broker's id and by key", () =>
    Effect.gen(function* () {
      const { call, send } = yield* setup
      const sent = yield* send("a", { KEYS: "k1 k2", TAGS: "t" })
      yield* TestClock.adjust(1_000)
      yield* send("b", { KEYS: "k2" })
      const offset = Number.parseInt(sent.msgId.slice(16), 16)
      const viewed = orThrow(ViewMessageById.decodeResponse(yield* call(ViewMessageById.request({ offset }))))
      assert.strictEqual(textOf(viewed.body), "a")
      assert.deepInclude(yield* call(ViewMessageById.request({ offset: 1 })), {
        code: 1,
        remark: "can not find message by the offset, 1"
      })
      const query = Effect.fnUntraced(function* (
        key: string,
        over: Partial<Parameters<typeof QueryMessage.request>[0]> = {}
      ) {
        const answer = yield* call(
          QueryMessage.request({
            topic: "orders",
            key,
            maxNum: 10,
            beginTimestamp: 0n,
            endTimestamp: 9_223_372_036_854_775_807n,
            ...over
          })
        )
        return answer.code === 0 ? messagesOf(answer).map(({ body }) => textOf(body)) : [answer.code, answer.remark]
      })
      assert.deepStrictEqual(yield* query("k2"), ["b", "a"])
      assert.deepStrictEqual(yield* query("k2", { maxNum: 1 }), ["b"])
      assert.deepStrictEqual(yield* query("k2", { endTimestamp: 500n }), ["a"])
      assert.deepStrictEqual(yield* query("a", { uniqueKeyQuery: true }), ["a"])
      assert.deepStrictEqual(yield* query("t", { indexType: "T" }), ["a"])
      assert.deepStrictEqual(yield* query("k1", { uniqueKeyQuery: true }), [
        22,
        "can not find message, maybe time range not correct"
      ])
    }).pipe(onCluster)
  )

  it.effect("creates, changes and deletes topics", () =>
    Effect.gen(function* () {
      const { call, send } = yield* setup
      const create = (over: Partial<CreateTopicHeader> = {}) =>
        Effect.map(call(CreateTopic.request(topicHeader(over))), ({ code, remark }) => [code, remark])
      assert.deepStrictEqual(yield* create({ attributes: "+message.type=FIFO" }), [0, "not set any response code"])
      const config = Effect.flatMap(call(GetTopicConfig.request({ topic: "made" })), (answer) =>
        Effect.sync(() => (answer.code === 0 ? orThrow(GetTopicConfig.decodeResponse(answer)) : answer.remark))
      )
      assert.deepStrictEqual(yield* config, {
        topicName: "made",
        readQueueNums: 2,
        writeQueueNums: 3,
        perm: 6,
        topicFilterType: "SINGLE_TAG",
        topicSysFlag: 0,
        order: false,
        attributes: { "message.type": "FIFO" }
      })
      yield* create({ perm: 4, attributes: "-message.type" })
      assert.deepInclude(yield* config, { perm: 4, attributes: {} })
      assert.deepStrictEqual(yield* create({ topic: "bad name" }), [
        29,
        "The specified topic: bad name, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
      ])
      assert.deepStrictEqual(yield* create({ topic: "TBW102" }), [
        29,
        "The topic[TBW102] is conflict with system topic."
      ])
      assert.deepStrictEqual(yield* create({ attributes: "+message.type=MIXED" }), [
        29,
        "MIXED message type is not supported."
      ])
      const missing = yield* call({ code: 17, extFields: { topic: "x" } })
      assert.strictEqual(missing.code, 1)
      const remove = (topic: string) =>
        Effect.map(call(DeleteTopic.request({ topic }, "broker")), ({ code, remark }) => [code, remark])
      assert.deepStrictEqual(yield* remove("made"), [0, undefined])
      assert.deepStrictEqual(yield* config, "No topic in this broker. topic: made")
      assert.deepStrictEqual(yield* remove("made"), [0, undefined])
      assert.deepStrictEqual(yield* remove("TBW102"), [29, "The topic[TBW102] is conflict with system topic."])
      yield* send("a")
      yield* remove("orders")
      assert.deepStrictEqual(offsetOf(yield* call({ code: 30, extFields: queueFields })), 0)
    }).pipe(onCluster)
  )

  it.effect("counts nothing over time, and says whether there was ever anything to count", () =>
    Effect.gen(function* () {
      const { call, send } = yield* setup
      const count = (statsName: string, statsKey: string) =>
        Effect.map(call(ViewBrokerStatsData.request({ statsName, statsKey })), (answer) =>
          answer.code === 0 ? orThrow(ViewBrokerStatsData.decodeResponse(answer)).statsDay.sum : answer.remark
        )
      assert.strictEqual(yield* count("TOPIC_PUT_NUMS", "orders"), "The stats <TOPIC_PUT_NUMS> <orders> not exist")
      yield* send("a")
      assert.strictEqual(yield* count("TOPIC_PUT_NUMS", "orders"), 0)
      assert.strictEqual(yield* count("NOPE", "orders"), "The stats <NOPE> <orders> not exist")
      const group = ["GROUP_GET_NUMS", "orders@cg"] as const
      assert.strictEqual(yield* count(...group), "The stats <GROUP_GET_NUMS> <orders@cg> not exist")
      yield* call(SubscriptionGroup.request({ operation: "get", group: "cg" }))
      const offset = { consumerGroup: "cg", topic: "orders", queueId: 0, commitOffset: 1 }
      assert.strictEqual((yield* call(UpdateConsumerOffset.request(offset))).code, 0)
      assert.strictEqual(yield* count(...group), 0)
    }).pipe(onCluster)
  )

  it.effect("4.9.7 points to where its questions were answered", () =>
    Effect.gen(function* () {
      const { address, call } = yield* setup
      const client = yield* rawClient()
      const namesrv = yield* namesrvAddress
      const faq = "\nSee http://rocketmq.apache.org/docs/faq/ for further details."
      assert.deepInclude(yield* client.call(namesrv, { code: 105, extFields: { topic: "nope" } }), {
        code: 17,
        remark: `No topic route info in name server for the topic: nope${faq}`
      })
      assert.deepInclude(yield* client.call(address, sendRequest({ topic: "nope", defaultTopic: "none" })), {
        code: 17,
        remark: `topic[nope] not exist, apply first please!${faq}`
      })
      assert.deepInclude(yield* call(pullRequest({ topic: "nope" })), {
        code: 17,
        remark: `topic[nope] not exist, apply first please! ${faq}`
      })
      assert.deepInclude(yield* call(pullRequest({ sysFlag: 0 })), {
        code: 24,
        remark: `the consumer's group info not exist${faq}`
      })
    }).pipe(onLegacyCluster)
  )

  it.effect("keeps consumer groups", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      const update = (groupName: string) =>
        Effect.map(
          call(
            SubscriptionGroup.request({
              operation: "update",
              config: SubscriptionGroup.makeConfig({ groupName, retryMaxTimes: 3 })
            })
          ),
          ({ code, remark }) => [code, remark]
        )
      assert.deepStrictEqual(yield* update("cg"), [0, undefined])
      const long = "g".repeat(121)
      assert.deepStrictEqual(yield* update(long), [
        29,
        `The specified group: ${long}, is longer than group max length: 120`
      ])
      assert.strictEqual((yield* update("a b"))[0], 29)
      const get = (group: string) => call(SubscriptionGroup.request({ operation: "get", group }))
      assert.deepInclude(orThrow(SubscriptionGroup.decodeResponse(yield* get("cg"))), {
        groupName: "cg",
        retryMaxTimes: 3
      })
      assert.deepInclude(orThrow(SubscriptionGroup.decodeResponse(yield* get("asked"))), { retryMaxTimes: 16 })
      const groups = Effect.map(call(SubscriptionGroup.request({ operation: "list" })), (answer) => [
        ...orThrow(SubscriptionGroup.decodeListResponse(answer)).subscriptionGroupTable.keys()
      ])
      assert.includeMembers(yield* groups, ["cg", "asked", "TOOLS_CONSUMER"])
      const remove = SubscriptionGroup.request({ operation: "delete", groupName: "cg", cleanOffset: true })
      assert.strictEqual((yield* call(remove)).code, 0)
      assert.strictEqual((yield* call(remove)).code, 0)
      assert.notInclude(yield* groups, "cg")
    }).pipe(onCluster)
  )

  it.effect("statistics, settings and counters", () =>
    Effect.gen(function* () {
      const { call, send } = yield* setup
      yield* TestClock.adjust(5_000)
      yield* send("a")
      const stats = orThrow(GetTopicStats.decodeResponse(yield* call(GetTopicStats.request({ topic: "orders" }))))
      assert.strictEqual(stats.offsetTable.length, 4)
      assert.deepStrictEqual(stats.offsetTable[0], [
        { brokerName: "broker-a", queueId: 0, topic: "orders" },
        { minOffset: 0, maxOffset: 1, lastUpdateTimestamp: 5_000 }
      ])
      assert.deepInclude(yield* call(GetTopicStats.request({ topic: "nope" })), {
        code: 17,
        remark: "topic[nope] not exist"
      })
      const info = orThrow(GetBrokerRuntimeInfo.decodeResponse(yield* call(GetBrokerRuntimeInfo.request()))).table
      assert.strictEqual(info.get("brokerVersionDesc"), "V5_5_0")
      assert.strictEqual(info.get("msgPutTotalTodayNow"), "1")
      assert.strictEqual(info.get("runtime"), "[ 0 days, 0 hours, 0 minutes, 5 seconds ]")
      const config = yield* call({ code: 26, extFields: undefined })
      assert.match(textOf(config.body), /^brokerName=broker-a$/m)
      assert.match(config.extFields?.["version"] ?? "", /^\{"counter":/)
    }).pipe(onCluster)
  )

  it.effect("answers what it does not serve with 3", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      for (const code of [361_000, 200_073, 9_999]) {
        assert.deepInclude(yield* call({ code, extFields: {} }), {
          code: 3,
          remark: ` request type ${code} not supported`
        })
      }
    }).pipe(onCluster)
  )
})
