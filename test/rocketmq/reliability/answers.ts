/** What brokers refuse, and what they ask of a client themselves. */
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { randomBytes } from "node:crypto"
import * as ClientConfig from "../../../src/client/ClientConfig.ts"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import * as Message from "../../../src/message/Message.ts"
import { PermName } from "../../../src/message/MixAll.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { ResponseCode } from "../../../src/protocol/ResponseCode.ts"
import type { RpcHook } from "../../../src/transport/RpcHook.ts"
import { eventually, eventuallyThat, uniqueName } from "../../conformance/support.ts"
import { request } from "../RawRemoting.ts"
import { RocketMQ } from "../RocketMQServer.ts"
import { createTopic, observe, startProducer, TEST_TIMEOUT } from "../support.ts"
import { A, B, brokerNamed, type Methods, NEVER_MILLIS, send, setBrokerPermission, warm } from "./shared.ts"

const MIB = 1024 * 1024

/** Counts the answers to sends by their code. */
const countAnswers = () => {
  const counts = new Map<number, number>()
  const rpcHook: RpcHook = {
    doAfterResponse: (_, { code }, response) => {
      if (code !== RequestCode.SEND_MESSAGE_V2) return
      counts.set(response.code, (counts.get(response.code) ?? 0) + 1)
    }
  }
  return { counts, rpcHook }
}

/** Makes an order topic: of these alone brokers check their own permission. */
const createOrderTopic = Effect.fnUntraced(function* () {
  const { brokers } = yield* RocketMQ
  const observer = yield* observe
  const topic = uniqueName("permission")
  for (const { address } of brokers) {
    const answer = yield* request(address, {
      code: RequestCode.UPDATE_AND_CREATE_TOPIC,
      extFields: {
        topic,
        defaultTopic: "TBW102",
        readQueueNums: "4",
        writeQueueNums: "4",
        perm: String(PermName.READ | PermName.WRITE),
        topicFilterType: "SINGLE_TAG",
        topicSysFlag: "0",
        order: "true"
      }
    })
    assert.strictEqual(answer?.code, 0, answer?.remark)
  }
  yield* eventuallyThat(observer.route(topic), (route) => assert.strictEqual(route?.queueDatas.length, brokers.length))
  return topic
})

/** Waits until the name server has a broker's permission: the broker tells it, and waits for no answer. */
const untilPermission = Effect.fnUntraced(function* (topic: string, broker: string, perm: number) {
  const observer = yield* observe
  yield* eventuallyThat(observer.route(topic), (route) =>
    assert.strictEqual(route?.queueDatas.find(({ brokerName }) => brokerName === broker)?.perm, perm)
  )
})

export const tests = (test: Methods): void => {
  test.effect(
    "B6: a broker whose permission is taken away: the retry goes to the other one, the route is read anew; both: typed",
    () =>
      Effect.gen(function* () {
        const [a, b] = [yield* brokerNamed(A), yield* brokerNamed(B)]
        const topic = yield* createOrderTopic()
        const { counts, rpcHook } = countAnswers()
        const producer = yield* startProducer({ pollNameServerInterval: NEVER_MILLIS, remoting: { rpcHook } })
        const queues = yield* producer.fetchPublishMessageQueues(topic)
        yield* warm(producer, topic)
        const readWrite = PermName.READ | PermName.WRITE
        yield* Effect.addFinalizer(() =>
          Effect.forEach([a, b], ({ address }) => Effect.orDie(setBrokerPermission(address, readWrite)))
        )
        yield* setBrokerPermission(a.address, PermName.READ)
        yield* untilPermission(topic, A, PermName.READ)
        // One round over all the queues that were known: some are of broker-a.
        for (const _ of queues) assert.strictEqual((yield* send(producer, topic)).queue.brokerName, B)
        assert.strictEqual(counts.get(ResponseCode.NO_PERMISSION), 1, "the route was read anew after the first refusal")

        yield* setBrokerPermission(b.address, PermName.READ)
        yield* untilPermission(topic, B, PermName.READ)
        const { outcome, reason, retryable } = yield* Effect.flip(send(producer, topic))
        assert.strictEqual(outcome, "rejected")
        assert.isTrue(retryable)
        assert.deepInclude(reason, { _tag: "RouteUnavailable", problem: "no-writable-queue" })
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )

  test.effect(
    "B7: a topic that its broker has lost: the route is read anew, and the last refusal names the topic",
    () =>
      Effect.gen(function* () {
        const b = yield* brokerNamed(B)
        const observer = yield* observe
        const topic = yield* createTopic("lost", [B])
        const { counts, rpcHook } = countAnswers()
        const producer = yield* startProducer({ pollNameServerInterval: NEVER_MILLIS, remoting: { rpcHook } })
        yield* warm(producer, topic)
        yield* observer.deleteTopic(b.address, topic)
        const { attempts, message, outcome, reason } = yield* Effect.flip(send(producer, topic))
        assert.strictEqual(outcome, "rejected")
        if (reason._tag !== "BrokerRejected") throw new Error(message)
        assert.strictEqual(reason.code, ResponseCode.TOPIC_NOT_EXIST)
        assert.include(message, topic)
        assert.strictEqual(counts.get(ResponseCode.TOPIC_NOT_EXIST), attempts.length)
        assert.strictEqual(attempts.length, 3)
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "B8: a body of 5 MiB and a queue that there is not: refused once, and not tried again",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("refused", [A, B])
        const { counts, rpcHook } = countAnswers()
        const producer = yield* startProducer({ maxMessageSize: 8 * MIB, remoting: { rpcHook } })
        const large = yield* Effect.flip(producer.send(Message.make({ topic, body: randomBytes(5 * MIB) })))
        const queue = { topic, brokerName: A, queueId: 99 }
        const nowhere = yield* Effect.flip(send(producer, topic, { queue }))
        for (const [error, code] of [
          [large, ResponseCode.MESSAGE_ILLEGAL],
          [nowhere, ResponseCode.INVALID_PARAMETER]
        ] as const) {
          assert.deepStrictEqual([error.attempts.length, error.outcome, error.retryable], [1, "rejected", false])
          assert.deepInclude(error.reason, { _tag: "BrokerRejected", code })
          assert.strictEqual(counts.get(code), 1)
        }
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "B10: a broker that trips over a request: tried again, unknown, and its stack trace is cut short",
    () =>
      Effect.gen(function* () {
        const topic = yield* createTopic("stack-trace", [A, B])
        const { counts, rpcHook } = countAnswers()
        let stripping = false
        const producer = yield* startProducer({
          remoting: {
            rpcHook: {
              ...rpcHook,
              // An empty body, which no send of ours has, is a NullPointerException in the broker.
              doBeforeRequest: (_, sent) =>
                stripping && sent.code === RequestCode.SEND_MESSAGE_V2 ? { ...sent, body: undefined } : sent
            }
          }
        })
        yield* warm(producer, topic)
        stripping = true
        const { attempts, message, outcome, reason } = yield* Effect.flip(send(producer, topic))
        assert.deepStrictEqual([attempts.length, outcome], [3, "unknown"])
        if (reason._tag !== "BrokerRejected") throw new Error(message)
        assert.strictEqual(reason.code, ResponseCode.SYSTEM_ERROR)
        assert.match(message, /NullPointerException|java\.lang/)
        assert.notInclude(message, "\n")
        assert.isBelow(message.length, 2_000)
        assert.strictEqual(counts.get(ResponseCode.SYSTEM_ERROR), 3)
        stripping = false
        yield* send(producer, topic)
      }),
    TEST_TIMEOUT
  )

  test.effect(
    "C14: what a broker asks a client by itself is handled, or refused with the reason",
    () =>
      Effect.gen(function* () {
        const a = yield* brokerNamed(A)
        const { namesrvAddr } = yield* RocketMQ
        const topic = yield* createTopic("pushes", [A])
        const instanceName = uniqueName("pushes")
        const producer = yield* startProducer({ instanceName })
        yield* warm(producer, topic)
        const manager = yield* MQClientManager
        const instance = yield* manager.getOrCreateMQClientInstance(
          yield* ClientConfig.check({ namesrvAddr, instanceName })
        )
        const consumerGroup = uniqueName("consumers")
        yield* instance.registerConsumer({
          consumerGroup,
          subscriptionTopics: () => [topic],
          updateTopicSubscribeInfo: () => {},
          heartbeatData: () => ({
            groupName: consumerGroup,
            consumeType: "CONSUME_ACTIVELY",
            messageModel: "CLUSTERING",
            consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
            subscriptionDataSet: [],
            unitMode: false
          }),
          doRebalance: Effect.void,
          persistConsumerOffset: Effect.void,
          adjustThreadPool: Effect.void,
          consumerRunningInfo: () => ({
            properties: new Map(),
            subscriptionSet: [],
            mqTable: [],
            mqPopTable: [],
            statusTable: new Map(),
            userConsumerInfo: new Map()
          }),
          consumerStatus: () => [],
          resetOffset: () => Effect.void,
          consumeMessageDirectly: undefined
        })
        yield* eventually(instance.heartbeat.sendHeartbeat(a.address))
        const { offsetMsgId } = yield* send(producer, topic)
        // CONSUME_MESSAGE_DIRECTLY: the broker hands it on to the client, and the client's answer back.
        const asked = yield* eventuallyThat(
          request(a.address, {
            code: RequestCode.CONSUME_MESSAGE_DIRECTLY,
            extFields: { consumerGroup, clientId: instance.clientId, topic, msgId: offsetMsgId }
          }),
          (answer) => assert.strictEqual(answer?.code, ResponseCode.SYSTEM_ERROR, answer?.remark)
        )
        assert.include(asked?.remark ?? "", "has no listener here")
        yield* send(producer, topic)
      }).pipe(Effect.scoped),
    TEST_TIMEOUT
  )
}
