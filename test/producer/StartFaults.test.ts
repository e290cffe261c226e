import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import { NameServerResolver } from "../../src/client/NameServerResolver.ts"
import type { StartStep } from "../../src/client/StartStep.ts"
import { EmbeddedCluster, LeakCheck } from "../../src/testing/index.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import {
  canSend,
  countFibers,
  failureOf,
  held,
  knownGroups,
  makeProducer,
  nothing,
  onMemory,
  onTcp,
  settle,
  startProducer
} from "../support/rig.ts"
import { injecting, injectingGate, keyOf, recording, type StepFault } from "../support/startFaults.ts"

/** A start that runs every step there is: addresses are asked for, routes are resolved, brokers are registered with. */
const everything: Partial<ProducerOptions> = {
  instanceName: "same",
  namesrvAddr: undefined,
  readiness: "registered",
  topics: ["orders"]
}

const cluster = { topics: { orders: {} }, brokers: 2 }

const withResolver = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const { namesrvAddr } = yield* EmbeddedCluster
    return yield* Effect.provideService(effect, NameServerResolver, {
      name: "test",
      resolve: Effect.succeed(namesrvAddr.split(";"))
    })
  })

/** The steps of a start that succeeds, in order. */
const observed = Effect.gen(function* () {
  const steps: Array<StartStep> = []
  const producer = yield* makeProducer(everything)
  yield* producer.start.pipe(withResolver, recording(steps))
  yield* settle
  yield* producer.shutdown
  return steps.map(keyOf)
})

/** The heartbeat comes when the producer runs already: it cannot fail the start. */
const AFTER_RUNNING = "2.7 heartbeat to all brokers"

/** A start with the fault, and then a check that nothing is left and that the same identity starts and sends. */
const tryFault = (
  fault: StepFault,
  act: (start: Effect.Effect<Exit.Exit<void, unknown>>, reached: Latch.Latch) => Effect.Effect<Exit.Exit<void, unknown>>
) =>
  Effect.gen(function* () {
    const fibers = countFibers()
    const about = JSON.stringify(fault)
    yield* Effect.gen(function* () {
      const before = fibers.live()
      const reached = Latch.makeUnsafe()
      const producer = yield* makeProducer(everything)
      const start = Effect.exit(producer.start.pipe(withResolver, injecting(fault, reached)))
      const exit = yield* act(
        Effect.provideContext(start, yield* Effect.context<Effect.Services<typeof start>>()),
        reached
      )
      if (fault.step === AFTER_RUNNING) yield* settle
      assert.isTrue(reached.isOpen(), `the step was reached: ${about}`)
      if (fault.step === AFTER_RUNNING) {
        assert.isTrue(Exit.isSuccess(exit), about)
        assert.strictEqual(yield* producer.serviceState, "RUNNING")
        assert.isTrue(yield* canSend(producer), about)
        yield* producer.shutdown
        assert.strictEqual(yield* producer.serviceState, "SHUTDOWN_ALREADY")
      } else {
        assert.isTrue(Exit.isFailure(exit), about)
        assert.include(["START_FAILED", "CREATE_JUST"], yield* producer.serviceState, about)
        const view = yield* producer.state
        assert.deepStrictEqual([view.topics, view.inFlight, view.instance], [[], 0, undefined], about)
        // Nothing to do, and nothing done.
        yield* producer.shutdown
        assert.include(["START_FAILED", "CREATE_JUST"], yield* producer.serviceState, about)
      }
      yield* settle
      assert.deepStrictEqual(yield* held, nothing, about)
      assert.strictEqual(fibers.live(), before, `fibers: ${about}`)
      const next = yield* makeProducer(everything)
      yield* withResolver(next.start)
      assert.isTrue(yield* canSend(next), about)
      assert.deepStrictEqual((yield* next.state).instance?.producerGroups, ["CLIENT_INNER_PRODUCER", "pg"], about)
      yield* next.shutdown
      yield* settle
      assert.deepStrictEqual(yield* held, nothing, about)
      assert.strictEqual(fibers.live(), before, `fibers: ${about}`)
    }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
  }).pipe(onMemory(cluster))

const forEveryStep = (run: (step: string) => Effect.Effect<void, unknown>) =>
  Effect.gen(function* () {
    const steps = yield* observed.pipe(onMemory(cluster))
    assert.isAtLeast(steps.length, 15)
    for (const step of steps) yield* run(step)
  })

describe("a start-up runs", () => {
  it.effect("the flow's steps, in the flow's order", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        (yield* observed).map((step) => step.split(" ")[0]),
        [
          "2.1",
          "2.2",
          "2.3",
          "3.1",
          "3.2",
          "3.3",
          "3.4",
          "3.5",
          "3.6",
          "3.7",
          "3.8",
          "2.3.2",
          "2.4",
          "2.5",
          "2.6",
          "2.7"
        ]
      )
    }).pipe(onMemory(cluster))
  )

  it.effect("and the journal has each with its time and outcome", () =>
    Effect.gen(function* () {
      const producer = yield* startProducer({ instanceName: "same" })
      const state = yield* producer.state
      yield* settle
      const ids = ["2.1", "2.2", "2.3", "2.3.2", "2.4", "2.5", "2.6", "2.7"]
      assert.deepStrictEqual(
        (yield* producer.state).steps.map((s) => [s.id, s.outcome]),
        ids.map((id) => [id, "done"])
      )
      assert.isTrue(state.steps.every((s) => s.millis >= 0))
    }).pipe(onMemory(cluster))
  )
})

for (const when of ["before", "after"] as const) {
  describe(`a fault ${when} each step leaves nothing behind`, () => {
    for (const [row, kind] of [
      ["L7", "fail"],
      ["L7", "die"],
      ["L6", "interrupt"]
    ] as const) {
      it.effect(`${row}: ${kind} ${when} each step`, () =>
        forEveryStep((step) => tryFault({ step, when, kind }, (start) => start))
      )
    }

    it.effect(`L6: hang ${when} each step, then interruption`, () =>
      forEveryStep((step) =>
        tryFault({ step, when, kind: "hang" }, (start, reached) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(start, { startImmediately: true })
            yield* reached.await
            // The start of the last step's fiber has ended already; that one is interrupted by the shutdown.
            if (step !== AFTER_RUNNING) yield* Fiber.interrupt(fiber)
            const exit = yield* Fiber.await(fiber)
            return Exit.isSuccess(exit) ? exit.value : exit
          })
        )
      )
    )

    it.effect(`L7: hang ${when} each step until the start's deadline`, () =>
      forEveryStep((step) =>
        tryFault({ step, when, kind: "hang" }, (start, reached) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(start, { startImmediately: true })
            yield* reached.await
            yield* settle
            yield* TestClock.adjust(9_999)
            if (step !== AFTER_RUNNING) assert.strictEqual(fiber.pollUnsafe(), undefined, step)
            yield* TestClock.adjust(1)
            const exit = yield* Fiber.join(fiber)
            if (step !== AFTER_RUNNING) {
              const error = failureOf(exit)
              assert.include(String(error), "10000 ms", step)
              // The name of the step that hung, or of the producer's step that waits for the instance's.
              const own = step.startsWith("3.") ? "2.3 get or create MQClientInstance" : step
              assert.include(String(error), `"${own.slice(own.indexOf(" ") + 1)}"`)
            }
            return exit
          })
        )
      )
    )
  })
}

describe("two producers of one instance", () => {
  it.effect("L6, L7, L9: when the second one's start fails at any step of its own, the first is undisturbed", () =>
    Effect.gen(function* () {
      const shared: Partial<ProducerOptions> = { instanceName: "same", readiness: "registered", topics: ["orders"] }
      const first = yield* startProducer(shared)
      assert.isTrue(yield* canSend(first))
      const before = yield* held
      const steps: Array<StartStep> = []
      const probe = yield* makeProducer({ ...shared, producerGroup: "pg2" })
      yield* recording(steps)(probe.start)
      yield* settle
      yield* probe.shutdown
      assert.deepStrictEqual(
        steps.map((s) => s.id),
        ["2.1", "2.2", "2.3", "2.3.2", "2.4", "2.5", "2.6", "2.7"]
      )
      for (const step of steps.map(keyOf).filter((key) => key !== AFTER_RUNNING)) {
        for (const kind of ["fail", "die", "interrupt"] as const) {
          const reached = Latch.makeUnsafe()
          const second = yield* makeProducer({ ...shared, producerGroup: "pg2" })
          const exit = yield* Effect.exit(injecting({ step, when: "after", kind }, reached)(second.start))
          assert.isTrue(Exit.isFailure(exit) && reached.isOpen())
          yield* settle
          assert.deepStrictEqual(yield* held, before, `${step} ${kind}`)
          assert.strictEqual(yield* first.serviceState, "RUNNING")
          assert.isTrue(yield* canSend(first))
        }
      }
    }).pipe(onMemory(cluster))
  )

  it.effect("L6: when the one that builds the instance is interrupted, the one that waits for it goes on", () =>
    Effect.gen(function* () {
      const reached = Latch.makeUnsafe()
      const shared: Partial<ProducerOptions> = { instanceName: "same" }
      const builder = yield* makeProducer({ ...shared, producerGroup: "a" })
      const waiter = yield* makeProducer({ ...shared, producerGroup: "b" })
      const go = Latch.makeUnsafe()
      const building = yield* builder.start.pipe(
        injectingGate("3.6 start RebalanceService", reached, go),
        Effect.exit,
        Effect.forkChild({ startImmediately: true })
      )
      yield* reached.await
      const waiting = yield* Effect.forkChild(Effect.exit(waiter.start), { startImmediately: true })
      yield* settle
      yield* Fiber.interrupt(building)
      assert.strictEqual(waiting.pollUnsafe(), undefined)
      yield* go.open
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(waiting)))
      assert.strictEqual(yield* builder.serviceState, "START_FAILED")
      assert.isTrue(yield* canSend(waiter))
      yield* settle
      assert.deepStrictEqual([...new Set(yield* knownGroups)], ["CLIENT_INNER_PRODUCER", "b"])
      yield* waiter.shutdown
      yield* settle
      assert.deepStrictEqual(yield* held, nothing)
    }).pipe(onMemory(cluster))
  )
})

describe("on sockets", () => {
  const steps = [
    "2.3 get or create MQClientInstance",
    "3.3 start MQClientAPI, the remoting client",
    "2.3.2 register in the producer table",
    "2.5 instance is running, ready: registered"
  ]
  for (const step of steps) {
    for (const kind of ["fail", "interrupt"] as const) {
      it.live(`${kind === "fail" ? "L7" : "L6"}: ${kind} after ${step} leaves no socket, timer or server behind`, () =>
        LeakCheck.check(
          Effect.gen(function* () {
            const producer = yield* makeProducer(everything)
            const reached = Latch.makeUnsafe()
            const exit = yield* Effect.exit(
              producer.start.pipe(withResolver, injecting({ step, when: "after", kind }, reached))
            )
            assert.isTrue(Exit.isFailure(exit) && reached.isOpen())
            assert.strictEqual(yield* producer.serviceState, "START_FAILED")
            const next = yield* makeProducer(everything)
            yield* withResolver(next.start)
            assert.isTrue(yield* canSend(next))
            yield* next.shutdown
          }).pipe(onTcp(cluster))
        )
      )
    }
  }

  it.live("a start and a shutdown leave no socket, timer or server behind", () =>
    LeakCheck.check(
      Effect.gen(function* () {
        const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] })
        assert.isTrue(yield* canSend(producer))
      }).pipe(Effect.scoped, onTcp(cluster))
    )
  )
})
