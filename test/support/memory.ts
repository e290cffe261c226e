import { Effect } from "effect"

/** What an effect needed. */
export interface Needed<A> {
  readonly value: A
  /** Bytes of buffers that were there at the highest point beyond those at the beginning, looked at in every turn of the loop. */
  readonly peakBytes: number
}

/** Runs an effect and watches the memory of buffers meanwhile: what packed bodies become is all of it there. */
export const memoryDuring = <A, E, R>(self: Effect.Effect<A, E, R>): Effect.Effect<Needed<A>, E, R> =>
  Effect.suspend(() => {
    const before = process.memoryUsage().arrayBuffers
    let highest = before
    let watching = true
    const look = () => {
      highest = Math.max(highest, process.memoryUsage().arrayBuffers)
      if (watching) setImmediate(look)
    }
    look()
    return Effect.ensuring(
      self,
      Effect.sync(() => {
        watching = false
        look()
      })
    ).pipe(Effect.map((value) => ({ value, peakBytes: highest - before })))
  })
