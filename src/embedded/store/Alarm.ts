import { Effect } from "effect"

/** The one sleeper of a broker: it waits for whatever is due first, and for nothing while nothing is. */
export interface Alarm {
  /** Says that something may now be due earlier than before. */
  readonly ring: () => void
  /** Sleeps and works until it is interrupted; for one fiber at a time. */
  readonly run: Effect.Effect<never>
}

/**
 * Builds an alarm. `next` is when the next work is due, in milliseconds since the epoch, `undefined` for never; `work` does
 * what is due at the time it is run, so that `next` is later afterwards.
 */
export const make = (options: {
  readonly next: () => number | undefined
  readonly now: () => number
  readonly work: Effect.Effect<void>
}): Alarm => {
  let wake: (() => void) | undefined

  const rung = Effect.callback<void>((resume) => {
    wake = () => {
      wake = undefined
      resume(Effect.void)
    }
    return Effect.sync(() => {
      wake = undefined
    })
  })

  const round = Effect.suspend(() => {
    const due = options.next()
    if (due === undefined) return rung
    const millis = due - options.now()
    return millis <= 0 ? options.work : Effect.timeoutOrElse(rung, { duration: millis, orElse: () => Effect.void })
  })

  return { ring: () => wake?.(), run: Effect.forever(round) }
}
