import { assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import * as Message from "../../../src/message/Message.ts"
import * as KeyHash from "../../../src/producer/queue/KeyHash.ts"
import * as QueueSelector from "../../../src/producer/queue/QueueSelector.ts"
import type { QueueSelectorFailed, SendError } from "../../../src/producer/send/SendError.ts"
import type { SendOptions } from "../../../src/producer/send/SendOptions.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import * as GetRouteInfoByTopic from "../../../src/protocol/request/GetRouteInfoByTopic.ts"
import type { TopicQueueMappingInfo, TopicRouteData } from "../../../src/protocol/TopicRouteData.ts"
import { advance, failureOf, onMemory, startProducer, text, timed, valueOf } from "../../support/rig.ts"

const topics = { orders: {} }
const SEND = RequestCode.SEND_MESSAGE_V2
const hashes: ReadonlyArray<KeyHash.KeyHash> = ["java", "go", "ali-ons", "siphash", "proxy"]

/** The answer to a look-up of a route, in place of the name server's own. */
const routed = (topic: string, route: TopicRouteData) => ({
  name: "route",
  match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, topic },
  actions: [{ _tag: "Answer" as const, response: GetRouteInfoByTopic.response(route, { standardJson: true }) }]
})

/** A route of the embedded cluster's brokers, each with 4 queues. */
const routeOf = Effect.map(EmbeddedCluster, ({ brokers }): TopicRouteData => ({
  queueDatas: brokers.map(({ name }) => ({
    brokerName: name,
    readQueueNums: 4,
    writeQueueNums: 4,
    perm: 6,
    topicSysFlag: 0
  })),
  brokerDatas: brokers.map(({ address, name }) => ({
    cluster: "DefaultCluster",
    brokerName: name,
    brokerAddrs: new Map([[0, address]])
  })),
  filterServerTable: new Map()
}))

/** What one broker says of the logical queues that it has. */
const mapping = (
  bname: string,
  epoch: number,
  totalQueues: number,
  ids: ReadonlyArray<readonly [number, number]>
): TopicQueueMappingInfo => ({
  topic: "orders",
  scope: "__global__",
  bname,
  epoch,
  totalQueues,
  currIdMap: new Map(ids)
})

/** Makes `orders` a static topic. */
const setUp = (mappings: ReadonlyArray<readonly [string, TopicQueueMappingInfo]>) =>
  Effect.gen(function* () {
    const { faults } = yield* EmbeddedCluster
    const route = yield* routeOf
    yield* faults.remove("route")
    yield* faults.add(routed("orders", { ...route, topicQueueMappingByBroker: new Map(mappings) }))
  })

describe("an ordering key", () => {
  it.effect.each(hashes)("settles the queue as the clients with the hash %s do", (orderingHash) =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ orderingHash })
      const queues = yield* producer.fetchPublishMessageQueues("orders")
      assert.strictEqual(queues.length, 8)
      const byKey = QueueSelector.byKey
      for (const orderingKey of ["order-7", "käse", "Aa", "BB", 7, -1, 12345678901n]) {
        const expected = byKey(orderingKey, { hash: orderingHash })(queues, text("orders"), () => 0)
        const results = yield* Effect.forEach([1, 2, 3], () => producer.send(text("orders"), { orderingKey }))
        for (const { queue } of results) assert.deepStrictEqual(queue, expected)
      }
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("travels as the property of the gRPC clients' message groups, unless the message has its own", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const own = Message.make({ topic: "orders", body: "b", properties: { __SHARDINGKEY: "mine" } })
      yield* producer.send(text("orders", "a"), { orderingKey: "order-7" })
      yield* producer.send(own, { orderingKey: "order-7" })
      yield* producer.send(text("orders", "c"))
      const keys = (yield* messages("orders")).map((message) => [
        Buffer.from(message.body).toString(),
        message.properties["__SHARDINGKEY"]
      ])
      assert.sameDeepMembers(keys, [
        ["a", "order-7"],
        ["b", "mine"],
        ["c", undefined]
      ])
      assert.deepStrictEqual(own.properties, { __SHARDINGKEY: "mine" })
    }).pipe(onMemory({ topics }))
  )

  it.effect("stays with its queue when the broker is away, and fails rather than go elsewhere", () =>
    Effect.gen(function* () {
      const { messages, startBroker, stopBroker } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const { queue } = yield* producer.send(text("orders", "first"), { orderingKey: "k" })
      yield* stopBroker(queue.brokerName, { unregister: "never" })
      const { exit } = yield* timed(producer.send(text("orders"), { orderingKey: "k", timeoutMillis: 1_000 }))
      const error = failureOf(exit)
      assert.isAbove(error.attempts.length, 0)
      for (const attempt of error.attempts) {
        assert.deepStrictEqual([attempt.brokerName, attempt.queueId], [queue.brokerName, queue.queueId])
      }
      yield* startBroker(queue.brokerName)
      yield* advance(3_000, 500)
      const after = yield* producer.send(text("orders", "after"), { orderingKey: "k" })
      assert.deepStrictEqual([after.queue, after.queueOffset], [queue, 1])
      assert.strictEqual((yield* messages("orders")).length, 2)
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("is repeated at its queue after an error that others would leave the broker for", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const { queue } = yield* producer.send(text("orders"), { orderingKey: "k" })
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.answer(14, "not now")], times: 2 })
      const result = yield* producer.send(text("orders"), { orderingKey: "k" })
      assert.deepStrictEqual([result.queue, result.attempts], [queue, 3])
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("keeps the order of one sender's messages, key by key", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const keys = ["a", "b", "c", "d", "e"]
      yield* Effect.forEach(
        keys,
        (orderingKey) =>
          Effect.forEach([...Array(20).keys()], (n) =>
            producer.send(text("orders", `${orderingKey}:${n}`), { orderingKey })
          ),
        { concurrency: "unbounded" }
      )
      const stored = yield* messages("orders")
      for (const key of keys) {
        const mine = stored.filter((message) => message.properties["__SHARDINGKEY"] === key)
        assert.strictEqual(new Set(mine.map(({ queueId, storeHost }) => `${storeHost} ${queueId}`)).size, 1)
        assert.deepStrictEqual(
          mine.toSorted((x, y) => x.queueOffset - y.queueOffset).map(({ body }) => Buffer.from(body).toString()),
          [...Array(20).keys()].map((n) => `${key}:${n}`)
        )
      }
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("goes with one-way sends too", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const { queue } = yield* producer.send(text("orders"), { orderingKey: 42 })
      yield* Effect.forEach([1, 2, 3], () => producer.sendOneway(text("orders"), { orderingKey: 42 }))
      yield* traffic.expect({ code: SEND }, { exactly: 4 })
      assert.isTrue((yield* messages("orders")).every((message) => message.queueId === queue.queueId))
    }).pipe(onMemory({ topics }))
  )
})

describe("a selector", () => {
  it.effect("chooses among the queues that can be written, for this message", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const seen: Array<readonly [ReadonlyArray<string>, string]> = []
      const selector = QueueSelector.make((queues, message) => {
        seen.push([queues.map((q) => `${q.brokerName}:${q.queueId}`), Buffer.from(message.body).toString()])
        return queues.at(-1)
      })
      const result = yield* producer.send(text("orders", "this one"), { selector })
      assert.deepInclude(result.queue, { brokerName: "broker-b", queueId: 3 })
      assert.strictEqual(seen.length, 1)
      assert.deepStrictEqual(seen[0]?.[1], "this one")
      assert.strictEqual(seen[0]?.[0].length, 8)
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("is asked once for a send, however many attempts it takes", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      let asked = 0
      const selector: QueueSelector.QueueSelector = (queues) => queues[asked++ % queues.length]
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.answer(14, "no")], times: 2 })
      const result = yield* producer.send(text("orders"), { selector })
      assert.deepStrictEqual([asked, result.attempts, result.queue.queueId], [1, 3, 0])
    }).pipe(onMemory({ topics }))
  )

  it.effect("is asked when the route is there, not before", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const lengths: Array<number> = []
      const selector: QueueSelector.QueueSelector = (queues) => {
        lengths.push(queues.length)
        return queues[0]
      }
      yield* producer.send(text("new"), { selector })
      assert.deepStrictEqual(lengths, [4])
    }).pipe(onMemory())
  )

  it.effect(
    "L11: a selector that throws, chooses nothing or the queue of another topic fails the send, and nothing is sent",
    () =>
      Effect.gen(function* () {
        const { traffic } = yield* EmbeddedCluster
        const producer = yield* startProducer()
        yield* producer.fetchPublishMessageQueues("orders")
        yield* traffic.clear
        const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
        const cases: ReadonlyArray<readonly [QueueSelector.QueueSelector, QueueSelectorFailed["problem"]]> = [
          [
            () => {
              throw new Error("own mistake")
            },
            "threw"
          ],
          [() => undefined, "no-queue"],
          [() => ({ ...queue, topic: "other" }), "wrong-queue"],
          [() => ({ ...queue, queueId: -1 }), "wrong-queue"]
        ]
        type Way = (message: Message.Message, options: SendOptions) => Effect.Effect<unknown, SendError>
        const ways: ReadonlyArray<Way> = [producer.send, producer.sendOneway, producer.sendQueued]
        for (const [selector, problem] of cases) {
          for (const send of ways) {
            const error = failureOf(yield* Effect.exit(send(text("orders"), { selector })))
            assert.deepInclude(error.reason, { _tag: "QueueSelectorFailed", problem, topic: "orders" })
            assert.deepStrictEqual([error.outcome, error.attempts, error.retryable], ["not-sent", [], false])
          }
        }
        assert.deepStrictEqual(yield* traffic.all, [])
      }).pipe(onMemory({ topics }))
  )

  it.effect("random spreads over the queues by the Random service", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const results = yield* Effect.forEach(Array.from({ length: 200 }), () =>
        producer.send(text("orders"), { selector: QueueSelector.random })
      )
      const counts = Map.groupBy(results, ({ queue }) => queue.queueId)
      assert.strictEqual(counts.size, 4)
      for (const list of counts.values()) assert.isAbove(list.length, 20)
    }).pipe(onMemory({ topics }))
  )
})

describe("the choice of a queue", () => {
  it.effect("is made once: two choices, or a key that cannot travel, are refused", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
      const selector = QueueSelector.random
      const cases = [
        [{ queue, orderingKey: "k" }, "queue"],
        [{ queue, selector }, "queue"],
        [{ selector, orderingKey: "k" }, "queue"],
        [{ orderingKey: " " }, "orderingKey"],
        [{ orderingKey: "a\u0001b" }, "orderingKey"]
      ] as const
      for (const [options, field] of cases) {
        const error = failureOf(yield* Effect.exit(producer.send(text("orders"), options)))
        assert.deepInclude(error.reason, { _tag: "InvalidMessage", field })
      }
    }).pipe(onMemory({ topics }))
  )
})

describe("order topics", () => {
  it.effect("a configuration of the order fixes the queues, their order and so the key's queue", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const route = yield* routeOf
      yield* faults.add(routed("orders", { ...route, orderTopicConf: "broker-b:2;broker-a:3" }))
      const producer = yield* startProducer()
      const queues = yield* producer.fetchPublishMessageQueues("orders")
      assert.deepStrictEqual(
        queues.map((q) => `${q.brokerName}:${q.queueId}`),
        ["broker-b:0", "broker-b:1", "broker-a:0", "broker-a:1", "broker-a:2"]
      )
      for (const orderingKey of ["a", "b", "c", "d", "e", "f"]) {
        const { queue } = yield* producer.send(text("orders"), { orderingKey })
        assert.deepStrictEqual(queue, queues[KeyHash.indexOf("java", orderingKey, 5)])
      }
    }).pipe(onMemory({ topics, brokers: 2 }))
  )
})

describe("static topics", () => {
  it.effect("a logical queue is sent to the broker that has it, and stays the user's queue", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      yield* setUp([
        [
          "broker-a",
          mapping("broker-a", 1, 4, [
            [0, 0],
            [2, 1]
          ])
        ],
        [
          "broker-b",
          mapping("broker-b", 1, 4, [
            [1, 0],
            [3, 1]
          ])
        ]
      ])
      const producer = yield* startProducer()
      const queues = yield* producer.fetchPublishMessageQueues("orders")
      const mock = "__syslo____global__"
      assert.deepStrictEqual(
        queues,
        [0, 1, 2, 3].map((queueId) => ({ topic: "orders", brokerName: mock, queueId }))
      )
      for (const queue of queues) {
        const result = yield* producer.send(text("orders"), { queue })
        assert.deepStrictEqual(result.queue, queue)
      }
      yield* Effect.forEach(Array.from({ length: 8 }), () => producer.send(text("orders")))
      yield* producer.sendOneway(text("orders"), { orderingKey: "k" })
      const sent = yield* traffic.ofCode(SEND)
      for (const { extFields, server } of sent) {
        assert.strictEqual(server, Number(extFields?.["e"]) % 2 === 0 ? "broker-a" : "broker-b")
        // As in Java, the request names the broker that it goes to: a proxy finds its way by that.
        assert.strictEqual(extFields?.["n"], server)
      }
      assert.strictEqual(new Set(sent.slice(4, 8).map(({ extFields }) => extFields?.["e"])).size, 4)
      assert.strictEqual((yield* messages("orders")).length, 13)
    }).pipe(onMemory({ topics: { orders: { readQueueNums: 8, writeQueueNums: 8 } }, brokers: 2 }))
  )

  it.effect("a queue that has moved follows the later epoch, with the next route", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      yield* setUp([["broker-a", mapping("broker-a", 1, 1, [[0, 0]])]])
      const producer = yield* startProducer()
      yield* producer.send(text("orders"))
      yield* setUp([
        ["broker-a", mapping("broker-a", 1, 1, [[0, 0]])],
        ["broker-b", mapping("broker-b", 2, 2, [[0, 0]])]
      ])
      yield* advance(30_100, 10_000)
      const queues = yield* producer.fetchPublishMessageQueues("orders")
      assert.strictEqual(queues.length, 2)
      const [moved, orphan] = queues
      yield* producer.send(text("orders"), { queue: moved })
      assert.deepStrictEqual(
        (yield* traffic.ofCode(SEND)).map(({ server }) => server),
        ["broker-a", "broker-b"]
      )
      const { exit } = yield* timed(producer.send(text("orders"), { queue: orphan, timeoutMillis: 500 }))
      assert.deepInclude(failureOf(exit).reason, { _tag: "BrokerNotExist", brokerName: "__syslo__none__" })
      // Without a choice, a queue that nobody has is passed over.
      for (let n = 0; n < 4; n++) valueOf((yield* timed(producer.send(text("orders")))).exit)
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("a broker that no longer leads the queue has the route read anew", () =>
    Effect.gen(function* () {
      const { faults, traffic } = yield* EmbeddedCluster
      yield* setUp([["broker-a", mapping("broker-a", 1, 1, [[0, 0]])]])
      const producer = yield* startProducer()
      yield* producer.send(text("orders"))
      yield* setUp([["broker-b", mapping("broker-b", 2, 1, [[0, 0]])]])
      yield* faults.add({
        match: { code: SEND, broker: "broker-a" },
        actions: [FaultScript.answer(501, "orders-0 does not exist in broker-a")]
      })
      const queue = { topic: "orders", brokerName: "__syslo____global__", queueId: 0 }
      const result = valueOf((yield* timed(producer.send(text("orders"), { queue }))).exit)
      assert.deepStrictEqual([result.queue, result.attempts], [queue, 2])
      assert.strictEqual((yield* traffic.ofCode(SEND)).at(-1)?.server, "broker-b")
    }).pipe(onMemory({ topics, brokers: 2 }))
  )
})

describe("keys and Java", () => {
  it.effect.prop(
    "the same key goes to the same queue, whatever else is sent between",
    { key: Schema.String.check(Schema.isPattern(/^[ -~à-ÿ]*[!-~]$/)), between: Schema.Int },
    ({ between, key }) =>
      Effect.gen(function* () {
        const producer = yield* startProducer()
        const queues = yield* producer.fetchPublishMessageQueues("orders")
        const first = yield* producer.send(text("orders"), { orderingKey: key })
        yield* Effect.forEach(Array.from({ length: Math.abs(between) % 5 }), () => producer.send(text("orders")))
        const second = yield* producer.send(text("orders"), { orderingKey: key })
        assert.deepStrictEqual(first.queue, second.queue)
        assert.deepStrictEqual(first.queue, queues[KeyHash.indexOf("java", key, queues.length)])
      }).pipe(onMemory({ topics })),
    { arbitrary: { runs: 25 } }
  )
})
