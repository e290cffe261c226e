import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import {
  advance,
  connections,
  failureOf,
  onMemory,
  settle,
  startProducer,
  text,
  timed,
  valueOf
} from "../support/rig.ts"
import { makePeer } from "../transport/support.ts"
import { row } from "./row.ts"
import { chosen, leavesNothing, sentIn } from "./watch.ts"

const ROUTE = RequestCode.GET_ROUTEINFO_BY_TOPIC
const topics = { orders: {} }

describe("a half-open connection to a name server", () => {
  it.effect("N6: the request times out, its connection is closed, the next server is asked", () =>
    row({ cluster: { nameServers: 2 } }, (producer) =>
      Effect.gen(function* () {
        const { createTopic } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        yield* createTopic("new", { broker: "broker-a" })
        const halfOpen = yield* chosen(producer)
        const before = yield* connections
        const dials = yield* network.dials(halfOpen)
        // No end, no reset: the bytes just stop.
        yield* network.setReachable(halfOpen, "blackhole")
        assert.isAtMost(yield* sentIn(producer, "new"), 1_505)
        assert.notStrictEqual(yield* chosen(producer), halfOpen)
        const sockets = (yield* producer.state).instance?.sockets ?? []
        assert.notInclude(
          sockets.filter(({ state }) => state === "open").map(({ address }) => address),
          halfOpen
        )
        // The one to the other server has taken the place of the half-open one, whose end the network has seen.
        yield* network.setReachable(halfOpen, "open")
        yield* settle
        assert.strictEqual(yield* connections, before)
        assert.strictEqual(yield* network.dials(halfOpen), dials)
      })
    )
  )

  it.effect("N6: what else is under way on that connection may end", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const { createTopic, faults, namesrvAddr } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        const dials = yield* network.dials(namesrvAddr)
        for (const name of ["lost", "slow"]) yield* createTopic(name, { broker: "broker-a" })
        yield* faults.add({ match: { code: ROUTE, topic: "lost" }, actions: [FaultScript.dropRequest], times: 1 })
        const lost = yield* Effect.forkChild(Effect.exit(producer.send(text("lost"), { timeoutMillis: 4_000 })), {
          startImmediately: true
        })
        yield* settle
        yield* faults.add({ match: { code: ROUTE, topic: "slow" }, actions: [FaultScript.delay(2_900)] })
        yield* advance(500)
        const slow = yield* Effect.forkChild(producer.send(text("slow"), { timeoutMillis: 9_000 }), {
          startImmediately: true
        })
        yield* advance(2_600)
        const exit = yield* Fiber.join(lost)
        assert.deepInclude(failureOf(exit).reason, { _tag: "RouteUnavailable", problem: "name-server-silent" })
        assert.strictEqual(slow.pollUnsafe(), undefined)
        yield* advance(500)
        assert.strictEqual((yield* Fiber.join(slow)).status, "SEND_OK")
        // The next request takes a connection of its own.
        assert.strictEqual(yield* sentIn(producer, "lost"), 0)
        assert.strictEqual(yield* network.dials(namesrvAddr), dials + 1)
      })
    )
  )
})

describe("a name server that is none", () => {
  /** A producer whose chosen name server is a peer that is played by hand; the other one is the cluster's. */
  const besidePeer = Effect.gen(function* () {
    const { namesrvAddr } = yield* EmbeddedCluster
    const peer = yield* makePeer({ address: "127.0.0.1:19876" })
    for (let i = 0; ; i++) {
      const producer = yield* startProducer({
        readiness: "lazy",
        instanceName: `${i}`,
        namesrvAddr: `${peer.address};${namesrvAddr}`
      })
      if ((yield* chosen(producer)) === peer.address) return { peer, producer }
      yield* producer.shutdown
    }
  })

  it.effect("N7: an answer that trickles in byte by byte does not put off the deadline", () =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, producer } = yield* besidePeer
        const sending = yield* Effect.forkChild(timed(producer.send(text("orders"))), { startImmediately: true })
        const connection = yield* peer.accept
        const { opaque } = yield* connection.next
        const frame = Buffer.alloc(100_000, "{")
        frame.writeInt32BE(frame.length - 4, 0)
        frame.writeInt32BE(frame.length - 8, 4)
        let sent = 0
        const trickle = yield* Effect.forkChild(
          Effect.forever(
            Effect.andThen(
              Effect.suspend(() => connection.write(frame.subarray(sent, ++sent))),
              Effect.sleep(50)
            )
          ),
          { startImmediately: true }
        )
        const { exit, millis } = yield* Fiber.join(sending)
        valueOf(exit)
        assert.strictEqual(opaque, 0)
        // Half of the look-up's 3 s: the other half is the other server's.
        assert.isAtLeast(millis, 1_495)
        assert.isAtMost(millis, 1_505)
        assert.isAtLeast(sent, 29)
        assert.notStrictEqual(yield* chosen(producer), peer.address)
        // As soon as the poll that began 10 ms after the send has given up as well.
        yield* advance(10, 5)
        yield* connection.ended
        yield* Fiber.interrupt(trickle)
        assert.strictEqual(yield* sentIn(producer, "another"), 0)
        assert.strictEqual(yield* peer.unaccepted, 0)
      })
    ).pipe(onMemory({ topics }))
  )

  const garbage: ReadonlyArray<readonly [what: string, bytes: Uint8Array]> = [
    ["a web server", Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["a TLS alert", Buffer.from("15030300020228", "hex")],
    ["zeros", Buffer.alloc(64)],
    ["noise", Buffer.from("fffefdfcfbfaf9f8f7f6f5f4f3f2f1f0", "hex")],
    ["a frame whose header is no JSON", Buffer.from("0000000800000004deadbeef", "hex")]
  ]

  it.effect.each(garbage)("N8: answers like %s: FrameError, the connection is closed, the next is asked", ([, bytes]) =>
    leavesNothing(
      Effect.gen(function* () {
        const { peer, producer } = yield* besidePeer
        const sending = yield* Effect.forkChild(timed(producer.send(text("orders"))), { startImmediately: true })
        const connection = yield* peer.accept
        yield* connection.next
        yield* connection.write(bytes)
        const { exit, millis } = yield* Fiber.join(sending)
        valueOf(exit)
        assert.strictEqual(millis, 0)
        yield* connection.ended
        assert.strictEqual((yield* producer.state).instance?.counters.frameErrors, 1)
        assert.notStrictEqual(yield* chosen(producer), peer.address)
        assert.strictEqual(yield* sentIn(producer, "another"), 0)
      })
    ).pipe(onMemory({ topics }))
  )

  it.effect("N8: when it is the only one, the error says what answers there, in the pause between dials too", () =>
    row({}, (producer) =>
      Effect.gen(function* () {
        const { faults } = yield* EmbeddedCluster
        yield* faults.add({ match: { broker: "namesrv" }, actions: [FaultScript.corruptResponse] })
        for (let i = 0; i < 4; i++) {
          const { exit, millis } = yield* timed(producer.send(text("new")))
          const { outcome, reason } = failureOf(exit)
          if (reason._tag !== "RouteUnavailable") throw new Error(reason._tag)
          assert.deepStrictEqual([outcome, reason.problem, millis], ["not-sent", "name-server-unreadable", 0])
          assert.deepStrictEqual(
            reason.tries.map(({ problem }) => problem),
            ["unreadable"]
          )
        }
      })
    )
  )
})
