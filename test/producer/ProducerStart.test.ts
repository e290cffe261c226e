import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Exit } from "effect"
import { RouteProblem, type StartError } from "../../src/client/ClientError.ts"
import { CredentialsUnavailable } from "../../src/client/SessionCredentials.ts"
import { EmbeddedCluster, type EmbeddedClusterOptions, FaultScript } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import * as TopicRouteData from "../../src/protocol/TopicRouteData.ts"
import { ResponseCode } from "../../src/protocol/ResponseCode.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import type { WireErrorKind } from "../../src/transport/Wire.ts"
import {
  canSend,
  failureOf,
  held,
  makeProducer,
  nothing,
  onMemory,
  settle,
  sorted,
  startProducer,
  text,
  timed,
  valueOf
} from "../support/rig.ts"
import { onFailingDials } from "../support/failingDials.ts"

const topics = { orders: {} }

/** A start that must fail: its error, and the time it took. */
const failedStart = (given: Partial<ProducerOptions>) =>
  Effect.gen(function* () {
    const producer = yield* makeProducer(given)
    const { exit, millis } = yield* timed(producer.start)
    assert.strictEqual(yield* producer.serviceState, "START_FAILED")
    yield* settle
    assert.deepStrictEqual(yield* held, nothing)
    const error: StartError = failureOf(exit)
    return { error, reason: error.reason, millis }
  })

/** What a dial fails with: a host whose name ends in `.invalid` has no address, one in `.full` wants a descriptor too many. */
const failureOfDial = (address: string): WireErrorKind | undefined => {
  if (/\.invalid:\d+$/.test(address)) return "dns"
  return /\.full:\d+$/.test(address) ? "exhausted" : undefined
}

const onMemoryWithDns = (options: EmbeddedClusterOptions) => onFailingDials(failureOfDial, options)

const environment = (value: string) =>
  Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({ NAMESRV_ADDR: value })))

/** The problem that a send to the topic meets, with its message. */
const routeProblem = (given: Partial<ProducerOptions>, topic = "orders") =>
  Effect.gen(function* () {
    const producer = yield* startProducer({ readiness: "lazy", ...given })
    const { exit } = yield* timed(producer.send(text(topic)))
    const error = failureOf(exit)
    if (error.reason._tag !== "RouteUnavailable") throw new Error(`${error.reason._tag}: ${error.message}`)
    assert.strictEqual(error.outcome, "not-sent")
    assert.deepStrictEqual(error.attempts, [])
    assert.strictEqual(error.reason.topic, topic)
    assert.strictEqual(error.retryable, error.reason.retryable)
    yield* producer.shutdown
    return { problem: error.reason.problem, message: error.message, tries: error.reason.tries.map((t) => t.problem) }
  })

describe("readiness lazy", () => {
  it.effect("N1: asks nobody anything, and starts when nothing is there", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      yield* network.setReachable(namesrvAddr, "blackhole")
      const producer = yield* makeProducer({ readiness: "lazy" })
      const { exit, millis } = yield* timed(producer.start)
      valueOf(exit)
      assert.strictEqual(millis, 0)
      assert.strictEqual(yield* network.dials(namesrvAddr), 0)
      yield* network.setReachable(namesrvAddr, "open")
      assert.isTrue(yield* canSend(producer))
      yield* producer.shutdown
    }).pipe(onMemory({ topics }))
  )
})

describe("readiness nameServer", () => {
  it.effect("waits for one answer of a name server, and for no route", () =>
    Effect.gen(function* () {
      const { brokers, namesrvAddr, traffic } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      yield* startProducer()
      assert.strictEqual(yield* network.dials(namesrvAddr), 1)
      assert.strictEqual(yield* network.dials(brokers[0]?.address ?? ""), 0)
      assert.deepStrictEqual(
        (yield* traffic.all).map((r) => [r.code, r.topic]),
        [[RequestCode.GET_ROUTEINFO_BY_TOPIC, "TBW102"]]
      )
    }).pipe(onMemory({ topics }))
  )

  it.effect("is content where topics may not be created", () =>
    startProducer().pipe(Effect.asVoid, onMemory({ topics, autoCreateTopicEnable: false }))
  )

  it.effect("N1: refused: every server and why, at once", () =>
    Effect.gen(function* () {
      const { millis, reason, error } = yield* failedStart({ namesrvAddr: "127.0.0.1:1;127.0.0.1:2" })
      if (reason._tag !== "NameServerUnavailable") throw new Error(reason._tag)
      assert.deepStrictEqual(sorted(reason.tries.map((t) => [t.address, t.problem])), [
        ["127.0.0.1:1", "refused"],
        ["127.0.0.1:2", "refused"]
      ])
      assert.strictEqual(millis, 0)
      assert.strictEqual(error.step, "2.5")
      assert.isTrue(error.retryable)
      assert.include(error.message, "127.0.0.1:2")
    }).pipe(onMemory({ topics }))
  )

  it.effect("N1: silent: within the time of one request, whether it takes connections or not", () =>
    Effect.gen(function* () {
      const { faults, namesrvAddr } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      yield* network.setReachable(namesrvAddr, "blackhole")
      const unconnected = yield* failedStart({ mqClientApiTimeout: 2_000 })
      yield* network.setReachable(namesrvAddr, "open")
      yield* faults.add({ match: { broker: "namesrv" }, actions: [FaultScript.dropRequest] })
      const unanswered = yield* failedStart({ mqClientApiTimeout: 2_000 })
      for (const { millis, reason } of [unconnected, unanswered]) {
        if (reason._tag !== "NameServerUnavailable") throw new Error(reason._tag)
        assert.deepStrictEqual(
          reason.tries.map((t) => [t.address, t.problem]),
          [[namesrvAddr, "silent"]]
        )
        assert.isAtMost(millis, 2_005)
        assert.isAtLeast(millis, 2_000)
      }
    }).pipe(onMemory({ topics }))
  )

  it.effect("H1: a name that does not resolve", () =>
    Effect.gen(function* () {
      const { reason } = yield* failedStart({ namesrvAddr: "ns.invalid:9876" })
      if (reason._tag !== "NameServerUnavailable") throw new Error(reason._tag)
      assert.deepStrictEqual(
        reason.tries.map((t) => t.problem),
        ["name-not-resolved"]
      )
      // One bad name of three does no harm.
      const { namesrvAddr } = yield* EmbeddedCluster
      yield* startProducer({ namesrvAddr: ["a.invalid:9876", "b.invalid:9876", namesrvAddr] })
    }).pipe(onMemoryWithDns({ topics }))
  )

  it.effect("no address at all: says where it looked", () =>
    Effect.gen(function* () {
      const { error, reason } = yield* failedStart({ namesrvAddr: undefined })
      assert.deepStrictEqual([error.step, reason._tag], ["3.2", "NoNameServer"])
      for (const place of ["NAMESRV_ADDR", "NameServerResolver", "namesrvDomain"]) assert.include(error.message, place)
      assert.isFalse(error.retryable)
    }).pipe(onMemory({ topics }), Effect.provide(ConfigProvider.layer(ConfigProvider.fromUnknown({}))))
  )

  it.effect("the environment's address is used, and its problems are reported", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const producer = yield* startProducer({ namesrvAddr: undefined }).pipe(environment(`${namesrvAddr};`))
      assert.deepStrictEqual((yield* producer.state).instance?.nameServers.addresses, [namesrvAddr])
      assert.deepStrictEqual(
        (yield* producer.state).instance?.timers.filter((t) => t.next === undefined).map((t) => t.number),
        [1]
      )
      const bad = yield* makeProducer({ namesrvAddr: undefined, producerGroup: "bad" })
      const { reason } = failureOf(yield* Effect.exit(bad.start.pipe(environment("nonsense"))))
      if (reason._tag !== "InvalidConfig") throw new Error(reason._tag)
      assert.deepStrictEqual(
        reason.problems.map((p) => p.path),
        ["NAMESRV_ADDR[0]"]
      )
      // What is set in code comes first.
      const own = yield* startProducer({ producerGroup: "own" }).pipe(environment("127.0.0.1:1"))
      assert.isTrue(yield* canSend(own))
    }).pipe(onMemory({ topics }))
  )
})

describe("readiness routes", () => {
  it.effect("waits until the topics have routes, and the first send needs no look-up", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const producer = yield* startProducer({ readiness: "routes", topics: ["orders", "bills"] })
      assert.deepStrictEqual((yield* producer.state).instance?.routes.map((r) => r.topic).toSorted(), [
        "bills",
        "orders"
      ])
      yield* traffic.clear
      assert.isTrue(yield* canSend(producer))
      yield* traffic.expect({ code: RequestCode.GET_ROUTEINFO_BY_TOPIC }, { exactly: 0 })
    }).pipe(onMemory({ topics: { orders: {}, bills: {} } }))
  )

  it.effect("without topics it waits for the template topic's route", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ readiness: "routes" })
      assert.deepStrictEqual(
        (yield* producer.state).instance?.routes.map((r) => r.topic),
        ["TBW102"]
      )
    }).pipe(onMemory())
  )

  it.effect("an absent topic is borrowed, or named where that is not wanted", () =>
    Effect.gen(function* () {
      yield* startProducer({ readiness: "routes", topics: ["new"], producerGroup: "borrows" }).pipe(
        Effect.flatMap((producer) => producer.shutdown)
      )
      yield* settle
      const { error, reason } = yield* failedStart({
        readiness: "routes",
        topics: ["orders", "new"],
        borrowRoute: false
      })
      assert.deepInclude(reason, { _tag: "RouteUnavailable", topic: "new", problem: "topic-absent" })
      assert.strictEqual(error.step, "2.5")
      assert.isFalse(error.retryable)
    }).pipe(onMemory({ topics }))
  )
})

describe("readiness registered", () => {
  it.effect("waits until every master has acknowledged a heartbeat", () =>
    Effect.gen(function* () {
      const { clients } = yield* EmbeddedCluster
      const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] })
      assert.deepStrictEqual(
        (yield* clients).filter((c) => c.group === "pg").map((c) => [c.broker, c.brokerId]),
        [
          ["broker-a", 0],
          ["broker-b", 0]
        ]
      )
      assert.strictEqual((yield* producer.state).instance?.brokers.filter((b) => b.lastSuccess !== undefined).length, 2)
    }).pipe(onMemory({ topics, brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }, { name: "broker-b" }] }))
  )

  it.effect("a broker that cannot be reached is named, with the advice about addresses", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      const address = brokers[1]?.address ?? ""
      yield* network.setReachable(address, "refuse")
      const { error, reason } = yield* failedStart({ readiness: "registered", topics: ["orders"] })
      if (reason._tag !== "BrokerNotRegistered") throw new Error(reason._tag)
      assert.deepInclude(reason, { brokerName: "broker-b", address })
      assert.strictEqual(reason.cause._tag, "ConnectFailed")
      assert.include(error.message, "AddressTranslator")
      assert.isTrue(error.retryable)
    }).pipe(onMemory({ topics, brokers: 2 }))
  )

  it.effect("a broker that is silent, or refuses, is named too", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({ match: { code: RequestCode.HEART_BEAT }, actions: [FaultScript.dropRequest] })
      const silent = yield* failedStart({ readiness: "registered", topics: ["orders"] })
      if (silent.reason._tag !== "BrokerNotRegistered") throw new Error(silent.reason._tag)
      assert.strictEqual(silent.reason.cause._tag, "RequestTimeout")
      // The roll-back takes its leave of the broker twice, half a second each at most.
      assert.isAtMost(silent.millis, 3_005 + 1_000)
      yield* faults.clear
      yield* faults.add({ match: { code: RequestCode.HEART_BEAT }, actions: [FaultScript.answer(16, "no")] })
      const refused = yield* failedStart({ readiness: "registered", topics: ["orders"] })
      if (refused.reason._tag !== "BrokerNotRegistered") throw new Error(refused.reason._tag)
      assert.deepInclude(refused.reason.cause, { _tag: "BrokerRejected", code: 16, remark: "no" })
    }).pipe(onMemory({ topics }))
  )

  it.effect("the start's deadline holds over all its waits", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const waits = [RequestCode.GET_ROUTEINFO_BY_TOPIC, RequestCode.HEART_BEAT]
      yield* faults.add({ match: { code: waits }, actions: [FaultScript.delay(400)] })
      const { error, millis, reason } = yield* failedStart({
        readiness: "registered",
        topics: ["orders"],
        startTimeoutMillis: 1_000
      })
      assert.deepInclude(reason, { _tag: "StartTimeout", timeoutMillis: 1_000 })
      // And the roll-back, which takes its leave of the broker twice, half a second each at most.
      assert.isAtMost(millis, 1_005 + 1_000)
      assert.strictEqual(error.step, "2.5")
      assert.include(error.message, "ready: registered")
    }).pipe(onMemory({ topics }))
  )
})

/** A route with one broker. */
const routeOf = (address: string, queues: number) =>
  TopicRouteData.encode(
    {
      brokerDatas: [{ brokerName: "broker-a", cluster: "c", brokerAddrs: new Map([[0, address]]) }],
      queueDatas: [{ brokerName: "broker-a", perm: 6, readQueueNums: queues, writeQueueNums: queues, topicSysFlag: 0 }],
      filterServerTable: new Map()
    },
    { standardJson: true }
  )

/** Answers with this route. */
const answering = (body: Uint8Array) =>
  Effect.flatMap(EmbeddedCluster, ({ faults }) =>
    faults.add({
      match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC },
      actions: [{ _tag: "Answer", response: { code: 0, body } }]
    })
  )

const cause = (
  expected: RouteProblem,
  words: string,
  found: { readonly problem: RouteProblem; readonly message: string }
) => {
  assert.strictEqual(found.problem, expected)
  assert.include(found.message, expected)
  assert.include(found.message, words)
}

describe("no route: which of the causes it is", () => {
  const told = new Set<string>()
  /** A test of a cause; that it is there is known before any of them runs. */
  const tells = (problem: RouteProblem, title: string, program: Parameters<typeof it.effect>[1]) => {
    told.add(problem)
    it.effect(title, program)
  }

  tells("name-not-resolved", "H1: a host name without an address", () =>
    Effect.gen(function* () {
      const found = yield* routeProblem({ namesrvAddr: "ns.invalid:9876" })
      cause("name-not-resolved", "DNS", found)
      assert.deepStrictEqual(found.tries, ["name-not-resolved"])
    }).pipe(onMemoryWithDns({ topics }))
  )

  tells("client-exhausted", "H8: no file descriptor to ask with", () =>
    Effect.gen(function* () {
      const found = yield* routeProblem({ namesrvAddr: "ns.full:9876" })
      cause("client-exhausted", "ulimit", found)
      assert.deepStrictEqual(found.tries, ["exhausted"])
    }).pipe(onMemoryWithDns({ topics }))
  )

  tells("name-server-refused", "N1: nothing listens", () =>
    Effect.gen(function* () {
      cause("name-server-refused", "Nothing listens", yield* routeProblem({ namesrvAddr: "127.0.0.1:1" }))
    }).pipe(onMemory({ topics }))
  )

  tells("name-server-silent", "silence, before and after the connection", () =>
    Effect.gen(function* () {
      const { faults, namesrvAddr } = yield* EmbeddedCluster
      const network = yield* MemoryNetwork
      yield* faults.add({ match: { broker: "namesrv" }, actions: [FaultScript.dropRequest] })
      cause("name-server-silent", "firewalls", yield* routeProblem({ mqClientApiTimeout: 1_000 }))
      yield* network.setReachable(namesrvAddr, "blackhole")
      cause("name-server-silent", "firewalls", yield* routeProblem({ mqClientApiTimeout: 1_000 }))
    }).pipe(onMemory({ topics }))
  )

  tells("name-server-rejected", "an error of the name server, with its words", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const refusal = FaultScript.answer(ResponseCode.SYSTEM_ERROR, "out of order")
      yield* faults.add({ match: { broker: "namesrv" }, actions: [refusal] })
      const found = yield* routeProblem({})
      cause("name-server-rejected", "out of order", found)
    }).pipe(onMemory({ topics }))
  )

  tells("name-server-unreadable", "N8: bytes that are no frame", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      yield* faults.add({ match: { broker: "namesrv" }, actions: [FaultScript.corruptResponse] })
      const found = yield* routeProblem({})
      cause("name-server-unreadable", "no RocketMQ frame", found)
      assert.deepStrictEqual(found.tries, ["unreadable"])
    }).pipe(onMemory({ topics }))
  )

  tells("topic-absent", "a topic that nobody has and nobody may create", () =>
    Effect.gen(function* () {
      cause("topic-absent", "topic create", yield* routeProblem({}, "new"))
    }).pipe(onMemory({ topics, autoCreateTopicEnable: false }))
  )

  tells("topic-absent", "a topic that nobody has, and the producer does not borrow", () =>
    Effect.gen(function* () {
      cause("topic-absent", "topic create", yield* routeProblem({ borrowRoute: false }, "new"))
    }).pipe(onMemory({ topics }))
  )

  tells("no-broker", "a name server that no broker registers with", () =>
    Effect.gen(function* () {
      yield* (yield* EmbeddedCluster).stopBroker("broker-a")
      for (const topic of ["orders", "new"]) {
        cause("no-broker", "The name server knows no broker at all", yield* routeProblem({}, topic))
      }
      // One that does not say leaves it at the topic.
      const refusal = FaultScript.answer(ResponseCode.SYSTEM_ERROR, "not for you")
      yield* (yield* EmbeddedCluster).faults.add({
        match: { broker: "namesrv", code: RequestCode.GET_BROKER_CLUSTER_INFO },
        actions: [refusal]
      })
      cause("topic-absent", "topic create", yield* routeProblem({}, "new"))
    }).pipe(onMemory({ topics }))
  )

  tells("no-writable-queue", "N12: a topic that may only be read", () =>
    Effect.gen(function* () {
      cause("no-writable-queue", "write permission", yield* routeProblem({}))
    }).pipe(onMemory({ topics: { orders: { perm: 4 } } }))
  )

  tells("no-master", "N12: a broker without a master", () =>
    Effect.gen(function* () {
      const { stopBroker } = yield* EmbeddedCluster
      yield* stopBroker("broker-a", { id: 0 })
      cause("no-master", "fail-over", yield* routeProblem({}))
    }).pipe(onMemory({ topics, brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }] }))
  )

  tells("name-server-tls", "no TLS connection to a name server", () =>
    Effect.gen(function* () {
      const found = yield* routeProblem({ tls: {} })
      cause("name-server-tls", "no-tls-here", found)
      assert.deepStrictEqual(found.tries, ["tls-failed"])
    }).pipe(onMemory({ topics }))
  )

  tells("request-not-signed", "credentials that cannot be had", () =>
    Effect.gen(function* () {
      const get = Effect.fail(new CredentialsUnavailable({ detail: "the vault is closed" }))
      cause("request-not-signed", "credentials", yield* routeProblem({ credentials: { get } }))
    }).pipe(onMemory({ topics }))
  )

  tells("address-not-allowed", "addresses that are not allowed", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const found = yield* routeProblem({ allowAddress: () => false })
      cause("address-not-allowed", brokers[0]?.address ?? "no broker", found)
    }).pipe(onMemory({ topics }))
  )

  tells("address-unreadable", "addresses that cannot be read", () =>
    Effect.gen(function* () {
      yield* answering(routeOf("127.0.0.1 :10911", 4))
      cause("address-unreadable", "127.0.0.1 :10911", yield* routeProblem({}))
    }).pipe(onMemory({ topics }))
  )

  tells("too-many-queues", "more queues than a topic can have", () =>
    Effect.gen(function* () {
      yield* answering(routeOf("127.0.0.1:10911", 70_000))
      cause("too-many-queues", "70000", yield* routeProblem({}))
    }).pipe(onMemory({ topics }))
  )

  tells(
    "no-name-server-address",
    "no address: the list that was good has become empty is not a thing, so the instance has none from the start",
    () =>
      Effect.gen(function* () {
        const { reason } = yield* failedStart({ namesrvAddr: " ; ", readiness: "lazy" })
        assert.strictEqual(reason._tag, "NoNameServer")
      }).pipe(onMemory({ topics }))
  )

  it("and that is all of them", () => {
    assert.deepStrictEqual(sorted(told), sorted(RouteProblem.literals))
  })
})

describe("an order topic", () => {
  it.effect("whose configuration names no queue has no writable queue, and does not hang", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const body = new TextEncoder().encode(
        JSON.stringify({
          orderTopicConf: "nonsense",
          brokerDatas: [{ brokerAddrs: { "0": "127.0.0.1:1" }, brokerName: "a", cluster: "c" }],
          queueDatas: [{ brokerName: "a", perm: 6, readQueueNums: 4, writeQueueNums: 4, topicSysFlag: 0 }],
          filterServerTable: {}
        })
      )
      yield* faults.add({
        match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, topic: "orders" },
        actions: [{ _tag: "Answer", response: { code: 0, body } }]
      })
      const producer = yield* startProducer()
      const exit = yield* Effect.exit(producer.send(text("orders")))
      assert.isTrue(Exit.isFailure(exit))
      assert.deepInclude(failureOf(exit).reason, { _tag: "RouteUnavailable", problem: "no-writable-queue" })
    }).pipe(onMemory({ topics }))
  )
})
