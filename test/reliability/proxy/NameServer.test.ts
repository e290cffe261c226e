import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import type { DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import { encode } from "../../../src/protocol/Frame.ts"
import * as TopicRouteData from "../../../src/protocol/TopicRouteData.ts"
import { EmbeddedCluster, FaultProxy } from "../../../src/testing/index.ts"
import { failureOf, text, valueOf } from "../../support/rig.ts"
import { watchLog } from "../watch.ts"
import { acknowledged, openTo, state } from "./client.ts"
import { elapsed, eventually, makeProducer, proxied, proxiedRow, Proxies, startProducer } from "./rig.ts"

/** A pause after a failed dial that a test can wait for. */
const reconnectBackoffMillis = { initial: 5, max: 40 }

const chosen = (producer: DefaultMQProducerShape) =>
  Effect.gen(function* () {
    const { nameServer } = yield* Proxies
    return nameServer((yield* state(producer)).nameServers.chosen)
  })

/** A topic that no client has asked for yet. */
const newTopic = (name: string) =>
  Effect.gen(function* () {
    const { createTopic } = yield* EmbeddedCluster
    yield* createTopic(name, { broker: "broker-a" })
    return text(name)
  })

describe("name servers behind a proxy", () => {
  for (const how of ["down", "deaf"] as const) {
    const silent = how === "deaf"
    const client = { remoting: { connectTimeoutMillis: 250, reconnectBackoffMillis } }
    it.live(
      `N1: a lazy start succeeds and the first send says why it cannot; when they are back sends work (${how})`,
      () =>
        proxied(
          { cluster: { nameServers: 2 }, client },
          Effect.gen(function* () {
            const { nameServers } = yield* Proxies
            for (const proxy of nameServers) yield* proxy[how]
            const producer = yield* startProducer({ client, producer: { readiness: "lazy" } })
            const error = yield* Effect.flip(producer.send(text("orders")))
            assert.deepStrictEqual([error._tag, error.outcome, error.retryable], ["SendError", "not-sent", true])
            if (error.reason._tag !== "RouteUnavailable") throw new Error(error.reason._tag)
            assert.strictEqual(error.reason.problem, silent ? "name-server-silent" : "name-server-refused")
            assert.strictEqual(error.reason.tries.length, 2)
            for (const proxy of nameServers) yield* proxy.up
            yield* acknowledged(producer)
          })
        )
    )

    it.live(`N1: an eager start fails within the connect timeouts and gives everything back (${how})`, () =>
      proxied(
        { cluster: { nameServers: 2 } },
        Effect.gen(function* () {
          const { nameServers } = yield* Proxies
          for (const proxy of nameServers) yield* proxy[how]
          const producer = yield* makeProducer({ client, producer: { readiness: "nameServer" } })
          const { exit, millis } = yield* elapsed(producer.start)
          const { reason } = failureOf(exit)
          if (reason._tag !== "NameServerUnavailable") throw new Error(reason._tag)
          assert.deepStrictEqual(
            reason.tries.map(({ problem }) => problem),
            silent ? ["silent", "silent"] : ["refused", "refused"]
          )
          assert.isBelow(millis, 8_000)
          assert.strictEqual(yield* (yield* MQClientManager).size, 0)
        })
      )
    )
  }

  it.live("N2: sends go on over the known route, and many polls that fail warn once", () => {
    const log = watchLog()
    return proxiedRow(
      {
        cluster: { nameServers: 2 },
        client: { pollNameServerInterval: 20, remoting: { reconnectBackoffMillis } },
        producer: { topics: ["orders"] }
      },
      (producer) =>
        Effect.gen(function* () {
          const { nameServers } = yield* Proxies
          for (const proxy of nameServers) yield* proxy.down
          const polls = Effect.map(
            state(producer),
            ({ timers }) => timers.find(({ number }) => number === 2)?.runs ?? 0
          )
          const before = yield* polls
          yield* eventually(
            "ten polls have failed",
            Effect.gen(function* () {
              const { attempts } = yield* producer.send(text("orders"))
              assert.strictEqual(attempts, 1)
              return (yield* polls) > before + 10
            })
          )
          const told = log.of("Warn", /name server/i)
          assert.strictEqual(told.length, 1, told.join("\n"))
        })
    ).pipe(log.provide)
  })

  it.live("N3: one that goes up and down is dialled once at a time, after pauses that grow", () =>
    proxiedRow(
      { client: { pollNameServerInterval: 5, remoting: { reconnectBackoffMillis: { initial: 20, max: 80 } } } },
      (producer) =>
        Effect.gen(function* () {
          const { dialsTo, mostAtOnce, nameServers } = yield* Proxies
          const [proxy] = nameServers
          if (proxy === undefined) throw new Error("no name server")
          for (let round = 1; round <= 3; round++) {
            yield* proxy.down
            const failed = () => dialsTo(proxy.address).filter(({ outcome }) => outcome === "failed").length
            yield* eventually(
              "several dials fail",
              Effect.sync(() => failed() >= 4 * round)
            )
            yield* proxy.up
            yield* eventually("it is connected again", openTo(producer, proxy.address))
          }
          assert.strictEqual(mostAtOnce(), 1)
          let failures = 0
          dialsTo(proxy.address).forEach(({ begin, outcome }, index, all) => {
            const before = all[index - 1]
            if (before?.outcome === "failed") {
              // At least half of the pause that this failure has earned; timers count whole milliseconds.
              const pause = Math.min(80, 20 * 2 ** (failures - 1)) / 2
              assert.isAtLeast(begin - (before.end ?? 0), pause - 2)
            }
            failures = outcome === "failed" ? failures + 1 : 0
          })
        })
    )
  )

  it.live("N4: of three one is dead: one dial of it is paid for, and then the client stays with one that lives", () =>
    proxiedRow(
      { cluster: { nameServers: 3 }, client: { remoting: { connectTimeoutMillis: 400, reconnectBackoffMillis } } },
      (producer) =>
        Effect.gen(function* () {
          const { dialsTo } = yield* Proxies
          const dead = yield* chosen(producer)
          yield* dead.deaf
          yield* dead.reset
          const before = dialsTo(dead.address).length
          const { exit, millis } = yield* elapsed(
            Effect.flatMap(newTopic("first"), (message) => producer.send(message))
          )
          assert.strictEqual(valueOf(exit).status, "SEND_OK")
          assert.isBelow(millis, 8_000)
          assert.isAtMost(dialsTo(dead.address).length, before + 1)
          const next = yield* chosen(producer)
          assert.notStrictEqual(next.address, dead.address)
          const paid = dialsTo(dead.address).length
          for (let i = 0; i < 5; i++) yield* producer.send(yield* newTopic(`later-${i}`))
          assert.strictEqual(dialsTo(dead.address).length, paid)
          assert.strictEqual((yield* chosen(producer)).address, next.address)
        })
    )
  )

  for (const next of ["poll", "send"] as const) {
    it.live(`N5: all are away and one comes back: the next ${next} works again, nothing is restarted`, () =>
      proxiedRow(
        {
          cluster: { nameServers: 2 },
          client: { pollNameServerInterval: next === "poll" ? 20 : 600_000, remoting: { reconnectBackoffMillis } }
        },
        (producer) =>
          Effect.gen(function* () {
            const { createTopic } = yield* EmbeddedCluster
            const { nameServers } = yield* Proxies
            for (const proxy of nameServers) yield* proxy.down
            yield* createTopic("orders", { broker: "broker-a", readQueueNums: 7, writeQueueNums: 7 })
            yield* newTopic("unasked")
            const error = yield* Effect.flip(producer.send(text("unasked")))
            assert.strictEqual(error.outcome, "not-sent")
            yield* nameServers[1]?.up ?? Effect.void
            if (next === "send") yield* acknowledged(producer, "unasked")
            else {
              yield* eventually(
                "a poll has read the route",
                Effect.map(state(producer), ({ routes }) =>
                  routes.some(({ topic, writeQueues }) => topic === "orders" && writeQueues === 7)
                )
              )
            }
          })
      )
    )
  }

  it.live("N6: a half-open connection costs its share of the time, is closed, and the next server is asked", () =>
    proxiedRow(
      { cluster: { nameServers: 2 }, client: { mqClientApiTimeout: 1_600, remoting: { reconnectBackoffMillis } } },
      (producer) =>
        Effect.gen(function* () {
          const proxy = yield* chosen(producer)
          yield* proxy.add(FaultProxy.halfOpen)
          const { status } = yield* producer.send(yield* newTopic("new"))
          assert.strictEqual(status, "SEND_OK")
          assert.notStrictEqual((yield* chosen(producer)).address, proxy.address)
          yield* eventually(
            "the half-open connection is closed",
            Effect.map(openTo(producer, proxy.address), (open) => !open)
          )
        })
    )
  )

  it.live("N7: one that answers byte by byte does not put the deadline off", () =>
    proxiedRow({ cluster: { nameServers: 2 }, client: { mqClientApiTimeout: 1_600 } }, (producer) =>
      Effect.gen(function* () {
        const proxy = yield* chosen(producer)
        // A route has hundreds of bytes: whole, it would take a minute and more.
        yield* proxy.add(FaultProxy.slicer(1, 200), "downstream")
        const { downstreamBytes } = yield* proxy.counters
        const { exit, millis } = yield* elapsed(
          Effect.flatMap(newTopic("new"), (message) => producer.send(message, { timeoutMillis: 10_000 }))
        )
        assert.strictEqual(valueOf(exit).status, "SEND_OK")
        assert.isBelow(millis, 10_000)
        assert.isAbove((yield* proxy.counters).downstreamBytes, downstreamBytes)
        assert.notStrictEqual((yield* chosen(producer)).address, proxy.address)
      })
    )
  )

  it.live("N8: garbage closes its connection, is counted, and the next server is asked", () =>
    proxiedRow({ cluster: { nameServers: 2 } }, (producer) =>
      Effect.gen(function* () {
        const proxy = yield* chosen(producer)
        const before = (yield* proxy.counters).open
        const page = Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")
        yield* proxy.add(
          FaultProxy.corrupt(() => page),
          "downstream"
        )
        const { status } = yield* producer.send(yield* newTopic("new"))
        assert.strictEqual(status, "SEND_OK")
        assert.strictEqual((yield* state(producer)).counters.frameErrors, 1)
        assert.notStrictEqual((yield* chosen(producer)).address, proxy.address)
        yield* proxy.until(({ open }) => open === before - 1)
      })
    )
  )

  it.live("N11: an empty view does not replace a route that can be sent over; a newer one does", () =>
    proxiedRow({ client: { pollNameServerInterval: 20 } }, (producer) =>
      Effect.gen(function* () {
        const { createTopic } = yield* EmbeddedCluster
        const { nameServers } = yield* Proxies
        const empty = TopicRouteData.encode(
          { queueDatas: [], brokerDatas: [], filterServerTable: new Map() },
          { standardJson: true }
        )
        let emptied = 0
        const older = FaultProxy.frames(({ bytes, command }) => {
          if (command === undefined || command.code !== 0 || command.body.length === 0) return [bytes]
          emptied++
          return [encode({ ...command, body: empty })]
        })
        const toxic = yield* Effect.forEach(nameServers, (proxy) => proxy.add(older, "downstream"))
        const sender = yield* Effect.forkChild(
          Effect.forever(Effect.tap(producer.send(text("orders")), () => Effect.sleep(2)))
        )
        yield* eventually(
          "several empty views have come",
          Effect.sync(() => emptied > 6)
        )
        const exit = yield* Fiber.interrupt(sender).pipe(Effect.andThen(Fiber.await(sender)))
        assert.isTrue(exit._tag === "Failure" && exit.cause.reasons.every(({ _tag }) => _tag === "Interrupt"))
        yield* createTopic("orders", { broker: "broker-a", readQueueNums: 5, writeQueueNums: 5 })
        for (const { remove } of toxic) yield* remove
        yield* eventually(
          "the newer view is taken",
          Effect.map(state(producer), ({ routes }) =>
            routes.some(({ topic, writeQueues }) => topic === "orders" && writeQueues === 5)
          )
        )
      })
    )
  )

  for (const problem of ["no-writable-queue", "no-master"] as const) {
    it.live(`N12: a route that cannot be sent over fails with ${problem}, read in slices`, () =>
      proxied(
        { cluster: { brokers: [{ name: "broker-a" }, { name: "broker-a", id: 1 }] } },
        Effect.gen(function* () {
          const { setPermission, stopBroker } = yield* EmbeddedCluster
          const { nameServers } = yield* Proxies
          if (problem === "no-master") yield* stopBroker("broker-a")
          else yield* setPermission("orders", 4)
          for (const proxy of nameServers) yield* proxy.add(FaultProxy.slicer(7), "downstream")
          const producer = yield* startProducer({ producer: { readiness: "nameServer", borrowRoute: false } })
          const { outcome, reason } = yield* Effect.flip(producer.send(text("orders")))
          assert.strictEqual(outcome, "not-sent")
          assert.deepInclude(reason, { _tag: "RouteUnavailable", problem })
        })
      )
    )
  }
})
