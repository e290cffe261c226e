import { Duration, Effect, Schedule } from "effect"
import { LEVELS } from "../message/MessageDelay.ts"

/**
 * When a message that failed comes again. `attempt` is 1 for the first delivery and counts over restarts and members: it
 * comes from the message's `reconsumeTimes`.
 */
export interface ReconsumePolicy {
  /** After how long; `broker` leaves it to the broker's table (10 s, 30 s, 1 min, ... 2 h); `dead-letter` gives it up. */
  readonly delay: (attempt: number) => Duration.Input | "broker" | "dead-letter"
}

/** The broker decides: 10 s after the first attempt, then 30 s, 1 min and so on to 2 h. The default, as in Java. */
export const broker: ReconsumePolicy = { delay: () => "broker" }

/** What failed once is given up. */
export const deadLetter: ReconsumePolicy = { delay: () => "dead-letter" }

/** Always the same time. */
export const fixed = (after: Duration.Input): ReconsumePolicy => ({ delay: () => after })

/** One time for each attempt; the last one for all that follow. */
export const delays = (...afters: readonly [Duration.Input, ...ReadonlyArray<Duration.Input>]): ReconsumePolicy => ({
  delay: (attempt) => afters[Math.min(attempt, afters.length) - 1] ?? afters[0]
})

/** Steps of a schedule that are looked at: no broker delivers a message more often than this. */
const MAX_STEPS = 1_000

/**
 * The delays of a schedule, whose inputs are the attempts; where it ends, the message is given up. The schedule is stepped
 * once for each attempt, here and not at each failure, since attempts are counted over restarts and members.
 */
export const fromSchedule = Effect.fnUntraced(function* (schedule: Schedule.Schedule<unknown, number>) {
  const step = yield* Schedule.toStep(schedule)
  const afters: Array<Duration.Duration> = []
  // The time at which each step is taken: as if every attempt failed at once.
  let now = 0
  while (afters.length < MAX_STEPS) {
    const next = yield* Effect.option(step(now, afters.length + 1))
    if (next._tag === "None") break
    const [, after] = next.value
    afters.push(after)
    now += Duration.toMillis(after)
  }
  const policy: ReconsumePolicy = { delay: (attempt) => afters[attempt - 1] ?? "dead-letter" }
  return policy
})

/** The smallest level that is not shorter than a time, 1 up; the last one above the longest. Never earlier than asked. */
export const levelOf = (after: Duration.Input, levels: ReadonlyArray<number> = LEVELS): number => {
  const millis = Duration.toMillis(Duration.fromInputUnsafe(after))
  const index = levels.findIndex((level) => level >= millis)
  return index < 0 ? levels.length : index + 1
}
