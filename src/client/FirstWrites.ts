import { Deferred, Effect, Exit } from "effect"

/** How many tables are remembered as begun; one that is forgotten costs a write more. */
const BEGUN_AT_MOST = 10_000

/**
 * The first writes of a group's offsets.
 *
 * A broker that has no table of a group and topic yet makes one for a write and puts it in place, without a look at what
 * others do meanwhile: of the first writes that it handles at the same time one stays, and all are acknowledged. So the first
 * one goes alone, and then once more, as another client's first may have taken its place.
 *
 * Source: RocketMQ `ConsumerOffsetManager.commitOffset`, 4.9.7 and 5.5.0.
 */
export interface FirstWrites {
  /** Does a write to a table, a broker's of a group and topic, and gives its answer: of the first one the second time. */
  readonly write: <A, E>(table: string, write: Effect.Effect<A, E>) => Effect.Effect<A, E>
}

/** Makes {@link FirstWrites}, which know of no table. */
export const make = (): FirstWrites => {
  const begun = new Set<string>()
  const beginning = new Map<string, Deferred.Deferred<void>>()

  const begin = <A, E>(table: string, write: Effect.Effect<A, E>) => {
    const done = Deferred.makeUnsafe<void>()
    beginning.set(table, done)
    return write.pipe(
      Effect.andThen(write),
      Effect.onExit((exit) => {
        beginning.delete(table)
        if (Exit.isSuccess(exit)) {
          for (const oldest of begun) {
            if (begun.size < BEGUN_AT_MOST) break
            begun.delete(oldest)
          }
          begun.add(table)
        }
        return Deferred.done(done, Exit.void)
      })
    )
  }

  return {
    write: (table, write) =>
      Effect.suspend(() => {
        if (begun.has(table)) return write
        const first = beginning.get(table)
        // Whatever came of it: a first write that failed says nothing of this one.
        return first === undefined ? begin(table, write) : Effect.andThen(Deferred.await(first), write)
      })
  }
}
