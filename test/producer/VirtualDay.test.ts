import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { RequestCode } from "../../src/protocol/RequestCode.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { countFibers, onMemory, settle, startProducer, text } from "../support/rig.ts"

const MINUTE = 60_000
const MINUTES = 24 * 60

describe("one virtual day", () => {
  it.effect(
    "of heartbeats, route polls and a send a minute takes less than 5 s, to the exact count",
    () =>
      Effect.gen(function* () {
        const fibers = countFibers()
        const cpuBegin = process.cpuUsage()
        const { brokers, clients, messages, namesrvAddr, traffic } = yield* EmbeddedCluster
        const network = yield* MemoryNetwork
        yield* Effect.gen(function* () {
          const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] })
          yield* settle
          yield* traffic.clear
          const early = yield* Effect.sync(fibers.live)
          for (let minute = 0; minute < MINUTES; minute++) {
            yield* TestClock.adjust(MINUTE)
            yield* Effect.yieldNow
            yield* producer.send(text("orders", `minute ${minute}`))
          }
          const state = yield* producer.state
          const timers = state.instance?.timers ?? []
          // Timers 2 to 5 over 86,400 s: (day - first) / period, rounded down, and the first.
          assert.deepStrictEqual(
            timers.map((timer) => [timer.runs, timer.failures]),
            [
              [0, 0],
              [2_880, 0],
              [2_880, 0],
              [17_279, 0],
              [1_440, 0]
            ]
          )
          assert.deepInclude(state.counters, { sends: MINUTES, acknowledged: MINUTES, failed: 0, retries: 0 })
          // Two topics are polled: the template's and the one that is sent to.
          const all = yield* traffic.all
          const count = (code: number) => all.filter((request) => request.code === code).length
          assert.deepStrictEqual(
            [
              count(RequestCode.GET_ROUTEINFO_BY_TOPIC),
              count(RequestCode.HEART_BEAT),
              count(RequestCode.SEND_MESSAGE_V2)
            ],
            [2 * 2_880, 2_880, MINUTES]
          )
          assert.strictEqual(all.length, 3 * 2_880 + MINUTES)
          assert.strictEqual((yield* messages("orders")).length, MINUTES)
          // One connection each, all day long, and nothing that grows.
          assert.strictEqual(yield* network.dials(namesrvAddr), 1)
          assert.strictEqual(yield* network.dials(brokers[0]?.address ?? ""), 1)
          assert.strictEqual(state.instance?.counters.reconnects, 0)
          assert.isAtMost(fibers.live(), early + 2)
          assert.strictEqual((yield* clients).length, 2)
          yield* producer.shutdown
        }).pipe(fibers.provide)
        // Processor time: what it takes on a machine that does nothing else.
        const { system, user } = process.cpuUsage(cpuBegin)
        assert.isBelow((user + system) / 1_000, 5_000)
      }).pipe(onMemory({ topics: { orders: {} }, recordTraffic: { limit: 50_000 } })),
    180_000
  )
})
