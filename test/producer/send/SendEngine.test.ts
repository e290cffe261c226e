import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer } from "effect"
import { TestClock } from "effect/testing"
import { AddressTranslator } from "../../../src/client/AddressTranslator.ts"
import { Arbitraries, EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import * as Message from "../../../src/message/Message.ts"
import * as MessageId from "../../../src/message/MessageId.ts"
import * as HeartbeatData from "../../../src/protocol/HeartbeatData.ts"
import { DecodeError } from "../../../src/protocol/DecodeError.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { MemoryNetwork } from "../../../src/transport/MemoryWire.ts"
import {
  advance,
  canSend,
  failureOf,
  knownGroups,
  makeProducer,
  onMemory,
  runs,
  settle,
  sorted,
  startProducer,
  text,
  timed,
  valueOf
} from "../../support/rig.ts"

const topics = { orders: {} }
const SEND = RequestCode.SEND_MESSAGE_V2
const ROUTE = RequestCode.GET_ROUTEINFO_BY_TOPIC

const groupsIn = (body: Uint8Array | undefined): ReadonlyArray<string> => {
  const data = HeartbeatData.decode(body ?? new Uint8Array(0))
  if (data instanceof DecodeError) throw data
  return data.producerDataSet.map((p) => p.groupName)
}

describe("send", () => {
  it.effect("stores what was given, and the result says where", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      yield* TestClock.setTime(1_700_000_000_000)
      const producer = yield* startProducer()
      const message = Message.make({
        topic: "orders",
        body: "héllo 😀",
        tags: "created",
        keys: ["order-7", "käse"],
        properties: { where: "東京", constructor: "c" },
        flag: -7
      })
      const result = yield* producer.send(message)
      const [stored, ...more] = yield* messages("orders")
      assert.deepStrictEqual(more, [])
      assert.strictEqual(new TextDecoder().decode(stored?.body), "héllo 😀")
      assert.deepInclude(
        { ...stored?.properties },
        {
          UNIQ_KEY: result.msgId,
          TAGS: "created",
          KEYS: "order-7 käse",
          where: "東京",
          constructor: "c",
          WAIT: "true"
        }
      )
      assert.deepInclude(stored, { topic: "orders", flag: -7, bornTimestamp: 1_700_000_000_000, reconsumeTimes: 0 })
      assert.deepStrictEqual(
        { ...result, msgId: "", offsetMsgId: "" },
        {
          status: "SEND_OK",
          msgId: "",
          offsetMsgId: "",
          queue: { topic: "orders", brokerName: "broker-a", queueId: stored?.queueId ?? -1 },
          queueOffset: 0,
          attempts: 1,
          borrowedRoute: false,
          regionId: "DefaultRegion",
          traceOn: true,
          transactionId: result.msgId
        }
      )
      assert.strictEqual(
        MessageId.decodeOffsetMessageId(result.offsetMsgId)?.offset,
        BigInt(stored?.commitLogOffset ?? -1)
      )
    }).pipe(onMemory({ topics }))
  )

  it.effect.prop(
    "never changes the message, whatever becomes of the send",
    { message: Arbitraries.message },
    ({ message }) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        const copy = structuredClone(message)
        const frozen: Message.Message = Object.freeze({
          ...message,
          ...(message.properties === undefined ? {} : { properties: Object.freeze({ ...message.properties }) }),
          ...(message.keys === undefined ? {} : { keys: Object.freeze([...message.keys]) })
        })
        const producer = yield* startProducer()
        valueOf(yield* Effect.exit(producer.send(frozen)))
        yield* producer.sendOneway(frozen)
        yield* faults.add({ match: { code: SEND }, actions: [FaultScript.answer(1, "no")] })
        failureOf(yield* Effect.exit(producer.send(frozen)))
        assert.deepStrictEqual({ ...frozen }, { ...copy })
      }).pipe(onMemory()),
    runs(60)
  )

  it.effect("goes round the queues of all brokers", () =>
    Effect.gen(function* () {
      const { messages } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* Effect.forEach(Array.from({ length: 24 }), () => producer.send(text("orders")))
      const counts = new Map<string, number>()
      for (const { queueId, storeHost } of yield* messages("orders")) {
        const queue = `${storeHost} ${queueId}`
        counts.set(queue, (counts.get(queue) ?? 0) + 1)
      }
      assert.deepStrictEqual(
        [...counts.values()],
        Array.from({ length: 12 }, () => 2)
      )
    }).pipe(onMemory({ topics, brokers: 3 }))
  )

  it.effect("500 first sends make one look-up", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* traffic.clear
      const results = yield* Effect.forEach(Array.from({ length: 500 }), () => producer.send(text("orders")), {
        concurrency: "unbounded"
      })
      yield* traffic.expect({ code: ROUTE }, { exactly: 1 })
      assert.strictEqual((yield* messages("orders")).length, 500)
      assert.strictEqual(new Set(results.map((r) => r.msgId)).size, 500)
      assert.isTrue(results.every((r) => r.attempts === 1 && !r.borrowedRoute))
    }).pipe(onMemory({ topics }))
  )

  it.effect("an unknown topic goes over the template topic, says so, and gets its own route with the next poll", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ defaultTopicQueueNums: 3 })
      yield* traffic.clear
      const results = yield* Effect.forEach(Array.from({ length: 100 }), () => producer.send(text("new")), {
        concurrency: "unbounded"
      })
      assert.isTrue(results.every((r) => r.borrowedRoute))
      assert.deepStrictEqual(sorted(new Set(results.map((r) => r.queue.queueId))), [0, 1, 2])
      assert.deepStrictEqual(
        (yield* traffic.ofCode(ROUTE)).map((r) => r.topic),
        ["new", "TBW102"]
      )
      const [first] = yield* traffic.ofCode(SEND)
      assert.deepInclude(first?.extFields, { c: "TBW102", d: "3" })
      yield* advance(30_100, 10_000)
      assert.isFalse((yield* producer.send(text("new"))).borrowedRoute)
      assert.deepInclude(
        (yield* producer.state).instance?.routes.find((r) => r.topic === "new"),
        { borrowed: false, writeQueues: 3 }
      )
    }).pipe(onMemory())
  )

  it.effect("producers of one instance that may and may not borrow do not get each other's answer", () =>
    Effect.gen(function* () {
      const borrows = yield* startProducer({ producerGroup: "borrows", instanceName: "shared" })
      const strict = yield* startProducer({ producerGroup: "strict", instanceName: "shared", borrowRoute: false })
      const [a, b] = yield* Effect.all(
        [Effect.exit(borrows.send(text("new"))), Effect.exit(strict.send(text("new")))],
        {
          concurrency: 2
        }
      )
      assert.isTrue(valueOf(a).borrowedRoute)
      assert.deepInclude(failureOf(b).reason, { _tag: "RouteUnavailable", problem: "topic-absent" })
    }).pipe(onMemory())
  )

  it.effect("is refused before anything is sent, with the field that is wrong", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ maxMessageSize: 10 })
      yield* traffic.clear
      const queue = { topic: "other", brokerName: "broker-a", queueId: 0 }
      const cases = [
        [text("a b"), undefined, "topic"],
        [text("orders", ""), undefined, "body"],
        [text("orders", "12345678901"), undefined, "body"],
        [{ ...text("orders"), properties: { p: "x".repeat(40_000) } }, undefined, "properties"],
        [text("orders"), { queue }, "queue"],
        [text("orders"), { queue: { ...queue, topic: "orders", queueId: -1 } }, "queue"],
        [text("orders"), { queue: { ...queue, topic: "orders", queueId: 0.5 } }, "queue"],
        [text("orders"), { timeoutMillis: 0 }, "timeoutMillis"],
        [text("orders"), { timeoutMillis: Number.NaN }, "timeoutMillis"]
      ] as const
      for (const [message, sendOptions, field] of cases) {
        for (const send of [producer.send, producer.sendOneway]) {
          const error = failureOf(
            yield* Effect.exit<unknown, Effect.Error<ReturnType<typeof producer.send>>, never>(
              send(message, sendOptions)
            )
          )
          assert.deepInclude(error.reason, { _tag: "InvalidMessage", field })
          assert.deepStrictEqual([error.outcome, error.attempts, error.retryable], ["not-sent", [], false])
        }
      }
      assert.deepStrictEqual(yield* traffic.all, [])
      assert.deepInclude((yield* producer.state).counters, { sends: 18, failed: 18, acknowledged: 0, unknown: 0 })
    }).pipe(onMemory({ topics }))
  )

  it.effect("to a chosen queue goes there, again and again, or nowhere", () =>
    Effect.gen(function* () {
      const { messages, startBroker, stopBroker } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const queues = yield* producer.fetchPublishMessageQueues("orders")
      assert.deepStrictEqual(
        queues.map((q) => `${q.brokerName}:${q.queueId}`),
        ["broker-a:0", "broker-a:1", "broker-a:2", "broker-a:3", "broker-b:0", "broker-b:1", "broker-b:2", "broker-b:3"]
      )
      const queue = queues[6] ?? { topic: "orders", brokerName: "?", queueId: 0 }
      for (let i = 0; i < 10; i++) {
        const result = yield* producer.send(text("orders"), { queue })
        assert.deepStrictEqual([result.queue, result.queueOffset], [{ ...queue }, i])
      }
      yield* stopBroker("broker-b", { unregister: "never" })
      const { exit } = yield* timed(producer.send(text("orders"), { queue, timeoutMillis: 1_000 }))
      const error = failureOf(exit)
      assert.isTrue(error.attempts.every((a) => a.brokerName === "broker-b" && a.queueId === 2))
      assert.strictEqual((yield* messages("orders")).length, 10)
      yield* startBroker("broker-b")
      yield* advance(3_000, 500)
      assert.strictEqual((yield* producer.send(text("orders"), { queue })).queueOffset, 10)
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("to a queue of a broker that nobody knows says so", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const queue = { topic: "orders", brokerName: "broker-x", queueId: 0 }
      const error = failureOf((yield* timed(producer.send(text("orders"), { queue }))).exit)
      assert.deepInclude(error.reason, { _tag: "BrokerNotExist", brokerName: "broker-x", topic: "orders" })
      assert.strictEqual(error.outcome, "not-sent")
      const oneway = failureOf((yield* timed(producer.sendOneway(text("orders"), { queue }))).exit)
      assert.deepInclude(oneway.reason, { _tag: "BrokerNotExist", brokerName: "broker-x" })
    }).pipe(onMemory({ topics }))
  )

  it.effect("a queue that the topic does not have is refused by the broker, once", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer()
      const queue = { topic: "orders", brokerName: "broker-a", queueId: 99 }
      const error = failureOf((yield* timed(producer.send(text("orders"), { queue }))).exit)
      assert.deepInclude(error.reason, { _tag: "BrokerRejected", code: 29 })
      assert.deepStrictEqual([error.outcome, error.attempts.length], ["rejected", 1])
    }).pipe(onMemory({ topics }))
  )
})

describe("sendOneway", () => {
  it.effect("stores the message and waits for no answer", () =>
    Effect.gen(function* () {
      const { faults, messages, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.delay(10_000)] })
      const { exit, millis } = yield* timed(
        Effect.forEach(Array.from({ length: 8 }), () => producer.sendOneway(text("orders")))
      )
      valueOf(exit)
      assert.strictEqual(millis, 0)
      yield* advance(10_000, 1_000)
      const stored = yield* messages("orders")
      assert.strictEqual(stored.length, 8)
      assert.strictEqual(new Set(stored.map((m) => m.msgId)).size, 8)
      assert.isTrue((yield* traffic.ofCode(SEND)).every((r) => r.oneway && r.answer === undefined))
    }).pipe(onMemory({ topics }))
  )

  it.effect("B16: fails typed when there is no connection, and then nothing was sent", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const producer = yield* startProducer()
      yield* network.setReachable(brokers[0]?.address ?? "", "refuse")
      const error = failureOf((yield* timed(producer.sendOneway(text("orders")))).exit)
      assert.strictEqual(error.reason._tag, "ConnectFailed")
      assert.deepStrictEqual(
        [error.outcome, error.attempts.map((a) => [a.brokerName, a.outcome])],
        ["not-sent", [["broker-a", "not-sent"]]]
      )
    }).pipe(onMemory({ topics }))
  )
})

describe("heartbeats", () => {
  it.effect("are the first frame on every new connection to a broker, and name all groups", () =>
    Effect.gen(function* () {
      const { brokers, traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      const check = Effect.gen(function* () {
        yield* Effect.forEach(Array.from({ length: 12 }), () => producer.send(text("orders")), {
          concurrency: "unbounded"
        })
        const first = new Map<string, number>()
        for (const request of yield* traffic.matching({ where: (r) => r.kind === "broker" })) {
          if (!first.has(request.remoteAddress)) first.set(request.remoteAddress, request.code)
        }
        assert.deepStrictEqual([...first.values()], [RequestCode.HEART_BEAT, RequestCode.HEART_BEAT])
        const [beat] = yield* traffic.ofCode(RequestCode.HEART_BEAT)
        assert.deepStrictEqual(groupsIn(beat?.body), ["CLIENT_INNER_PRODUCER", "pg"])
        assert.deepStrictEqual([...new Set(yield* knownGroups)], ["CLIENT_INNER_PRODUCER", "pg"])
      })
      yield* check
      assert.strictEqual(brokers.length, 2)
      yield* Effect.forEach(brokers, (broker) => broker.restart())
      yield* advance(500)
      yield* traffic.clear
      yield* check
    }).pipe(onMemory({ topics, brokers: 2, recordTraffic: { bodies: true } }))
  )

  it.effect("go to all brokers right after the start, without a send", () =>
    Effect.gen(function* () {
      const { clients } = yield* EmbeddedCluster
      yield* startProducer({ instanceName: "shared", producerGroup: "first", readiness: "routes", topics: ["orders"] })
      yield* settle
      assert.deepStrictEqual(
        (yield* clients).filter((c) => c.group === "first").map((c) => c.broker),
        ["broker-a", "broker-b"]
      )
      // The second one's start makes itself known at once.
      yield* startProducer({ instanceName: "shared", producerGroup: "second" })
      yield* settle
      assert.deepStrictEqual(
        (yield* clients).filter((c) => c.group === "second").map((c) => c.broker),
        ["broker-a", "broker-b"]
      )
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("of a producer go to masters only", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      yield* startProducer({ readiness: "registered", topics: ["orders"] })
      yield* advance(60_000, 10_000)
      const servers = new Set((yield* traffic.ofCode(RequestCode.HEART_BEAT)).map((r) => r.address))
      assert.strictEqual(servers.size, 1)
    }).pipe(onMemory({ topics, brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }] }))
  )

  it.effect("a broker is told when a producer leaves", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] })
      yield* settle
      const clientId = (yield* producer.state).instance?.clientId
      yield* producer.shutdown
      assert.deepStrictEqual(
        (yield* traffic.ofCode(RequestCode.UNREGISTER_CLIENT)).map((r) => [
          r.server,
          r.extFields?.["clientID"],
          r.extFields?.["producerGroup"]
        ]),
        [
          ["broker-a", clientId, "pg"],
          ["broker-b", clientId, "pg"],
          ["broker-a", clientId, "CLIENT_INNER_PRODUCER"],
          ["broker-b", clientId, "CLIENT_INNER_PRODUCER"]
        ]
      )
      yield* settle
      assert.deepStrictEqual(yield* knownGroups, [])
    }).pipe(onMemory({ topics, brokers: 2 }))
  )
})

describe("brokers that move", () => {
  it.effect("an address translator makes brokers reachable that announce an inner address", () =>
    Effect.gen(function* () {
      const { brokers, traffic } = yield* EmbeddedCluster
      const outer = brokers[0]?.address ?? ""
      const network = yield* MemoryNetwork
      const asked: Array<string> = []
      const translator = Layer.succeed(AddressTranslator, {
        translate: ({ address, brokerId, brokerName }) =>
          Effect.sync(() => {
            asked.push(`${brokerName} ${brokerId} ${address}`)
            return address.startsWith("172.17.") ? outer : address
          })
      })
      const body = new TextEncoder().encode(
        JSON.stringify({
          brokerDatas: [
            { brokerAddrs: { "0": "172.17.0.2:10911" }, brokerName: "broker-a", cluster: "DefaultCluster" }
          ],
          queueDatas: [{ brokerName: "broker-a", perm: 6, readQueueNums: 4, writeQueueNums: 4, topicSysFlag: 0 }],
          filterServerTable: {}
        })
      )
      yield* (yield* EmbeddedCluster).faults.add({
        match: { code: ROUTE },
        actions: [{ _tag: "Answer", response: { code: 0, body } }]
      })
      const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] }).pipe(
        Effect.provide(translator)
      )
      assert.isTrue(yield* canSend(producer))
      assert.deepStrictEqual([...new Set(asked)], ["broker-a 0 172.17.0.2:10911"])
      assert.strictEqual(yield* network.dials("172.17.0.2:10911"), 0)
      yield* traffic.expect({ code: SEND, server: "broker-a" }, { exactly: 1 })
    }).pipe(onMemory({ topics }))
  )

  it.effect(
    "B3: a broker that comes back elsewhere is found by the next send, and its old address is cleaned away",
    () =>
      Effect.gen(function* () {
        const { brokers, startBroker, stopBroker } = yield* EmbeddedCluster
        const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] })
        const before = brokers[0]?.address ?? ""
        yield* stopBroker("broker-a")
        yield* startBroker("broker-a", { newPort: true })
        const after = brokers[0]?.address ?? ""
        assert.notStrictEqual(after, before)
        const { exit } = yield* timed(producer.send(text("orders")))
        valueOf(exit)
        yield* advance(31_000, 1_000)
        const view = (yield* producer.state).instance
        assert.deepStrictEqual(
          view?.brokers.map((b) => b.address),
          [after]
        )
        assert.notInclude(view?.sockets.map((s) => s.address) ?? [], before)
      }).pipe(onMemory({ topics }))
  )

  it.effect("B2: a broker that restarts at its address is used again without a manual step", () =>
    Effect.gen(function* () {
      const { messages, startBroker, stopBroker } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      assert.isTrue(yield* canSend(producer))
      yield* stopBroker("broker-a", { unregister: "never" })
      const sending = yield* Effect.forkChild(timed(producer.send(text("orders"), { timeoutMillis: 20_000 })), {
        startImmediately: true
      })
      yield* settle
      yield* startBroker("broker-a")
      const { exit } = yield* Fiber.join(sending)
      assert.isTrue(valueOf(exit).attempts >= 1)
      yield* advance(3_000)
      assert.isTrue(yield* canSend(producer))
      assert.strictEqual((yield* messages("orders")).length, 3)
    }).pipe(onMemory({ topics }))
  )

  it.effect("B1: one of two that is gone costs sends nothing but the first attempt", () =>
    Effect.gen(function* () {
      const { brokers, stopBroker } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const producer = yield* startProducer()
      yield* Effect.forEach(Array.from({ length: 8 }), () => producer.send(text("orders")))
      yield* stopBroker("broker-a", { unregister: "never" })
      // Not even a name server that says nothing may slow them down.
      yield* network.setReachable((yield* EmbeddedCluster).namesrvAddr, "blackhole")
      for (let i = 0; i < 8; i++) {
        const { exit, millis } = yield* timed(producer.send(text("orders")))
        assert.strictEqual(valueOf(exit).queue.brokerName, "broker-b")
        assert.isAtMost(valueOf(exit).attempts, 2)
        assert.strictEqual(millis, 0)
      }
      assert.isAtMost(yield* network.dials(brokers[0]?.address ?? ""), 4)
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("N12: a topic whose route names a broker without a master goes to the others", () =>
    Effect.gen(function* () {
      const { stopBroker } = yield* EmbeddedCluster
      const producer = yield* startProducer()
      yield* Effect.forEach(Array.from({ length: 8 }), () => producer.send(text("orders")))
      yield* stopBroker("broker-a", { id: 0 })
      const { exit } = yield* timed(Effect.forEach(Array.from({ length: 8 }), () => producer.send(text("orders"))))
      assert.deepStrictEqual([...new Set(valueOf(exit).map((r) => r.queue.brokerName))], ["broker-b"])
    }).pipe(onMemory({ topics, brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }, { name: "broker-b" }] }))
  )
})

describe("what a producer shows", () => {
  it.effect("is one value: state, steps, topics, sends in flight, counters, and the instance under it", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const producer = yield* makeProducer()
      const fresh = yield* producer.state
      assert.deepStrictEqual(
        [fresh.serviceState, fresh.steps, fresh.topics, fresh.instance, fresh.counters.sends],
        ["CREATE_JUST", [], [], undefined, 0]
      )
      yield* producer.start
      yield* producer.send(text("orders"))
      yield* faults.add({ match: { code: SEND }, actions: [FaultScript.dropResponse] })
      const hanging = yield* Effect.forkChild(
        Effect.forEach(Array.from({ length: 7 }), () => Effect.exit(producer.send(text("orders"))), {
          concurrency: "unbounded"
        }),
        { startImmediately: true }
      )
      yield* settle
      const busy = yield* producer.state
      assert.deepStrictEqual([busy.serviceState, busy.inFlight, busy.instance?.inFlight], ["RUNNING", 7, 7])
      assert.deepStrictEqual(busy.topics, ["TBW102", "orders"])
      yield* advance(3_100)
      assert.isTrue((yield* Fiber.join(hanging)).every(Exit.isFailure))
      const after = yield* producer.state
      assert.deepInclude(after.counters, { sends: 8, acknowledged: 1, failed: 7, unknown: 7, retries: 0 })
      assert.deepStrictEqual([after.inFlight, after.instance?.inFlight], [0, 0])
      assert.doesNotThrow(() => JSON.stringify(after))
      yield* producer.shutdown
      const gone = yield* producer.state
      assert.deepStrictEqual([gone.serviceState, gone.instance, gone.inFlight], ["SHUTDOWN_ALREADY", undefined, 0])
    }).pipe(onMemory({ topics }))
  )
})
