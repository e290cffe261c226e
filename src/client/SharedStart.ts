import { Deferred, Effect, Exit } from "effect"

/** A start that several may ask for at once. */
export interface SharedStart<A, E, R> {
  /** Starts, or shares the start under way. */
  readonly start: Effect.Effect<A, E, R>
  /** Suspends until the start under way has ended, however; undefined when none is. */
  readonly underWay: () => Effect.Effect<void> | undefined
}

/** One start under way. */
interface Turn<A, E> {
  readonly outcome: Deferred.Deferred<A, E>
  /** Whether others wait for its outcome. */
  shared: boolean
}

/** Lets a part of an uninterruptible region be interrupted as its caller could be. */
export type Restore = <A, E, R>(self: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

/**
 * The first caller does the work; callers that arrive meanwhile share its outcome.
 *
 * An interruption may come when the work is done and the caller has not been told yet. Who is interrupted has nothing
 * that it could ever end, so the work is undone then, unless others share it who have.
 */
export const make = <A, E, R>(options: {
  /** Why there can be no start now, if there cannot. */
  readonly refusal: () => E | undefined
  /** The work; it runs uninterruptibly but for what it restores, and leaves nothing when it fails. */
  readonly run: (restore: Restore) => Effect.Effect<A, E, R>
  /** What the callers that share it get when the one that does the work is interrupted or dies. */
  readonly interrupted: () => E
  /** Undoes work that was done; nothing to do where it was not. */
  readonly undo: Effect.Effect<void>
}): SharedStart<A, E, R> => {
  let current: Turn<A, E> | undefined

  const work = (turn: Turn<A, E>): Effect.Effect<A, E, R> =>
    Effect.uninterruptibleMask((restore) => {
      if (current !== undefined) {
        current.shared = true
        return restore(Deferred.await(current.outcome))
      }
      const refusal = options.refusal()
      if (refusal !== undefined) return Effect.fail(refusal)
      current = turn
      return Effect.onExit(options.run(restore), (exit) => {
        current = undefined
        const told =
          Exit.isFailure(exit) && !exit.cause.reasons.some((reason) => reason._tag === "Fail")
            ? Exit.fail(options.interrupted())
            : exit
        return Deferred.done(turn.outcome, told)
      })
    })

  return {
    start: Effect.suspend(() => {
      const turn: Turn<A, E> = { outcome: Deferred.makeUnsafe(), shared: false }
      return Effect.onInterrupt(work(turn), () =>
        Deferred.isDoneUnsafe(turn.outcome) && !turn.shared ? options.undo : Effect.void
      )
    }),
    underWay: () => (current === undefined ? undefined : Effect.asVoid(Effect.exit(Deferred.await(current.outcome))))
  }
}
