import { Context, Effect, FiberSet, type Scope, Tracer } from "effect"

/** Runs work that belongs to no caller. */
export type Fork = (work: Effect.Effect<void>) => void

/**
 * Makes a {@link Fork} whose fibers belong to the scope: they begin at once, on their caller's stack, and are interrupted
 * when the scope closes. What they send is part of no start: the messages name the spans of their senders.
 */
export const make: Effect.Effect<Fork, never, Scope.Scope> = Effect.gen(function* () {
  const fibers = yield* FiberSet.make<void>()
  const run = Effect.runForkWith(Context.omit(Tracer.ParentSpan)(yield* Effect.context()))
  return (work) => FiberSet.addUnsafe(fibers, run(work))
})
