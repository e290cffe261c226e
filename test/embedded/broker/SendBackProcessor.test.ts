import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import { MQVersion } from "../../../src/protocol/MQVersion.ts"
import * as MessageProperties from "../../../src/protocol/MessageProperties.ts"
import * as ConsumerSendMsgBack from "../../../src/protocol/request/ConsumerSendMsgBack.ts"
import * as SendMessage from "../../../src/protocol/request/SendMessage.ts"
import * as SubscriptionGroup from "../../../src/protocol/request/SubscriptionGroup.ts"
import { brokerAddress, orThrow, rawClient, sendRequest, textOf } from "../support.ts"

const onCluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = {}) =>
  Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} }, ...options }))

/** A consumer of group `cg` that sends back what lies at an offset of the log. */
const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  const send = Effect.map(
    client.call(
      address,
      sendRequest({ queueId: 1, properties: MessageProperties.encode({ UNIQ_KEY: "U", TAGS: "t" }) })
    ),
    (answer) => orThrow(SendMessage.decodeResponse(answer))
  )
  return {
    client,
    address,
    send,
    back: (offset: number, over: Partial<ConsumerSendMsgBack.ConsumerSendMsgBackHeader> = {}) =>
      client.call(
        address,
        ConsumerSendMsgBack.request({
          offset,
          group: "cg",
          delayLevel: 0,
          originMsgId: "U",
          originTopic: "orders",
          ...over
        })
      )
  }
})

const offsetOf = (msgId: string): number => Number(BigInt(`0x${msgId.slice(-16)}`))

describe("messages sent back", () => {
  it.effect("come again from the retry topic, later each time, and at last lie with the dead letters", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { back, send } = yield* setup
      const first = yield* send
      let offset = offsetOf(first.msgId)
      for (const [times, delay] of [10_000, 30_000, 60_000].entries()) {
        const before = (yield* cluster.messages("%RETRY%cg")).length
        assert.strictEqual((yield* back(offset, { maxReconsumeTimes: 3 })).code, 0)
        yield* TestClock.adjust(delay - 1)
        assert.strictEqual((yield* cluster.messages("%RETRY%cg")).length, before)
        yield* TestClock.adjust(1)
        const again = (yield* cluster.messages("%RETRY%cg")).at(-1)
        assert.deepInclude(again, { queueId: 0, reconsumeTimes: times + 1 })
        assert.deepStrictEqual(
          { ...again?.properties },
          {
            UNIQ_KEY: "U",
            TAGS: "t",
            MSG_REGION: "DefaultRegion",
            CLUSTER: "DefaultCluster",
            TRACE_ON: "true",
            RETRY_TOPIC: "orders",
            WAIT: "false",
            DELAY: String(3 + times),
            ORIGIN_MESSAGE_ID: first.msgId,
            REAL_TOPIC: "%RETRY%cg",
            REAL_QID: "0"
          }
        )
        offset = again?.commitLogOffset ?? -1
      }
      assert.strictEqual((yield* back(offset, { maxReconsumeTimes: 3 })).code, 0)
      const [dead] = yield* cluster.messages("%DLQ%cg")
      assert.deepInclude(dead, { queueId: 0, reconsumeTimes: 4 })
      assert.deepInclude({ ...dead?.properties }, { DELAY: "0", RETRY_TOPIC: "orders", ORIGIN_MESSAGE_ID: first.msgId })
      assert.deepStrictEqual(yield* cluster.delayedMessages, [])
    }).pipe(onCluster())
  )

  it.effect("wait at the level they ask for, or go to the dead letters at once", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { back, send } = yield* setup
      const offset = offsetOf((yield* send).msgId)
      yield* back(offset, { delayLevel: 1 })
      yield* back(offset, { delayLevel: -1 })
      assert.strictEqual((yield* cluster.messages("%DLQ%cg")).length, 1)
      assert.deepStrictEqual(
        (yield* cluster.delayedMessages).map(({ deliverAt, message }) => [deliverAt, textOf(message.body)]),
        [[1_000, "hello"]]
      )
    }).pipe(onCluster())
  )

  it.effect("a client before 3.4.9 does not say how often a message may come again", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { address, send } = yield* setup
      const offset = offsetOf((yield* send).msgId)
      for (const [version, dead] of [
        [MQVersion.V3_4_9 - 1, 0],
        [MQVersion.V3_4_9, 1]
      ] as const) {
        const client = yield* rawClient(version)
        const header = { offset, group: "cg", delayLevel: 1, maxReconsumeTimes: 0 }
        assert.strictEqual((yield* client.call(address, ConsumerSendMsgBack.request(header))).code, 0)
        assert.strictEqual((yield* cluster.messages("%DLQ%cg")).length, dead)
      }
    }).pipe(onCluster())
  )

  it.effect("are refused in the words of a real broker", () =>
    Effect.gen(function* () {
      const { address, back, client, send } = yield* setup
      const offset = offsetOf((yield* send).msgId)
      assert.deepInclude(yield* back(7), { code: 1, remark: "look message by offset failed, 7" })
      assert.deepInclude(yield* back(offset, { group: "a b" }), {
        code: 26,
        remark:
          "subscription group not exist, a b \nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details."
      })
      const config = SubscriptionGroup.makeConfig({ groupName: "none", retryQueueNums: 0 })
      yield* client.call(address, SubscriptionGroup.request({ operation: "update", config }))
      assert.strictEqual((yield* back(offset, { group: "none" })).code, 0)
      const cluster = yield* EmbeddedCluster
      assert.deepStrictEqual(yield* cluster.delayedMessages, [])
    }).pipe(onCluster())
  )
})
