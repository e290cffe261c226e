import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import * as BrokerConfig from "../../../src/embedded/store/BrokerConfig.ts"
import * as BrokerState from "../../../src/embedded/store/BrokerState.ts"
import { MAX_POPPED_OF_GROUP } from "../../../src/embedded/server/Limits.ts"
import * as AclSignature from "../../../src/protocol/AclSignature.ts"
import * as SetMessageRequestMode from "../../../src/protocol/request/SetMessageRequestMode.ts"
import { EmbeddedCluster } from "../../../src/testing/index.ts"
import * as PopHandle from "../../../src/protocol/PopHandle.ts"
import * as AckMessage from "../../../src/protocol/request/AckMessage.ts"
import * as ChangeInvisibleTime from "../../../src/protocol/request/ChangeInvisibleTime.ts"
import * as DeleteTopic from "../../../src/protocol/request/DeleteTopic.ts"
import * as PopMessage from "../../../src/protocol/request/PopMessage.ts"
import { brokerAddress, messagesOf, orThrow, rawClient, sendRequest, textOf, utf8 } from "../support.ts"

type Options = NonNullable<Parameters<typeof EmbeddedCluster.layerMemory>[0]>
type Config = NonNullable<Extract<Options["brokers"], ReadonlyArray<unknown>>>[number]["config"]

const onCluster = (config: Config = {}) =>
  Effect.provide(
    EmbeddedCluster.layerMemory({
      topics: { orders: { readQueueNums: 1, writeQueueNums: 1 } },
      brokers: [{ name: "broker-a", config }]
    })
  )

const popRequest = (over: Partial<PopMessage.PopMessageHeader> = {}) =>
  PopMessage.request({
    consumerGroup: "cg",
    topic: "orders",
    queueId: -1,
    maxMsgNums: 32,
    invisibleTime: 10_000,
    pollTime: 0,
    bornTime: 0,
    initMode: 0,
    ...over
  })

const named = (handle: PopHandle.PopHandle) => ({
  consumerGroup: "cg",
  topic: PopHandle.realTopic("cg", "orders", handle.retryFlag),
  queueId: handle.queueId,
  extraInfo: PopHandle.encode(handle),
  offset: handle.msgQueueOffset
})

const ofBroker: PopHandle.PopHandle = {
  ckQueueOffset: 0,
  popTime: 1,
  invisibleTime: 1_000,
  reviveQid: 0,
  retryFlag: "0",
  brokerName: "broker-a",
  queueId: 0,
  msgQueueOffset: 0
}

/** A group `cg` that pops `orders`. */
const setup = Effect.gen(function* () {
  const client = yield* rawClient()
  const address = yield* brokerAddress()
  const call = (request: Parameters<typeof client.call>[1]) => client.call(address, request, 120_000)

  const pop = (over: Partial<PopMessage.PopMessageHeader> = {}) =>
    Effect.map(call(popRequest(over)), (response) => {
      const answer = orThrow(PopMessage.decodeResponse(response))
      const messages = messagesOf(response)
      const handles = PopHandle.handlesOf(
        "broker-a",
        answer,
        messages.map((one) => ({ ...one, popCk: one.properties["POP_CK"] }))
      )
      return {
        ...answer,
        messages,
        texts: messages.map(({ body }) => textOf(body)),
        handles: handles.flatMap((handle) => handle ?? [])
      }
    })

  return {
    call,
    pop,
    send: (body: string) => call(sendRequest({ queueId: 0 }, utf8(body))),
    ack: (handle: PopHandle.PopHandle) => call(AckMessage.request(named(handle))),
    change: (handle: PopHandle.PopHandle, invisibleTime: number) =>
      Effect.map(call(ChangeInvisibleTime.request({ ...named(handle), invisibleTime })), (response) => ({
        ...handle,
        ...orThrow(ChangeInvisibleTime.decodeResponse(response)),
        ckQueueOffset: handle.msgQueueOffset
      }))
  }
})

describe("pops on the test's clock", () => {
  it.effect(
    "a message comes again two seconds after its invisible time, to who waits, and for as often as it takes",
    () =>
      Effect.gen(function* () {
        const cluster = yield* EmbeddedCluster
        const { pop, send } = yield* setup
        yield* send("a")
        assert.deepStrictEqual((yield* pop()).texts, ["a"])
        for (let times = 1; times <= 20; times++) {
          const waiting = yield* Effect.forkChild(pop({ pollTime: 60_000 }))
          yield* TestClock.adjust("11999 millis")
          assert.strictEqual((yield* cluster.messages("%RETRY%cg_orders")).length, times - 1)
          yield* TestClock.adjust("1 millis")
          const { messages } = yield* Fiber.join(waiting)
          assert.deepInclude(messages[0], { topic: "orders", reconsumeTimes: times, queueOffset: times - 1 })
        }
        assert.deepStrictEqual(yield* cluster.messages("%DLQ%cg"), [])
      }).pipe(onCluster())
  )

  it.effect("changes of one moment make handles of their own, and none loses the message", () =>
    Effect.gen(function* () {
      const { ack, change, pop, send } = yield* setup
      yield* send("a")
      const [first] = (yield* pop()).handles
      assert.isDefined(first)
      const second = yield* change(first, 20_000)
      const third = yield* change(second, 30_000)
      assert.strictEqual(new Set([first, second, third].map(PopHandle.encode)).size, 3)
      yield* ack(second)
      yield* TestClock.adjust("31 seconds")
      assert.deepStrictEqual((yield* pop()).texts, [])
      yield* TestClock.adjust("1 seconds")
      assert.deepStrictEqual((yield* pop()).texts, ["a"])
    }).pipe(onCluster())
  )

  it.effect("the second form of retry topics, beside what is left in the first", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { ack, pop, send } = yield* setup
      yield* send("a")
      yield* pop()
      yield* TestClock.adjust("12 seconds")
      assert.strictEqual((yield* cluster.messages("%RETRY%cg+orders")).length, 1)
      const again = yield* Effect.repeat(pop(), { until: ({ texts }) => texts.length > 0 })
      const [handle] = again.handles
      assert.isDefined(handle)
      assert.strictEqual(handle.retryFlag, "2")
      yield* ack(handle)
      yield* TestClock.adjust("12 seconds")
      assert.strictEqual((yield* cluster.messages("%RETRY%cg+orders")).length, 1)
    }).pipe(onCluster({ enableRetryTopicV2: true }))
  )

  it.effect("more than may wait are told so, and go on when others end", () =>
    Effect.gen(function* () {
      const { call, pop } = yield* setup
      const waiting = yield* Effect.forEach([1, 2], () => Effect.forkChild(pop({ pollTime: 5_000 })))
      yield* TestClock.adjust("1 seconds")
      const full = yield* call(popRequest({ pollTime: 5_000 }))
      assert.deepInclude(full, { code: 209, remark: "NO_MESSAGE_IN_QUEUE" })
      yield* TestClock.adjust("4 seconds")
      for (const fiber of waiting) assert.strictEqual((yield* Fiber.join(fiber)).status, "POLLING_NOT_FOUND")
      const last = yield* Effect.forkChild(pop({ pollTime: 1_000 }))
      yield* TestClock.adjust("1 seconds")
      assert.strictEqual((yield* Fiber.join(last)).status, "POLLING_NOT_FOUND")
    }).pipe(onCluster({ popPollingSize: 1 }))
  )

  it.effect("a topic that is deleted takes with it what comes again of it", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { call, pop, send } = yield* setup
      yield* send("a")
      yield* send("b")
      yield* pop({ maxMsgNums: 1 })
      yield* TestClock.adjust("12 seconds")
      assert.strictEqual((yield* cluster.messages("%RETRY%cg_orders")).length, 1)
      yield* pop({ queueId: 0 })
      assert.strictEqual((yield* call(DeleteTopic.request({ topic: "orders" }, "broker"))).code, 0)
      assert.deepStrictEqual(yield* cluster.messages("%RETRY%cg_orders"), [])
      yield* TestClock.adjust("12 seconds")
      assert.deepStrictEqual(yield* cluster.messages("%RETRY%cg_orders"), [], "what is hidden does not come again")
      assert.strictEqual((yield* call(popRequest())).code, 17)
    }).pipe(onCluster())
  )

  it.effect("what a broker keeps popped outlives its restart", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { pop, send } = yield* setup
      yield* send("a")
      yield* pop()
      yield* cluster.stopBroker("broker-a")
      yield* TestClock.adjust("1 minute")
      yield* cluster.startBroker("broker-a")
      yield* TestClock.adjust("1 millis")
      assert.deepStrictEqual((yield* pop()).texts, ["a"])
    }).pipe(onCluster())
  )
})

const keyOf = (popTime: number) => ({
  group: "cg",
  topic: "orders",
  queueId: 0,
  startOffset: 0,
  popTime,
  reviveQid: 0,
  brokerName: "broker-a"
})

describe("bounds of what is popped", () => {
  it("a group hides so many messages and no more, until they are acknowledged; another group is not concerned", () => {
    const { popped } = BrokerState.make({
      clusterName: "c",
      brokerName: "broker-a",
      config: BrokerConfig.make(),
      now: () => 0,
      uniqueId: () => "U",
      onTopicChange: () => undefined
    })
    const offsets = Array.from({ length: 32 }, (_, offset) => offset)
    for (let at = 0; at < MAX_POPPED_OF_GROUP / 32; at++) {
      assert.isTrue(popped.hasRoom("cg", 32))
      popped.add({ ...keyOf(at), offsets, visibleAt: 1_000 })
    }
    assert.isFalse(popped.hasRoom("cg", 1))
    assert.isTrue(popped.hasRoom("another", 32))
    assert.strictEqual(popped.inFlight("cg", "orders", 0), MAX_POPPED_OF_GROUP)
    popped.acknowledge(keyOf(0), 7)
    popped.acknowledge(keyOf(0), 7)
    popped.acknowledge(keyOf(0), 99)
    assert.isTrue(popped.hasRoom("cg", 1))
    assert.isFalse(popped.hasRoom("cg", 2))
    for (let at = 0; at < MAX_POPPED_OF_GROUP / 32; at++)
      for (const offset of offsets) popped.acknowledge(keyOf(at), offset)
    assert.strictEqual(popped.inFlight("cg", "orders", 0), 0)
    assert.isTrue(popped.hasRoom("cg", MAX_POPPED_OF_GROUP))
  })
})

describe("pops under access control", () => {
  it.effect("need the group and the topic; of what comes again the group of the retry topic's name, as on 5.5.0", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const remarkOf = (request: Parameters<typeof client.call>[1]) =>
        Effect.map(
          client.call(address, AclSignature.sign({ accessKey: "reader", secretKey: "secret" }, request)),
          ({ code, remark = "" }) => `${code} ${/access (\S+)/.exec(remark)?.[1] ?? ""}`
        )
      const handle = { ...named(ofBroker), extraInfo: PopHandle.encode(ofBroker) }
      const results = yield* Effect.forEach(
        [
          popRequest({ consumerGroup: "theirs" }),
          popRequest({ topic: "secrets" }),
          popRequest(),
          AckMessage.request(handle),
          AckMessage.request({ ...handle, topic: "%RETRY%cg_orders" }),
          ChangeInvisibleTime.request({ ...handle, invisibleTime: 1_000, consumerGroup: "theirs" }),
          SetMessageRequestMode.request({ consumerGroup: "cg", topic: "orders", mode: "POP", popShareQueueNum: 0 })
        ],
        remarkOf
      )
      assert.deepStrictEqual(results, [
        "16 Group:theirs",
        "16 Topic:secrets",
        "210 ",
        "0 ",
        "16 Group:cg_orders",
        "16 Group:theirs",
        "0 "
      ])
    }).pipe(
      Effect.provide(
        EmbeddedCluster.layerMemory({
          topics: { orders: {}, secrets: {} },
          acl: {
            users: [
              {
                accessKey: "reader",
                secretKey: "secret",
                permissions: { "Topic:orders": ["Sub"], "Group:cg": ["Sub"] }
              }
            ]
          }
        })
      )
    )
  )
})
