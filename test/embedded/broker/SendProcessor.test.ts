import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Schema } from "effect"
import { Arbitraries, EmbeddedCluster } from "../../../src/testing/index.ts"
import * as MessageCodec from "../../../src/protocol/MessageCodec.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import {
  brokerAddress,
  messagesOf,
  orThrow,
  pullRequest,
  rawClient,
  sendHeader,
  sendRequest,
  textOf,
  utf8
} from "../support.ts"

const onCluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = { topics: { orders: {} } }) =>
  Effect.provide(EmbeddedCluster.layerMemory(options))

/** Sends and gives code and remark. */
const outcome = Effect.fnUntraced(function* (...send: Parameters<typeof sendRequest>) {
  const client = yield* rawClient()
  const { code, extFields, remark } = yield* client.call(yield* brokerAddress(), sendRequest(...send))
  return { code, remark, extFields }
})

describe("send", () => {
  it.effect("answers as a real broker and adds its properties", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const answer = yield* client.call(
        address,
        sendRequest({ queueId: 2, properties: MessageProperties.encode({ UNIQ_KEY: "U1", KEYS: "k" }), flag: 7 })
      )
      assert.strictEqual(answer.code, 0)
      assert.strictEqual(answer.language, "JAVA")
      assert.strictEqual(answer.version, 513)
      const sent = orThrow(SendMessage.decodeResponse(answer))
      assert.deepInclude(sent, {
        queueId: 2,
        queueOffset: 0,
        transactionId: "U1",
        regionId: "DefaultRegion",
        traceOn: true
      })
      assert.match(sent.msgId, /^7F000001[0-9A-F]{24}$/)
      const [stored] = yield* Effect.flatMap(EmbeddedCluster, (cluster) => cluster.messages("orders"))
      assert.deepStrictEqual(
        { ...stored?.properties },
        {
          UNIQ_KEY: "U1",
          KEYS: "k",
          MSG_REGION: "DefaultRegion",
          CLUSTER: "DefaultCluster",
          TRACE_ON: "true"
        }
      )
      assert.strictEqual(stored?.flag, 7)
      assert.strictEqual(stored?.bornTimestamp, 1_700_000_000_000)
      assert.strictEqual(stored?.storeHost, address)
    }).pipe(onCluster())
  )

  it.effect("serves the old form and gives a unique id to a message without one", () =>
    Effect.gen(function* () {
      const { code, extFields } = yield* outcome({ properties: undefined }, utf8("x"), "V1")
      assert.strictEqual(code, 0)
      assert.match(extFields?.["transactionId"] ?? "", /^[0-9A-F]{32}$/)
    }).pipe(onCluster())
  )

  it.effect("refuses in the words of a real broker", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const refusal = Effect.fnUntraced(function* (...send: Parameters<typeof sendRequest>) {
        const answer = yield* client.call(address, sendRequest(...send))
        assert.deepStrictEqual(answer.extFields, { MSG_REGION: "DefaultRegion", TRACE_ON: "true" })
        return [answer.code, answer.remark] as const
      })
      assert.deepStrictEqual(yield* refusal({ topic: "" }), [29, "The specified topic is blank."])
      assert.deepStrictEqual(yield* refusal({ topic: "a b" }), [
        29,
        "The specified topic: a b, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
      ])
      const long = "t".repeat(128)
      assert.deepStrictEqual(yield* refusal({ topic: long }), [
        29,
        `The specified topic: ${long}, is longer than topic max length: 127`
      ])
      assert.deepStrictEqual(yield* refusal({ topic: "SCHEDULE_TOPIC_XXXX" }), [
        16,
        "Sending message to topic[SCHEDULE_TOPIC_XXXX] is forbidden."
      ])
      assert.deepStrictEqual(yield* refusal({ topic: "new", defaultTopic: "nope" }), [
        17,
        "topic[new] not exist, apply first please!\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
      ])
      const [code, remark] = yield* refusal({ queueId: 99 })
      assert.strictEqual(code, 29)
      assert.match(
        remark ?? "",
        /^request queueId\[99\] is illegal, TopicConfig \[topicName=orders, readQueueNums=4, writeQueueNums=4, perm=RW-, .*\] Producer: /
      )
      const tooLarge =
        "the message is illegal, maybe msg body or properties length not matched. msg body length limit 4194304B, msg properties length limit 32KB."
      assert.deepStrictEqual(yield* refusal({}, new Uint8Array(4_194_305)), [13, tooLarge])
      assert.deepStrictEqual(
        yield* refusal({ properties: MessageProperties.encode({ UNIQ_KEY: "U", big: "x".repeat(32_767) }) }),
        [13, tooLarge]
      )
      assert.deepStrictEqual((yield* refusal({}, new Uint8Array(0)))[0], 1)
      assert.deepStrictEqual((yield* refusal({ topic: "%RETRY%no such group" }))[0], 29)
      assert.deepStrictEqual(yield* Effect.flatMap(EmbeddedCluster, (cluster) => cluster.messages("orders")), [])
    }).pipe(onCluster())
  )

  it.effect("says which field is missing", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const answer = yield* client.call(yield* brokerAddress(), { code: 310, extFields: { a: "pg" }, body: utf8("x") })
      assert.strictEqual(answer.code, 1)
      assert.include(answer.remark ?? "", "<b> is null")
    }).pipe(onCluster())
  )

  it.effect("creates a missing topic by the rules of TBW102", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const create = (topic: string, queues: number) =>
        client.call(address, sendRequest({ topic, defaultTopicQueueNums: queues, queueId: -1 }))
      assert.strictEqual((yield* create("four", 4)).code, 0)
      assert.strictEqual((yield* create("many", 100)).code, 0)
      const queues = cluster.brokers.map((broker) => broker.name)
      assert.deepStrictEqual(queues, ["broker-a"])
      const configs = yield* Effect.map(client.call(address, { code: 21, extFields: {} }), (answer) =>
        textOf(answer.body)
      )
      assert.match(configs, /"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"four"/)
      assert.match(configs, /"perm":6,"readQueueNums":8,"topicFilterType":"SINGLE_TAG","topicName":"many"/)
    }).pipe(onCluster({}))
  )

  it.effect("creates nothing when auto-creation is off", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* outcome({ topic: "new" })).code, 17)
    }).pipe(onCluster({ autoCreateTopicEnable: false }))
  )

  it.effect("answers as 4.9.7 when it speaks as that release", () =>
    Effect.gen(function* () {
      const { code, extFields } = yield* outcome()
      assert.strictEqual(code, 0)
      assert.isUndefined(extFields?.["transactionId"])
      assert.strictEqual((yield* outcome({ queueId: 99 })).code, 1)
      assert.strictEqual((yield* outcome({}, new Uint8Array(0))).code, 0)
    }).pipe(onCluster({ version: 407, topics: { orders: {} } }))
  )

  it.effect("sheds load when it is busy, and a slave stores nothing", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      yield* cluster.setBusy("broker-a", true)
      assert.deepInclude(yield* outcome(), {
        code: 2,
        remark: "[REJECTREQUEST]system busy, start flow control for a while"
      })
      yield* cluster.setBusy("broker-a", false)
      assert.strictEqual((yield* outcome()).code, 0)
      const slave = cluster.brokers.find((broker) => broker.id === 1)
      const client = yield* rawClient()
      assert.strictEqual((yield* client.call(slave?.address ?? "", sendRequest())).code, 14)
      assert.strictEqual(messagesOf(yield* client.call(slave?.address ?? "", pullRequest())).length, 1)
    }).pipe(onCluster({ brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }], topics: { orders: {} } }))
  )

  it.effect("splits a batch: each part has its offset, the answer has all ids and the first offset", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      yield* client.call(address, sendRequest())
      const parts = ["a", "b", "c"].map((text, flag) => ({
        flag,
        body: utf8(text),
        properties: MessageProperties.encode({ UNIQ_KEY: `U${text}`, TAGS: text })
      }))
      const header = sendHeader({ properties: MessageProperties.encode({ UNIQ_KEY: "BATCH", WAIT: "true" }) })
      const answer = yield* client.call(address, SendMessage.request(header, MessageCodec.encodeBatch(parts), "BATCH"))
      const sent = orThrow(SendMessage.decodeResponse(answer))
      assert.deepInclude(sent, { queueOffset: 1, transactionId: "BATCH" })
      assert.strictEqual(sent.msgId.split(",").length, 3)
      const messages = messagesOf(yield* client.call(address, pullRequest({ queueOffset: 1 })))
      assert.deepStrictEqual(
        messages.map(({ body, flag, properties, queueOffset }) => [textOf(body), flag, queueOffset, { ...properties }]),
        [
          ["a", 0, 1, { UNIQ_KEY: "Ua", TAGS: "a" }],
          ["b", 1, 2, { UNIQ_KEY: "Ub", TAGS: "b" }],
          ["c", 2, 3, { UNIQ_KEY: "Uc", TAGS: "c" }]
        ]
      )
      const retry = yield* client.call(
        address,
        SendMessage.request({ ...header, topic: "%RETRY%cg" }, MessageCodec.encodeBatch(parts), "BATCH")
      )
      assert.deepInclude(retry, { code: 13, remark: "batch request does not support retry group %RETRY%cg" })
    }).pipe(onCluster())
  )

  it.effect("sends what was tried often enough to the dead letters", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      yield* outcome({ topic: "%RETRY%cg", reconsumeTimes: 16 })
      yield* outcome({ topic: "%RETRY%cg", reconsumeTimes: 3, maxReconsumeTimes: 3 })
      const tooOften = yield* outcome({
        topic: "%RETRY%cg",
        reconsumeTimes: 17,
        properties: MessageProperties.encode({ UNIQ_KEY: "U", DELAY: "3" })
      })
      assert.strictEqual(tooOften.code, 0)
      yield* outcome({ topic: "%RETRY%cg", reconsumeTimes: 4, maxReconsumeTimes: 3 })
      assert.strictEqual((yield* cluster.messages("%RETRY%cg")).length, 2)
      const dead = yield* cluster.messages("%DLQ%cg")
      assert.deepStrictEqual(
        dead.map(({ properties }) => properties["DELAY"]),
        ["-1", "-1"]
      )
      assert.deepStrictEqual(yield* cluster.delayedMessages, [])
    }).pipe(onCluster())
  )

  it.effect("4.9.7 counts the times one earlier", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      yield* outcome({ topic: "%RETRY%cg", reconsumeTimes: 15 })
      yield* outcome({ topic: "%RETRY%cg", reconsumeTimes: 16 })
      assert.strictEqual((yield* cluster.messages("%RETRY%cg")).length, 1)
      assert.strictEqual((yield* cluster.messages("%DLQ%cg")).length, 1)
    }).pipe(onCluster({ version: 407 }))
  )

  const someSends = Arbitrary.array(
    Arbitrary.all({
      message: Arbitraries.message,
      queueId: Arbitrary.schema(Schema.Literals([0, 1, 2, 3]))
    }),
    { minLength: 1, maxLength: 12 }
  )

  it.effect.prop(
    "what was acked is read at its broker, queue and offset with the same body and properties",
    { sends: someSends },
    ({ sends }) =>
      Effect.gen(function* () {
        const client = yield* rawClient()
        const address = yield* brokerAddress()
        const ends = new Map<number, number>()
        for (const { message, queueId } of sends) {
          const properties = {
            ...message.properties,
            UNIQ_KEY: "U",
            ...(message.tags === undefined ? {} : { TAGS: message.tags })
          }
          const sent = orThrow(
            SendMessage.decodeResponse(
              yield* client.call(
                address,
                sendRequest(
                  { queueId, flag: message.flag ?? 0, properties: MessageProperties.encode(properties) },
                  message.body
                )
              )
            )
          )
          assert.strictEqual(sent.queueOffset, ends.get(queueId) ?? 0)
          ends.set(queueId, sent.queueOffset + 1)
          const [read] = messagesOf(
            yield* client.call(address, pullRequest({ queueId, queueOffset: sent.queueOffset, maxMsgNums: 1 }))
          )
          assert.deepStrictEqual(read?.body, message.body)
          assert.strictEqual(read?.flag, message.flag ?? 0)
          assert.strictEqual(read?.queueOffset, sent.queueOffset)
          assert.deepInclude({ ...read?.properties }, properties)
        }
      }).pipe(onCluster()),
    { arbitrary: { runs: 40 } }
  )
})
