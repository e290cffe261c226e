import { Duration, Effect } from "effect"
import type { Clock } from "effect"

/** A clock that a driver advances. */
export interface SimulationClock extends Clock.Clock {
  /** Advances to the next moment that a sleeper waits for, and wakes its sleepers; false when there is none. */
  readonly advance: () => boolean
  /** How many sleepers there are. */
  readonly waiting: () => number
  /** Milliseconds that have passed. */
  readonly elapsedMillis: () => number
}

/** 2026-01-01T00:00:00Z: ids and time stamps of a simulation are the same whenever it runs. */
const EPOCH_MILLIS = 1_767_225_600_000

/** Nanoseconds in a millisecond. */
const NANOS = 1_000_000

interface Sleeper {
  /** In nanoseconds. */
  readonly at: number
  readonly serial: number
  readonly wake: () => void
  asleep: boolean
}

const isSooner = (a: Sleeper, b: Sleeper): boolean => a.at < b.at || (a.at === b.at && a.serial < b.serial)

/** A binary heap: the sleeper that wakes first lies in front. */
const push = (heap: Array<Sleeper>, sleeper: Sleeper): void => {
  let index = heap.push(sleeper) - 1
  while (index > 0) {
    const above = (index - 1) >> 1
    const parent = heap[above]
    if (parent === undefined || !isSooner(sleeper, parent)) break
    heap[index] = parent
    index = above
  }
  heap[index] = sleeper
}

const pop = (heap: Array<Sleeper>): void => {
  const last = heap.pop()
  if (last === undefined || heap.length === 0) return
  let index = 0
  for (;;) {
    const left = heap[2 * index + 1]
    const right = heap[2 * index + 2]
    const below = right !== undefined && left !== undefined && isSooner(right, left) ? 2 * index + 2 : 2 * index + 1
    const child = below === 2 * index + 2 ? right : left
    if (child === undefined || !isSooner(child, last)) break
    heap[index] = child
    index = below
  }
  heap[index] = last
}

/**
 * Builds a clock at the beginning of 2026. Sleepers that wake are handed to `ready`, in the order in which they fell
 * asleep.
 */
export const make = (ready: (task: () => void) => void): SimulationClock => {
  const heap: Array<Sleeper> = []
  /** Whole nanoseconds, which stay exact for a hundred days: a fraction of one must never be waited for twice. */
  let now = 0
  let serial = 0
  let waiting = 0
  const monotonic = () => BigInt(now)
  const epochMillis = () => EPOCH_MILLIS + Math.floor(now / NANOS)
  const epochNanos = () => BigInt(EPOCH_MILLIS) * BigInt(NANOS) + BigInt(now)

  /** Drops the sleepers in front that were interrupted. */
  const first = (): Sleeper | undefined => {
    for (;;) {
      const sleeper = heap[0]
      if (sleeper === undefined || sleeper.asleep) return sleeper
      pop(heap)
    }
  }

  const sleep = (duration: Duration.Duration): Effect.Effect<void> => {
    const millis = Duration.toMillis(duration)
    if (millis <= 0) return Effect.yieldNow
    if (millis === Infinity) return Effect.never
    return Effect.callback<void>((resume) => {
      const at = now + Math.ceil(millis * NANOS)
      const sleeper: Sleeper = { at, serial: serial++, wake: () => resume(Effect.void), asleep: true }
      waiting++
      push(heap, sleeper)
      return Effect.sync(() => {
        if (!sleeper.asleep) return
        sleeper.asleep = false
        waiting--
      })
    })
  }

  return {
    currentTimeMillisUnsafe: epochMillis,
    currentTimeMillis: Effect.sync(epochMillis),
    currentTimeNanosUnsafe: epochNanos,
    currentTimeNanos: Effect.sync(epochNanos),
    monotonicTimeNanosUnsafe: monotonic,
    monotonicTimeNanos: Effect.sync(monotonic),
    sleep,
    advance: () => {
      const next = first()
      if (next === undefined) return false
      now = next.at
      for (let sleeper = first(); sleeper !== undefined && sleeper.at <= now; sleeper = first()) {
        pop(heap)
        sleeper.asleep = false
        waiting--
        ready(sleeper.wake)
      }
      return true
    },
    waiting: () => waiting,
    elapsedMillis: () => now / NANOS
  }
}
