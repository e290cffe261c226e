import { Effect } from "effect"

/** Work that a shutdown waits for. */
export interface Drain {
  /** Counts the work for as long as it runs. */
  readonly track: <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Counts one piece of work, until {@link leave}. */
  readonly enter: () => void
  readonly leave: () => void
  readonly count: () => number
  /** Ends when nothing is under way, or after so many milliseconds; gives how much is left then. */
  readonly drain: (timeoutMillis: number) => Effect.Effect<number>
}

/** Makes a drain; `begun` pieces of work are under way already. */
export const make = (begun = 0): Drain => {
  let count = begun
  const waiting = new Set<() => void>()
  const enter = () => {
    count++
  }
  const leave = () => {
    if (--count === 0 && waiting.size > 0) for (const resume of waiting) resume()
  }
  const left = Effect.sync(leave)
  const idle = Effect.callback<void>((resume) => {
    if (count === 0) return resume(Effect.void)
    const wake = () => resume(Effect.void)
    waiting.add(wake)
    return Effect.sync(() => {
      waiting.delete(wake)
    })
  })
  return {
    track: (self) =>
      Effect.suspend(() => {
        enter()
        return Effect.ensuring(self, left)
      }),
    enter,
    leave,
    count: () => count,
    drain: (timeoutMillis) => Effect.map(Effect.timeoutOption(idle, Math.max(0, timeoutMillis)), () => count)
  }
}
