import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer, Queue, Random } from "effect"
import * as Net from "node:net"
import { TestClock } from "effect/testing"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import * as DeafPort from "../../src/testing/DeafPort.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import * as RemotingClient from "../support/remoting.ts"
import * as RemotingServer from "../../src/embedded/server/RemotingServer.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import type { WireErrorKind } from "../../src/transport/Wire.ts"
import { advance, failureOf, startProducer, text, timed, valueOf } from "../support/rig.ts"
import { request } from "../transport/support.ts"
import { row } from "./row.ts"

const SEND = RequestCode.SEND_MESSAGE_V2
const orders = { code: SEND, topic: "orders" }

const portOf = (address: string) => Number(address.slice(address.lastIndexOf(":") + 1))

const addressOf = (name: string) =>
  Effect.map(EmbeddedCluster, ({ brokers }) => brokers.find((broker) => broker.name === name)?.address ?? "")

const notFound = (host: string) => Object.assign(new Error(`getaddrinfo ENOTFOUND ${host}`), { code: "ENOTFOUND" })

/** A resolver: `*.bad` has no address, `*.slow` never gets an answer, every other name has the given addresses. */
const resolver = (addresses: ReadonlyArray<string>) => {
  const asked: Array<string> = []
  const slow = Effect.runSync(Queue.unbounded<string>())
  const lookup: Net.LookupFunction = (host, { all }, callback) => {
    asked.push(host)
    if (host.endsWith(".slow")) return void Queue.offerUnsafe(slow, host)
    if (host.endsWith(".bad")) return callback(notFound(host), "")
    const records = addresses.map((address) => ({ address, family: Net.isIP(address) }))
    if (all === true) callback(null, records)
    else callback(null, records[0]?.address ?? "", records[0]?.family)
  }
  return { asked, lookup, slowAsked: Queue.take(slow) }
}

describe("host names", () => {
  it.effect("H1: one that has no address fails at once, typed, and is not looked up again before its pause", () => {
    const { asked, lookup } = resolver([])
    return Effect.gen(function* () {
      const client = yield* RemotingClient.make({})
      for (let i = 0; i < 10; i++) {
        const error = yield* Effect.flip(client.invoke("broker.bad:10911", request(SEND), 3_000))
        if (error._tag !== "ConnectFailed") throw new Error(error._tag)
        assert.deepStrictEqual([error.kind, error.outcome], ["dns", "not-sent"])
        assert.isAbove(error.retryAfterMillis, 0)
        assert.include(error.message, "broker.bad")
      }
      assert.deepStrictEqual(asked, ["broker.bad"])
    }).pipe(Effect.provide(TcpWire.layerWith({ lookup })))
  })

  it.effect("H1: one that the resolver does not answer fails typed, at the connect timeout", () => {
    const { lookup, slowAsked } = resolver([])
    return Effect.gen(function* () {
      const client = yield* RemotingClient.make({ connectTimeoutMillis: 3_000 })
      const call = yield* Effect.forkChild(Effect.flip(client.invoke("broker.slow:10911", request(SEND), 5_000)), {
        startImmediately: true
      })
      yield* slowAsked
      yield* TestClock.adjust(2_999)
      assert.strictEqual(call.pollUnsafe(), undefined)
      yield* TestClock.adjust(1)
      const error = yield* Fiber.join(call)
      if (error._tag !== "ConnectFailed") throw new Error(error._tag)
      assert.deepStrictEqual([error.kind, error.outcome], ["dns", "not-sent"])
    }).pipe(Effect.provide(TcpWire.layerWith({ lookup })))
  })

  for (const kind of ["bad", "slow"]) {
    it.effect(`H1: one ${kind} name among three name servers: the others are asked, within the look-up's time`, () => {
      const { asked, lookup, slowAsked } = resolver(["127.0.0.1"])
      return Effect.gen(function* () {
        const { namesrvAddr } = yield* EmbeddedCluster
        const port = portOf(namesrvAddr)
        // One third of the time that a look-up has.
        yield* Effect.forkScoped(Effect.forever(Effect.andThen(slowAsked, TestClock.adjust(1_000))))
        // The list is shuffled, so that the name is the first choice of some of them, every time of the same ones.
        for (const instanceName of ["a", "b", "c", "d", "e", "f"]) {
          const begin = yield* Clock.currentTimeMillis
          const { attempts } = yield* Effect.gen(function* () {
            const producer = yield* startProducer({
              instanceName,
              namesrvAddr: [`one.${kind}:9876`, `two.good:${port}`, `three.good:${port}`]
            })
            return yield* producer.send(text("orders"))
          }).pipe(Effect.scoped, Random.withSeed(instanceName))
          assert.strictEqual(attempts, 1)
          assert.isAtMost((yield* Clock.currentTimeMillis) - begin, 1_000)
        }
        assert.isTrue(asked.some((host) => host.endsWith(kind)))
      }).pipe(
        Effect.provide(
          MQClientManager.layer.pipe(
            Layer.provideMerge(EmbeddedCluster.layer({ seed: 1, topics: { orders: {} } })),
            Layer.provideMerge(TcpWire.layerWith({ lookup }))
          )
        )
      )
    })
  }

  it.effect("H1: a broker whose name has no address any more: the other one gets the messages", () => {
    const failing = new Map<string, WireErrorKind>()
    return row({ brokers: ["broker-a", "broker-b"], fails: (address) => failing.get(address) }, (producer) =>
      Effect.gen(function* () {
        const network = yield* MemoryNetwork
        const address = yield* addressOf("broker-a")
        failing.set(address, "dns")
        yield* network.cutAll(address)
        const { exit, millis } = yield* timed(
          Effect.forEach(Array.from({ length: 8 }), () => producer.send(text("orders")))
        )
        assert.isTrue(valueOf(exit).every((result) => result.queue.brokerName === "broker-b"))
        assert.strictEqual(millis, 0)
        const queue = { topic: "orders", brokerName: "broker-a", queueId: 0 }
        const alone = yield* timed(Effect.flip(producer.send(text("orders"), { queue })))
        const error = valueOf(alone.exit)
        assert.deepInclude(error.reason, { _tag: "ConnectFailed", kind: "dns" })
        assert.deepStrictEqual([error.outcome, error.retryable], ["not-sent", true])
        assert.isAtMost(alone.millis, 3_005)
        failing.clear()
        yield* advance(3_000)
        assert.strictEqual((yield* producer.send(text("orders"), { queue })).attempts, 1)
      })
    )
  })

  it.live("H2: a host whose IPv6 address swallows everything is reached at the next one, within the timeout", () => {
    const { lookup } = resolver(["::1", "127.0.0.1"])
    return Effect.gen(function* () {
      const server = yield* RemotingServer.listen({
        address: "127.0.0.1:0",
        handler: () => Effect.succeed({ code: 0 })
      })
      const deaf = yield* Effect.result(DeafPort.listen("::1", portOf(server.address)))
      // On a host without IPv6 the first address is dead in its own way.
      if (deaf._tag === "Failure") assert.notStrictEqual(deaf.failure.kind, "in-use")
      const client = yield* RemotingClient.make({ connectTimeoutMillis: 900 })
      const answer = yield* client.invoke(`six.first:${portOf(server.address)}`, request(5), 5_000)
      assert.strictEqual(answer.code, 0)
    }).pipe(Effect.provide(TcpWire.layerWith({ lookup })))
  })
})

describe("access that is refused", () => {
  it.effect("H3: because the clocks differ: typed, not sent again, and what to do about it", () =>
    row({ brokers: ["broker-a", "broker-b"] }, (producer) =>
      Effect.gen(function* () {
        const { faults, traffic } = yield* EmbeddedCluster
        yield* faults.add({ match: orders, actions: [FaultScript.answer(16, "the request timestamp has expired")] })
        yield* traffic.clear
        const { exit, millis } = yield* timed(Effect.exit(producer.send(text("orders"))))
        const error = failureOf(valueOf(exit))
        assert.deepInclude(error.reason, { _tag: "AccessDenied", problem: "clock" })
        assert.deepStrictEqual([error.outcome, error.retryable, error.attempts.length], ["rejected", false, 1])
        assert.include(error.message, "clocks")
        assert.strictEqual(millis, 0)
        yield* traffic.expect(orders, { exactly: 1 })
      })
    )
  )
})

describe("no file descriptors left", () => {
  it.effect("H8: a typed error, and dials that are far between however much is sent; well again afterwards", () => {
    const failing = new Map<string, WireErrorKind>()
    const dials: Array<string> = []
    const fails = (address: string) => {
      dials.push(address)
      return failing.get(address)
    }
    return row({ fails, producer: { retryTimesWhenSendFailed: 0 } }, (producer) =>
      Effect.gen(function* () {
        const network = yield* MemoryNetwork
        const address = yield* addressOf("broker-a")
        failing.set(address, "exhausted")
        yield* network.cutAll(address)
        dials.length = 0
        let failed = 0
        // 20 sends at once, every 100 ms, for a minute.
        for (let i = 0; i < 600; i++) {
          const sends = Effect.forEach(
            Array.from({ length: 20 }),
            () => Effect.flip(producer.send(text("orders"), { timeoutMillis: 50 })),
            { concurrency: 20 }
          )
          for (const error of yield* sends) {
            failed++
            if (error.reason._tag !== "ConnectFailed") throw new Error(error.message)
            assert.deepStrictEqual([error.reason.kind, error.outcome, error.retryable], ["exhausted", "not-sent", true])
            if (failed === 1) assert.include(error.message, "ulimit -n")
          }
          yield* TestClock.adjust(100)
        }
        assert.strictEqual(failed, 12_000)
        // The pauses grow to between 1.5 and 3 s, so there are 40 dials in a minute at most, and those before.
        const count = dials.filter((dialled) => dialled === address).length
        assert.isTrue(count >= 15 && count <= 50, `${count} dials`)
        failing.clear()
        yield* advance(3_000)
        assert.strictEqual((yield* producer.send(text("orders"))).attempts, 1)
      })
    )
  })

  it.effect("H8: a name server cannot be asked: the error says whose fault it is", () => {
    const failing = new Map<string, WireErrorKind>()
    return row({ fails: (address) => failing.get(address) }, (producer) =>
      Effect.gen(function* () {
        const { createTopic, namesrvAddr } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        yield* createTopic("new", { broker: "broker-a" })
        failing.set(namesrvAddr, "exhausted")
        yield* network.cutAll(namesrvAddr)
        const { exit, millis } = yield* timed(Effect.flip(producer.send(text("new"))))
        const error = valueOf(exit)
        assert.deepInclude(error.reason, { _tag: "RouteUnavailable", problem: "client-exhausted" })
        assert.deepStrictEqual([error.outcome, error.retryable], ["not-sent", true])
        assert.isAtMost(millis, 3_005)
        failing.clear()
        yield* advance(3_000)
        assert.strictEqual((yield* producer.send(text("new"))).attempts, 1)
      })
    )
  })
})
