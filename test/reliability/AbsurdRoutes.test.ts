/** Routes that are well-formed and cannot be meant: sums without end, addresses that are none, names of megabytes. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { make as makeAdmin } from "../../src/admin/MQAdmin.ts"
import { HEARTBEATS_AT_ONCE } from "../../src/client/Heartbeat.ts"
import { MAX_BROKERS } from "../../src/client/RouteBounds.ts"
import { MAX_QUEUES } from "../../src/client/RouteQueues.ts"
import { decodeOffsetMessageId } from "../../src/message/MessageId.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import * as GetRouteInfoByTopic from "../../src/protocol/request/GetRouteInfoByTopic.ts"
import type { BrokerData, QueueData, TopicRouteData } from "../../src/protocol/TopicRouteData.ts"
import * as Routes from "../../src/protocol/TopicRouteData.ts"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { cli } from "../cli/support.ts"
import { namesrvAddress, orThrow, rawClient } from "../embedded/support.ts"
import { advance, failureOf, onMemory, settle, startProducer, text, timed } from "../support/rig.ts"
import { row } from "./row.ts"
import { leavesNothing, sentIn, watchDials, watchLog } from "./watch.ts"

const many = <A>(count: number, make: (i: number) => A): ReadonlyArray<A> =>
  Array.from({ length: count }, (_, i) => make(i))

const queues = (brokerName: string, nums: number): QueueData => ({
  brokerName,
  perm: 6,
  readQueueNums: nums,
  writeQueueNums: nums,
  topicSysFlag: 0
})

const broker = (brokerName: string, address: string): BrokerData => ({
  brokerName,
  cluster: "DefaultCluster",
  brokerAddrs: new Map([[0, address]])
})

/** Answers every look-up of topic `orders` with this route. */
const answering = (route: Partial<TopicRouteData>) =>
  Effect.flatMap(EmbeddedCluster, ({ faults }) => {
    const whole = { queueDatas: [], brokerDatas: [], filterServerTable: new Map<string, never>(), ...route }
    const body = Routes.encode(whole, { standardJson: true })
    return Effect.andThen(
      faults.clear,
      faults.add({
        match: { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, topic: "orders" },
        actions: [{ _tag: "Answer", response: { code: 0, body } }]
      })
    )
  })

/** The address of the broker that is there. */
const alive = Effect.map(EmbeddedCluster, ({ brokers }) => {
  const address = brokers.find(({ name }) => name === "broker-a")?.address
  if (address === undefined) throw new Error("there is no broker-a")
  return address
})

/** Milliseconds of processor time that an effect took. */
const worked = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const before = process.cpuUsage()
    yield* effect
    const { system, user } = process.cpuUsage(before)
    return (user + system) / 1_000
  })

const poll = advance(31_000, 1_000)

describe("a route with sums without end", () => {
  /** Each: a route of a few kilobytes, and at least how many queues it has. */
  const cases: ReadonlyArray<readonly [what: string, route: (address: string) => Partial<TopicRouteData>]> = [
    [
      "400 brokers of 65,536 queues",
      (address) => ({
        queueDatas: many(400, (i) => queues(`b-${i}`, MAX_QUEUES)),
        brokerDatas: many(400, (i) => broker(`b-${i}`, address))
      })
    ],
    [
      "an order configuration of 400 brokers with 65,536 queues",
      (address) => ({
        queueDatas: [queues("broker-a", 4)],
        brokerDatas: [broker("broker-a", address)],
        orderTopicConf: many(400, (i) => `b-${i}:${MAX_QUEUES}`).join(";")
      })
    ],
    [
      "a static topic of 30,000 scopes",
      (address) => ({
        queueDatas: [queues("broker-a", 4)],
        brokerDatas: [broker("broker-a", address)],
        topicQueueMappingByBroker: new Map(
          many(30_000, (i) => [
            `b-${i}`,
            { scope: `s-${i}`, totalQueues: MAX_QUEUES, epoch: 1, currIdMap: new Map([[0, 0]]) }
          ])
        )
      })
    ]
  ]

  it.effect.each(cases)("A1: %s: a route known before stays in use, and the error has the figures", ([, route]) => {
    const log = watchLog()
    return row({}, (producer) =>
      Effect.gen(function* () {
        yield* answering(route(yield* alive))
        assert.isBelow(yield* worked(poll), 5_000, "milliseconds of work")
        assert.strictEqual(yield* sentIn(producer), 0)
        yield* poll
        const [told, ...more] = log.of("Warn", /too-many-queues/)
        assert.deepStrictEqual(more, [], "told once")
        assert.match(told ?? "", /topic "orders".*\d{5,} queues or more.*65536.*known before stays in use/)
        // Once the route is good again it is taken.
        yield* (yield* EmbeddedCluster).faults.clear
        yield* poll
        assert.strictEqual(yield* sentIn(producer), 0)
        assert.lengthOf(log.of("Info", /route of topic orders can be read again/), 1)
      })
    ).pipe(log.provide)
  })

  it.effect.each(cases)("A1: %s: without a route before, the send fails and says so", ([, route]) =>
    leavesNothing(
      Effect.gen(function* () {
        yield* answering(route(yield* alive))
        const producer = yield* startProducer({ readiness: "lazy" })
        const error = failureOf((yield* timed(producer.send(text("orders")))).exit)
        assert.deepInclude(error.reason, { _tag: "RouteUnavailable", problem: "too-many-queues", topic: "orders" })
        assert.deepStrictEqual([error.outcome, error.retryable], ["not-sent", false])
      })
    ).pipe(onMemory({ topics: { orders: {} } }))
  )

  const doubles: ReadonlyArray<readonly [what: string, route: (address: string) => Partial<TopicRouteData>]> = [
    [
      "400 queueDatas of one broker",
      (address) => ({
        queueDatas: many(400, () => queues("broker-a", MAX_QUEUES)),
        brokerDatas: many(400, () => broker("broker-a", address))
      })
    ],
    [
      "an order configuration that names one broker 400 times",
      (address) => ({
        queueDatas: [queues("broker-a", 4)],
        brokerDatas: [broker("broker-a", address)],
        orderTopicConf: many(400, () => `broker-a:${MAX_QUEUES}`).join(";")
      })
    ],
    [
      "a static topic of 130,000 mappings",
      (address) => ({
        queueDatas: [queues("broker-a", 4)],
        brokerDatas: [broker("broker-a", address)],
        topicQueueMappingByBroker: new Map(
          many(130_000, (i) => [
            `b-${i}`,
            { scope: "s", totalQueues: 4, epoch: i, bname: "broker-a", currIdMap: new Map([[i % 4, i % 4]]) }
          ])
        )
      })
    ]
  ]

  it.effect.each(doubles)("A2: %s: each queue counts once", ([, route]) =>
    leavesNothing(
      Effect.gen(function* () {
        yield* answering(route(yield* alive))
        const producer = yield* startProducer({ readiness: "lazy" })
        let queuesThen: ReadonlyArray<unknown> = []
        const millis = yield* worked(
          Effect.gen(function* () {
            queuesThen = yield* producer.fetchPublishMessageQueues("orders")
          })
        )
        assert.isBelow(millis, 10_000, "milliseconds of work")
        assert.isAtMost(queuesThen.length, MAX_QUEUES)
        assert.strictEqual(new Set(queuesThen.map((queue) => JSON.stringify(queue))).size, queuesThen.length)
      })
    ).pipe(onMemory({ topics: { orders: {} } }))
  )
})

describe("a route of thousands of brokers", () => {
  it.effect("A3: the first ones by name are used, few are greeted at once, and those that live in every round", () => {
    const log = watchLog()
    const { dials, onMemory: watched } = watchDials()
    return leavesNothing(
      Effect.gen(function* () {
        const network = yield* MemoryNetwork
        const living = yield* alive
        // By name in front of all others; every second one does not refuse, but says nothing.
        const dead = many(5_000, (i) => broker(`c-${String(i).padStart(5, "0")}`, `10.1.${i >> 8}.${i & 255}:10911`))
        for (let i = 0; i < 200; i += 2) yield* network.setReachable(`10.1.0.${i}:10911`, "blackhole")
        yield* answering({
          queueDatas: [queues("broker-a", 4)],
          brokerDatas: [...dead.toReversed(), broker("broker-a", living)]
        })
        const producer = yield* startProducer({ readiness: "routes", topics: ["orders"] })
        const millis = yield* worked(advance(45_000, 1_000))
        assert.isBelow(millis, 20_000, "milliseconds of work")
        assert.strictEqual(yield* sentIn(producer), 0)

        const { instance } = yield* producer.state
        assert.strictEqual(instance?.brokers.length, MAX_BROKERS)
        assert.deepStrictEqual(instance?.routes.find(({ topic }) => topic === "orders")?.warnings, [
          { _tag: "TooManyBrokers", brokers: 5_001 }
        ])
        assert.lengthOf(log.of("Warn", /5001 brokers, of which the first 4096 by name/), 1)
        assert.isAtMost(log.of("Warn", /heartbeat/).length, 3 * 9)
        assert.isAtLeast(log.of("Warn", /heartbeats to \d+ more brokers failed/).length, 1)

        // How many dials were under way at the most: those that hang take 3 s, the others none.
        const hanging = dials.filter(({ address }) => /^10\.1\.0\.\d*[02468]:/.test(address))
        const most = Math.max(
          ...hanging.map(({ at }) => hanging.filter((other) => other.at > at - 3_000 && other.at <= at).length)
        )
        assert.isAtMost(most, HEARTBEATS_AT_ONCE)
        const beat = instance?.brokers.find(({ address }) => address === living)?.lastSuccess ?? 0
        assert.isAtLeast(beat, 31_000, "in each round, however many others hang")
      })
    ).pipe(watched({ topics: { orders: {} } }), log.provide)
  })
})

describe("a route address that is none", () => {
  const bad = [
    ["a space", "127.0.0.1 :10911"],
    ["begins with a slash", "/127.0.0.1:10911"],
    ["empty", ""],
    ["port is missing", "127.0.0.1"],
    ["a comma", "127.0.0.1:10911,127.0.0.1:10912"],
    ["a number", "2130706433:10911"],
    ["more than 255 characters", `${"a".repeat(1 << 20)}:10911`]
  ] as const

  it.effect.each(bad)("A4: %s: the send says what is wrong with it", ([words, address]) => {
    const log = watchLog()
    const { dials, onMemory: watched } = watchDials()
    return leavesNothing(
      Effect.gen(function* () {
        const { namesrvAddr } = yield* EmbeddedCluster
        yield* answering({ queueDatas: [queues("bad", 4)], brokerDatas: [broker("bad", address)] })
        const producer = yield* startProducer({ readiness: "lazy", createTopicKey: "orders" })
        const { outcome, reason } = failureOf((yield* timed(producer.send(text("orders")))).exit)
        assert.deepInclude(reason, { _tag: "RouteUnavailable", problem: "address-unreadable" })
        assert.strictEqual(outcome, "not-sent")
        assert.include(reason.message, words)
        assert.notInclude(reason.message, "allowAddress")
        assert.isBelow(reason.message.length, 1_000)
        yield* poll
        assert.lengthOf(log.of("Warn", /of broker bad/), 1)
        for (const line of log.of("Warn", /./)) assert.isBelow(line.length, 1_000)
        assert.deepStrictEqual([...new Set(dials.map((dial) => dial.address))], [namesrvAddr])
      })
    ).pipe(watched({ topics: { orders: {} } }), log.provide)
  })

  it.effect.each(bad)("A4: %s: other brokers are used, and nobody notices", ([, address]) =>
    row({}, (producer) =>
      Effect.gen(function* () {
        yield* answering({
          queueDatas: [queues("bad", 4), queues("broker-a", 1)],
          brokerDatas: [broker("bad", address), broker("broker-a", yield* alive)]
        })
        yield* poll
        for (let i = 0; i < 8; i++) {
          const { attempts, queue } = yield* producer.send(text("orders"))
          assert.deepStrictEqual([queue.brokerName, attempts], ["broker-a", 1])
        }
        const queue = { topic: "orders", brokerName: "bad", queueId: 0 }
        const { message, reason } = yield* Effect.flip(producer.send(text("orders"), { queue }))
        assert.strictEqual(reason._tag, "BrokerNotExist")
        assert.notInclude(message, "allowAddress")
      })
    )
  )
})

describe("a route address that is no single machine's", () => {
  const addresses = [
    ["169.254.169.254:80", "link-local"],
    ["[fe80::1]:10911", "link-local"],
    ["::ffff:169.254.169.254:80", "link-local"],
    ["0.0.0.0:10911", "unspecified"],
    [":::10911", "unspecified"],
    ["224.0.0.1:10911", "multicast"],
    ["255.255.255.255:10911", "broadcast"]
  ] as const

  it.effect.each(addresses)("A5: %s: is not dialled, unless allowAddress says so", ([address, problem]) => {
    const log = watchLog()
    const { dials, onMemory: watched } = watchDials()
    return leavesNothing(
      Effect.gen(function* () {
        const { namesrvAddr } = yield* EmbeddedCluster
        yield* answering({ queueDatas: [queues("bad", 4)], brokerDatas: [broker("bad", address)] })
        const producer = yield* startProducer({ readiness: "lazy", createTopicKey: "orders" })
        const { reason } = failureOf((yield* timed(producer.send(text("orders")))).exit)
        if (reason._tag !== "RouteUnavailable") throw new Error(reason.message)
        assert.strictEqual(reason.problem, "address-not-allowed")
        assert.deepInclude(reason.refused?.[0], { problem, brokerName: "bad" })
        yield* poll
        assert.lengthOf(log.of("Warn", /of broker bad/), 1)
        assert.deepStrictEqual([...new Set(dials.map((dial) => dial.address))], [namesrvAddr])

        const bold = yield* startProducer({
          readiness: "lazy",
          createTopicKey: "orders",
          instanceName: "bold",
          allowAddress: () => true
        })
        yield* timed(bold.send(text("orders")))
        assert.strictEqual(new Set(dials.map((dial) => dial.address)).size, 2)
      })
    ).pipe(watched({ topics: { orders: {} } }), log.provide)
  })
})

describe("names that no one can use", () => {
  const names = [
    ["a megabyte long", "x".repeat(1 << 20)],
    ["with an escape", "broker\u001b[2J\u001b]0;owned\u0007"],
    ["with a second line", "broker\n2026-01-01 ERROR faked"],
    ["written backwards", "broker\u202egnp.exe"]
  ] as const

  it.effect.each(names)("A6: %s: are left out, and told in a short and clean line", ([, name]) => {
    const log = watchLog()
    return row({}, (producer) =>
      Effect.gen(function* () {
        const address = yield* alive
        yield* answering({
          queueDatas: [queues(name, MAX_QUEUES), queues("broker-a", 1)],
          brokerDatas: [broker(name, address), broker("broker-a", address), { ...broker("b", address), cluster: name }],
          topicQueueMappingByBroker: new Map([[name, { scope: name, totalQueues: 9, epoch: 1, bname: name }]]),
          filterServerTable: new Map([[name, [name]]])
        })
        yield* poll
        assert.strictEqual((yield* producer.send(text("orders"))).queue.brokerName, "broker-a")
        yield* settle
        const { instance } = yield* producer.state
        assert.notInclude(JSON.stringify(instance), JSON.stringify(name).slice(1, 60))
        const lines = log.of("Warn", /./)
        assert.lengthOf(
          lines.filter((line) => line.includes("route of topic orders is used in part")),
          1
        )
        for (const line of lines) {
          assert.isBelow(line.length, 1_000)
          assert.notMatch(line, /[\p{Cc}\p{Cf}]/u)
        }
      })
    ).pipe(log.provide)
  })
})

/** The command, with a name server on IPv6. */
const asked = (...args: ReadonlyArray<string>) => cli([...args, "--namesrv", "::1:9876"])

describe("a broker that announces its IPv6 address as 5.5.0 does", () => {
  const v6 = { topics: { orders: {} }, listen: { host: "::1", namesrvPort: 9_876, brokerPort: 10_911 } }
  /** Its address here, after a look at the route. */
  const announced = Effect.gen(function* () {
    const address = yield* alive
    assert.strictEqual(address, "[::1]:10911")
    const answer = yield* (yield* rawClient()).call(
      yield* namesrvAddress,
      GetRouteInfoByTopic.request({ topic: "orders" })
    )
    const route = orThrow(GetRouteInfoByTopic.decodeResponse(answer))
    assert.deepStrictEqual(
      route.brokerDatas.map(({ brokerAddrs }) => [...brokerAddrs]),
      [[[0, "::1:10911"]]]
    )
    return address
  }).pipe(Effect.scoped)

  it.effect("A8: sends, heartbeats, errors and the state have its one form", () => {
    const { dials, onMemory: watched } = watchDials()
    return leavesNothing(
      Effect.gen(function* () {
        const address = yield* announced
        const producer = yield* startProducer({
          namesrvAddr: "::1:9876",
          readiness: "registered",
          topics: ["orders"],
          createTopicKey: "orders"
        })
        const { offsetMsgId } = yield* producer.send(text("orders"))
        assert.strictEqual(decodeOffsetMessageId(offsetMsgId)?.address, address)
        const { instance } = yield* producer.state
        assert.deepStrictEqual(instance?.nameServers.addresses, ["[::1]:9876"])
        assert.deepStrictEqual(
          instance?.brokers.map((one) => [one.address, one.failures]),
          [[address, 0]]
        )
        assert.deepStrictEqual(new Set(dials.map((dial) => dial.address)), new Set(["[::1]:9876", address]))
        yield* (yield* EmbeddedCluster).stopBroker("broker-a")
        const { message } = failureOf((yield* timed(producer.send(text("orders")))).exit)
        assert.include(message, address)
      })
    ).pipe(watched(v6))
  })

  it.effect("A8: the VIP channel is two ports below", () => {
    const { onMemory: watched, to } = watchDials()
    return leavesNothing(
      Effect.gen(function* () {
        yield* announced
        const producer = yield* startProducer({ readiness: "lazy", vipChannelEnabled: true, sendMsgTimeout: 500 })
        yield* timed(producer.send(text("orders")))
        assert.isAbove(to("[::1]:10909").length, 0)
      })
    ).pipe(watched(v6))
  })

  it.effect("A8: an administrator asks it by name, by address, and by the id of a message", () =>
    leavesNothing(
      Effect.gen(function* () {
        yield* announced
        const { namesrvAddr } = yield* EmbeddedCluster
        const producer = yield* startProducer()
        const { offsetMsgId } = yield* producer.send(text("orders", "v6"))
        const admin = yield* makeAdmin({ namesrvAddr })
        const { body } = yield* admin.viewMessage(offsetMsgId)
        assert.strictEqual(Buffer.from(body).toString(), "v6")
        assert.strictEqual((yield* admin.queryMessageById("orders", offsetMsgId)).brokerName, "broker-a")
        const config = yield* admin.getBrokerConfig("broker-a")
        assert.deepStrictEqual(yield* admin.getBrokerConfig("::1:10911"), config)
        assert.deepStrictEqual(yield* admin.getBrokerConfig("[::1]:10911"), config)
      })
    ).pipe(onMemory(v6))
  )

  it.effect("A8: the command finds it, whichever way its address is written", () =>
    Effect.gen(function* () {
      assert.match((yield* asked("topic", "route", "orders")).out.join("\n"), /broker-a {2}master {2}::1:10911 /)
      for (const named of ["broker-a", "::1:10911", "[::1]:10911"]) {
        const { exitCode, out } = yield* asked("broker", "config", named)
        assert.strictEqual(exitCode, 0, named)
        assert.include(out.join("\n"), "broker-a")
      }
    }).pipe(onMemory(v6))
  )
})
