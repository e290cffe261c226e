import { Clock, Effect } from "effect"
import { monotonicMillis } from "../transport/Deadline.ts"

/** A few lines of log for something that a peer can cause as often as it likes. */
export interface LogLimit {
  /** Logs the line as a warning, or counts it when there have been enough of late. */
  readonly warn: (line: string) => Effect.Effect<void>
  /** The same for a line that is no warning. */
  readonly info: (line: string) => Effect.Effect<void>
}

/** How many lines there are in a period, and how long that is, in milliseconds. */
const LINES = 8
const PERIOD_MILLIS = 60_000

/** Makes a limit: at most 8 lines a minute, and how many more there were with the first line afterwards. */
export const make = (): LogLimit => {
  let begin = -Infinity
  let told = 0
  let untold = 0
  const tell = (line: string, log: (line: string) => Effect.Effect<void>) =>
    Clock.clockWith((clock) => {
      const now = monotonicMillis(clock)()
      if (now - begin >= PERIOD_MILLIS) {
        begin = now
        told = 0
      }
      if (told === LINES) {
        untold++
        return Effect.void
      }
      told++
      const more = untold
      untold = 0
      return log(more === 0 ? line : `${line} (and ${more} such lines before it that were not logged)`)
    })
  return { warn: (line) => tell(line, Effect.logWarning), info: (line) => tell(line, Effect.logInfo) }
}
