/** Routes on real sockets that are well-formed and cannot be meant: a proxy changes what the name server says. */
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { HEARTBEATS_AT_ONCE } from "../../../src/client/Heartbeat.ts"
import { DecodeError } from "../../../src/protocol/DecodeError.ts"
import { encode } from "../../../src/protocol/Frame.ts"
import * as TopicRouteData from "../../../src/protocol/TopicRouteData.ts"
import { FaultProxy } from "../../../src/testing/index.ts"
import { text } from "../../support/rig.ts"
import { watchLog } from "../watch.ts"
import { acknowledged, state } from "./client.ts"
import { eventually, proxied, proxiedRow, Proxies, startProducer } from "./rig.ts"

type Route = TopicRouteData.TopicRouteData

/** Changes the routes of topic `orders`, the only one that lies on `broker-a` alone; says how many it has changed. */
const changing = (change: (route: Route) => Route) =>
  Effect.gen(function* () {
    const { nameServers } = yield* Proxies
    let changed = 0
    const toxic = FaultProxy.frames(({ bytes, command }) => {
      if (command === undefined || command.code !== 0 || command.body.length === 0) return [bytes]
      const route = TopicRouteData.decode(command.body)
      if (route instanceof DecodeError || route.queueDatas.some(({ brokerName }) => brokerName !== "broker-a")) {
        return [bytes]
      }
      changed++
      return [encode({ ...command, body: TopicRouteData.encode(change(route), { standardJson: true }) })]
    })
    const added = yield* Effect.forEach(nameServers, (proxy) => proxy.add(toxic, "downstream"))
    return { changed: () => changed, remove: Effect.forEach(added, ({ remove }) => remove) }
  })

const queues = (brokerName: string, nums: number): TopicRouteData.QueueData => ({
  brokerName,
  perm: 6,
  readQueueNums: nums,
  writeQueueNums: nums,
  topicSysFlag: 0
})

const at = (route: Route, address: string): Route => ({
  ...route,
  brokerDatas: route.brokerDatas.map((broker) => ({ ...broker, brokerAddrs: new Map([[0, address]]) }))
})

describe("absurd routes behind a proxy", () => {
  it.live("A1: more queues than a topic can have: sends go on over the route known before, and it is told once", () => {
    const log = watchLog()
    return proxiedRow({ client: { pollNameServerInterval: 20 } }, (producer) =>
      Effect.gen(function* () {
        const { changed, remove } = yield* changing((route) => ({
          ...route,
          queueDatas: Array.from({ length: 400 }, (_, i) => queues(`b-${i}`, 65_536)),
          brokerDatas: Array.from({ length: 400 }, (_, i) => ({
            brokerName: `b-${i}`,
            cluster: "c",
            brokerAddrs: new Map([[0, "127.0.0.1:1"]])
          }))
        }))
        yield* eventually(
          "several such routes have come",
          Effect.sync(() => changed() > 4)
        )
        for (let i = 0; i < 20; i++) assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        assert.lengthOf(log.of("Warn", /too-many-queues/), 1)
        yield* remove
        yield* eventually(
          "the route can be read again",
          Effect.sync(() => log.of("Info", /route of topic orders can be read again/).length === 1)
        )
      })
    ).pipe(log.provide)
  })

  it.live("A3: 1,000 dead brokers: few are dialled at once, and the one that lives is greeted with the first", () => {
    const log = watchLog()
    return proxied(
      { brokers: ["broker-a"] },
      Effect.gen(function* () {
        const { dials } = yield* Proxies
        // Nobody listens on these, and each refuses at once.
        const dead = Array.from({ length: 1_000 }, (_, i) => `127.0.0.1:${i + 2}`)
        yield* changing((route) => ({
          ...route,
          brokerDatas: [
            ...dead.map((address, i) => ({ brokerName: `c-${i}`, cluster: "c", brokerAddrs: new Map([[0, address]]) })),
            ...route.brokerDatas
          ]
        }))
        const producer = yield* startProducer({ producer: { readiness: "routes", topics: ["orders"] } })
        yield* acknowledged(producer)
        yield* eventually(
          "every broker was dialled",
          Effect.sync(() =>
            dead.every((address) => dials.some((dial) => dial.address === address && dial.end !== undefined))
          )
        )
        const ofDead = dials.filter(({ address }) => dead.includes(address))
        const most = ofDead.reduce((so, { begin }) => {
          const now = ofDead.filter((dial) => dial.begin <= begin && (dial.end ?? Infinity) > begin).length
          return Math.max(so, now)
        }, 0)
        assert.isAtMost(most, HEARTBEATS_AT_ONCE)
        const { brokers } = yield* state(producer)
        assert.isDefined(brokers.find(({ brokerName }) => brokerName === "broker-a")?.lastSuccess)
        assert.isAtMost(log.of("Warn", /heartbeat/).length, 20)
      })
    ).pipe(log.provide)
  })

  it.live("A5: a name that stands for a link-local address: it is not dialled, unless allowAddress says so", () =>
    proxied(
      {
        lookup: (host, { all }, callback) => {
          const address = host === "metadata.test" ? "169.254.169.254" : "127.0.0.1"
          if (all === true) callback(null, [{ address, family: 4 }])
          else callback(null, address, 4)
        }
      },
      Effect.gen(function* () {
        yield* changing((route) => at(route, "metadata.test:80"))
        const producer = yield* startProducer({ producer: { readiness: "nameServer", createTopicKey: "orders" } })
        const { attempts, outcome, reason } = yield* Effect.flip(producer.send(text("orders")))
        assert.deepInclude(reason, { _tag: "ConnectFailed", kind: "not-allowed", address: "metadata.test:80" })
        assert.include(reason.message, "allowAddress")
        assert.strictEqual(outcome, "not-sent")
        assert.isAtLeast(attempts.length, 1)
      })
    )
  )

  for (const [address, problem, words] of [
    ["/127.0.0.1:10911", "address-unreadable", "begins with a slash"],
    [`${"a".repeat(1 << 20)}:1`, "address-unreadable", "more than 255 characters"],
    ["169.254.169.254:80", "address-not-allowed", "link-local"],
    ["0.0.0.0:10911", "address-not-allowed", "unspecified"]
  ] as const) {
    it.live(`A4, A5: ${words}: it is not dialled, and the send says why`, () =>
      proxied(
        {},
        Effect.gen(function* () {
          const { dials, nameServers } = yield* Proxies
          yield* changing((route) => at(route, address))
          const producer = yield* startProducer({ producer: { readiness: "nameServer", createTopicKey: "orders" } })
          const { outcome, reason } = yield* Effect.flip(producer.send(text("orders")))
          assert.deepInclude(reason, { _tag: "RouteUnavailable", problem })
          assert.include(reason.message, words)
          assert.isBelow(reason.message.length, 1_000)
          assert.strictEqual(outcome, "not-sent")
          const known = new Set(nameServers.map((proxy) => proxy.address))
          assert.deepStrictEqual(
            dials.map((dial) => dial.address).filter((dialled) => !known.has(dialled)),
            []
          )
        })
      )
    )
  }
})
