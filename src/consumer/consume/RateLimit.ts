import { Effect, Latch } from "effect"

/** How far what begins may be behind the rate and catch up, in milliseconds: timers are no finer than this. */
const SLACK_MILLIS = 50

/** Lets so many things begin in a second, evenly. */
export interface RateLimit {
  /** Whether something may begin now; if not, `wake` is called when it may. */
  readonly isOpen: () => boolean
  /** Says that so many have begun. */
  readonly take: (count: number) => void
}

/** Makes a limit in the current scope; one fiber waits for all. `now` is the monotonic clock, in milliseconds. */
export const make = Effect.fnUntraced(function* (perSecond: number, now: () => number, wake: () => void) {
  const millis = 1_000 / perSecond
  const asked = Latch.makeUnsafe()
  let nextAt = now()

  yield* asked.await.pipe(
    Effect.andThen(Effect.suspend(() => Effect.sleep(Math.max(0, nextAt - now())))),
    Effect.andThen(
      Effect.sync(() => {
        asked.closeUnsafe()
        wake()
      })
    ),
    Effect.forever,
    Effect.forkScoped({ startImmediately: true })
  )

  const self: RateLimit = {
    isOpen: () => {
      if (now() >= nextAt) return true
      asked.openUnsafe()
      return false
    },
    take: (count) => {
      nextAt = Math.max(nextAt, now() - SLACK_MILLIS) + count * millis
    }
  }
  return self
})
