import { assert, describe, it } from "@effect/vitest"
import { Clock, Effect, Fiber, Layer } from "effect"
import { MQClientManager } from "../../src/client/MQClientManager.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../src/testing/index.ts"
import * as MemoryWire from "../../src/transport/MemoryWire.ts"
import * as RemotingClient from "../support/remoting.ts"
import { failureOf, settle, startProducer, text } from "../support/rig.ts"
import { makePeer, request } from "../transport/support.ts"
import * as HandClock from "./HandClock.ts"

const HOUR = 3_600_000
const HEARTBEAT = RequestCode.HEART_BEAT
const ROUTE = RequestCode.GET_ROUTEINFO_BY_TOPIC
const orders = { code: RequestCode.SEND_MESSAGE_V2, topic: "orders" }

const forked = <A, E, R>(effect: Effect.Effect<A, E, R>) => Effect.forkChild(effect, { startImmediately: true })

/** Runs a test on a clock that it moves by hand; the cluster is on a host of its own. */
const onHandClock = <A, E>(
  body: (
    hand: HandClock.HandClock
  ) => Effect.Effect<A, E, Effect.Services<ReturnType<typeof startProducer>> | EmbeddedCluster>
) => {
  const hand = HandClock.make()
  const cluster = Layer.provide(
    EmbeddedCluster.layerMemory({ seed: 1, topics: { orders: {} }, brokers: 2 }),
    Layer.succeed(Clock.Clock, hand.elsewhere)
  )
  return Effect.scoped(body(hand)).pipe(
    Effect.provide(Layer.provideMerge(MQClientManager.layer, cluster)),
    Effect.provideService(Clock.Clock, hand.clock)
  )
}

/** The same without a cluster, for the transport alone. */
const onHandWire = <A, E>(
  body: (hand: HandClock.HandClock) => Effect.Effect<A, E, Effect.Services<ReturnType<typeof makePeer>>>
) => {
  const hand = HandClock.make()
  return Effect.scoped(body(hand)).pipe(
    Effect.provide(MemoryWire.layer),
    Effect.provideService(Clock.Clock, hand.clock)
  )
}

/** How many requests of a code each broker has seen since the record was cleared. */
const seen = (code: number) =>
  Effect.gen(function* () {
    const { traffic } = yield* EmbeddedCluster
    const counts: Record<string, number> = {}
    for (const { server } of yield* traffic.ofCode(code)) counts[server] = (counts[server] ?? 0) + 1
    return counts
  })

const each = (count: number) => ({ "broker-a": count, "broker-b": count })

describe("the wall clock jumps by an hour", () => {
  for (const [where, by] of [
    ["forwards", HOUR],
    ["back", -HOUR]
  ] as const) {
    it.effect(`H5: ${where}: a request has exactly the time it was given`, () =>
      onHandWire((hand) =>
        Effect.gen(function* () {
          const peer = yield* makePeer()
          const client = yield* RemotingClient.make({})
          const silent = yield* forked(Effect.flip(client.invoke(peer.address, request(1), 3_000)))
          const answered = yield* forked(client.invoke(peer.address, request(2), 3_000))
          const connection = yield* peer.accept
          const [, second] = yield* connection.take(2)
          yield* hand.pass(1_000)
          hand.setWall(by)
          yield* hand.pass(1_500)
          assert.strictEqual(silent.pollUnsafe(), undefined)
          if (second !== undefined) yield* connection.answer(second)
          assert.strictEqual((yield* Fiber.join(answered)).code, 0)
          yield* hand.pass(499)
          assert.strictEqual(silent.pollUnsafe(), undefined)
          yield* hand.pass(1)
          assert.strictEqual((yield* Fiber.join(silent))._tag, "RequestTimeout")
        })
      )
    )

    it.effect(`H5: ${where}, again and again: heartbeats and polls come when they would have come`, () =>
      onHandClock((hand) =>
        Effect.gen(function* () {
          const { traffic } = yield* EmbeddedCluster
          yield* startProducer({ readiness: "registered", topics: ["orders"] })
          yield* hand.pass(1_500, 500)
          yield* traffic.clear
          for (let i = 0; i < 10; i++) {
            hand.setWall(by)
            yield* hand.pass(30_000, 500)
            assert.deepStrictEqual(yield* seen(HEARTBEAT), each(i + 1))
          }
          // Of the topic and of the template topic.
          assert.deepStrictEqual(yield* seen(ROUTE), { "namesrv-0": 20 })
        })
      )
    )

    it.effect(`H5: ${where}: a send ends within its budget, its waits included`, () =>
      onHandClock((hand) =>
        Effect.gen(function* () {
          const { faults } = yield* EmbeddedCluster
          const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] })
          yield* faults.add({ match: orders, actions: [FaultScript.answer(2, "busy")] })
          const begin = hand.now()
          const sending = yield* forked(
            Effect.map(Effect.exit(producer.send(text("orders"))), (exit) => ({ exit, millis: hand.now() - begin }))
          )
          yield* hand.pass(1_000, 5)
          hand.setWall(by)
          yield* hand.pass(2_100, 5)
          const { exit, millis } = yield* Fiber.join(sending)
          assert.deepInclude(failureOf(exit).reason, { _tag: "BrokerRejected", code: 2 })
          assert.isTrue(millis >= 2_400 && millis <= 3_005, `${millis} ms`)
          yield* faults.clear
          assert.strictEqual((yield* producer.send(text("orders"))).status, "SEND_OK")
        })
      )
    )
  }
})

describe("the event loop stands still", () => {
  for (const [what, first] of [
    ["before", "answers"],
    ["after", "timers"]
  ] as const) {
    it.effect(`H6: for 5 s: answers that had arrived win, though they are looked at ${what} the timers`, () =>
      onHandWire((hand) =>
        Effect.gen(function* () {
          const peer = yield* makePeer()
          const client = yield* RemotingClient.make({ silentTimeoutsBeforeClose: 100 })
          const calls = yield* Effect.forEach(Array.from({ length: 50 }), (_, i) =>
            forked(Effect.exit(client.invoke(peer.address, request(i), 3_000)))
          )
          const connection = yield* peer.accept
          const commands = yield* connection.take(50)
          yield* hand.pass(1_000)
          const arrive = Effect.forEach(
            commands.filter((_, i) => i % 2 === 0),
            (command) => connection.answer(command, { code: 0, remark: `${command.code}` })
          )
          const stall = Effect.sync(() => hand.stall(5_000))
          yield* first === "answers" ? Effect.andThen(arrive, stall) : Effect.andThen(stall, arrive)
          yield* settle
          for (const [i, call] of calls.entries()) {
            const exit = yield* Fiber.join(call)
            if (i % 2 === 1) assert.strictEqual(failureOf(exit)._tag, "RequestTimeout")
            else assert.deepInclude(yield* exit, { remark: `${i}` })
          }
          const { duplicate, late, unknownResponse } = client.counters()
          assert.deepStrictEqual([late, duplicate, unknownResponse], [0, 0, 0])
          const [info] = client.connections()
          assert.deepStrictEqual([info?.state, info?.inFlight, info?.waiting], ["open", 0, 0])
        })
      )
    )
  }

  for (const stallMillis of [5_000, 85_000]) {
    it.effect(`H6: for ${stallMillis / 1_000} s: one heartbeat and one poll afterwards, and then the usual pace`, () =>
      onHandClock((hand) =>
        Effect.gen(function* () {
          const { traffic } = yield* EmbeddedCluster
          const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] })
          // Heartbeats at 1 s and 31 s, polls at 10 ms and 30.01 s.
          yield* hand.pass(28_000, 500)
          yield* traffic.clear
          hand.stall(stallMillis)
          yield* settle
          assert.deepStrictEqual(yield* seen(HEARTBEAT), each(1))
          assert.deepStrictEqual(yield* seen(ROUTE), { "namesrv-0": 2 })
          yield* hand.pass(29_500, 500)
          assert.deepStrictEqual(yield* seen(HEARTBEAT), each(1))
          yield* hand.pass(1_000, 500)
          assert.deepStrictEqual(yield* seen(HEARTBEAT), each(2))
          assert.deepStrictEqual(yield* seen(ROUTE), { "namesrv-0": 4 })
          const result = yield* producer.send(text("orders"))
          assert.strictEqual(result.attempts, 1, "the connections are as good as before")
        })
      )
    )
  }
})
