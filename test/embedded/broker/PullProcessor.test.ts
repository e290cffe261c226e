import { assert, describe, it } from "@effect/vitest"
import { Arbitrary, Effect, Fiber, Schema } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import type { EmbeddedClusterOptions } from "../../../src/testing/index.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import { ResponseCode } from "../../../src/protocol/ResponseCode.ts"
import * as HeartBeat from "../../../src/protocol/request/HeartBeat.ts"
import type { PullMessageHeader } from "../../../src/protocol/request/PullMessage.ts"
import * as PullMessage from "../../../src/protocol/request/PullMessage.ts"
import * as SubscriptionGroup from "../../../src/protocol/request/SubscriptionGroup.ts"
import {
  brokerAddress,
  consumerHeartbeat,
  messagesOf,
  orThrow,
  pullRequest,
  rawClient,
  sendRequest,
  textOf,
  utf8
} from "../support.ts"

const onCluster = (options: EmbeddedClusterOptions = { topics: { orders: {} } }) =>
  Effect.provide(EmbeddedCluster.layerMemory(options))

const { COMMIT_OFFSET, LITE_PULL, SUBSCRIPTION, SUSPEND } = PullMessage.PullSysFlag

/** A client, the broker's address, and a function that sends and one that pulls. */
const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  return {
    client,
    address,
    send: (text: string, tags?: string, queueId = 0) =>
      client.call(
        address,
        sendRequest(
          {
            queueId,
            properties: MessageProperties.encode({ UNIQ_KEY: text, ...(tags === undefined ? {} : { TAGS: tags }) })
          },
          utf8(text)
        )
      ),
    pull: (over: Partial<PullMessageHeader> = {}, timeoutMillis?: number) =>
      client.call(address, pullRequest(over), timeoutMillis)
  }
})

describe("pull", () => {
  it.effect("has a code and a remark for every place of the offset", () =>
    Effect.gen(function* () {
      const { pull, send } = yield* setup
      const cluster = yield* EmbeddedCluster
      const at = Effect.fnUntraced(function* (queueOffset: number) {
        const answer = yield* pull({ queueOffset })
        const { maxOffset, minOffset, nextBeginOffset } = orThrow(PullMessage.decodeResponse(answer))
        return [answer.code, answer.remark, minOffset, maxOffset, nextBeginOffset]
      })
      assert.deepStrictEqual(yield* at(0), [19, "NO_MESSAGE_IN_QUEUE", 0, 0, 0])
      assert.deepStrictEqual(yield* at(5), [21, "NO_MESSAGE_IN_QUEUE", 0, 0, 0])
      for (const text of ["a", "b", "c"]) yield* send(text)
      cluster.brokers[0]?.store.trim("orders", 0, 1)
      assert.deepStrictEqual(yield* at(0), [21, "OFFSET_TOO_SMALL", 1, 3, 1])
      assert.deepStrictEqual(yield* at(1), [0, "FOUND", 1, 3, 3])
      assert.deepStrictEqual(yield* at(3), [19, "OFFSET_OVERFLOW_ONE", 1, 3, 3])
      assert.deepStrictEqual(yield* at(4), [21, "OFFSET_OVERFLOW_BADLY", 1, 3, 3])
      const answer = yield* pull({ queueOffset: 1 })
      assert.deepStrictEqual(answer.extFields, {
        suggestWhichBrokerId: "0",
        nextBeginOffset: "3",
        minOffset: "1",
        maxOffset: "3",
        topicSysFlag: "0",
        groupSysFlag: "0"
      })
    }).pipe(onCluster())
  )

  it.effect("filters by tag and says where to go on", () =>
    Effect.gen(function* () {
      const { pull, send } = yield* setup
      for (const [text, tag] of [
        ["1", "A"],
        ["2", "B"],
        ["3", undefined],
        ["4", "A"]
      ] as const)
        yield* send(text, tag)
      const found = (subscription: string, queueOffset = 0) =>
        Effect.map(pull({ subscription, queueOffset }), (answer) => [
          answer.code,
          answer.extFields?.["nextBeginOffset"],
          ...messagesOf(answer).map((message) => textOf(message.body))
        ])
      assert.deepStrictEqual(yield* found("A"), [0, "4", "1", "4"])
      assert.deepStrictEqual(yield* found(" A || B "), [0, "4", "1", "2", "4"])
      assert.deepStrictEqual(yield* found("*"), [0, "4", "1", "2", "3", "4"])
      assert.deepStrictEqual(yield* found("C"), [20, "4"])
      assert.deepStrictEqual(yield* found("B", 2), [20, "4"])
      assert.deepInclude(yield* pull({ subscription: "||" }), {
        code: 23,
        remark: "parse the consumer's subscription failed"
      })
      assert.deepInclude(yield* pull({ subscription: "a > 1", expressionType: "SQL92" }), {
        code: 1,
        remark: "The broker does not support consumer to filter message by SQL92"
      })
    }).pipe(onCluster())
  )

  it.effect("filters by SQL92 where the broker may", () =>
    Effect.gen(function* () {
      const { address, client, pull } = yield* setup
      for (const [text, own] of [
        ["1", { a: "1" }],
        ["2", { a: "2", b: "x" }],
        ["3", { TAGS: "A" }],
        ["4", { a: "four" }]
      ] as const) {
        const properties = MessageProperties.encode({ UNIQ_KEY: text, ...own })
        yield* client.call(address, sendRequest({ queueId: 0, properties }, utf8(text)))
      }
      const found = (over: Partial<PullMessageHeader>) =>
        Effect.map(pull({ expressionType: "SQL92", ...over }), (answer) => [
          answer.code,
          answer.extFields?.["nextBeginOffset"],
          ...messagesOf(answer).map((message) => textOf(message.body))
        ])
      assert.deepStrictEqual(yield* found({ subscription: "a > 1" }), [0, "4", "2"])
      assert.deepStrictEqual(yield* found({ subscription: "a IS NULL OR b = 'x'" }), [0, "4", "2", "3"])
      assert.deepStrictEqual(yield* found({ subscription: "TAGS = 'A'", queueOffset: 1 }), [0, "4", "3"])
      assert.deepStrictEqual(yield* found({ subscription: "__proto__ IS NOT NULL OR toString = 1" }), [20, "4"])
      assert.deepStrictEqual(yield* found({ subscription: "a > 9" }), [20, "4"])
      // A real broker filters by nothing where a pull brings what cannot be read; the check at the start is for that.
      assert.deepStrictEqual(yield* found({ subscription: "a >" }), [0, "4", "1", "2", "3", "4"])
      assert.deepInclude(yield* pull({ subscription: "", expressionType: "SQL92" }), {
        code: 23,
        remark: "parse the consumer's subscription failed"
      })
      const heartbeat = (sql: string, subVersion: number) =>
        client.call(address, consumerHeartbeat("c1", "cg", ["orders"], undefined, { sql, subVersion }))
      const ofGroup = { sysFlag: 0, subVersion: 1 }
      yield* heartbeat("a > 1", 1)
      assert.deepStrictEqual(yield* found(ofGroup), [0, "4", "2"])
      yield* heartbeat("a > 0", 2)
      assert.deepStrictEqual(yield* found(ofGroup), [0, "4", "1", "2"])
      yield* heartbeat("a >", 3)
      assert.deepInclude(yield* pull(ofGroup), {
        code: 27,
        remark: "The broker's consumer filter data is not exist!Your expression may be wrong!"
      })
    }).pipe(
      onCluster({ topics: { orders: {} }, brokers: [{ name: "broker-a", config: { enablePropertyFilter: true } }] })
    )
  )

  it.effect("a held pull ends with a message that its SQL92 filter lets pass", () =>
    Effect.gen(function* () {
      const { address, client, pull } = yield* setup
      const put = (a: string) =>
        client.call(address, sendRequest({ properties: MessageProperties.encode({ UNIQ_KEY: a, a }) }, utf8(a)))
      const held = yield* Effect.forkChild(
        pull(
          {
            sysFlag: SUBSCRIPTION | SUSPEND,
            suspendTimeoutMillis: 15_000,
            subscription: "a = 5",
            expressionType: "SQL92"
          },
          20_000
        ),
        { startImmediately: true }
      )
      yield* put("1")
      yield* put("5")
      const answer = yield* Fiber.join(held)
      assert.deepStrictEqual(
        messagesOf(answer).map((message) => textOf(message.body)),
        ["5"]
      )
    }).pipe(
      onCluster({ topics: { orders: {} }, brokers: [{ name: "broker-a", config: { enablePropertyFilter: true } }] })
    )
  )

  it.effect("refuses in the words of a real broker", () =>
    Effect.gen(function* () {
      const { client, address, pull } = yield* setup
      const cluster = yield* EmbeddedCluster
      const refused = (over: Partial<PullMessageHeader>) =>
        Effect.map(pull(over), ({ code, remark }) => [code, remark?.split("\n")[0]])
      assert.deepStrictEqual(yield* refused({ topic: "nope" }), [17, "topic[nope] not exist, apply first please! "])
      const [code, remark] = yield* refused({ queueId: 4 })
      assert.strictEqual(code, 29)
      assert.match(
        String(remark),
        /^queueId\[4\] is illegal, topic:\[orders\] topicConfig.readQueueNums:\[4\] consumer:\[.+\]$/
      )
      assert.deepStrictEqual(yield* refused({ queueId: -1 }).pipe(Effect.map(([first]) => first)), 29)
      assert.deepStrictEqual(yield* refused({ sysFlag: 0 }), [24, "the consumer's group info not exist"])
      yield* client.call(address, consumerHeartbeat("client-1", "cg", ["other"]))
      assert.deepStrictEqual(yield* refused({ sysFlag: 0 }), [24, "the consumer's subscription not exist"])
      assert.deepStrictEqual(yield* refused({ sysFlag: 0, topic: "other", subVersion: 8 }), [
        17,
        "topic[other] not exist, apply first please! "
      ])
      yield* cluster.createTopic("other")
      assert.deepStrictEqual(yield* refused({ sysFlag: 0, topic: "other", subVersion: 8 }), [
        25,
        "the consumer's subscription not latest"
      ])
      assert.deepStrictEqual((yield* refused({ sysFlag: 0, topic: "other", subVersion: 7 }))[0], 19)
      yield* cluster.setPermission("orders", 2)
      assert.deepStrictEqual(yield* refused({}), [16, "the topic[orders] pulling message is forbidden"])
      const config = SubscriptionGroup.makeConfig({ groupName: "off", consumeEnable: false })
      yield* client.call(address, SubscriptionGroup.request({ operation: "update", config }))
      assert.deepStrictEqual(yield* refused({ consumerGroup: "off" }), [16, "subscription group no permission, off"])
    }).pipe(onCluster())
  )

  it.effect("refuses what the broker is configured not to serve", () =>
    Effect.gen(function* () {
      const { pull } = yield* setup
      assert.deepInclude(yield* pull({ consumerGroup: "new" }), { code: ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST })
      assert.deepInclude(yield* pull({ sysFlag: SUBSCRIPTION | LITE_PULL }), {
        code: 16,
        remark: "the broker[127.0.0.1] for lite pull consumer is forbidden"
      })
    }).pipe(
      onCluster({
        brokers: [{ name: "broker-a", config: { autoCreateSubscriptionGroup: false, litePullMessageEnable: false } }],
        topics: { orders: {} }
      })
    )
  )

  it.effect("uses the subscription of the group's heartbeat", () =>
    Effect.gen(function* () {
      const { address, client, pull, send } = yield* setup
      yield* send("1", "A")
      yield* send("2", "B")
      yield* client.call(address, consumerHeartbeat("client-1", "cg", ["orders"], "B"))
      const answer = yield* pull({ sysFlag: 0, subVersion: 7 })
      assert.deepStrictEqual(
        messagesOf(answer).map((message) => textOf(message.body)),
        ["2"]
      )
      const beat = yield* client.call(address, consumerHeartbeat("client-1", "cg", ["orders"], "B"))
      assert.deepStrictEqual(orThrow(HeartBeat.decodeResponse(beat)), { isSupportHeartBeatV2: true, isSubChange: true })
    }).pipe(onCluster())
  )

  it.effect("stores the offset a pull carries", () =>
    Effect.gen(function* () {
      const { address, client, pull, send } = yield* setup
      yield* send("1")
      yield* pull({ sysFlag: SUBSCRIPTION, commitOffset: 1 })
      const query = {
        code: 14,
        extFields: { consumerGroup: "cg", topic: "orders", queueId: "0", setZeroIfNotFound: "false" }
      }
      assert.strictEqual((yield* client.call(address, query)).code, 22)
      yield* pull({ sysFlag: SUBSCRIPTION | COMMIT_OFFSET, commitOffset: 1 })
      assert.deepInclude(yield* client.call(address, query), { code: 0, extFields: { offset: "1" } })
    }).pipe(onCluster())
  )

  const suspended = { sysFlag: SUBSCRIPTION | SUSPEND, suspendTimeoutMillis: 15_000 }

  it.effect("holds a pull until a message arrives, and later requests are not held up", () =>
    Effect.gen(function* () {
      const { pull, send } = yield* setup
      const held = yield* Effect.forkChild(pull(suspended, 30_000), { startImmediately: true })
      yield* TestClock.adjust(10_000)
      assert.strictEqual((yield* pull()).code, 19)
      assert.isUndefined(held.pollUnsafe())
      yield* send("other queue", undefined, 1)
      yield* TestClock.adjust(1)
      assert.isUndefined(held.pollUnsafe())
      yield* send("here")
      const answer = yield* Fiber.join(held)
      assert.strictEqual(answer.code, 0)
      assert.deepStrictEqual(
        messagesOf(answer).map((message) => textOf(message.body)),
        ["here"]
      )
    }).pipe(onCluster())
  )

  it.effect("answers a held pull exactly when its time is over", () =>
    Effect.gen(function* () {
      const { pull } = yield* setup
      const held = yield* Effect.forkChild(pull(suspended, 30_000), { startImmediately: true })
      yield* TestClock.adjust(14_999)
      assert.isUndefined(held.pollUnsafe())
      yield* TestClock.adjust(1)
      const answer = yield* Fiber.join(held)
      assert.deepInclude(answer, { code: 19, remark: "NO_MESSAGE_IN_QUEUE" })
    }).pipe(onCluster())
  )

  it.effect("wakes a held pull only for a message that passes its filter", () =>
    Effect.gen(function* () {
      const { pull, send } = yield* setup
      yield* send("first", "B")
      const held = yield* Effect.forkChild(pull({ ...suspended, queueOffset: 1, subscription: "A" }, 30_000), {
        startImmediately: true
      })
      yield* TestClock.adjust(1)
      yield* send("second", "B")
      yield* TestClock.adjust(1)
      assert.isUndefined(held.pollUnsafe())
      yield* send("third", "A")
      const answer = yield* Fiber.join(held)
      assert.deepStrictEqual(
        messagesOf(answer).map((message) => textOf(message.body)),
        ["third"]
      )
      assert.strictEqual(answer.extFields?.["nextBeginOffset"], "3")
    }).pipe(onCluster())
  )

  it.effect("holds only shortly when long polling is off", () =>
    Effect.gen(function* () {
      const { pull } = yield* setup
      const held = yield* Effect.forkChild(pull(suspended, 30_000), { startImmediately: true })
      yield* TestClock.adjust(1_000)
      assert.strictEqual((yield* Fiber.join(held)).code, 19)
    }).pipe(
      onCluster({ brokers: [{ name: "broker-a", config: { longPollingEnable: false } }], topics: { orders: {} } })
    )
  )

  it.effect("a stopped broker lets go of the pulls it holds", () =>
    Effect.gen(function* () {
      const { pull } = yield* setup
      const cluster = yield* EmbeddedCluster
      const held = yield* Effect.forkChild(Effect.flip(pull(suspended, 30_000)), { startImmediately: true })
      yield* TestClock.adjust(1)
      yield* cluster.stopBroker("broker-a")
      assert.strictEqual((yield* Fiber.join(held))._tag, "ConnectionClosed")
    }).pipe(onCluster())
  )

  const page = Arbitrary.all({
    count: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 90 }))),
    maxMsgNums: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 50 }))),
    maxMsgBytes: Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 4_000 })))
  })

  it.effect.prop(
    "pull after pull returns every message exactly once, in order, within the limits",
    { page },
    ({ page: { count, maxMsgBytes, maxMsgNums } }) =>
      Effect.gen(function* () {
        const { pull, send } = yield* setup
        const texts = Array.from({ length: count }, (_, i) => "x".repeat(i % 40) + i)
        for (const text of texts) yield* send(text)
        const read: Array<string> = []
        let queueOffset = 0
        for (;;) {
          const answer = yield* pull({ queueOffset, maxMsgNums, maxMsgBytes })
          if (answer.code === 19) break
          const messages = messagesOf(answer)
          assert.isAtMost(messages.length, Math.min(maxMsgNums, 32))
          assert.isAbove(messages.length, 0)
          // A broker does not look at `maxMsgBytes`: its own limits are all there is.
          if (messages.length > 1) assert.isAtMost(answer.body.length, 262_144)
          if (read.length + messages.length < texts.length) {
            assert.strictEqual(messages.length, Math.min(maxMsgNums, 32))
          }
          read.push(...messages.map((message) => textOf(message.body)))
          queueOffset = Number(answer.extFields?.["nextBeginOffset"])
        }
        assert.deepStrictEqual(read, texts)
      }).pipe(onCluster()),
    { arbitrary: { runs: 20 } }
  )
})
