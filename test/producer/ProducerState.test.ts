import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Stream } from "effect"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import type { ProducerState } from "../../src/producer/ProducerState.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import { advance, makeProducer, onMemory, settle, startProducer, text } from "../support/rig.ts"

const topics = { orders: {}, bills: {} }

/** Everything that a reader of the changes sees who takes so long for each. */
const watch = Effect.fnUntraced(function* (producer: DefaultMQProducerShape, millis: number) {
  const seen: Array<ProducerState> = []
  const fiber = yield* producer.stateChanges.pipe(
    Stream.runForEach((state) => {
      seen.push(state)
      return millis === 0 ? Effect.void : Effect.sleep(millis)
    }),
    Effect.forkChild({ startImmediately: true })
  )
  yield* settle
  return { seen, fiber }
})

const distinct = <A>(list: ReadonlyArray<A>) => list.filter((one, index) => one !== list[index - 1])

describe("stateChanges", () => {
  it.effect("are the state now and after each change, until the shutdown", () =>
    Effect.gen(function* () {
      const producer = yield* makeProducer({ readiness: "registered", topics: ["orders"] })
      const { fiber, seen } = yield* watch(producer, 0)
      assert.deepStrictEqual(
        seen.map(({ serviceState }) => serviceState),
        ["CREATE_JUST"]
      )
      yield* producer.start
      yield* settle
      assert.strictEqual(seen.at(-1)?.serviceState, "RUNNING")
      assert.strictEqual(seen.at(-1)?.steps.length, 8)
      assert.isTrue(seen.some(({ serviceState }) => serviceState === "START_FAILED"))
      yield* producer.send(text("bills"))
      yield* settle
      assert.includeMembers([...(seen.at(-1)?.topics ?? [])], ["orders", "bills"])
      assert.includeMembers(
        (seen.at(-1)?.instance?.routes ?? []).map(({ topic }) => topic),
        ["orders", "bills"]
      )
      yield* producer.shutdown
      assert.isTrue(Exit.isSuccess(yield* Fiber.await(fiber)))
      assert.deepStrictEqual(distinct(seen.map(({ serviceState }) => serviceState)), [
        "CREATE_JUST",
        "START_FAILED",
        "RUNNING",
        "SHUTDOWN_ALREADY"
      ])
      assert.deepStrictEqual(seen.at(-1), yield* producer.state)
      // Whoever comes now gets the last state, and the end.
      assert.strictEqual((yield* Stream.runCollect(producer.stateChanges)).length, 1)
    }).pipe(onMemory({ topics }))
  )

  it.effect("lose nothing that happens while somebody looks, and give the latest in place of what came between", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ instanceName: "shared" })
      yield* settle
      const { seen } = yield* watch(producer, 100)
      assert.strictEqual(seen.length, 1)
      const groups = ["a", "b", "c"]
      for (const producerGroup of groups) yield* startProducer({ instanceName: "shared", producerGroup })
      yield* settle
      assert.strictEqual(seen.length, 1)
      yield* advance(300, 50)
      assert.includeMembers([...(seen.at(-1)?.instance?.producerGroups ?? [])], groups)
      // Many changes, and one or two looks at what they came to.
      assert.isAtMost(seen.length, 3)
    }).pipe(onMemory({ topics }))
  )

  it.effect("end with a start that failed", () =>
    Effect.gen(function* () {
      const { namesrvAddr } = yield* EmbeddedCluster
      const producer = yield* makeProducer({ namesrvAddr: "127.0.0.1:1" })
      const { fiber, seen } = yield* watch(producer, 0)
      yield* Effect.exit(producer.start)
      yield* Fiber.join(fiber)
      assert.deepInclude(seen.at(-1), { serviceState: "START_FAILED", instance: undefined })
      assert.strictEqual(seen.at(-1)?.steps.at(-1)?.outcome, "failed")
      // One that can be made again goes on.
      const first = yield* startProducer({ namesrvAddr, instanceName: "same" })
      const second = yield* makeProducer({ namesrvAddr, instanceName: "same" })
      const watched = yield* watch(second, 0)
      yield* Effect.exit(second.start)
      yield* settle
      assert.strictEqual(watched.seen.at(-1)?.serviceState, "CREATE_JUST")
      yield* first.shutdown
      yield* second.start
      yield* settle
      assert.strictEqual(watched.seen.at(-1)?.serviceState, "RUNNING")
      yield* second.shutdown
      yield* Fiber.join(watched.fiber)
    }).pipe(onMemory({ topics }))
  )
})
