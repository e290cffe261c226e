import { Effect } from "effect"

/** How many smaller lists are tried at most. */
const MOST_TRIES = 200

/**
 * Leaves out of a list whatever is not needed for `fails` to say yes, which it does for the whole list. What remains
 * cannot be made smaller by leaving out any single part, and is left as it is when it is given again (unless that took too
 * many tries).
 *
 * Source: Zeller and Hildebrandt, delta debugging.
 */
export const shrink = <A, R>(
  whole: ReadonlyArray<A>,
  fails: (part: ReadonlyArray<A>) => Effect.Effect<boolean, never, R>
): Effect.Effect<ReadonlyArray<A>, never, R> =>
  Effect.gen(function* () {
    let smallest = whole
    let tries = 0
    let before: number
    // What could not be left out of more may be left out of less: again, until there is nothing.
    do {
      before = smallest.length
      let size = Math.ceil(smallest.length / 2)
      while (size >= 1 && smallest.length > 0) {
        let smaller = false
        for (let start = 0; start < smallest.length && tries < MOST_TRIES; start += size) {
          const without = smallest.filter((_, index) => index < start || index >= start + size)
          tries++
          if (!(yield* fails(without))) continue
          smallest = without
          smaller = true
          break
        }
        if (tries >= MOST_TRIES) break
        if (!smaller) size = size === 1 ? 0 : Math.ceil(size / 2)
        else size = Math.min(size, Math.max(1, Math.ceil(smallest.length / 2)))
      }
    } while (smallest.length < before && tries < MOST_TRIES)
    return smallest
  })
