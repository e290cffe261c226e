import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import type { EmbeddedClusterOptions } from "../../src/testing/index.ts"
import * as GetRouteInfoByTopic from "../../src/protocol/request/GetRouteInfoByTopic.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import {
  brokerAddress,
  namesrvAddress,
  orThrow,
  producerHeartbeat,
  pullRequest,
  rawClient,
  sendRequest,
  textOf
} from "./support.ts"

const onCluster = (options: EmbeddedClusterOptions = { brokers: 2, topics: { orders: {} } }) =>
  Effect.provide(EmbeddedCluster.layerMemory(options))

const routeAt = (address: string, topic = "orders") =>
  Effect.gen(function* () {
    const client = yield* rawClient()
    const answer = yield* client.call(address, GetRouteInfoByTopic.request({ topic }))
    return answer.code === 0 ? orThrow(GetRouteInfoByTopic.decodeResponse(answer)) : undefined
  }).pipe(Effect.scoped)

const brokersAt = (address: string, topic = "orders") =>
  Effect.map(routeAt(address, topic), (route) => route?.brokerDatas.map((data) => data.brokerName) ?? [])

describe("cluster", () => {
  it.effect("a broker that stops leaves the routes at once, keeps its messages and comes back where it was", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const client = yield* rawClient()
      const [namesrv, address] = [yield* namesrvAddress, yield* brokerAddress()]
      yield* client.call(address, sendRequest())
      yield* client.call(address, producerHeartbeat("c1", "pg"))
      yield* cluster.stopBroker("broker-a")
      assert.deepStrictEqual(yield* brokersAt(namesrv), ["broker-b"])
      assert.isFalse(cluster.brokers[0]?.running)
      assert.deepStrictEqual(yield* cluster.clients, [])
      const refused = yield* Effect.flip(client.call(address, sendRequest()))
      assert.strictEqual(refused._tag, "ConnectFailed")
      yield* cluster.startBroker("broker-a")
      assert.strictEqual(cluster.brokers[0]?.address, address)
      assert.deepStrictEqual((yield* brokersAt(namesrv)).toSorted(), ["broker-a", "broker-b"])
      yield* TestClock.adjust("10 seconds")
      const answer = yield* client.call(address, pullRequest())
      assert.strictEqual(answer.extFields?.["maxOffset"], "1")
      yield* cluster.startBroker("broker-a")
      assert.strictEqual((yield* client.call(address, sendRequest())).extFields?.["queueOffset"], "1")
    }).pipe(onCluster())
  )

  it.effect("a broker that disappears stays in the routes for 120 s, or until it is back", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const namesrv = yield* namesrvAddress
      yield* cluster.stopBroker("broker-a", { unregister: "expiry" })
      yield* TestClock.adjust(119_999)
      assert.deepStrictEqual(yield* brokersAt(namesrv), ["broker-a", "broker-b"])
      yield* TestClock.adjust(1)
      assert.deepStrictEqual(yield* brokersAt(namesrv), ["broker-b"])
      yield* cluster.startBroker("broker-a")
      yield* cluster.stopBroker("broker-a", { unregister: "expiry" })
      yield* TestClock.adjust("60 seconds")
      yield* cluster.startBroker("broker-a")
      yield* TestClock.adjust("120 seconds")
      assert.strictEqual((yield* brokersAt(namesrv)).length, 2)
      yield* cluster.stopBroker("broker-a", { unregister: "never" })
      yield* TestClock.adjust("1 hour")
      assert.strictEqual((yield* brokersAt(namesrv)).length, 2)
    }).pipe(onCluster())
  )

  it.effect("a broker can come back on a new port", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const before = yield* brokerAddress()
      yield* cluster.brokers[0]?.restart({ newPort: true }) ?? Effect.void
      const after = yield* brokerAddress()
      assert.notStrictEqual(after, before)
      const route = yield* routeAt(yield* namesrvAddress)
      assert.deepStrictEqual(
        route?.brokerDatas.find((data) => data.brokerName === "broker-a")?.brokerAddrs,
        new Map([[0, after]])
      )
      const client = yield* rawClient()
      assert.strictEqual((yield* client.call(after, sendRequest())).code, 0)
    }).pipe(onCluster())
  )

  it.effect("the route disappears with the last broker", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      yield* cluster.stopBroker("broker-a")
      yield* cluster.stopBroker("broker-b")
      assert.isUndefined(yield* routeAt(yield* namesrvAddress))
    }).pipe(onCluster())
  )

  it.effect("each name server knows the brokers, and learns them again after a restart", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const [one = "", two = ""] = cluster.namesrvAddr.split(";")
      assert.deepStrictEqual([yield* brokersAt(one), yield* brokersAt(two)], [["broker-a"], ["broker-a"]])
      const [first] = cluster.nameServers
      yield* first?.stop ?? Effect.void
      const client = yield* rawClient()
      assert.strictEqual((yield* Effect.flip(client.call(one, sendRequest())))._tag, "ConnectFailed")
      yield* cluster.createTopic("later")
      assert.deepStrictEqual(yield* brokersAt(two, "later"), ["broker-a"])
      yield* first?.start ?? Effect.void
      assert.strictEqual(cluster.nameServers[0]?.address, one)
      assert.deepStrictEqual(yield* brokersAt(one, "later"), ["broker-a"])
    }).pipe(onCluster({ nameServers: 2, topics: { orders: {} } }))
  )

  it.effect("a master and its slave share one route entry", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const route = yield* routeAt(yield* namesrvAddress)
      const [master, slave] = cluster.brokers
      assert.deepStrictEqual(
        route?.brokerDatas.map((data) => data.brokerAddrs),
        [
          new Map([
            [0, master?.address ?? ""],
            [1, slave?.address ?? ""]
          ])
        ]
      )
      yield* cluster.stopBroker("broker-a")
      const left = yield* routeAt(yield* namesrvAddress)
      assert.deepStrictEqual(
        left?.brokerDatas.map((data) => [...data.brokerAddrs.keys()]),
        [[1]]
      )
      yield* cluster.stopBroker("broker-a", { id: 1 })
      assert.isUndefined(yield* routeAt(yield* namesrvAddress))
    }).pipe(onCluster({ brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }], topics: { orders: {} } }))
  )

  it.effect("topics are created, changed and deleted from outside", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const namesrv = yield* namesrvAddress
      const perms = Effect.map(routeAt(namesrv, "made"), (route) =>
        route?.queueDatas.map(({ brokerName, perm, writeQueueNums }) => [brokerName, perm, writeQueueNums])
      )
      yield* cluster.createTopic("made", { writeQueueNums: 2, broker: "broker-b" })
      assert.deepStrictEqual(yield* perms, [["broker-b", 6, 2]])
      yield* cluster.createTopic("made")
      yield* cluster.setPermission("made", 4, "broker-b")
      assert.deepStrictEqual(yield* perms, [
        ["broker-b", 4, 4],
        ["broker-a", 6, 4]
      ])
      const client = yield* rawClient()
      yield* client.call(yield* brokerAddress(), sendRequest({ topic: "made" }))
      assert.deepStrictEqual(
        (yield* cluster.messages("made")).map(({ body }) => textOf(body)),
        ["hello"]
      )
      yield* cluster.deleteTopic("made")
      assert.isUndefined(yield* perms)
      assert.deepStrictEqual(yield* cluster.messages("made"), [])
    }).pipe(onCluster())
  )

  it.effect("an unknown broker is a typed error that names those there are", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const error = yield* Effect.flip(cluster.stopBroker("broker-x"))
      assert.strictEqual(error._tag, "NoSuchBroker")
      assert.strictEqual(error.message, "the embedded cluster has no broker broker-x; it has broker-a, broker-b")
    }).pipe(onCluster())
  )

  it.effect("records what its servers saw and answered", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const { traffic } = cluster
      const client = yield* rawClient()
      const address = yield* brokerAddress("broker-b")
      yield* client.call(yield* namesrvAddress, GetRouteInfoByTopic.request({ topic: "nope" }))
      yield* TestClock.adjust(5)
      yield* client.call(address, sendRequest({ queueId: 3 }))
      yield* client.oneway(address, sendRequest())
      const all = yield* traffic.awaitMatching({}, 3)
      assert.deepStrictEqual(
        all.map(({ bodyLength, code, codeName, oneway, sequence, server, time, topic }) => [
          sequence,
          time,
          server,
          code,
          codeName,
          topic,
          bodyLength,
          oneway
        ]),
        [
          [0, 0, "namesrv-0", 105, "GET_ROUTEINFO_BY_TOPIC", "nope", 0, false],
          [1, 5, "broker-b", 310, "SEND_MESSAGE_V2", "orders", 5, false],
          [2, 5, "broker-b", 310, "SEND_MESSAGE_V2", "orders", 5, true]
        ]
      )
      assert.strictEqual(all[0]?.answer?.code, 17)
      assert.deepStrictEqual(all[1]?.answer, { code: 0, remark: undefined, time: 5 })
      assert.isUndefined(all[1]?.body)
      assert.strictEqual((yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)).length, 2)
      assert.strictEqual((yield* traffic.matching({ extFields: { e: "3" } })).length, 1)
      yield* traffic.expect({ code: [10, 310], server: "broker-b" }, { exactly: 2 })
      yield* traffic.expect({ server: "broker-a" }, { atMost: 0 })
      const mismatch = yield* Effect.flip(traffic.expect({ code: 34 }))
      assert.strictEqual(mismatch._tag, "TrafficMismatch")
      assert.include(mismatch.message, 'expected at least 1 requests matching {"code":34}, found 0')
      assert.include(mismatch.message, "namesrv-0 105 GET_ROUTEINFO_BY_TOPIC")
      yield* traffic.clear
      assert.deepStrictEqual(yield* traffic.all, [])
    }).pipe(onCluster())
  )

  it.effect("waits for traffic that is still to come", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const waiting = yield* Effect.forkChild(traffic.awaitMatching({ code: 310, oneway: false }, 2), {
        startImmediately: true
      })
      yield* client.oneway(address, sendRequest())
      yield* client.call(address, sendRequest())
      assert.isUndefined(waiting.pollUnsafe())
      yield* client.call(address, sendRequest())
      assert.strictEqual((yield* Fiber.join(waiting)).length, 2)
    }).pipe(onCluster())
  )

  it.effect("keeps as many requests as it is told, with bodies when it is told", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      for (let i = 0; i < 25; i++) yield* client.call(address, sendRequest())
      const all = yield* traffic.all
      assert.deepStrictEqual(
        all.map((request) => request.sequence),
        [20, 21, 22, 23, 24]
      )
      assert.strictEqual(textOf(all[0]?.body ?? new Uint8Array()), "hello")
      assert.strictEqual(yield* traffic.dropped, 20)
      const { message } = yield* Effect.flip(traffic.expect({ code: 34 }))
      assert.include(message, "found 0 (20 older requests are no longer recorded).")
      yield* traffic.clear
      assert.strictEqual(yield* traffic.dropped, 0)
    }).pipe(onCluster({ topics: { orders: {} }, recordTraffic: { limit: 5, bodies: true } }))
  )

  it.effect("keeps as many requests as take the bytes that it is told, their answers and bodies counted", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      const lasting = Effect.map(traffic.all, (all) => all.map((request) => request.body?.length))
      for (let i = 0; i < 12; i++) yield* client.call(address, sendRequest({}, new Uint8Array(100_000)))
      assert.deepStrictEqual(
        yield* lasting,
        Array.from({ length: 9 }, () => 100_000)
      )
      yield* client.call(address, sendRequest({}, new Uint8Array(850_000)))
      assert.deepStrictEqual(yield* lasting, [100_000, 850_000])
      yield* client.call(address, sendRequest({}, new Uint8Array(1_000_000)))
      assert.deepStrictEqual(yield* lasting, [])
      assert.strictEqual(yield* traffic.dropped, 14)
      yield* client.call(address, { code: 34, extFields: { group: "g".repeat(999_600) } })
      yield* client.call(address, { code: 34, extFields: { group: "h" } })
      assert.strictEqual((yield* traffic.all).length, 1)
    }).pipe(onCluster({ topics: { orders: {} }, recordTraffic: { bodies: true, maxBytes: 1_000_000 } }))
  )

  it.effect("records nothing when it is told so", () =>
    Effect.gen(function* () {
      const { traffic } = yield* EmbeddedCluster
      const client = yield* rawClient()
      yield* client.call(yield* brokerAddress(), sendRequest())
      assert.deepStrictEqual(yield* traffic.all, [])
    }).pipe(onCluster({ topics: { orders: {} }, recordTraffic: false }))
  )

  it.effect("in memory it is where RocketMQ usually is, unless told otherwise", () =>
    Effect.gen(function* () {
      const addresses = Effect.map(EmbeddedCluster, (cluster) => [
        cluster.namesrvAddr,
        ...cluster.brokers.map((broker) => broker.address)
      ])
      const usual = yield* addresses.pipe(onCluster({ brokers: 2, nameServers: 2 }))
      assert.deepStrictEqual(usual, ["127.0.0.1:9876;127.0.0.1:9877", "127.0.0.1:10911", "127.0.0.1:10912"])
      const other = yield* addresses.pipe(onCluster({ listen: { host: "10.0.0.1", namesrvPort: 1 } }))
      assert.deepStrictEqual(other, ["10.0.0.1:1", "10.0.0.1:10911"])
    })
  )

  it.effect("a port that is taken is a typed error, and nothing stays open", () =>
    Effect.gen(function* () {
      const fixed = { listen: { namesrvPort: 9_876, brokerPort: 9_876 } }
      const error = yield* Effect.flip(
        Effect.asVoid(EmbeddedCluster).pipe(Effect.provide(EmbeddedCluster.layerMemory(fixed)))
      )
      assert.strictEqual(error.kind, "in-use")
    })
  )

  it.effect("a day with a heartbeat every 30 s and a held pull passes quickly", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      let beats = 0
      yield* Effect.forkChild(
        client.call(address, producerHeartbeat("c1", "pg")).pipe(
          Effect.tap(() => Effect.sync(() => beats++)),
          Effect.andThen(Effect.sleep("30 seconds")),
          Effect.forever
        )
      )
      let held = 0
      const pull = pullRequest({ sysFlag: 6, suspendTimeoutMillis: 20_000 })
      yield* Effect.forkChild(
        client.call(address, pull, 30_000).pipe(
          Effect.tap(() => Effect.sync(() => held++)),
          Effect.forever({ disableYield: true })
        )
      )
      const started = process.cpuUsage()
      for (let hour = 0; hour < 24; hour++) yield* TestClock.adjust("1 hour")
      const { system, user } = process.cpuUsage(started)
      assert.isAtLeast(beats, 2_879)
      assert.isAtLeast(held, 4_319)
      assert.strictEqual((yield* cluster.clients).length, 1)
      assert.isBelow((system + user) / 1_000_000, 5)
    }).pipe(onCluster())
  )
})
