import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import { MQClientManager } from "../../../src/client/MQClientManager.ts"
import type { DefaultMQProducerShape } from "../../../src/producer/DefaultMQProducer.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultProxy } from "../../../src/testing/index.ts"
import { failureOf, ownScope, text, valueOf } from "../../support/rig.ts"
import { answersOfSends, state } from "./client.ts"
import { elapsed, eventually, makeProducer, proxied, proxiedRow, Proxies, startProducer } from "./rig.ts"

const SEND = RequestCode.SEND_MESSAGE_V2

const timer = (producer: DefaultMQProducerShape, number: number) =>
  Effect.map(state(producer), ({ timers }) => timers.find((one) => one.number === number))

const runs = (producer: DefaultMQProducerShape, number: number) =>
  Effect.map(timer(producer, number), (one) => one?.runs ?? 0)

/** How many client instances there are. */
const instances = Effect.flatMap(MQClientManager, ({ size }) => size)

describe("a client's life behind proxies", () => {
  it.live("L1: a scope that closes with sends under way: those that can end do, the rest is told the outcome", () =>
    proxied(
      {},
      Effect.gen(function* () {
        const { messages, traffic } = yield* EmbeddedCluster
        const { broker } = yield* Proxies
        const proxy = broker("broker-a")
        const silence = FaultProxy.halfOpen
        const unanswered = answersOfSends(() => [])
        for (const [what, drainTimeoutMillis, install] of [
          ["released in time", 20_000, proxy.add(silence, "downstream")],
          ["sends are never answered", 200, unanswered.install(proxy)],
          ["nothing is ever answered", 200, proxy.add(silence, "downstream")]
        ] as const) {
          const held = yield* install
          const { close, value: producer } = yield* ownScope(
            startProducer({
              producer: { readiness: "nameServer", drainTimeoutMillis, sendMsgTimeout: 60_000, topics: ["orders"] }
            })
          )
          yield* traffic.clear
          const before = (yield* messages("orders")).length
          const sends = yield* Effect.forkChild(
            Effect.forEach(Array.from({ length: 10 }), () => Effect.exit(producer.send(text("orders"))), {
              concurrency: "unbounded"
            })
          )
          yield* traffic.awaitMatching({ topic: "orders", code: SEND }, 10)
          const closing = yield* Effect.forkChild(elapsed(close), { startImmediately: true })
          if (what === "released in time") {
            // Refused before it is looked at: nothing goes over the wire.
            yield* eventually(
              "no send begins any more",
              Effect.map(
                Effect.flip(producer.send(text("no topic"))),
                ({ reason }) => reason._tag === "IllegalServiceState"
              )
            )
            yield* held.remove
          }
          for (const exit of yield* Fiber.join(sends)) {
            if (what === "released in time") assert.strictEqual(valueOf(exit).attempts, 1)
            else {
              const { outcome, reason } = failureOf(exit)
              assert.strictEqual(outcome, "unknown")
              // A farewell that is not answered either may show first that the connection is dead.
              const reasons = ["ClientClosed", ...(what === "nothing is ever answered" ? ["ConnectionClosed"] : [])]
              assert.include(reasons, reason._tag)
            }
          }
          const { exit, millis } = yield* Fiber.join(closing)
          valueOf(exit)
          assert.isBelow(millis, 15_000)
          assert.isAtLeast((yield* messages("orders")).length, before + 10)
          yield* held.remove
        }
      })
    )
  )

  it.live("L6: a start that is interrupted anywhere in its traffic leaves nothing, and another one works", () =>
    proxied(
      {},
      Effect.gen(function* () {
        const { all } = yield* Proxies
        const states = new Set<string>()
        for (let step = 0; step < 24; step++) {
          const slices = yield* Effect.forEach(all(), (proxy) => proxy.add(FaultProxy.slicer(30)))
          const before = yield* Effect.forEach(all(), (proxy) => proxy.counters)
          const passed = (now: FaultProxy.Counters, index: number) =>
            now.upstreamBytes +
            now.downstreamBytes -
            (before[index]?.upstreamBytes ?? 0) -
            (before[index]?.downstreamBytes ?? 0)
          const producer = yield* makeProducer({ producer: { topics: ["orders"] } })
          const starting = yield* Effect.forkChild(Effect.exit(producer.start), { startImmediately: true })
          // The first half of the steps stops in what is said to the name server, the second in what is to the broker.
          const at = step < 12 ? 0 : 1
          const enough = all()[at]?.until((now) => passed(now, at) >= 30 + (step % 12) * 60) ?? Effect.void
          yield* Effect.raceFirst(enough, Fiber.await(starting))
          yield* Fiber.interrupt(starting)
          const serviceState = yield* producer.serviceState
          states.add(serviceState)
          if (serviceState === "RUNNING") yield* producer.shutdown
          else assert.include(["START_FAILED", "CREATE_JUST"], serviceState)
          assert.strictEqual(yield* instances, 0)
          for (const proxy of all()) yield* proxy.until(({ open }) => open === 0)
          for (const { remove } of slices) yield* remove
        }
        assert.include([...states], "START_FAILED")
        const producer = yield* startProducer({ producer: { topics: ["orders"] } })
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
      })
    )
  )

  for (const end of ["close", "reset"] as const) {
    it.live(`L7: a start whose connections are cut anywhere (${end}) fails typed or succeeds, and leaves nothing`, () =>
      proxied(
        { client: { remoting: { reconnectBackoffMillis: { initial: 2, max: 5 } } } },
        Effect.gen(function* () {
          const { all } = yield* Proxies
          const outcomes = new Set<string>()
          for (let bytes = 1; bytes < 1_400; bytes += 93) {
            const cuts = yield* Effect.forEach(all(), (proxy) => proxy.add(FaultProxy.limit(bytes, end), "downstream"))
            const producer = yield* makeProducer({
              client: { mqClientApiTimeout: 2_000 },
              producer: { topics: ["orders"] }
            })
            const { exit, millis } = yield* elapsed(producer.start)
            assert.isBelow(millis, 20_000)
            if (Exit.isFailure(exit)) {
              const { _tag, step } = failureOf(exit)
              assert.strictEqual(_tag, "StartError")
              outcomes.add(`failed at ${step}`)
              assert.strictEqual(yield* instances, 0)
            } else outcomes.add("started")
            yield* producer.shutdown
            assert.strictEqual(yield* instances, 0)
            for (const proxy of all()) yield* proxy.until(({ open }) => open === 0)
            for (const { remove } of cuts) yield* remove
          }
          assert.isAbove(outcomes.size, 1, [...outcomes].join(", "))
          const producer = yield* startProducer({ producer: { topics: ["orders"] } })
          assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
        })
      )
    )
  }

  it.live("L10: a poll that hangs delays no heartbeat, does not overlap with itself, and goes on when it can", () =>
    proxiedRow(
      { client: { pollNameServerInterval: 15, heartbeatBrokerInterval: 25, mqClientApiTimeout: 9_000 } },
      (producer) =>
        Effect.gen(function* () {
          const { nameServers } = yield* Proxies
          const held = yield* Effect.forEach(nameServers, (proxy) => proxy.add(FaultProxy.halfOpen))
          yield* eventually(
            "a poll hangs",
            Effect.map(timer(producer, 2), (one) => one?.next === undefined)
          )
          /** The poll before and after five heartbeats. */
          const over = Effect.gen(function* () {
            const hanging = yield* timer(producer, 2)
            const beats = yield* runs(producer, 3)
            yield* eventually(
              "five heartbeats",
              Effect.map(runs(producer, 3), (now) => now >= beats + 5)
            )
            const after = yield* timer(producer, 2)
            return { hanging, before: [hanging?.lastStart, hanging?.runs], after: [after?.lastStart, after?.runs] }
          })
          // The poll that was under way may have been answered already; the next cannot be.
          yield* over
          const { after, before, hanging } = yield* over
          assert.deepStrictEqual(after, before)
          for (const { remove } of held) yield* remove
          yield* eventually(
            "the poll goes on",
            Effect.map(runs(producer, 2), (now) => now > (hanging?.runs ?? 0) + 3)
          )
          assert.strictEqual((yield* timer(producer, 2))?.failures, 0)
        })
    )
  )

  it.live("L12: 100 starts and stops, some of them cut off, leave no connection", () =>
    proxied(
      { client: { remoting: { reconnectBackoffMillis: { initial: 2, max: 5 } } } },
      Effect.gen(function* () {
        const { all, broker } = yield* Proxies
        for (let cycle = 0; cycle < 100; cycle++) {
          yield* Effect.scoped(
            Effect.gen(function* () {
              const producer = yield* startProducer({ producer: { topics: ["orders"], sendMsgTimeout: 15_000 } })
              if (cycle % 5 === 0) yield* broker("broker-a").reset
              if (cycle % 7 === 0) yield* broker("broker-a").close
              yield* Effect.exit(producer.send(text("orders")))
            })
          )
          assert.strictEqual(yield* instances, 0)
        }
        for (const proxy of all()) yield* proxy.until(({ open }) => open === 0)
      })
    )
  )

  it.live("L13: a shutdown while a connection is dialled ends the dial at once", () =>
    proxied(
      {},
      Effect.gen(function* () {
        const { broker, dials, nameServers } = yield* Proxies
        const client = { remoting: { connectTimeoutMillis: 600_000 }, mqClientApiTimeout: 600_000 }
        const dialling = (address: string) =>
          eventually(
            "it is dialled",
            Effect.sync(() => dials.some((dial) => dial.address === address && dial.outcome === "under way"))
          )
        // A start that waits for the name server.
        const [nameServer] = nameServers
        if (nameServer === undefined) throw new Error("no name server")
        yield* nameServer.deaf
        const starter = yield* makeProducer({
          client,
          producer: { readiness: "nameServer", startTimeoutMillis: 600_000 }
        })
        const starting = yield* Effect.forkChild(starter.start)
        yield* dialling(nameServer.address)
        const interrupted = yield* elapsed(Fiber.interrupt(starting))
        assert.isBelow(interrupted.millis, 15_000)
        yield* nameServer.up
        // A send that waits for the broker.
        const { close, value: producer } = yield* ownScope(
          startProducer({
            client,
            producer: { readiness: "nameServer", drainTimeoutMillis: 20, sendMsgTimeout: 600_000 }
          })
        )
        yield* broker("broker-a").deaf
        const sending = yield* Effect.forkChild(Effect.exit(producer.send(text("orders"))))
        yield* dialling(broker("broker-a").address)
        const closed = yield* elapsed(close)
        assert.isBelow(closed.millis, 15_000)
        assert.deepInclude(failureOf(yield* Fiber.join(sending)), { outcome: "not-sent" })
        assert.isTrue(dials.every(({ outcome }) => outcome !== "under way"))
        yield* broker("broker-a").up
      })
    )
  )

  for (const how of ["down", "deaf", "half-open"] as const) {
    it.live(`L14: a shutdown with name server and brokers gone (${how}) is bounded and clean`, () =>
      proxied(
        { brokers: ["broker-a", "broker-b"] },
        Effect.gen(function* () {
          const { all } = yield* Proxies
          const { close, value: producer } = yield* ownScope(
            startProducer({ producer: { topics: ["orders"], drainTimeoutMillis: 100 } })
          )
          yield* producer.send(text("orders"))
          for (const proxy of all()) {
            if (how === "half-open") yield* proxy.add(FaultProxy.halfOpen)
            else {
              yield* proxy[how]
              yield* proxy.reset
            }
          }
          const { exit, millis } = yield* elapsed(close)
          valueOf(exit)
          assert.isBelow(millis, 15_000)
          assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
          assert.strictEqual(yield* instances, 0)
        })
      )
    )
  }
})
