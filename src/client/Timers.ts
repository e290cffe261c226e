import { Cause, Clock, Effect, Schedule } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import * as Millis from "../message/Millis.ts"
import { outlivesStep } from "./StartStep.ts"

/** What a timer looks like from outside. All times are milliseconds since the epoch. */
export interface TimerState {
  /** 1 to 5, as in docs/startup.md. */
  readonly number: number
  /** RocketMQ's name of the task. */
  readonly name: string
  /** Milliseconds from the start of the instance to its first run. */
  readonly initialDelayMillis: number
  /** Milliseconds between the end of a run and the next one. */
  readonly periodMillis: number
  /** How often it has run, the failed runs included. */
  readonly runs: number
  /** How many runs failed; the timer goes on. */
  readonly failures: number
  /** When its last run began, in milliseconds since the epoch; undefined before the first. */
  readonly lastStart: number | undefined
  /** When its last run ended, in milliseconds since the epoch; undefined before the first. */
  readonly lastEnd: number | undefined
  /** When a run failed last, in milliseconds since the epoch, and why; undefined where none did. */
  readonly lastFailure: { readonly at: number; readonly message: string } | undefined
  /** When the next run starts; undefined for a timer that is switched off. */
  readonly next: number | undefined
}

/** One row of the table of timers. */
export interface TimerSpec {
  readonly number: number
  readonly name: string
  readonly initialDelayMillis: number
  readonly periodMillis: number
  /** Whether the timer runs at all. */
  readonly active: boolean
  readonly run: Effect.Effect<void, Error>
}

/** The state of a timer that has not run yet. */
const initialState = (spec: TimerSpec, now: number): TimerState => ({
  number: spec.number,
  name: spec.name,
  initialDelayMillis: spec.initialDelayMillis,
  periodMillis: spec.periodMillis,
  runs: 0,
  failures: 0,
  lastStart: undefined,
  lastEnd: undefined,
  lastFailure: undefined,
  next: spec.active ? now + spec.initialDelayMillis : undefined
})

/**
 * How long a run may take before it is cancelled, in milliseconds: one period, so that a run that hangs costs no more
 * than the next one, and 10 seconds at least, as a healthy run of a short period may meet one slow broker.
 */
export const runLimitMillis = (periodMillis: number): number => Math.max(periodMillis, 10_000)

const nameOf = (cause: Cause.Cause<Error>): string => {
  const error = Cause.squash(cause)
  return error instanceof Error ? error.name : typeof error
}

/**
 * Starts every active timer as a fiber of its own in the current scope, and tells `publish` of each change. A run that
 * fails or dies is counted, logged unless the one before it failed just so, and the next one comes all the same; a run
 * that hangs is cancelled after one period (10 seconds at least), so that its timer goes on; none shares anything with
 * another. Closing the scope interrupts all of them at once.
 *
 * The wait is counted from the end of a run (`Schedule.spaced`), where Java's `scheduleAtFixedRate` counts from its
 * start and catches up: with runs far shorter than the period both give the same number of runs, and a burst of
 * heartbeats after a stall is what nobody wants.
 *
 * Source: RocketMQ `MQClientInstance.startScheduledTask`.
 */
export const start = Effect.fnUntraced(function* (
  specs: ReadonlyArray<TimerSpec>,
  publish: (state: TimerState) => Effect.Effect<void>
) {
  const clock = yield* Clock.Clock
  const now = () => clock.currentTimeMillisUnsafe()
  for (const spec of specs) {
    let state = initialState(spec, now())
    const set = (change: Partial<TimerState>) => {
      state = { ...state, ...change }
      return publish(state)
    }
    yield* publish(state)
    if (!spec.active) continue
    const limit = runLimitMillis(spec.periodMillis)
    // A run that fails as the one before it is counted and not told again: a timer may fail every 5 seconds for a day.
    let told: string | undefined
    const failed = (message: string, error: string) =>
      Effect.suspend(() => {
        const known = told === message
        told = message
        return Effect.andThen(
          set({ failures: state.failures + 1, lastFailure: { at: now(), message } }),
          known
            ? Effect.void
            : Effect.annotateLogs(Effect.logWarning(`timer ${spec.number} ${spec.name} failed: ${message}`), { error })
        )
      })
    const succeeded = Effect.suspend(() => {
      if (told === undefined) return Effect.void
      told = undefined
      return Effect.logInfo(`timer ${spec.number} ${spec.name} works again`)
    })
    const once = Effect.suspend(() => set({ lastStart: now(), next: undefined })).pipe(
      Effect.andThen(Effect.timeoutOption(spec.run, limit)),
      Effect.flatMap((done) =>
        done._tag === "None" ? failed(`gave up after ${Millis.text(limit)}`, "Timeout") : succeeded
      ),
      // A run that was interrupted from within has failed; when the timer itself is interrupted, nothing here runs on.
      Effect.catchCause((cause) => failed(ForeignText.ofThrown(Cause.squash(cause)), nameOf(cause))),
      Effect.andThen(
        Effect.suspend(() => set({ runs: state.runs + 1, lastEnd: now(), next: now() + spec.periodMillis }))
      )
    )
    yield* once.pipe(
      Effect.repeat(Schedule.spaced(spec.periodMillis)),
      Effect.delay(spec.initialDelayMillis),
      outlivesStep,
      // Started at once, so that the first delay counts from the start-up and not from the next turn.
      Effect.forkScoped({ startImmediately: true })
    )
  }
})
