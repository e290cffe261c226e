import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect/testing"
import { EmbeddedCluster, FaultProxy, FaultScript, Ledger, LeakCheck } from "../../src/testing/index.ts"
import { MemoryNetwork } from "../../src/transport/MemoryWire.ts"
import { onMemory, startProducer, text, timed } from "../support/rig.ts"

const topics = { orders: {} }

describe("times of the instruments", () => {
  it("may be durations in any form, and a bare number is milliseconds", () => {
    for (const time of ["2 seconds", Duration.seconds(2), 2_000, { seconds: 2 }] as const) {
      assert.deepStrictEqual(FaultScript.delay(time), { _tag: "Delay", millis: 2_000 })
      assert.deepStrictEqual(FaultProxy.latency(time, "1 second"), {
        _tag: "Latency",
        millis: 2_000,
        jitterMillis: 1_000
      })
      assert.deepStrictEqual(FaultProxy.slicer(10, time), { _tag: "Slicer", bytes: 10, delayMillis: 2_000 })
    }
    assert.deepStrictEqual(FaultScript.delay(-1), { _tag: "Delay", millis: 0 })
  })

  it.effect("of the network in memory hold", () =>
    Effect.gen(function* () {
      const network = yield* MemoryNetwork
      const producer = yield* startProducer()
      yield* producer.send(text("orders"))
      yield* network.setLatency("50 millis")
      const { millis } = yield* timed(producer.send(text("orders")))
      // There and back.
      assert.strictEqual(millis, 100)
      // No clock is turned for the shutdown.
      yield* network.setLatency(0)
    }).pipe(onMemory({ topics }))
  )

  it.effect("of a watched send are checked, however they are written", () =>
    Effect.gen(function* () {
      const { faults } = yield* EmbeddedCluster
      const ledger = Ledger.make()
      const producer = yield* startProducer()
      yield* producer.send(text("orders"))
      yield* faults.add({ match: { code: [10, 310] }, actions: [FaultScript.delay("1 second")] })
      // Twice as long as the ledger is told, which is what it has to notice.
      yield* timed(
        ledger.record(text("orders", "late"), producer.send(text("orders", "late")), { timeoutMillis: "500 millis" })
      )
      yield* TestClock.adjust("1 second")
      const { violations } = yield* ledger.audit
      assert.include(
        violations.map(({ check }) => check),
        "deadline"
      )
    }).pipe(onMemory({ topics }))
  )

  it.live("of the leak check may be written out", () =>
    LeakCheck.check(Effect.void, { graceMillis: "50 millis", ignore: ["Timeout"] })
  )
})
