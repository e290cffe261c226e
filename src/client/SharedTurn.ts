import { Effect } from "effect"

/**
 * Gives way once for all that come in the same turn of the event loop, and lets them go on one right after the other in the
 * next. `Effect.yieldNow` gives each fiber a turn of its own, and what each of them then sends would leave in a write of its
 * own: to write takes as long as to read a dozen messages.
 */
export const make = (): Effect.Effect<void> => {
  let waiting: Array<() => void> = []
  const goOn = () => {
    const all = waiting
    waiting = []
    for (const resume of all) resume()
  }
  return Effect.withFiber((fiber) =>
    Effect.callback<void>((resume) => {
      const one = () => resume(Effect.void)
      if (waiting.push(one) === 1) fiber.currentDispatcher.scheduleTask(goOn, 0)
      return Effect.sync(() => {
        waiting = waiting.filter((other) => other !== one)
      })
    })
  )
}
