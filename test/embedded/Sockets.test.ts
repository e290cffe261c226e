import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { createConnection } from "node:net"
import { EmbeddedCluster, LeakCheck } from "../../src/testing/index.ts"
import type { EmbeddedClusterOptions } from "../../src/testing/index.ts"
import * as GetRouteInfoByTopic from "../../src/protocol/request/GetRouteInfoByTopic.ts"
import {
  brokerAddress,
  messagesOf,
  namesrvAddress,
  orThrow,
  pullRequest,
  rawClient,
  sendRequest,
  textOf
} from "./support.ts"

const onTcp = (options: EmbeddedClusterOptions = { topics: { orders: {} } }) =>
  Effect.provide(EmbeddedCluster.layerTcp(options))

const startUp = (layer: Layer.Layer<EmbeddedCluster, unknown>) =>
  Effect.gen(function* () {
    const best: Array<number> = []
    for (let i = 0; i < 5; i++) {
      const started = performance.now()
      yield* Effect.scoped(Layer.build(Layer.fresh(layer)))
      best.push(performance.now() - started)
    }
    return Math.min(...best)
  })

describe("on sockets", () => {
  it.live("routes, stores, reads and wakes a held pull", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const route = orThrow(
        GetRouteInfoByTopic.decodeResponse(
          yield* client.call(yield* namesrvAddress, GetRouteInfoByTopic.request({ topic: "orders" }))
        )
      )
      const address = route.brokerDatas[0]?.brokerAddrs.get(0) ?? ""
      assert.strictEqual(address, yield* brokerAddress())
      const [held] = yield* Effect.all(
        [
          client.call(address, pullRequest({ sysFlag: 6, suspendTimeoutMillis: 15_000 }), 20_000),
          Effect.flatMap(EmbeddedCluster, ({ traffic }) => traffic.awaitMatching({ code: 11 })).pipe(
            Effect.andThen(client.call(address, sendRequest()))
          )
        ],
        { concurrency: "unbounded" }
      )
      const [message] = messagesOf(held)
      assert.strictEqual(textOf(message?.body ?? new Uint8Array()), "hello")
      assert.strictEqual(message?.storeHost, address)
      assert.match(message?.bornHost ?? "", /^127\.0\.0\.1:\d+$/)
    }).pipe(onTcp())
  )

  it.live("a stopped broker's port is closed, and is its own again after a start", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      yield* client.call(address, sendRequest())
      yield* cluster.stopBroker("broker-a")
      const failed = yield* Effect.flip(client.call(address, sendRequest()))
      assert.strictEqual(failed._tag, "ConnectFailed")
      yield* cluster.startBroker("broker-a")
      assert.strictEqual(yield* brokerAddress(), address)
      const fresh = yield* rawClient()
      assert.strictEqual((yield* fresh.call(address, sendRequest())).extFields?.["queueOffset"], "1")
    }).pipe(onTcp())
  )

  it.live("serves on an IPv6 address", () =>
    Effect.gen(function* () {
      const client = yield* rawClient()
      const address = yield* brokerAddress()
      assert.match(address, /^\[::1\]:\d+$/)
      const answer = yield* client.call(address, sendRequest())
      assert.strictEqual(answer.extFields?.["msgId"]?.length, 56)
      const [message] = messagesOf(yield* client.call(address, pullRequest()))
      assert.strictEqual(message?.storeHost, address)
    }).pipe(onTcp({ topics: { orders: {} }, listen: { host: "::1" } }))
  )

  it.live("on all interfaces it is advertised on the loopback one, and comes back there", () =>
    Effect.gen(function* () {
      const cluster = yield* EmbeddedCluster
      const address = yield* brokerAddress()
      assert.match(address, /^127\.0\.0\.1:[1-9]\d*$/)
      yield* cluster.stopBroker("broker-a")
      yield* cluster.startBroker("broker-a")
      const client = yield* rawClient()
      assert.strictEqual(yield* brokerAddress(), address)
      assert.strictEqual((yield* client.call(address, sendRequest())).code, 0)
    }).pipe(onTcp({ topics: { orders: {} }, listen: { host: "0.0.0.0" } }))
  )

  it.live("starts and stops in under 50 ms, on sockets and in memory", () =>
    Effect.gen(function* () {
      const three = { brokers: 3, nameServers: 2 }
      assert.isBelow(yield* startUp(EmbeddedCluster.layerTcp(three)), 50)
      assert.isBelow(yield* startUp(EmbeddedCluster.layerMemory(three)), 50)
    })
  )

  it.live("leaves nothing behind", () =>
    LeakCheck.check(
      Effect.gen(function* () {
        const client = yield* rawClient()
        const address = yield* brokerAddress()
        yield* client.call(yield* namesrvAddress, { code: 106, extFields: undefined })
        yield* Effect.forkScoped(
          Effect.ignore(client.call(address, pullRequest({ sysFlag: 6, suspendTimeoutMillis: 15_000 }), 20_000))
        )
        const { traffic } = yield* EmbeddedCluster
        yield* traffic.awaitMatching({ code: 11 })
      }).pipe(onTcp())
    )
  )

  it.live("the leak check finds a socket, a timer and a server that were left behind", () =>
    Effect.gen(function* () {
      const timer = yield* leaksOf(
        Effect.sync(() => {
          // More than the test runner's own timers, which may end meanwhile.
          const handles = Array.from({ length: 5 }, () => setTimeout(() => undefined, 60_000))
          return () => {
            for (const handle of handles) clearTimeout(handle)
          }
        })
      )
      assert.deepStrictEqual(timer, ["Timeout"])
      const socket = yield* leaksOf(
        Effect.map(namesrvAddress, (address) => {
          const handle = createConnection(Number(address.split(":")[1]), "127.0.0.1")
          return () => void handle.destroy()
        })
      )
      assert.include(socket, "TCPSocketWrap")
    }).pipe(onTcp())
  )

  it.live("the leak check lets failures through", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* Effect.flip(LeakCheck.check(Effect.fail("own failure"))), "own failure")
      assert.strictEqual(yield* LeakCheck.check(Effect.succeed(1)), 1)
    })
  )
})

/** Leaves something behind on purpose, and gives the kinds the check names. */
const leaksOf = <E, R>(open: Effect.Effect<() => void, E, R>) =>
  Effect.gen(function* () {
    const opened: Array<() => void> = []
    const failure = yield* Effect.flip(
      LeakCheck.check(
        Effect.map(open, (close) => {
          opened.push(close)
        }),
        { graceMillis: 50 }
      )
    )
    for (const close of opened) close()
    return failure instanceof LeakCheck.LeakDetected ? failure.leaks.map((leak) => leak.kind) : []
  })
