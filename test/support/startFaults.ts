import { Effect, Latch } from "effect"
import { NoNameServer, StartError } from "../../src/client/ClientError.ts"
import { StartObserver, type StartStep } from "../../src/client/StartStep.ts"

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
