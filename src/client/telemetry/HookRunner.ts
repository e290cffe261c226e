import { Cause, Effect } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import * as Millis from "../../message/Millis.ts"

/** Runs the hooks of an application, and contains whatever goes wrong in them. */
export interface HookRunner {
  /**
   * Lets a hook run for so many milliseconds. One that fails, dies, throws or takes longer is told once, until it works
   * again, and counted; nothing of it reaches the caller.
   */
  readonly run: (name: string, hook: () => Effect.Effect<void, unknown>, limitMillis: number) => Effect.Effect<void>
}

/** Makes a runner of hooks. */
export const make = (options: {
  /** Whose hooks they are, in the log. */
  readonly group: string
  /** What goes on although a hook failed: `sends`. */
  readonly what: string
  /** Called for each run that failed, died or timed out. */
  readonly onFailure: () => void
}): HookRunner => {
  const { group, onFailure, what } = options
  const failing = new Set<string>()
  const tell = Effect.annotateLogs({ group })

  /** Once per change of state: a hook that goes on failing is no news. */
  const failed = (name: string, problem: string) =>
    Effect.suspend(() => {
      onFailure()
      if (failing.has(name)) return Effect.void
      failing.add(name)
      return tell(Effect.logWarning(`hook ${name} failed, the ${what} go on: ${problem}`))
    })

  const succeeded = (name: string) =>
    Effect.suspend(() => (failing.delete(name) ? tell(Effect.logInfo(`hook ${name} works again`)) : Effect.void))

  return {
    run: (name, hook, limitMillis) =>
      Effect.suspend(hook).pipe(
        Effect.interruptible,
        Effect.timeoutOption(Math.max(1, limitMillis)),
        Effect.flatMap((done) =>
          done._tag === "Some" ? succeeded(name) : failed(name, `gave up after ${Millis.text(limitMillis)}`)
        ),
        Effect.catchCause((cause) => failed(name, ForeignText.ofThrown(Cause.squash(cause))))
      )
  }
}
