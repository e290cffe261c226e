import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import type { EmbeddedClusterOptions } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import * as Address from "../../src/transport/Address.ts"
import * as TcpWire from "../../src/transport/TcpWire.ts"
import { Wire } from "../../src/transport/Wire.ts"
import { producerHeartbeat, pullRequest, rawClient, sendRequest } from "./support.ts"

const onMemory = (options: EmbeddedClusterOptions = {}) =>
  Effect.provide(EmbeddedCluster.layerMemory({ topics: { orders: {} }, ...options }))

const only = Effect.map(EmbeddedCluster, ({ brokers: [broker] }) => {
  if (broker === undefined) throw new Error("the cluster has no broker")
  return broker
})

const portOf = (address: string): number => {
  const parsed = Address.parse(address)
  if (parsed instanceof Address.AddressError) throw parsed
  return parsed.port
}

describe("the VIP channel, a broker's second listener", () => {
  it.effect("A47: is two ports below and serves everything but pulls", () =>
    Effect.gen(function* () {
      const { messages, traffic } = yield* EmbeddedCluster
      const client = yield* rawClient()
      const vip = (yield* only).vipAddress ?? ""
      assert.strictEqual(vip, "127.0.0.1:10909")
      assert.strictEqual((yield* client.call(vip, sendRequest())).code, 0)
      assert.strictEqual((yield* messages("orders")).length, 1)
      for (const code of [RequestCode.PULL_MESSAGE, RequestCode.LITE_PULL_MESSAGE]) {
        assert.deepInclude(yield* client.call(vip, { ...pullRequest(), code }), {
          code: 3,
          remark: ` request type ${code} not supported`
        })
      }
      const [send] = yield* traffic.ofCode(RequestCode.SEND_MESSAGE_V2)
      assert.deepInclude(send, { server: "broker-a", address: vip })
    }).pipe(onMemory())
  )

  it.effect("its channels are others than those of the broker's own port", () =>
    Effect.gen(function* () {
      const { clients } = yield* EmbeddedCluster
      const { address, vipAddress: vip = "" } = yield* only
      const client = yield* rawClient()
      yield* client.call(address, producerHeartbeat("one", "pg"))
      yield* client.call(vip, producerHeartbeat("two", "pg"))
      const ids = Effect.map(clients, (live) => live.map(({ clientId }) => clientId))
      assert.deepStrictEqual(yield* ids, ["one", "two"])
      yield* client.close(vip)
      // The server's side of the connection ends in a turn of its own.
      while ((yield* ids).length > 1) yield* Effect.yieldNow
      assert.deepStrictEqual(yield* ids, ["one"])
    }).pipe(onMemory())
  )

  it.effect("closes and opens with the broker", () =>
    Effect.gen(function* () {
      const { startBroker, stopBroker } = yield* EmbeddedCluster
      const client = yield* rawClient()
      const broker = yield* only
      yield* stopBroker("broker-a")
      assert.isUndefined(broker.vipAddress)
      assert.strictEqual((yield* Effect.flip(client.call("127.0.0.1:10909", sendRequest())))._tag, "ConnectFailed")
      yield* startBroker("broker-a")
      const fresh = yield* rawClient()
      assert.strictEqual((yield* fresh.call(broker.vipAddress ?? "", sendRequest())).code, 0)
      yield* broker.restart({ newPort: true })
      assert.strictEqual(portOf(broker.vipAddress ?? ""), portOf(broker.address) - 2)
    }).pipe(onMemory())
  )

  it.effect("A47: never takes the port of another server of the cluster, not even of one that is stopped", () =>
    Effect.gen(function* () {
      const { brokers, startBroker, stopBroker } = yield* EmbeddedCluster
      const vips = () => brokers.map(({ vipAddress }) => vipAddress)
      const expected = ["127.0.0.1:10909", "127.0.0.1:10910", undefined]
      assert.deepStrictEqual(vips(), expected)
      yield* stopBroker("broker-a")
      yield* stopBroker("broker-c")
      yield* startBroker("broker-c")
      yield* startBroker("broker-a")
      assert.deepStrictEqual(vips(), expected)
    }).pipe(onMemory({ brokers: 3 }))
  )

  it.effect("never takes a port that another server had: a client may still know that one", () =>
    Effect.gen(function* () {
      const { brokers } = yield* EmbeddedCluster
      const [a, b] = brokers
      if (a === undefined || b === undefined) throw new Error("the cluster has no two brokers")
      // The memory wire gives free ports one after the other.
      yield* a.restart({ newPort: true })
      const left = portOf(a.address)
      yield* a.restart({ newPort: true })
      yield* b.restart({ newPort: true })
      assert.strictEqual(portOf(b.address), left + 2)
      assert.isUndefined(b.vipAddress)
    }).pipe(onMemory({ brokers: 2 }))
  )

  it.live("A47: a broker whose second port is taken serves without it", () =>
    Effect.gen(function* () {
      const wire = yield* Wire
      const taken = yield* wire.listen("127.0.0.1:0", () => Effect.void)
      const brokerPort = portOf(taken.address) + 2
      const cluster = EmbeddedCluster.layer({ topics: { orders: {} }, listen: { brokerPort } })
      yield* Effect.gen(function* () {
        const { address, vipAddress } = yield* only
        const client = yield* rawClient()
        assert.strictEqual(portOf(address), brokerPort)
        assert.isUndefined(vipAddress)
        assert.strictEqual((yield* client.call(address, sendRequest())).code, 0)
      }).pipe(Effect.provide(cluster))
    }).pipe(Effect.scoped, Effect.provide(TcpWire.layer))
  )
})
