import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch } from "effect"
import { NameServerResolver } from "../../src/client/NameServerResolver.ts"
import type { StartStep } from "../../src/client/StartStep.ts"
import { EmbeddedCluster, LeakCheck } from "../../src/testing/index.ts"
import type { DefaultMQProducerShape } from "../../src/producer/DefaultMQProducer.ts"
import type { ProducerOptions } from "../../src/producer/ProducerConfig.ts"
import {
  canSend,
  held,
  knownGroups,
  makeProducer,
  nothing,
  onMemory,
  onTcp,
  settle,
  startProducer
} from "../support/rig.ts"
import {
  everyFault,
  faultCluster,
  injecting,
  injectingGate,
  keyOf,
  observed,
  recording,
  type Subject
} from "../support/startFaults.ts"

/** A start that runs every step there is: addresses are asked for, routes are resolved, brokers are registered with. */
const everything: Partial<ProducerOptions> = {
  instanceName: "same",
  namesrvAddr: undefined,
  readiness: "registered",
  topics: ["orders"]
}

const withResolver = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const { namesrvAddr } = yield* EmbeddedCluster
    return yield* Effect.provideService(effect, NameServerResolver, {
      name: "test",
      resolve: Effect.succeed(namesrvAddr.split(";"))
    })
  })

/** The heartbeat comes when the producer runs already: it cannot fail the start. */
const AFTER_RUNNING = "2.7 heartbeat to all brokers"

const subject: Subject<DefaultMQProducerShape> = {
  make: makeProducer(everything),
  start: (producer) => withResolver(producer.start),
  holdsNothing: (producer, about) =>
    Effect.map(producer.state, ({ inFlight, instance, topics }) =>
      assert.deepStrictEqual([topics, inFlight, instance], [[], 0, undefined], about)
    ),
  works: (producer) =>
    Effect.gen(function* () {
      const { instance } = yield* producer.state
      assert.deepStrictEqual(instance?.producerGroups, ["CLIENT_INNER_PRODUCER", "pg"])
      return yield* canSend(producer)
    }),
  afterRunning: AFTER_RUNNING,
  instanceStep: "2.3 get or create MQClientInstance",
  leastSteps: 15
}

describe("a start-up runs", () => {
  it.effect("the flow's steps, in the flow's order", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        (yield* observed(subject)).map((step) => step.split(" ")[0]),
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
    }).pipe(onMemory(faultCluster))
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
    }).pipe(onMemory(faultCluster))
  )
})

everyFault(
  subject,
  (when) => `a fault ${when} each step leaves nothing behind`,
  (kind) => (kind === "interrupt" || kind === "hang" ? "L6: " : "L7: ")
)

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
    }).pipe(onMemory(faultCluster))
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
    }).pipe(onMemory(faultCluster))
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
          }).pipe(onTcp(faultCluster))
        )
      )
    }
  }

  it.live("a start and a shutdown leave no socket, timer or server behind", () =>
    LeakCheck.check(
      Effect.gen(function* () {
        const producer = yield* startProducer({ readiness: "registered", topics: ["orders"] })
        assert.isTrue(yield* canSend(producer))
      }).pipe(Effect.scoped, onTcp(faultCluster))
    )
  )
})
