import { assert, describe, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Latch, type Layer, type Scope } from "effect"
import { TestClock } from "effect/testing"
import { NoNameServer, StartError } from "../../src/client/ClientError.ts"
import type { ServiceState } from "../../src/client/ServiceState.ts"
import { StartObserver, type StartStep } from "../../src/client/StartStep.ts"
import { countFibers, failureOf, held, memory, nothing, onMemory, settle } from "./rig.ts"

/** What a test does to one start-up step. */
export interface StepFault {
  readonly step: string
  readonly when: "before" | "after"
  /** `hang` waits for ever, and opens `reached`. */
  readonly kind: "fail" | "die" | "interrupt" | "hang"
}

export const keyOf = (step: StartStep): string => `${step.id} ${step.name}`

/** The failure that an injected `fail` gives. */
export const injected = (step: StartStep) =>
  new StartError({ step: step.id, name: step.name, reason: new NoNameServer({ looked: ["injected"] }) })

/** Writes down every step that a start runs. */
export const recording = (steps: Array<StartStep>) =>
  Effect.provideService(StartObserver, {
    around: (step, self) =>
      Effect.suspend(() => {
        steps.push(step)
        return self
      })
  })

const troubles = (step: StartStep): Readonly<Record<StepFault["kind"], Effect.Effect<never, StartError>>> => ({
  fail: Effect.fail(injected(step)),
  die: Effect.die(new Error("injected")),
  interrupt: Effect.interrupt,
  hang: Effect.never
})

/** Makes one step misbehave; the others are left alone. */
export const injecting = (fault: StepFault, reached: Latch.Latch) =>
  Effect.provideService(StartObserver, {
    around: <A, R>(step: StartStep, self: Effect.Effect<A, StartError, R>): Effect.Effect<A, StartError, R> => {
      if (keyOf(step) !== fault.step) return self
      const trouble: Effect.Effect<never, StartError> = Effect.andThen(
        reached.open,
        Effect.suspend(() => troubles(step)[fault.kind])
      )
      return fault.when === "before" ? trouble : Effect.andThen(self, trouble)
    }
  })

/** Holds one step back until the gate opens. */
export const injectingGate = (key: string, reached: Latch.Latch, gate: Latch.Latch) =>
  Effect.provideService(StartObserver, {
    around: <A, R>(step: StartStep, self: Effect.Effect<A, StartError, R>): Effect.Effect<A, StartError, R> =>
      keyOf(step) === key ? reached.open.pipe(Effect.andThen(gate.await), Effect.andThen(self)) : self
  })

/** A kind of client, of which every step of the start is made to fail. */
export interface Subject<C> {
  /** A client that was not started, and runs every step there is. */
  readonly make: Effect.Effect<C, never, Services>
  readonly start: (client: C) => Effect.Effect<void, StartError, Services>
  /** Fails the test unless a client that did not start holds nothing. */
  readonly holdsNothing: (client: C, about: string) => Effect.Effect<void>
  /** Whether a client that runs does its work; fails the test where it does it under another name. */
  readonly works: (client: C) => Effect.Effect<boolean, unknown, Services>
  /** A step that comes when the client runs already, and cannot fail the start. */
  readonly afterRunning?: string
  /** The step that waits for those of the client instance. */
  readonly instanceStep: string
  /** How many steps there are at least. */
  readonly leastSteps: number
}

type Services = Layer.Success<ReturnType<typeof memory>> | Scope.Scope

interface Startable {
  readonly shutdown: Effect.Effect<void>
  readonly serviceState: Effect.Effect<ServiceState>
}

/** The cluster of {@link everyFault}. */
export const faultCluster = { topics: { orders: {} }, brokers: 2 }

/** The steps of a start that succeeds, in order. */
export const observed = <C extends Startable>({ make, start }: Subject<C>) =>
  Effect.gen(function* () {
    const steps: Array<StartStep> = []
    const client = yield* make
    yield* recording(steps)(start(client))
    yield* settle
    yield* client.shutdown
    return steps.map(keyOf)
  })

type Started = Effect.Effect<Exit.Exit<void, unknown>, never, Services>

/** A start with the fault, and then a check that nothing is left and that the same identity starts and works. */
const tryFault = <C extends Startable>(
  subject: Subject<C>,
  fault: StepFault,
  act: (start: Started, reached: Latch.Latch) => Started
) =>
  Effect.gen(function* () {
    const fibers = countFibers()
    const about = JSON.stringify(fault)
    yield* Effect.gen(function* () {
      const before = fibers.live()
      const noneLeft = Effect.gen(function* () {
        yield* settle
        assert.deepStrictEqual(yield* held, nothing, about)
        assert.strictEqual(fibers.live(), before, `fibers: ${about}`)
      })
      const reached = Latch.makeUnsafe()
      const client = yield* subject.make
      const exit = yield* act(Effect.exit(injecting(fault, reached)(subject.start(client))), reached)
      const runs = fault.step === subject.afterRunning
      if (runs) yield* settle
      assert.isTrue(reached.isOpen(), `the step was reached: ${about}`)
      assert.strictEqual(Exit.isSuccess(exit), runs, about)
      if (runs) {
        assert.strictEqual(yield* client.serviceState, "RUNNING")
        assert.isTrue(yield* subject.works(client), about)
        yield* client.shutdown
        assert.strictEqual(yield* client.serviceState, "SHUTDOWN_ALREADY")
      } else {
        assert.include(["START_FAILED", "CREATE_JUST"], yield* client.serviceState, about)
        yield* subject.holdsNothing(client, about)
        // Nothing to do, and nothing done.
        yield* client.shutdown
        assert.include(["START_FAILED", "CREATE_JUST"], yield* client.serviceState, about)
      }
      yield* noneLeft
      const next = yield* subject.make
      yield* subject.start(next)
      assert.isTrue(yield* subject.works(next), about)
      yield* next.shutdown
      yield* noneLeft
    }).pipe(Effect.forkChild({ startImmediately: true }), Effect.flatMap(Fiber.join), fibers.provide)
  }).pipe(Effect.scoped, onMemory(faultCluster))

/**
 * Tests of a fault of each kind before and after each step of a start: it fails, dies, is interrupted, or hangs. `row` is put
 * before the title of each.
 */
export const everyFault = <C extends Startable>(
  subject: Subject<C>,
  title: (when: StepFault["when"]) => string,
  row: (kind: StepFault["kind"] | "deadline") => string
) => {
  const forEveryStep = (run: (step: string) => Effect.Effect<void, unknown>) =>
    Effect.gen(function* () {
      const steps = yield* observed(subject).pipe(Effect.scoped, onMemory(faultCluster))
      assert.isAtLeast(steps.length, subject.leastSteps)
      for (const step of steps) yield* run(step)
    })

  for (const when of ["before", "after"] as const) {
    describe(title(when), () => {
      for (const kind of ["fail", "die", "interrupt"] as const) {
        it.effect(`${row(kind)}${kind} ${when} each step`, () =>
          forEveryStep((step) => tryFault(subject, { step, when, kind }, (start) => start))
        )
      }

      it.effect(`${row("hang")}hang ${when} each step, then interruption`, () =>
        forEveryStep((step) =>
          tryFault(subject, { step, when, kind: "hang" }, (start, reached) =>
            Effect.gen(function* () {
              const fiber = yield* Effect.forkChild(start, { startImmediately: true })
              yield* reached.await
              // The start has ended already when the client runs; that step is interrupted by the shutdown.
              if (step !== subject.afterRunning) yield* Fiber.interrupt(fiber)
              const exit = yield* Fiber.await(fiber)
              return Exit.isSuccess(exit) ? exit.value : exit
            })
          )
        )
      )

      it.effect(`${row("deadline")}hang ${when} each step until the start's deadline`, () =>
        forEveryStep((step) =>
          tryFault(subject, { step, when, kind: "hang" }, (start, reached) =>
            Effect.gen(function* () {
              const fiber = yield* Effect.forkChild(start, { startImmediately: true })
              yield* reached.await
              yield* settle
              yield* TestClock.adjust(9_999)
              if (step !== subject.afterRunning) assert.strictEqual(fiber.pollUnsafe(), undefined, step)
              yield* TestClock.adjust(1)
              const exit = yield* Fiber.join(fiber)
              if (step === subject.afterRunning) return exit
              const error = String(failureOf(exit))
              assert.include(error, "10000 ms", step)
              // The name of the step that hung, or of the client's step that waits for the instance's.
              const own = step.startsWith("3.") ? subject.instanceStep : step
              assert.include(error, `"${own.slice(own.indexOf(" ") + 1)}"`)
              return exit
            })
          )
        )
      )
    })
  }
}
