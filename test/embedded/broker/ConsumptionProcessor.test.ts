import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as ResetConsumerClientOffset from "../../../src/protocol/push/ResetConsumerClientOffset.ts"
import * as GetAllProducerInfo from "../../../src/protocol/request/GetAllProducerInfo.ts"
import * as GetBrokerConsumeStats from "../../../src/protocol/request/GetBrokerConsumeStats.ts"
import * as PullMessage from "../../../src/protocol/request/PullMessage.ts"
import * as QueryConsumerOffset from "../../../src/protocol/request/QueryConsumerOffset.ts"
import * as QueryConsumeTimeSpan from "../../../src/protocol/request/QueryConsumeTimeSpan.ts"
import * as QuerySubscriptionByConsumer from "../../../src/protocol/request/QuerySubscriptionByConsumer.ts"
import * as QueryTopicConsumeByWho from "../../../src/protocol/request/QueryTopicConsumeByWho.ts"
import * as QueryTopicsByConsumer from "../../../src/protocol/request/QueryTopicsByConsumer.ts"
import * as ResetOffset from "../../../src/protocol/request/ResetOffset.ts"
import * as UpdateConsumerOffset from "../../../src/protocol/request/UpdateConsumerOffset.ts"
import {
  brokerAddress,
  consumerHeartbeat,
  orThrow,
  producerHeartbeat,
  pullRequest,
  rawClient,
  sendRequest
} from "../support.ts"

const topics = { orders: { readQueueNums: 2, writeQueueNums: 2 }, steps: { order: true } }

const onCluster = (options: Parameters<typeof EmbeddedCluster.layerMemory>[0] = {}) =>
  Effect.provide(EmbeddedCluster.layerMemory({ topics, ...options }))

/** Three messages in queue 0, a second apart, of which group `cg` has read one. */
const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  for (let index = 0; index < 3; index++) {
    yield* TestClock.adjust("1 second")
    yield* client.call(address, sendRequest())
  }
  yield* client.call(address, consumerHeartbeat("consumer", "cg", ["orders"], "red"))
  const commit = (commitOffset: number) =>
    client.call(
      address,
      UpdateConsumerOffset.request({ consumerGroup: "cg", topic: "orders", queueId: 0, commitOffset })
    )
  yield* commit(1)
  return {
    address,
    client,
    commit,
    call: (request: Parameters<typeof client.call>[1]) => client.call(address, request)
  }
})

const queueOf = (queueId: number) => ({ topic: "orders", brokerName: "broker-a", queueId })

const reset = (over: Partial<ResetOffset.ResetOffsetHeader> = {}) =>
  ResetOffset.request({ topic: "orders", group: "cg", timestamp: 2_000, isForce: true, ...over })

describe("who consumes what", () => {
  it.effect("groups of a topic, topics and subscription of a group", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      yield* call(consumerHeartbeat("other", "idle", ["orders"]))
      const groups = orThrow(
        QueryTopicConsumeByWho.decodeResponse(yield* call(QueryTopicConsumeByWho.request({ topic: "orders" })))
      )
      assert.sameMembers([...groups.groupList], ["cg", "idle"])
      const read = orThrow(
        QueryTopicsByConsumer.decodeResponse(yield* call(QueryTopicsByConsumer.request({ group: "cg" })))
      )
      assert.deepStrictEqual(read, { topicList: ["orders"], brokerAddr: yield* brokerAddress() })
      const wanted = orThrow(
        QuerySubscriptionByConsumer.decodeResponse(
          yield* call(QuerySubscriptionByConsumer.request({ group: "cg", topic: "orders" }))
        )
      )
      assert.deepInclude(wanted.subscriptionData, { topic: "orders", subString: "red" })
      const none = orThrow(
        QuerySubscriptionByConsumer.decodeResponse(
          yield* call(QuerySubscriptionByConsumer.request({ group: "gone", topic: "orders" }))
        )
      )
      assert.deepStrictEqual(none, { group: "gone", topic: "orders" })
    }).pipe(onCluster())
  )

  it.effect("how far in time", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      const spans = orThrow(
        QueryConsumeTimeSpan.decodeResponse(yield* call(QueryConsumeTimeSpan.request({ topic: "orders", group: "cg" })))
      ).consumeTimeSpanSet
      assert.deepStrictEqual(spans, [
        {
          messageQueue: queueOf(0),
          minTimeStamp: 1_000,
          maxTimeStamp: 3_000,
          consumeTimeStamp: 1_000,
          delayTime: 1_000
        },
        // Nobody committed an offset of it: a real broker counts from a millisecond before the epoch.
        { messageQueue: queueOf(1), minTimeStamp: -1, maxTimeStamp: -1, consumeTimeStamp: -1, delayTime: 3_001 }
      ])
      assert.deepInclude(yield* call(QueryConsumeTimeSpan.request({ topic: "nowhere", group: "cg" })), {
        code: 17,
        remark: "topic[nowhere] not exist"
      })
    }).pipe(onCluster())
  )

  it.effect("the backlog of the broker, and of its ordered topics alone", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      const statistics = (isOrder: boolean) =>
        Effect.map(call(GetBrokerConsumeStats.request({ isOrder })), (answer) =>
          orThrow(GetBrokerConsumeStats.decodeResponse(answer))
        )
      const all = yield* statistics(false)
      assert.strictEqual(all.totalDiff, 2)
      const mine = all.consumeStatsList.find((groups) => groups.has("cg"))?.get("cg")
      assert.deepStrictEqual(
        mine?.flatMap(({ offsetTable }) =>
          offsetTable.map(([queue, { brokerOffset, consumerOffset }]) => [queue.queueId, brokerOffset, consumerOffset])
        ),
        [
          [0, 3, 1],
          [1, 0, 0]
        ]
      )
      assert.strictEqual((yield* statistics(true)).totalDiff, 0)
    }).pipe(onCluster())
  )

  it.effect("the producers", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      yield* call(producerHeartbeat("p1", "pg"))
      const { data } = orThrow(GetAllProducerInfo.decodeResponse(yield* call(GetAllProducerInfo.request())))
      assert.deepStrictEqual([...data.keys()], ["pg"])
      const [producer] = data.get("pg") ?? []
      assert.deepInclude(producer, { clientId: "p1", language: "OTHER", version: 513, lastUpdateTimestamp: 3_000 })
      // With the slash that Java puts in front of an address.
      assert.match(producer?.remoteIP ?? "", /^\/127\.0\.0\.1:\d+$/)
    }).pipe(onCluster())
  )
})

describe("reset of offsets", () => {
  it.effect("is told to the next pull of each queue, and what was committed before is out of date", () =>
    Effect.gen(function* () {
      const { call, commit } = yield* setup
      const { offsetTable } = orThrow(ResetOffset.decodeResponse(yield* call(reset())))
      assert.deepStrictEqual(
        offsetTable.map(([queue, offset]) => [queue.queueId, offset]),
        [
          [0, 1],
          [1, 0]
        ]
      )
      assert.deepInclude(yield* commit(3), { code: 0, remark: "Offset has been previously reset" })
      const query = call(QueryConsumerOffset.request({ consumerGroup: "cg", topic: "orders", queueId: 0 }))
      assert.deepStrictEqual(orThrow(QueryConsumerOffset.decodeResponse(yield* query)), { offset: 1 })
      const pull = call(pullRequest({ queueOffset: 3 }))
      const told = yield* pull
      assert.deepInclude(told, { code: 21, remark: "OFFSET_RESET" })
      assert.deepInclude(orThrow(PullMessage.decodeResponse(told)), { nextBeginOffset: 1, minOffset: 0, maxOffset: 3 })
      assert.strictEqual((yield* pull).code, 19)
      assert.deepInclude(yield* commit(3), { code: 0, remark: undefined })
    }).pipe(onCluster())
  )

  it.effect("to one queue, to an offset, to the end; and why not", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      const offsets = (over: Partial<ResetOffset.ResetOffsetHeader>) =>
        Effect.map(call(reset(over)), (answer) =>
          orThrow(ResetOffset.decodeResponse(answer)).offsetTable.map(([queue, offset]) => [queue.queueId, offset])
        )
      assert.deepStrictEqual(yield* offsets({ timestamp: -1 }), [
        [0, 3],
        [1, 0]
      ])
      assert.deepStrictEqual(yield* offsets({ queueId: 0, offset: 2 }), [[0, 2]])
      assert.deepStrictEqual(yield* offsets({ queueId: 0, offset: -1, timestamp: 0 }), [[0, 0]])
      const outcome = (over: Partial<ResetOffset.ResetOffsetHeader>) =>
        Effect.map(call(reset(over)), ({ code, remark }) => [code, remark])
      assert.deepStrictEqual(yield* outcome({ queueId: 0, offset: 9 }), [
        1,
        "Target offset 9 not in consume queue range [0-3]"
      ])
      assert.deepStrictEqual(yield* outcome({ topic: "nowhere" }), [17, "Topic nowhere does not exist"])
      assert.deepStrictEqual(yield* outcome({ group: "nobody" }), [26, "Group nobody does not exist"])
    }).pipe(onCluster())
  )

  it.effect("is pushed to the consumers when the broker does not keep it", () =>
    Effect.gen(function* () {
      const { call, client } = yield* setup
      // A group that has not committed an offset of every queue is not known.
      assert.deepInclude(yield* call(reset()), { code: 1, remark: "THe consumer group <cg> not exist" })
      const queue1 = { consumerGroup: "cg", topic: "orders", queueId: 1, commitOffset: 0 }
      yield* call(UpdateConsumerOffset.request(queue1))
      assert.deepInclude(yield* call(reset()), { code: 0, remark: "not set any response code" })
      // The push was sent before the answer, on the same connection.
      const push = client.pushes.find(({ code }) => code === 220)
      assert.isDefined(push)
      const { body, header } = orThrow(ResetConsumerClientOffset.decodeRequest(push))
      assert.deepInclude(header, { topic: "orders", group: "cg", timestamp: 2_000 })
      assert.deepStrictEqual(
        body.offsetTable.map(([queue, offset]) => [queue.queueId, offset]),
        [
          [0, 1],
          [1, 0]
        ]
      )
      assert.strictEqual((yield* call(pullRequest({ queueOffset: 3 }))).code, 19)
      yield* client.close(yield* brokerAddress())
      assert.strictEqual((yield* call(reset())).code, 206)
    }).pipe(onCluster({ brokers: [{ name: "broker-a", config: { useServerSideResetOffset: false } }] }))
  )
})

describe("topics of the system", () => {
  it.effect("the trace topic is there when it is enabled", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      assert.strictEqual((yield* call({ code: 351, extFields: { topic: "RMQ_SYS_TRACE_TOPIC" } })).code, 0)
    }).pipe(onCluster({ brokers: [{ name: "broker-a", config: { traceTopicEnable: true } }] }))
  )

  it.effect("else a send of a trace makes it, from TBW102", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      const exists = Effect.map(call({ code: 351, extFields: { topic: "RMQ_SYS_TRACE_TOPIC" } }), ({ code }) => code)
      assert.strictEqual(yield* exists, 17)
      assert.strictEqual((yield* call(sendRequest({ topic: "RMQ_SYS_TRACE_TOPIC" }))).code, 0)
      assert.strictEqual(yield* exists, 0)
    }).pipe(onCluster())
  )

  it.effect("a topic's message type is kept and does not forbid a send: only proxies check it", () =>
    Effect.gen(function* () {
      const { call } = yield* setup
      assert.strictEqual((yield* call(sendRequest({ topic: "delayed" }))).code, 0)
      const answer = yield* call(sendRequest({ topic: "delayed", queueId: 99 }))
      assert.include(answer.remark ?? "", "attributes={message.type=DELAY}]")
    }).pipe(onCluster({ topics: { orders: topics.orders, delayed: { attributes: { "message.type": "DELAY" } } } }))
  )
})
