import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as MessageCodec from "../../../src/protocol/MessageCodec.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as GetConsumerConnectionList from "../../../src/protocol/request/GetConsumerConnectionList.ts"
import * as GetConsumeStats from "../../../src/protocol/request/GetConsumeStats.ts"
import * as PullMessage from "../../../src/protocol/request/PullMessage.ts"
import * as QueryConsumerOffset from "../../../src/protocol/request/QueryConsumerOffset.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import * as UpdateConsumerOffset from "../../../src/protocol/request/UpdateConsumerOffset.ts"
import type { EmbeddedClusterOptions } from "../../../src/testing/index.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import {
  brokerAddress,
  consumerHeartbeat,
  messagesOf,
  orThrow,
  pullRequest,
  rawClient,
  sendHeader,
  sendRequest,
  utf8
} from "../support.ts"

const onCluster = (options: EmbeddedClusterOptions = {}) =>
  Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} }, ...options }))

const MAX_LONG = 9_223_372_036_854_775_807n

const bornAt = (answer: Parameters<typeof messagesOf>[0]) =>
  MessageCodec.decodeExact(answer.body).messages.map((message) => message.bornTimestamp)

const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  return { call: (request: Parameters<typeof client.call>[1]) => client.call(address, request) }
})

/** What the Go client sends: the version of a subscription in nanoseconds, and the hashes of its tags as texts. */
const goHeartbeat = (subVersion: bigint) => ({
  code: RequestCode.HEART_BEAT,
  extFields: undefined,
  body: utf8(
    `{"clientID":"go@1","producerDataSet":[],"consumerDataSet":[{"groupName":"cg","consumeType":"CONSUME_PASSIVELY",` +
      `"messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_FIRST_OFFSET","unitMode":false,"subscriptionDataSet":` +
      `[{"ClassFilterMode":false,"topic":"orders","subString":"red || green","tagsSet":["red","green"],` +
      `"codeSet":["${MessageCodec.javaHashCode("red")}","${MessageCodec.javaHashCode("green")}"],` +
      `"subVersion":${subVersion},"expressionType":"TAG"}]}]}`
  )
})

describe("numbers of clients of other kinds", () => {
  it.effect(
    "A40: a Go consumer's version in nanoseconds and its hashes in texts are taken, and kept without loss",
    () =>
      Effect.gen(function* () {
        const { call } = yield* setup
        const version = 1_785_492_345_678_901_234n
        assert.strictEqual((yield* call(goHeartbeat(version))).code, 0)
        const { subscriptionTable } = orThrow(
          GetConsumerConnectionList.decodeResponse(
            yield* call(GetConsumerConnectionList.request({ consumerGroup: "cg" }))
          )
        )
        assert.deepInclude(subscriptionTable?.get("orders"), {
          subVersion: version,
          codeSet: [MessageCodec.javaHashCode("red"), MessageCodec.javaHashCode("green")]
        })
        for (const tag of ["red", "blue", "green"]) {
          yield* call(sendRequest({ properties: `TAGS\u0001${tag}\u0002UNIQ_KEY\u0001${tag}\u0002` }, utf8(tag)))
        }
        const pull = (subVersion: bigint) => call(pullRequest({ sysFlag: 0, subVersion }))
        assert.deepStrictEqual(
          messagesOf(yield* pull(version)).map(({ properties }) => properties["TAGS"]),
          ["red", "green"]
        )
        // One nanosecond later the broker has not heard of yet, and one heartbeat of before changes nothing.
        assert.strictEqual((yield* pull(version + 1n)).code, 25)
        yield* call(goHeartbeat(version - 1n))
        assert.strictEqual((yield* pull(version)).code, 0)
        yield* call(goHeartbeat(version + 1n))
        assert.strictEqual((yield* pull(version + 1n)).code, 0)
        // A client that counts in milliseconds is behind.
        yield* call(consumerHeartbeat("java@1", "cg", ["orders"]))
        assert.strictEqual((yield* pull(version + 1n)).code, 0)
      }).pipe(onCluster())
  )

  for (const [release, version] of [
    ["5.5.0", MQVersion.V5_5_0],
    ["4.9.7", MQVersion.V4_9_7]
  ] as const) {
    it.effect(`A41: any 64-bit int is committed and given back as ${release} does, and a pull from there is told`, () =>
      Effect.gen(function* () {
        const { call } = yield* setup
        yield* call(sendRequest())
        yield* call(consumerHeartbeat("c", "cg", ["orders"]))
        const queue = { consumerGroup: "cg", topic: "orders", queueId: 0 }
        const commit = (commitOffset: number | bigint) => call(UpdateConsumerOffset.request({ ...queue, commitOffset }))
        const committed = Effect.map(call(QueryConsumerOffset.request(queue)), (answer) =>
          orThrow(QueryConsumerOffset.decodeResponse(answer))
        )
        for (const offset of [0, 1, 7, 2 ** 53 - 1, 2n ** 53n + 1n, MAX_LONG]) {
          assert.strictEqual((yield* commit(offset)).code, 0)
          assert.deepStrictEqual(yield* committed, { offset })
        }
        const pull = yield* call(pullRequest({ queueOffset: MAX_LONG }))
        assert.deepInclude(pull, { code: 21, remark: "OFFSET_OVERFLOW_BADLY" })
        assert.strictEqual(orThrow(PullMessage.decodeResponse(pull)).nextBeginOffset, 1)
        const stats = orThrow(
          GetConsumeStats.decodeResponse(yield* call(GetConsumeStats.request({ consumerGroup: "cg", topic: "orders" })))
        )
        assert.deepInclude(stats.offsetTable[0]?.[1], { brokerOffset: 1, consumerOffset: MAX_LONG, lastTimestamp: 0 })
        // A negative one reads as none: the queue's first message is there, so the group begins with it.
        for (const offset of [-1, -MAX_LONG - 1n]) {
          yield* commit(offset)
          assert.deepStrictEqual(yield* committed, { offset: 0 })
        }
      }).pipe(onCluster({ version }))
    )

    it.effect(`A42: a time of birth in nanoseconds is stored by ${release} to the last digit, wherever it goes`, () =>
      Effect.gen(function* () {
        const { call } = yield* setup
        const bornTimestamp = 1_785_492_345_678_901_234n
        yield* call(sendRequest({ bornTimestamp }))
        yield* call(sendRequest({ bornTimestamp, properties: "DELAY\u00011\u0002" }))
        const first = yield* call(pullRequest())
        assert.deepStrictEqual(bornAt(first), [bornTimestamp])
        // A reader gets what a number can hold of it, and no error.
        assert.deepStrictEqual(
          messagesOf(first).map((message) => message.bornTimestamp),
          [Number(bornTimestamp)]
        )
        // Put aside, and sent back: each is another message made from the first.
        const waiting = yield* call(pullRequest({ topic: "SCHEDULE_TOPIC_XXXX" }))
        assert.deepStrictEqual(bornAt(waiting), [bornTimestamp])
        yield* call({
          code: RequestCode.CONSUMER_SEND_MSG_BACK,
          extFields: { offset: "0", group: "cg", delayLevel: "-1" }
        })
        assert.deepStrictEqual(bornAt(yield* call(pullRequest({ topic: "%DLQ%cg" }))), [bornTimestamp])
      }).pipe(onCluster({ version }))
    )
  }

  it.effect("A43: a number in a header is what Java reads; what it cannot read is refused, or counts as absent", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      const { extFields } = SendMessage.request(sendHeader(), utf8("x"), "V2")
      const { extFields: longNames } = SendMessage.request(sendHeader(), utf8("x"), "V1")
      const send = (over: Record<string, string>) =>
        call({ code: RequestCode.SEND_MESSAGE_V2, extFields: { ...extFields, ...over }, body: utf8("x") })
      for (const text of ["+0", "-0", "00", "\uff10", "0".repeat(40)]) {
        for (const field of ["e", "f", "h", "j"]) assert.strictEqual((yield* send({ [field]: text })).code, 0, text)
      }
      for (const text of ["", " 1", "1 ", "1.0", "0x1", "1e3", "null", "2147483648", "-2147483649"]) {
        for (const field of ["d", "e", "f", "h", "j", "l"]) {
          const answer = yield* send({ [field]: text })
          assert.strictEqual(answer.code, 1, text)
          assert.include(answer.remark ?? "", `java.lang.NumberFormatException: the custom field <${field}>`)
          assert.include(answer.remark ?? "", `For input string: "${text}"`)
        }
        // The form with long names is read field by field, and one that cannot be read is as if it were not there.
        for (const field of ["defaultTopicQueueNums", "reconsumeTimes", "maxReconsumeTimes"]) {
          const sent = { ...longNames, maxReconsumeTimes: "3", [field]: text }
          const answer = yield* call({ code: RequestCode.SEND_MESSAGE, extFields: sent, body: utf8("x") })
          assert.strictEqual(answer.code, 0, `${field} ${text}`)
        }
      }
      const commit = (over: Record<string, string>) =>
        call({
          code: RequestCode.UPDATE_CONSUMER_OFFSET,
          extFields: { consumerGroup: "TOOLS_CONSUMER", topic: "orders", queueId: "0", commitOffset: "1", ...over }
        })
      assert.deepInclude(yield* commit({ queueId: "" }), { code: 29, remark: "QueueId is null, topic is orders" })
      assert.deepInclude(yield* commit({ commitOffset: "1 " }), { code: 29, remark: "Offset is null, topic is orders" })
      const end = (commitOrRollback: string) =>
        call({
          code: RequestCode.END_TRANSACTION,
          extFields: {
            producerGroup: "pg",
            tranStateTableOffset: "0",
            commitLogOffset: "9",
            commitOrRollback,
            msgId: "m"
          }
        })
      assert.deepInclude(yield* end("7"), {
        code: 1,
        remark: "org.apache.rocketmq.remoting.exception.RemotingCommandException: commitOrRollback field wrong"
      })
    }).pipe(onCluster())
  )
})
