import { Clock, Duration, Effect } from "effect"
import { settle } from "../support/rig.ts"

interface Sleeper {
  readonly due: number
  readonly wake: () => void
}

/**
 * A clock that a test moves by hand, in two ways in which the test clock cannot: the wall clock apart from the monotonic
 * one, and over a time in which nothing ran, so that everything that fell due meanwhile falls due at once.
 */
export interface HandClock {
  readonly clock: Clock.Clock
  /** The clock of another host, whose wall clock nobody sets. */
  readonly elsewhere: Clock.Clock
  /** The event loop stood still for so long: all sleeps that ended meanwhile end now, in the order of their ends. */
  readonly stall: (millis: number) => void
  /** Time goes on as ever, in small steps, with whatever it sets off. */
  readonly pass: (millis: number, stepMillis?: number) => Effect.Effect<void>
  /** Somebody sets the host's clock. */
  readonly setWall: (byMillis: number) => void
  /** Milliseconds of the monotonic clock. */
  readonly now: () => number
}

const nanos = (millis: number) => BigInt(Math.round(millis)) * 1_000_000n

/** Makes a clock that stands at one million milliseconds. */
export const make = (): HandClock => {
  let monotonic = 1_000_000
  let offset = 0
  const sleepers = new Set<Sleeper>()

  const monotonicNanos = () => nanos(monotonic)
  const sleep: Clock.Clock["sleep"] = (duration) =>
    Effect.callback((resume) => {
      const millis = Duration.toMillis(duration)
      if (millis <= 0) return resume(Effect.void)
      const sleeper: Sleeper = { due: monotonic + millis, wake: () => resume(Effect.void) }
      sleepers.add(sleeper)
      return Effect.sync(() => void sleepers.delete(sleeper))
    })

  const withWall = (wall: () => number): Clock.Clock => ({
    currentTimeMillisUnsafe: wall,
    currentTimeMillis: Effect.sync(wall),
    currentTimeNanosUnsafe: () => nanos(wall()),
    currentTimeNanos: Effect.sync(() => nanos(wall())),
    monotonicTimeNanosUnsafe: monotonicNanos,
    monotonicTimeNanos: Effect.sync(monotonicNanos),
    sleep
  })

  const stall = (millis: number) => {
    monotonic += millis
    const due = [...sleepers].filter((sleeper) => sleeper.due <= monotonic).toSorted((a, b) => a.due - b.due)
    for (const sleeper of due) {
      sleepers.delete(sleeper)
      sleeper.wake()
    }
  }

  return {
    clock: withWall(() => monotonic + offset),
    elsewhere: withWall(() => monotonic),
    stall,
    pass: (millis, stepMillis = 100) =>
      Effect.gen(function* () {
        for (let left = millis; left > 0; left -= stepMillis) {
          yield* settle
          stall(Math.min(stepMillis, left))
        }
        yield* settle
      }),
    setWall: (byMillis) => {
      offset += byMillis
    },
    now: () => monotonic
  }
}
