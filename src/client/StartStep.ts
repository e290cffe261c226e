import { Clock, Context, Effect, Tracer } from "effect"
import { StartError, type StartReason } from "./ClientError.ts"
import { monotonicMillis } from "../transport/Deadline.ts"

/** One step of the start-up, numbered as in docs/startup.md. */
export interface StartStep {
  /** The step's number, as in docs/startup.md. */
  readonly id: string
  /** The step's name, as in docs/startup.md. */
  readonly name: string
}

/** What became of one step, for the observable state. */
export interface StepRecord extends StartStep {
  /** Milliseconds that it took. */
  readonly millis: number
  /** How it ended. */
  readonly outcome: "done" | "failed" | "interrupted"
}

/**
 * Sees every start-up step as it runs and may wrap it: the demo prints them with it, a test makes one of them fail, hang
 * or be interrupted. The default leaves the step as it is.
 */
export const StartObserver: Context.Reference<{
  readonly around: <A, R>(step: StartStep, self: Effect.Effect<A, StartError, R>) => Effect.Effect<A, StartError, R>
}> = Context.Reference("effect-rocketmq/client/StartObserver", {
  defaultValue: () => ({ around: (_step, self) => self })
})

/** Where a start writes down its steps; `current` is the one under way. */
export interface StartJournal {
  readonly records: Array<StepRecord>
  current: StartStep | undefined
}

/** An empty {@link StartJournal}. */
export const makeJournal = (): StartJournal => ({ records: [], current: undefined })

const isStartError = (error: StartReason | StartError): error is StartError => error._tag === "StartError"

/**
 * Runs one start-up step: names it in a span, gives its failure the step's number, measures it into the journal, and
 * lets the {@link StartObserver} wrap it.
 */
export const runStep = Effect.fnUntraced(function* <A, R>(
  journal: StartJournal,
  id: string,
  name: string,
  self: Effect.Effect<A, StartReason | StartError, R>
) {
  const observer = yield* StartObserver
  const clock = yield* Clock.Clock
  const step: StartStep = { id, name }
  const now = monotonicMillis(clock)
  const begin = now()
  const outer = journal.current
  journal.current = step
  return yield* observer
    .around(
      step,
      Effect.mapError(self, (error) =>
        isStartError(error) ? error : new StartError({ step: id, name, reason: error })
      )
    )
    .pipe(
      Effect.withSpan(`rocketmq.start ${id} ${name}`),
      Effect.onExit((exit) =>
        Effect.sync(() => {
          journal.current = outer
          journal.records.push({
            id,
            name,
            millis: now() - begin,
            outcome:
              exit._tag === "Success"
                ? "done"
                : exit.cause.reasons.some((r) => r._tag === "Fail")
                  ? "failed"
                  : "interrupted"
          })
        })
      )
    )
})

/** For what a step begins and leaves running: the step's span has long ended then, and is no parent of what comes. */
export const outlivesStep = <A, E>(self: Effect.Effect<A, E>): Effect.Effect<A, E> =>
  Effect.updateContext(self, (context: Context.Context<never>) => Context.omit(Tracer.ParentSpan)(context))
