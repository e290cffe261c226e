import { Cause, Clock, type Duration, Effect, Exit, Metric, Random, Schema } from "effect"
import * as Millis from "../message/Millis.ts"
import * as SimulationClock from "./SimulationClock.ts"
import * as SimulationScheduler from "./SimulationScheduler.ts"

/** A simulated program does not end: no fiber can run and none waits for time, or a limit is reached. */
export class SimulationStuck extends Schema.TaggedError<SimulationStuck>()("SimulationStuck", {
  /** Why it counts as stuck. */
  problem: Schema.Literals(["nobody can run", "too many steps", "too much virtual time"]),
  /** Milliseconds that had passed on the virtual clock. */
  virtualMillis: Schema.Number,
  /** Turns of fibers that had been taken. */
  steps: Schema.Number
}) {
  override get message(): string {
    const hint = {
      "nobody can run": "Something waits for a wake-up that never comes, or for the world outside the simulation.",
      "too many steps": "Something runs in a circle without time going on, or maxSteps is too low.",
      "too much virtual time": "Something waits that never happens while timers go on, or maxVirtualMillis is too low."
    }[this.problem]
    return `the simulation does not end: ${this.problem}, after ${Math.round(this.virtualMillis)} virtual ms and ${this.steps} steps. ${hint}`
  }
}

/** What one simulated run did. */
export interface SimulationRun<A, E> {
  /** How the program ended, `SimulationStuck` included. */
  readonly exit: Exit.Exit<A, E | SimulationStuck>
  /** Milliseconds that passed on the virtual clock. */
  readonly virtualMillis: number
  /** Tasks that ran: turns of fibers. */
  readonly steps: number
  /** What the program left behind when it ended. */
  readonly left: {
    /** Fibers that still exist. */
    readonly fibers: number
    /** Fibers that wait for the clock. */
    readonly sleepers: number
  }
}

/** Limits of a run. */
export interface RunLimits {
  /** The virtual time after which a run counts as stuck; default one hour, a bare number is milliseconds. */
  readonly maxVirtualMillis?: Duration.Input | undefined
  /** Turns of fibers after which a run counts as stuck; default 5,000,000. */
  readonly maxSteps?: number | undefined
}

const randomService = Effect.gen(function* () {
  return yield* Random.Random
})

/** Numbers from 0 to 1 that depend on the seed alone. */
export const seeded = (seed: string | number): (() => number) => {
  const random = Effect.runSync(Random.withSeed(randomService, seed))
  return () => random.nextDoubleUnsafe()
}

/** Turns of the event loop that are asked for at once; between two of them Node runs all microtasks. */
const BATCH = 64

/** Turns that a program has for its finalizers after it ended or was stopped. */
const FINAL_STEPS = 100_000

/** Turns of the event loop that the outside world gets before a run counts as stuck. */
const PATIENCE = 200

/**
 * Runs a program in which the seed decides everything that chance or the machine decides otherwise: which fiber runs
 * next, when it has to let others in, what `Random` gives. Time is virtual: when no fiber can run, the clock goes on to
 * the next moment that a fiber waits for. Two runs with one seed do the same.
 *
 * Only what goes through Effect's `Clock`, `Random` and fibers is under the seed. A program that opens sockets, reads
 * files or waits for a thread still works, but its runs do not repeat themselves.
 */
export const run = <A, E>(
  seed: string | number,
  program: Effect.Effect<A, E>,
  limits: RunLimits = {}
): Effect.Effect<SimulationRun<A, E>> =>
  Effect.callback((resume) => {
    const maxVirtualMillis = Millis.pause(limits.maxVirtualMillis ?? 3_600_000)
    const maxSteps = limits.maxSteps ?? 5_000_000
    const scheduler = SimulationScheduler.make(seeded(`${seed}/schedule`))
    const clock = SimulationClock.make(scheduler.add)
    let fibers = 0
    let steps = 0
    let idle = 0
    let over = false
    /** Set when the program does not end; it is then interrupted, and may still run its finalizers. */
    let stuck: SimulationStuck | undefined
    let grace = FINAL_STEPS

    const fiber = Effect.runFork(
      program.pipe(
        Random.withSeed(`${seed}/program`),
        Effect.provideService(Clock.Clock, clock),
        Effect.provideService(Metric.FiberRuntimeMetrics, {
          recordFiberStart: () => {
            fibers++
          },
          recordFiberEnd: () => {
            fibers--
          }
        })
      ),
      { scheduler }
    )

    const end = (exit: Exit.Exit<A, E | SimulationStuck>) => {
      over = true
      resume(
        Effect.succeed({
          exit: stuck === undefined ? exit : Exit.fail(stuck),
          virtualMillis: clock.elapsedMillis(),
          steps,
          left: { fibers, sleepers: clock.waiting() }
        })
      )
    }
    const stop = (problem: SimulationStuck["problem"]) => {
      stuck = new SimulationStuck({ problem, virtualMillis: clock.elapsedMillis(), steps })
      fiber.interruptUnsafe()
    }

    /** One task, or else a step of time; false when there was neither. */
    const step = (mayAdvance: boolean): boolean => {
      const task = scheduler.next()
      if (task === undefined) return mayAdvance && clock.advance()
      steps++
      task()
      return true
    }

    const turn = () => {
      if (over) return
      const exit = fiber.pollUnsafe()
      if (exit !== undefined) {
        // What ends with the program may need a last turn; time does not go on for it.
        if (!step(false) || --grace === 0) end(exit)
        return
      }
      if (stuck === undefined) {
        if (steps > maxSteps) stop("too many steps")
        else if (clock.elapsedMillis() > maxVirtualMillis) stop("too much virtual time")
        else if (idle > PATIENCE) stop("nobody can run")
      } else if (--grace === 0) {
        end(Exit.fail(stuck))
      }
      idle = step(true) ? 0 : idle + 1
    }

    // A task may leave microtasks behind (a connection hands over its frames in one): they run before the next task.
    const drive = () => {
      if (over) return
      for (let n = 1; n < BATCH; n++) setImmediate(turn)
      setImmediate(() => {
        turn()
        drive()
      })
    }
    drive()

    return Effect.sync(() => {
      over = true
      fiber.interruptUnsafe()
    })
  })

/** Why a run failed, as text. */
export const reasonOf = (exit: Exit.Exit<unknown, unknown>): string | undefined =>
  Exit.isSuccess(exit) ? undefined : Cause.pretty(exit.cause)
