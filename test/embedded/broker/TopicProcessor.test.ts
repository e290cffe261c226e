import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import type { RemotingCommand } from "../../../src/protocol/RemotingCommand.ts"
import type { TopicConfig } from "../../../src/protocol/TopicConfig.ts"
import * as CreateTopicList from "../../../src/protocol/request/CreateTopicList.ts"
import * as GetTopicList from "../../../src/protocol/request/GetTopicList.ts"
import * as GetAllTopicConfig from "../../../src/protocol/request/GetAllTopicConfig.ts"
import { brokerAddress, orThrow, rawClient, utf8 } from "../support.ts"

const onCluster = Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} } }))
const onLegacyCluster = Effect.provide(
  EmbeddedCluster.layerMemory({ topics: { orders: {} }, version: MQVersion.V4_9_7 })
)

const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  return (request: Parameters<typeof client.call>[1]) => client.call(address, request)
})

const says = ({ code, remark }: RemotingCommand) => [code, remark]

const made = [0, "not set any response code"]

const create = (topic: string, over: Record<string, string> = {}) => ({
  code: 17,
  extFields: {
    topic,
    defaultTopic: "TBW102",
    readQueueNums: "2",
    writeQueueNums: "2",
    perm: "6",
    topicFilterType: "SINGLE_TAG",
    order: "false",
    ...over
  }
})

const config = (topicName: string, attributes: Record<string, string> = {}): TopicConfig => ({
  topicName,
  readQueueNums: 3,
  writeQueueNums: 3,
  perm: 6,
  topicFilterType: "SINGLE_TAG",
  topicSysFlag: 0,
  order: false,
  attributes
})

describe("topics of a broker", () => {
  it.effect("names that a topic cannot have, in the words of 5.5.0 and of 4.9.7", () =>
    Effect.gen(function* () {
      const call = yield* setup
      for (const [name, remark] of [
        ["", "The specified topic is blank."],
        ["bad name", "The specified topic: bad name, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"],
        ["x".repeat(128), `The specified topic: ${"x".repeat(128)}, is longer than topic max length: 127`],
        [
          `%DLQ%${"x".repeat(251)}`,
          `The specified topic is DLQ or Retry topic: %DLQ%${"x".repeat(251)}, and it's longer than topic max length: 255`
        ],
        ["TBW102", "The topic[TBW102] is conflict with system topic."],
        ["DefaultCluster", "The topic[DefaultCluster] is conflict with system topic."],
        ["broker-a", "The topic[broker-a] is conflict with system topic."],
        ["DefaultCluster_REPLY_TOPIC", "The topic[DefaultCluster_REPLY_TOPIC] is conflict with system topic."]
      ] as const) {
        assert.deepStrictEqual(says(yield* call(create(name))), [29, remark])
      }
      assert.deepStrictEqual(says(yield* call(create(`%RETRY%${"x".repeat(200)}`))), made)
      const remove = (topic: string) => Effect.map(call({ code: 215, extFields: { topic } }), says)
      assert.deepStrictEqual(yield* remove("bad name"), [0, undefined])
      assert.deepStrictEqual(yield* remove("DefaultCluster"), [
        29,
        "The topic[DefaultCluster] is conflict with system topic."
      ])
      assert.deepStrictEqual(says(yield* call({ code: 215, extFields: {} })), [29, "The specified topic is blank."])
    }).pipe(onCluster)
  )

  it.effect("4.9.7 says 1, and does not repeat the name", () =>
    Effect.gen(function* () {
      const call = yield* setup
      for (const [name, remark] of [
        ["", "The specified topic is blank."],
        ["bad name", "The specified topic contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"],
        ["x".repeat(128), "The specified topic is longer than topic max length."],
        [`%RETRY%${"x".repeat(200)}`, "The specified topic is longer than topic max length."],
        ["broker-a", "The topic[broker-a] is conflict with system topic."]
      ] as const) {
        assert.deepStrictEqual(says(yield* call(create(name))), [1, remark])
        assert.deepStrictEqual(says(yield* call({ code: 215, extFields: { topic: name } })), [1, remark])
      }
      assert.deepStrictEqual(says(yield* call(create("CHECKPOINT_TOPIC"))), made)
      // It knows no attributes.
      assert.deepStrictEqual(says(yield* call(create("made", { attributes: "+a=b" }))), made)
      assert.deepStrictEqual(says(yield* call(CreateTopicList.request({ topicConfigList: [config("listed")] }))), [
        3,
        " request type 18 not supported"
      ])
    }).pipe(onLegacyCluster)
  )

  it.effect("a slave of 4.9.7 changes nothing", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const cluster = yield* EmbeddedCluster
      const address = cluster.brokers.find(({ id }) => id === 1)?.address ?? ""
      const refused = [
        1,
        "Can't modify topic or subscription group from slave broker, please execute it from master broker."
      ]
      for (const request of [
        create("made"),
        { code: 215, extFields: { topic: "orders" } },
        { code: 200, extFields: undefined, body: utf8('{"groupName":"cg"}') },
        { code: 207, extFields: { groupName: "cg" } }
      ]) {
        assert.deepStrictEqual(says(yield* client.call(address, request)), refused)
      }
    }).pipe(
      Effect.provide(
        EmbeddedCluster.layerMemory({
          brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }],
          version: MQVersion.V4_9_7
        })
      )
    )
  )

  it.effect("filters and attributes that there are not", () =>
    Effect.gen(function* () {
      const call = yield* setup
      assert.deepStrictEqual(says(yield* call(create("made", { topicFilterType: "NOPE" }))), [
        1,
        "org.apache.rocketmq.remoting.exception.RemotingCommandException: topicFilterType = [NOPE] value invalid"
      ])
      const attributes = (text: string) => Effect.map(call(create("made", { attributes: text })), says)
      assert.deepStrictEqual(yield* attributes("-message.type"), [
        1,
        "only add attribute is supported while creating topic. key: message.type"
      ])
      assert.deepStrictEqual(yield* attributes("+queue.type=BatchCQ"), made)
      assert.deepStrictEqual(yield* attributes("+queue.type=SimpleCQ"), [
        1,
        "attempt to update an unchangeable attribute. key: queue.type"
      ])
      assert.deepStrictEqual(yield* attributes("message.type"), [1, "delete attribute format is wrong: message.type"])
    }).pipe(onCluster)
  )

  it.effect("A50: several at once, none of them when one is refused or is already so", () =>
    Effect.gen(function* () {
      const call = yield* setup
      const list = (...topicConfigList: ReadonlyArray<TopicConfig>) =>
        Effect.map(call(CreateTopicList.request({ topicConfigList })), says)
      const exists = (topic: string) => Effect.map(call({ code: 351, extFields: { topic } }), ({ code }) => code === 0)
      assert.deepStrictEqual(yield* list(config("la"), config("lb", { "+message.type": "FIFO" })), made)
      assert.isTrue(yield* exists("lb"))
      // Real brokers stop at the first topic that needs no change, before they change any.
      assert.deepStrictEqual(yield* list(config("lc"), config("la"), config("ld")), made)
      assert.isFalse(yield* exists("lc"))
      assert.strictEqual((yield* list(config("lc"), config("bad name")))[0], 29)
      assert.strictEqual((yield* list(config("lc"), config("TBW102")))[0], 29)
      assert.deepStrictEqual(yield* list(config("lc"), config("lm", { "+message.type": "MIXED" })), [
        29,
        "MIXED message type is not supported."
      ])
      assert.isFalse(yield* exists("lc"))
      // An attribute is only looked at when those in front are changed.
      assert.deepStrictEqual(yield* list(config("lc"), config("le", { "+nope": "x" })), [1, "unsupported key: nope"])
      assert.isTrue(yield* exists("lc"))
      const body = (text: string) => call({ code: 18, extFields: undefined, body: utf8(text) })
      assert.deepStrictEqual(says(yield* body('{"topicConfigList":[{"topicName":"plain"}]}')), made)
      const plain = yield* call({ code: 351, extFields: { topic: "plain" } })
      assert.match(Buffer.from(plain.body).toString(), /"perm":6,"readQueueNums":16,.*"writeQueueNums":16/)
      assert.deepStrictEqual(says(yield* body('{"topicConfigList":[{}]}')), [29, "The specified topic is blank."])
      assert.deepStrictEqual(says(yield* body('{"topicConfigList":[]}')), made)
      for (const wrong of ["", "{}", "xx"]) assert.strictEqual((yield* body(wrong)).code, 1)
    }).pipe(onCluster)
  )

  it.effect("all of them, by pages of one version of the table", () =>
    Effect.gen(function* () {
      const call = yield* setup
      const ask = (extFields: Record<string, string> = {}) => call({ code: 21, extFields })
      const all = yield* ask()
      const { dataVersion, topicConfigTable } = orThrow(GetAllTopicConfig.decodeResponse(all))
      const sorted = [...topicConfigTable.keys()].toSorted()
      assert.strictEqual(Number(all.extFields?.["totalTopicNum"]), sorted.length)
      const page = (extFields: Record<string, string>) =>
        Effect.map(ask(extFields), (answer) => {
          assert.strictEqual(Number(answer.extFields?.["totalTopicNum"]), sorted.length)
          return [...orThrow(GetAllTopicConfig.decodeResponse(answer)).topicConfigTable.keys()]
        })
      const version = JSON.stringify(dataVersion)
      assert.deepStrictEqual(yield* page({ topicSeq: "2", maxTopicNum: "3", dataVersion: version }), sorted.slice(2, 5))
      assert.deepStrictEqual(yield* page({ topicSeq: "9999", maxTopicNum: "3", dataVersion: version }), [])
      // Without the version of the page before, and with another one, it begins again.
      for (const other of ["null", "junk", '{"counter":99,"stateVersion":0,"timestamp":1}']) {
        assert.deepStrictEqual(yield* page({ topicSeq: "2", maxTopicNum: "3", dataVersion: other }), sorted.slice(0, 3))
      }
      assert.deepStrictEqual(yield* page({ topicSeq: "5" }), sorted)
      assert.deepStrictEqual(yield* page({ topicSeq: "x" }), [...topicConfigTable.keys()])
      const outside = (index: number) => [
        1,
        `java.lang.ArrayIndexOutOfBoundsException: Index ${index} out of bounds for length ${sorted.length}`
      ]
      assert.deepStrictEqual(says(yield* ask({ topicSeq: "0", maxTopicNum: "0" })), outside(-1))
      assert.deepStrictEqual(says(yield* ask({ topicSeq: "0", maxTopicNum: "-1" })), outside(-2))
      assert.deepStrictEqual(says(yield* ask({ topicSeq: "-3", maxTopicNum: "2", dataVersion: version })), outside(-3))
      assert.deepStrictEqual(says(yield* ask({ maxTopicNum: "2" })), [
        1,
        "java.lang.NullPointerException: topicSeq is null"
      ])
    }).pipe(onCluster)
  )

  for (const [layer, only5] of [
    [onCluster, true],
    [onLegacyCluster, false]
  ] as const) {
    it.effect(`those of the system, ${only5 ? "5.5.0" : "4.9.7"}`, () =>
      Effect.gen(function* () {
        const call = yield* setup
        const { topicList } = orThrow(GetTopicList.decodeResponse(yield* call({ code: 305, extFields: {} })))
        assert.strictEqual(new Set(topicList).size, topicList.length)
        for (const topic of [
          "TBW102",
          "SCHEDULE_TOPIC_XXXX",
          "TRANS_CHECK_MAX_TIME_TOPIC",
          "DefaultCluster",
          "broker-a"
        ]) {
          assert.include(topicList, topic)
        }
        for (const topic of ["CHECKPOINT_TOPIC", "rmq_sys_wheel_timer", "rmq_sys_REVIVE_LOG_DefaultCluster"]) {
          assert.strictEqual(topicList.includes(topic), only5, topic)
        }
        assert.notInclude(topicList, "orders")
      }).pipe(layer)
    )
  }

  it.effect("4.9.7 has no pages", () =>
    Effect.gen(function* () {
      const call = yield* setup
      const all = yield* call({ code: 21, extFields: {} })
      assert.isUndefined(all.extFields?.["totalTopicNum"])
      const page = yield* call({ code: 21, extFields: { topicSeq: "0", maxTopicNum: "0" } })
      assert.deepStrictEqual(page.body, all.body)
    }).pipe(onLegacyCluster)
  )
})
