import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultProxy } from "../../../src/testing/index.ts"
import { failureOf, sorted, text } from "../../support/rig.ts"
import { acknowledged, openTo, state } from "./client.ts"
import { elapsed, eventually, type ProxiedOptions, proxiedRow, Proxies } from "./rig.ts"

const SEND = RequestCode.SEND_MESSAGE_V2
const reconnectBackoffMillis = { initial: 5, max: 40 }
/** One attempt, and time enough for it. */
const once: ProxiedOptions = { producer: { retryTimesWhenSendFailed: 0, sendMsgTimeout: 15_000 } }
const pair = ["broker-a", "broker-b"]

/** Waits until a broker has had so many messages of topic `orders`. */
const arrived = (server: string, count = 1) =>
  Effect.flatMap(EmbeddedCluster, ({ traffic }) =>
    traffic.awaitMatching({ server, topic: "orders", code: SEND }, count)
  )

const queueOf = (queues: ReadonlyArray<{ readonly brokerName: string }>, name: string) => {
  const index = queues.findIndex(({ brokerName }) => brokerName === name)
  if (index < 0) throw new Error(`no queue of ${name}`)
  return index
}

describe("brokers behind a proxy", () => {
  for (const how of ["down", "reset"] as const) {
    it.live(`B1: a broker that dies in the middle of a send: another one gets it, within the one budget (${how})`, () =>
      proxiedRow(
        {
          brokers: pair,
          client: { remoting: { reconnectBackoffMillis } },
          producer: { sendMsgTimeout: 15_000 }
        },
        (producer) =>
          Effect.gen(function* () {
            const { messages } = yield* EmbeddedCluster
            const { broker } = yield* Proxies
            const held = broker("broker-a")
            yield* held.add(FaultProxy.halfOpen, "downstream")
            // The turn comes to broker-a with the first or the second of them.
            const sends = yield* Effect.forEach([1, 2], () => Effect.forkChild(producer.send(text("orders"))))
            yield* arrived("broker-a")
            yield* held[how]
            const results = yield* Effect.forEach(sends, Fiber.join)
            assert.deepStrictEqual(sorted(results.map(({ attempts, queue }) => [queue.brokerName, attempts])), [
              ["broker-b", 1],
              ["broker-b", 2]
            ])
            // The one that was sent twice is stored twice, under one id: the first broker had it before it died.
            const ids = (yield* messages("orders")).map(({ properties }) => properties["UNIQ_KEY"])
            assert.deepStrictEqual([ids.length, new Set(ids).size], [3, 2])
          })
      )
    )
  }

  it.live("B1: when every broker dies, the last error says that the message may be stored", () =>
    proxiedRow(
      { brokers: pair, client: { remoting: { reconnectBackoffMillis } }, producer: { sendMsgTimeout: 20_000 } },
      (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          for (const name of pair) yield* broker(name).add(FaultProxy.halfOpen, "downstream")
          const sending = yield* Effect.forkChild(elapsed(producer.send(text("orders"))))
          yield* Effect.raceFirst(arrived("broker-a"), arrived("broker-b"))
          for (const name of pair) yield* broker(name).down
          const { exit, millis } = yield* Fiber.join(sending)
          const { attempts, outcome } = failureOf(exit)
          assert.strictEqual(outcome, "unknown")
          assert.strictEqual(attempts[0]?.cause._tag, "ConnectionClosed")
          assert.isAbove(attempts.length, 1)
          assert.isBelow(millis, 20_000)
        })
    )
  )

  it.live("B2: a broker that restarts on its address is connected again by the next use", () =>
    proxiedRow({ ...once, client: { remoting: { reconnectBackoffMillis } } }, (producer) =>
      Effect.gen(function* () {
        const { startBroker, stopBroker } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        yield* stopBroker("broker-a", { unregister: "never" })
        yield* broker("broker-a").down
        const { outcome, reason } = yield* Effect.flip(producer.send(text("orders")))
        assert.deepStrictEqual([reason._tag, outcome], ["ConnectFailed", "not-sent"])
        yield* startBroker("broker-a")
        yield* broker("broker-a").up
        yield* acknowledged(producer)
        assert.isAtLeast((yield* state(producer)).counters.reconnects, 1)
      })
    )
  )

  it.live(
    "B3: a broker that restarts elsewhere is found by an update of the route, and the old address forgotten",
    () =>
      proxiedRow(
        {
          ...once,
          client: { pollNameServerInterval: 20, heartbeatBrokerInterval: 50, remoting: { reconnectBackoffMillis } }
        },
        (producer) =>
          Effect.gen(function* () {
            const { startBroker, stopBroker } = yield* EmbeddedCluster
            const { broker, follow } = yield* Proxies
            const old = broker("broker-a")
            yield* stopBroker("broker-a", { unregister: "never" })
            yield* old.down
            yield* startBroker("broker-a", { newPort: true })
            yield* follow("broker-a")
            const now = broker("broker-a")
            assert.notStrictEqual(now.address, old.address)
            yield* acknowledged(producer)
            assert.isAbove((yield* now.counters).upstreamBytes, 0)
            yield* eventually(
              "the old address is forgotten",
              Effect.map(
                state(producer),
                ({ brokers, sockets }) => ![...brokers, ...sockets].some(({ address }) => address === old.address)
              )
            )
          })
      )
  )

  it.live("B4: a broker that is busy is left for another one, after a wait", () =>
    proxiedRow({ brokers: pair, producer: { sendMsgTimeout: 15_000 } }, (producer) =>
      Effect.gen(function* () {
        const { messages, setBusy, traffic } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        for (const name of pair) yield* broker(name).add(FaultProxy.slicer(50))
        yield* setBusy("broker-a", true)
        for (let i = 0; i < 4; i++) {
          const { exit, millis } = yield* elapsed(producer.send(text("orders")))
          if (exit._tag === "Failure") throw new Error(String(exit.cause))
          assert.strictEqual(exit.value.queue.brokerName, "broker-b")
          // The first wait is 10 to 20 ms.
          if (exit.value.attempts > 1) assert.isAtLeast(millis, 9)
        }
        assert.isAbove((yield* traffic.matching({ server: "broker-a", code: SEND })).length, 0)
        assert.strictEqual((yield* messages("orders")).length, 4)
      })
    )
  )

  it.live("B7: a topic that is gone: the route is read again, then a typed error names the topic", () =>
    proxiedRow(
      { cluster: { autoCreateTopicEnable: false }, producer: { borrowRoute: false, sendMsgTimeout: 15_000 } },
      (producer) =>
        Effect.gen(function* () {
          const { deleteTopic, traffic } = yield* EmbeddedCluster
          const { nameServers } = yield* Proxies
          for (const proxy of nameServers) yield* proxy.add(FaultProxy.slicer(50))
          yield* producer.send(text("orders"))
          yield* deleteTopic("orders")
          yield* traffic.clear
          const { message, outcome, topic } = yield* Effect.flip(producer.send(text("orders")))
          assert.strictEqual(topic, "orders")
          assert.include(message, '"orders"')
          assert.include(["rejected", "not-sent"], outcome)
          const routes = { code: RequestCode.GET_ROUTEINFO_BY_TOPIC, topic: "orders" }
          assert.isAtLeast((yield* traffic.matching(routes)).length, 1)
          // Nothing that would bring it back.
          assert.isAtMost((yield* traffic.matching({ topic: "orders", code: SEND })).length, 3)
        })
    )
  )

  it.live("B13: a broker that takes requests and never answers: the budget ends it, and its place is free", () =>
    proxiedRow(
      { client: { mqClientApiTimeout: 500 }, producer: { sendMsgTimeout: 300, backPressureForAsyncSendNum: 4 } },
      (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const hole = yield* broker("broker-a").add(FaultProxy.blackHole, "downstream")
          const outcomes = yield* Effect.forEach([1, 2, 3, 4], () => elapsed(producer.send(text("orders"))), {
            concurrency: "unbounded"
          })
          for (const { exit, millis } of outcomes) {
            const { outcome, reason } = failureOf(exit)
            // Two that time out in a row end the connection, and whatever waits on it: on a busy machine, the other two.
            assert.include(["RequestTimeout", "ConnectionClosed"], reason._tag)
            assert.strictEqual(outcome, "unknown")
            assert.isAtLeast(millis, 299)
            assert.isBelow(millis, 10_000)
          }
          assert.strictEqual((yield* producer.state).inFlight, 0)
          yield* hole.remove
          // Four places, all free again: four more go at once.
          yield* Effect.forEach([1, 2, 3, 4], () => producer.send(text("orders"), { timeoutMillis: 15_000 }), {
            concurrency: "unbounded"
          })
        })
    )
  )

  it.live("B14: a reset fails everything that is pending at once, outcome unknown", () =>
    proxiedRow({ producer: { retryTimesWhenSendFailed: 0, sendMsgTimeout: 600_000 } }, (producer) =>
      Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        const held = yield* broker("broker-a").add(FaultProxy.halfOpen, "downstream")
        const count = 50
        const sends = yield* Effect.forkChild(
          Effect.forEach(Array.from({ length: count }), () => Effect.flip(producer.send(text("orders"))), {
            concurrency: "unbounded"
          })
        )
        yield* arrived("broker-a", count)
        yield* broker("broker-a").reset
        for (const { outcome, reason } of yield* Fiber.join(sends)) {
          assert.deepStrictEqual([reason._tag, outcome], ["ConnectionClosed", "unknown"])
        }
        assert.strictEqual((yield* messages("orders")).length, count)
        yield* held.remove
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
      })
    )
  )

  it.live("B15: a broker that reads slowly: what is in flight keeps to its caps, callers wait, and all arrive", () =>
    proxiedRow(
      {
        client: { remoting: { maxInFlightRequests: 16, maxInFlightBytes: 512 * 1024 } },
        producer: { sendMsgTimeout: 60_000, compressMsgBodyOverHowmuch: Infinity }
      },
      (producer) =>
        Effect.gen(function* () {
          const { messages } = yield* EmbeddedCluster
          const { broker } = yield* Proxies
          const proxy = broker("broker-a")
          const closed = yield* proxy.add(FaultProxy.halfOpen, "upstream")
          const count = 120
          const body = "x".repeat(64 * 1024)
          const sends = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: count }), () => producer.send(text("orders", body)), {
              concurrency: "unbounded"
            })
          )
          const socket = Effect.map(state(producer), ({ sockets }) =>
            sockets.find(({ address }) => address === proxy.address)
          )
          const capped = Effect.map(socket, (now) => {
            assert.isAtMost(now?.inFlight ?? 0, 16)
            assert.isAtMost(now?.inFlightBytes ?? 0, 512 * 1024)
            return now
          })
          yield* eventually(
            "callers wait",
            Effect.map(capped, (now) => (now?.waiting ?? 0) > count / 2)
          )
          const slow = yield* proxy.add(FaultProxy.bandwidth(2 * 1024 * 1024), "upstream")
          yield* closed.remove
          const { upstreamBytes } = yield* proxy.counters
          yield* eventually(
            "a part has gone through, slowly",
            Effect.andThen(
              capped,
              Effect.map(proxy.counters, (now) => now.upstreamBytes > upstreamBytes + 10 * body.length)
            )
          )
          assert.isUndefined(sends.pollUnsafe())
          yield* slow.remove
          yield* eventually(
            "all have ended",
            Effect.andThen(
              capped,
              Effect.sync(() => sends.pollUnsafe() !== undefined)
            )
          )
          const results = yield* Fiber.join(sends)
          assert.isTrue(results.every(({ attempts }) => attempts === 1))
          assert.strictEqual((yield* messages("orders")).length, count)
        })
    )
  )

  it.live("B16: a one-way on a dead connection is best effort: gone, or a typed error that is counted", () =>
    proxiedRow({ client: { remoting: { reconnectBackoffMillis } } }, (producer) =>
      Effect.gen(function* () {
        const { messages } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        const proxy = broker("broker-a")
        const hole = yield* proxy.add(FaultProxy.blackHole, "upstream")
        // Nothing says that nobody listens: the bytes have left, and that is all a one-way promises.
        yield* producer.sendOneway(text("orders"))
        yield* proxy.down
        yield* eventually(
          "the client knows that the connection has ended",
          Effect.map(openTo(producer, proxy.address), (open) => !open)
        )
        const { outcome, reason } = yield* Effect.flip(producer.sendOneway(text("orders")))
        assert.deepStrictEqual([reason._tag, outcome], ["ConnectFailed", "not-sent"])
        const { counters } = yield* producer.state
        assert.deepStrictEqual([counters.sends, counters.failed], [2, 1])
        yield* hole.remove
        yield* proxy.up
        yield* eventually(
          "a one-way gets through again",
          Effect.gen(function* () {
            yield* Effect.exit(producer.sendOneway(text("orders")))
            return (yield* messages("orders")).length > 0
          })
        )
      })
    )
  )

  it.live("B18: a slow broker is passed over while it has a penalty, and gets its share again afterwards", () =>
    proxiedRow(
      {
        brokers: ["broker-a", "broker-b", "broker-c"],
        producer: { sendLatencyEnable: true, sendMsgTimeout: 15_000 }
      },
      (producer) =>
        Effect.gen(function* () {
          const { broker } = yield* Proxies
          const queues = yield* producer.fetchPublishMessageQueues("orders")
          const slow = yield* broker("broker-a").add(FaultProxy.latency(600), "downstream")
          yield* producer.send(text("orders"), { queue: queues[queueOf(queues, "broker-a")] })
          yield* slow.remove
          const penalties = Effect.map(
            producer.state,
            ({ faults }) => new Map(faults.map((held) => [held.brokerName, held.notAvailableForMillis]))
          )
          assert.isAbove((yield* penalties).get("broker-a") ?? 0, 0)
          let passedOver = 0
          yield* eventually(
            "broker-a is chosen again",
            Effect.gen(function* () {
              const before = yield* penalties
              const { queue } = yield* producer.send(text("orders"))
              const inPenalty = (before.get("broker-a") ?? 0) > 0
              if (queue.brokerName === "broker-a") {
                // In its penalty only if every other one had one too.
                const others = ["broker-b", "broker-c"].filter((name) => (before.get(name) ?? 0) === 0)
                assert.isTrue(!inPenalty || others.length === 0)
                return !inPenalty
              }
              if (inPenalty) passedOver++
              return false
            })
          )
          assert.isAbove(passedOver, 0)
        })
    )
  )
})
