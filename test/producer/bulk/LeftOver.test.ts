import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber } from "effect"
import type { ProducerOptions } from "../../../src/producer/ProducerConfig.ts"
import type { SendError } from "../../../src/producer/send/SendError.ts"
import { SendMessageHooks } from "../../../src/producer/telemetry/Hooks.ts"
import { RequestCode } from "../../../src/protocol/RequestCode.ts"
import { EmbeddedCluster, FaultScript } from "../../../src/testing/index.ts"
import {
  advance,
  canSend,
  countFibers,
  failureOf,
  held,
  nothing,
  onMemory,
  settle,
  startProducer,
  text,
  timed
} from "../../support/rig.ts"

/** What a shutdown leaves over of the sends that run in no fiber of a caller: lanes of queues, automatic batches. */

const topics = { orders: { readQueueNums: 1, writeQueueNums: 1 } }
const DRAIN = 1_000

/** Two producers of one client instance, of which the second is shut down while its broker answers no send. */
const shared = Effect.fnUntraced(function* (live: () => number, options: Partial<ProducerOptions>) {
  const { faults } = yield* EmbeddedCluster
  const ready = { instanceName: "shared", readiness: "registered", topics: ["orders"], sendMsgTimeout: 60_000 } as const
  const stays = yield* startProducer({ ...ready, producerGroup: "stays" })
  // What watches over the deadline of this send ends a minute later.
  assert.isTrue(yield* canSend(stays))
  yield* advance(61_000, 10_000)
  const before = live()
  const leaves = yield* startProducer({
    ...ready,
    producerGroup: "leaves",
    drainTimeoutMillis: DRAIN,
    ...options
  })
  yield* settle
  const silence = faults.add({
    match: { code: [RequestCode.SEND_MESSAGE_V2, RequestCode.SEND_BATCH_MESSAGE] },
    actions: [FaultScript.dropRequest]
  })
  return { before, stays, leaves, silence, faults }
})

/** Runs a test that counts fibers. */
const counting = <E, R>(test: (live: () => number) => Effect.Effect<void, E, R>) => {
  const fibers = countFibers()
  return test(fibers.live).pipe(
    Effect.forkChild({ startImmediately: true }),
    Effect.flatMap(Fiber.join),
    fibers.provide,
    onMemory({ topics })
  )
}

interface Summary {
  readonly outcome: SendError["outcome"]
  readonly reason: string
  readonly actual: string | undefined
}

const summary = (exit: Exit.Exit<unknown, SendError>): Summary => {
  const { message, outcome, reason } = failureOf(exit)
  assert.include(message, "producer leaves")
  return { outcome, reason: reason._tag, actual: reason._tag === "IllegalServiceState" ? reason.actual : undefined }
}

const ended = (outcome: SendError["outcome"]): Summary => ({
  outcome,
  reason: "IllegalServiceState",
  actual: "SHUTDOWN_ALREADY"
})

describe("SHUTDOWN_ALREADY holds nothing", () => {
  it.effect("of queued sends: the one under way may be stored, those behind it were not sent", () =>
    counting((live) =>
      Effect.gen(function* () {
        const { before, faults, leaves, silence, stays } = yield* shared(live, { maxQueuedSends: 3 })
        yield* silence
        const queued = yield* Effect.forEach([0, 1, 2], () => leaves.sendQueued(text("orders")))
        const waits = yield* Effect.forkChild(Effect.exit(leaves.sendQueued(text("orders"))), {
          startImmediately: true
        })
        yield* advance(100)
        const { millis } = yield* timed(leaves.shutdown)
        assert.isAtMost(millis, DRAIN + 10)
        assert.strictEqual(yield* leaves.serviceState, "SHUTDOWN_ALREADY")
        yield* settle
        // None but those that were there before the producer was.
        assert.strictEqual(live(), before)
        const exits = yield* Effect.forEach(queued, (acknowledged) => Effect.exit(acknowledged))
        assert.deepStrictEqual(exits.map(summary), [ended("unknown"), ended("not-sent"), ended("not-sent")])
        assert.deepStrictEqual(summary(yield* Fiber.join(waits)), ended("not-sent"))
        assert.strictEqual((yield* leaves.state).inFlight, 0)
        yield* faults.clear
        assert.isTrue(yield* canSend(stays))
        yield* advance(60_000, 10_000)
        assert.strictEqual(live(), before)
      })
    )
  )

  it.effect("of automatic batches, whether they have left or wait for others", () =>
    counting((live) =>
      Effect.gen(function* () {
        const { before, faults, leaves, silence, stays } = yield* shared(live, { autoBatch: true, batchMaxDelayMs: 50 })
        yield* silence
        const send = Effect.exit(leaves.send(text("orders")))
        const first = yield* Effect.forEach([0, 1], () => Effect.forkChild(send, { startImmediately: true }))
        yield* advance(100)
        const second = yield* Effect.forEach([0, 1], () => Effect.forkChild(send, { startImmediately: true }))
        const interrupted = yield* Effect.forkChild(send, { startImmediately: true })
        yield* Fiber.interrupt(interrupted)
        const { millis } = yield* timed(leaves.shutdown)
        assert.isAtMost(millis, DRAIN + 10)
        yield* settle
        assert.strictEqual(live(), before)
        for (const fiber of [...first, ...second]) {
          assert.deepStrictEqual(summary(yield* Fiber.join(fiber)), ended("unknown"))
        }
        assert.strictEqual((yield* leaves.state).inFlight, 0)
        yield* faults.clear
        assert.isTrue(yield* canSend(stays))
        yield* advance(60_000, 10_000)
        assert.strictEqual(live(), before)
      })
    )
  )

  it.effect("of queued sends that go in batches", () =>
    counting((live) =>
      Effect.gen(function* () {
        const { before, leaves, silence } = yield* shared(live, { autoBatch: true })
        yield* silence
        const queued = yield* Effect.forEach([0, 1, 2, 3], () => leaves.sendQueued(text("orders")))
        yield* advance(100)
        yield* timed(leaves.shutdown)
        yield* settle
        assert.strictEqual(live(), before)
        const exits = yield* Effect.forEach(queued, (acknowledged) => Effect.exit(acknowledged))
        assert.strictEqual(new Set(exits.map((exit) => failureOf(exit).msgId)).size, 4)
        for (const exit of exits) assert.include(["unknown", "not-sent"], summary(exit).outcome)
        assert.strictEqual(summary(exits[0] ?? Exit.void).outcome, "unknown")
      })
    )
  )

  it.effect("of a hook that shuts its own producer down, in a fiber of the producer's", () =>
    Effect.gen(function* () {
      let leave: Effect.Effect<void> = Effect.void
      const hook = { hookName: "leaver", before: () => Effect.suspend(() => leave) }
      const producer = yield* startProducer({ drainTimeoutMillis: DRAIN }).pipe(
        Effect.provideService(SendMessageHooks, [hook])
      )
      leave = producer.shutdown
      const acknowledged = yield* producer.sendQueued(text("orders"))
      const { millis } = yield* timed(producer.shutdown)
      assert.isAtMost(millis, DRAIN + 10)
      assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
      assert.strictEqual(failureOf(yield* Effect.exit(acknowledged)).reason._tag, "IllegalServiceState")
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory({ topics }))
  )
})
