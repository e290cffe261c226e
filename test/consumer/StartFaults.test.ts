import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch } from "effect"
import { TestClock } from "effect/testing"
import type { StartStep } from "../../src/client/StartStep.ts"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer, type DefaultMQPushConsumerShape } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as Subscription from "../../src/consumer/subscription/Subscription.ts"
import * as Message from "../../src/message/Message.ts"
import { EmbeddedCluster, LeakCheck } from "../../src/testing/index.ts"
import { countFibers, failureOf, held, nothing, onMemory, onTcp, settle, startProducer } from "../support/rig.ts"
import { injecting, keyOf, recording, type StepFault } from "../support/startFaults.ts"

/** A start that runs every step there is. */
const makeConsumer = (given: Partial<PushConsumerOptions> = {}) =>
  Effect.flatMap(EmbeddedCluster, ({ namesrvAddr }) =>
    DefaultMQPushConsumer.make(
      {
        consumerGroup: "cg",
        subscriptions: [Subscription.all("orders")],
        instanceName: "same",
        namesrvAddr,
        ...given
      },
      () => Effect.void
    )
  )

const cluster = { topics: { orders: {} }, brokers: 2 }

/** The steps of a start that succeeds, in order. */
const observed = Effect.gen(function* () {
  const steps: Array<StartStep> = []
  const consumer = yield* makeConsumer()
  yield* recording(steps)(consumer.start)
  yield* settle
  yield* consumer.shutdown
  return steps.map(keyOf)
})

/** Whether the consumer gets what is sent. */
const canReceive = (consumer: DefaultMQPushConsumerShape) =>
  Effect.gen(function* () {
    const before = (yield* consumer.state).counters.succeeded
    const producer = yield* startProducer({ instanceName: "sender" })
    yield* producer.send(Message.make({ topic: "orders", body: "hello" }))
    yield* consumer.caughtUp()
    return (yield* consumer.state).counters.succeeded === before + 1
  }).pipe(Effect.scoped)

/** A start with the fault, and then a check that nothing is left and that the same identity starts and receives. */
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
      const consumer = yield* makeConsumer()
      const exit = yield* act(Effect.exit(injecting(fault, reached)(consumer.start)), reached)
      assert.isTrue(reached.isOpen(), `the step was reached: ${about}`)
      assert.isTrue(Exit.isFailure(exit), about)
      assert.include(["START_FAILED", "CREATE_JUST"], yield* consumer.serviceState, about)
      const { instance, queues, running } = yield* consumer.state
      assert.deepStrictEqual([instance, queues, running], [undefined, [], 0], about)
      // Nothing to do, and nothing done.
      yield* consumer.shutdown
      assert.include(["START_FAILED", "CREATE_JUST"], yield* consumer.serviceState, about)
      yield* settle
      assert.deepStrictEqual(yield* held, nothing, about)
      assert.strictEqual(fibers.live(), before, `fibers: ${about}`)
      const next = yield* makeConsumer()
      yield* next.start
      assert.isTrue(yield* canReceive(next), about)
      yield* next.shutdown
      yield* settle
      assert.deepStrictEqual(yield* held, nothing, about)
      assert.strictEqual(fibers.live(), before, `fibers: ${about}`)
    }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
  }).pipe(onMemory(cluster))

const forEveryStep = (run: (step: string) => Effect.Effect<void, unknown>) =>
  Effect.gen(function* () {
    const steps = yield* observed.pipe(onMemory(cluster))
    assert.isAtLeast(steps.length, 16)
    for (const step of steps) yield* run(step)
  })

describe("a consumer's start-up runs", () => {
  it.effect("the flow's steps, in the flow's order", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        (yield* observed).map((step) => step.split(" ")[0]),
        ["5.1", "5.2", "5.3", "5.4", "3.1", "3.3", "3.4", "3.5", "3.6", "3.7", "3.8", "5.5", "5.6", "5.7", "5.8", "5.9"]
      )
    }).pipe(onMemory(cluster))
  )
})

for (const when of ["before", "after"] as const) {
  describe(`C-04: a fault ${when} each step leaves nothing behind`, () => {
    for (const kind of ["fail", "die", "interrupt"] as const) {
      it.effect(`${kind} ${when} each step`, () =>
        forEveryStep((step) => tryFault({ step, when, kind }, (start) => start))
      )
    }

    it.effect(`hang ${when} each step, then interruption`, () =>
      forEveryStep((step) =>
        tryFault({ step, when, kind: "hang" }, (start, reached) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(start, { startImmediately: true })
            yield* reached.await
            yield* Fiber.interrupt(fiber)
            const exit = yield* Fiber.await(fiber)
            return Exit.isSuccess(exit) ? exit.value : exit
          })
        )
      )
    )

    it.effect(`hang ${when} each step until the start's deadline`, () =>
      forEveryStep((step) =>
        tryFault({ step, when, kind: "hang" }, (start, reached) =>
          Effect.gen(function* () {
            const fiber = yield* Effect.forkChild(start, { startImmediately: true })
            yield* reached.await
            yield* settle
            yield* TestClock.adjust(9_999)
            assert.strictEqual(fiber.pollUnsafe(), undefined, step)
            yield* TestClock.adjust(1)
            const exit = yield* Fiber.join(fiber)
            const error = String(failureOf(exit))
            assert.include(error, "10000 ms", step)
            const own = step.startsWith("3.") ? "5.4 get or create MQClientInstance" : step
            assert.include(error, `"${own.slice(own.indexOf(" ") + 1)}"`)
            return exit
          })
        )
      )
    )
  })
}

describe("on sockets", () => {
  for (const step of ["5.5 make the workers", "5.8 heartbeat to all brokers", "5.9 the first round of rebalance"]) {
    for (const kind of ["fail", "interrupt"] as const) {
      it.live(`${kind} after ${step} leaves no socket, timer or server behind`, () =>
        LeakCheck.check(
          Effect.gen(function* () {
            const consumer = yield* makeConsumer()
            const reached = Latch.makeUnsafe()
            const exit = yield* Effect.exit(injecting({ step, when: "after", kind }, reached)(consumer.start))
            assert.isTrue(Exit.isFailure(exit) && reached.isOpen())
            const next = yield* makeConsumer()
            yield* next.start
            assert.isTrue(yield* canReceive(next))
            yield* next.shutdown
          }).pipe(onTcp(cluster))
        )
      )
    }
  }
})
