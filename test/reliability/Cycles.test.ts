/** The same start and stop, a thousand times over. */
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import { type EmbeddedClusterOptions, LeakCheck } from "../../src/testing/index.ts"
import { canSend, countFibers, held, makeProducer, nothing, onMemory, onTcp, settle } from "../support/rig.ts"

const CYCLES = 1_000

const cluster: EmbeddedClusterOptions = { topics: { orders: {} }, recordTraffic: false }

/** A turn of the event loop, at whose end objects that were only looked at may go. */
const turn = Effect.promise(() => new Promise<void>((resolve) => setImmediate(resolve)))

/** Node's own collector of garbage, called by name. */
const collect = (() => {
  setFlagsFromString("--expose-gc")
  const gc: unknown = runInNewContext("gc")
  return Effect.sync(() => {
    if (typeof gc === "function") gc()
  })
})()

/** Starts, sends, and shuts down; gives the producer, which is no good any more. */
const cycle = Effect.gen(function* () {
  const producer = yield* makeProducer({ instanceName: "same", readiness: "registered", topics: ["orders"] })
  yield* producer.start
  if (!(yield* canSend(producer))) throw new Error("no send")
  yield* producer.shutdown
  return producer
})

describe("1,000 starts and stops", () => {
  it.effect(
    "L12: fibers, connections, groups and instances are back where they were, and no producer is kept",
    () =>
      Effect.gen(function* () {
        const fibers = countFibers()
        yield* Effect.gen(function* () {
          const before = fibers.live()
          const producers: Array<WeakRef<DefaultMQProducerShape>> = []
          for (let n = 0; n < CYCLES; n++) {
            producers.push(new WeakRef(yield* cycle))
            if (n % 100 !== 0) continue
            yield* settle
            assert.deepStrictEqual(yield* held, nothing)
            assert.strictEqual(fibers.live(), before)
          }
          yield* settle
          assert.deepStrictEqual(yield* held, nothing)
          assert.strictEqual(fibers.live(), before)
          yield* turn
          yield* collect
          yield* turn
          yield* collect
          // The last one may still lie on the stack.
          const kept = producers.filter((ref) => ref.deref() !== undefined).length
          assert.isAtMost(kept, 2)
        }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
      }).pipe(onMemory(cluster)),
    240_000
  )

  it.live(
    "L12: on sockets, handles and timers of the process are back where they were",
    () =>
      LeakCheck.check(
        Effect.gen(function* () {
          // The servers begin some things of their own with the first client.
          yield* cycle
          yield* LeakCheck.check(Effect.repeat(cycle, { times: CYCLES - 1 }))
        }).pipe(onTcp(cluster))
      ),
    240_000
  )
})
