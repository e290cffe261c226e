import { Effect } from "effect"

/** Those who wait until something holds, and are asked again whenever it may have changed. */
export interface Waiters {
  /** Waits until it holds; it is asked at once and then by {@link Waiters.ask}. */
  readonly until: (holds: () => boolean) => Effect.Effect<void>
  /** It may hold now: whoever waits for it goes on at once. */
  readonly ask: () => void
}

/** Nobody waits yet. */
export const make = (): Waiters => {
  const waiters = new Set<() => void>()
  return {
    until: (holds) =>
      Effect.callback((resume) => {
        const waiter = () => {
          if (!holds()) return
          waiters.delete(waiter)
          resume(Effect.void)
        }
        waiters.add(waiter)
        waiter()
        return Effect.sync(() => {
          waiters.delete(waiter)
        })
      }),
    ask: () => {
      if (waiters.size > 0) for (const waiter of waiters) waiter()
    }
  }
}
