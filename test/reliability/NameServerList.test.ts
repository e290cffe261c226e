import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import * as HttpClient from "effect/http/HttpClient"
import * as HttpClientResponse from "effect/http/HttpClientResponse"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { advance, onMemory, sorted, startProducer, text } from "../support/rig.ts"
import { leavesNothing, sentIn, watchLog } from "./watch.ts"

const ROUTE = RequestCode.GET_ROUTEINFO_BY_TOPIC
const three = { topics: { orders: {}, slow: {}, other: {} }, nameServers: 3 }

/** An address server whose answer the test changes. */
const addressServer = () => {
  let answer: { readonly status: number; readonly body: string } | "hangs" = { status: 200, body: "" }
  const layer = Layer.succeed(
    HttpClient.HttpClient,
    HttpClient.make((request) =>
      Effect.suspend(() =>
        answer === "hangs"
          ? Effect.never
          : Effect.succeed(HttpClientResponse.fromWeb(request, new Response(answer.body, { status: answer.status })))
      )
    )
  )
  return {
    says: (next: typeof answer) => {
      answer = next
    },
    lists: (...addresses: ReadonlyArray<string>) => {
      answer = { status: 200, body: `${addresses.join(";")}\n` }
    },
    start: startProducer({ namesrvAddr: undefined, namesrvDomain: "ns.example" }).pipe(Effect.provide(layer))
  }
}

describe("the list of an address server", () => {
  it.effect("N9: changes at once within 120 s; what left it is closed when nothing is under way on it", () => {
    const server = addressServer()
    return leavesNothing(
      Effect.gen(function* () {
        const { faults, nameServers } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        const [old = "", ...fresh] = nameServers.map(({ address }) => address)
        server.lists(old)
        const producer = yield* server.start
        const view = Effect.map(producer.state, (state) => state.instance)
        const lists: Array<string> = []
        server.lists(...fresh)
        yield* faults.add({ match: { code: ROUTE, topic: "slow" }, actions: [FaultScript.delay(2_500)] })
        yield* advance(9_000, 500)
        const slow = yield* Effect.forkChild(producer.send(text("slow"), { timeoutMillis: 9_000 }), {
          startImmediately: true
        })
        for (let i = 0; i < 30; i++) {
          yield* advance(50, 50)
          lists.push(sorted((yield* view)?.nameServers.addresses ?? []).join(";"))
        }
        // The old one or the new ones, and nothing between.
        assert.deepStrictEqual([...new Set(lists)], [old, sorted(fresh).join(";")])
        assert.strictEqual(slow.pollUnsafe(), undefined)
        // Somebody else's request goes to the new list at once.
        assert.strictEqual(yield* sentIn(producer, "other"), 0)
        assert.include(fresh, (yield* view)?.nameServers.chosen ?? "")
        yield* advance(2_000, 50)
        assert.strictEqual((yield* Fiber.join(slow)).attempts, 1)
        // One name server and the broker: the connection to the old one is gone, and stays so.
        assert.strictEqual(yield* network.connections(), 2)
        const dials = yield* network.dials(old)
        yield* advance(180_000, 5_000)
        assert.strictEqual(yield* network.dials(old), dials)
        assert.notInclude((yield* view)?.sockets.map(({ address }) => address) ?? [], old)
      })
    ).pipe(onMemory(three))
  })

  it.effect("N9: a look-up that is under way goes on with the new list, and not with the old one", () => {
    const server = addressServer()
    return leavesNothing(
      Effect.gen(function* () {
        const { nameServers } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        const [one = "", two = "", live = ""] = nameServers.map(({ address }) => address)
        server.lists(one, two)
        const producer = yield* server.start
        yield* advance(9_500, 500)
        for (const address of [one, two]) {
          yield* network.setReachable(address, "blackhole")
          yield* network.cutAll(address)
        }
        const dials = (yield* network.dials(one)) + (yield* network.dials(two))
        server.lists(live)
        const sending = yield* Effect.forkChild(producer.send(text("orders")), { startImmediately: true })
        yield* advance(2_000, 50)
        assert.strictEqual((yield* Fiber.join(sending)).status, "SEND_OK")
        // The one that it was at when the list changed, and not the other one as well.
        assert.strictEqual((yield* network.dials(one)) + (yield* network.dials(two)), dials + 1)
      })
    ).pipe(onMemory(three))
  })

  const troubles = [
    [{ status: 500, body: "internal error" }, "it answered status 500"],
    [{ status: 200, body: "" }, "its answer is empty"],
    [{ status: 200, body: "<!DOCTYPE html>\n<html><body>Sign in</body></html>" }, "no address list"],
    ["hangs", "no answer within 3000 ms"]
  ] as const

  it.effect("N10: stays when the server answers 500, nothing, or a web page; one warning says what was wrong", () => {
    const server = addressServer()
    const log = watchLog()
    return leavesNothing(
      Effect.gen(function* () {
        const { namesrvAddr, nameServers } = yield* EmbeddedCluster
        const addresses = sorted(nameServers.map(({ address }) => address))
        server.lists(namesrvAddr)
        const producer = yield* server.start
        const instance = Effect.map(producer.state, (state) => state.instance)
        for (const [i, [trouble, words]] of troubles.entries()) {
          server.says(trouble)
          yield* advance(380_000, 5_000)
          const view = yield* instance
          assert.deepStrictEqual(sorted(view?.nameServers.addresses ?? []), addresses)
          assert.include(view?.timers[0]?.lastFailure?.message ?? "", words)
          const warnings = log.of("Warn", /address/)
          assert.strictEqual(warnings.length, i + 1, warnings.join("\n"))
          assert.include(warnings.at(-1) ?? "", words)
          assert.include(warnings.at(-1) ?? "", "http://ns.example:8080/rocketmq/nsaddr")
          assert.strictEqual(yield* sentIn(producer, `topic-${i}`), 0)
        }
        assert.isAtLeast((yield* instance)?.timers[0]?.failures ?? 0, 3 * troubles.length)
        server.lists(namesrvAddr)
        yield* advance(130_000, 5_000)
        assert.strictEqual(log.of("Info", /works again/).length, 1)
        assert.deepStrictEqual(new Set(log.errors(/address/)), new Set(["AddressServerFailed"]))
      })
    ).pipe(onMemory(three), log.provide)
  })
})
