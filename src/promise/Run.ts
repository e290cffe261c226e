import { type Context, Effect, Exit, Layer, Scope } from "effect"

/** What every call takes beside its own options. */
export interface CallOptions {
  /**
   * Ends the call early: the promise is rejected with the signal's reason. What was sent by then may still be stored; a
   * message that had not left stays unsent.
   */
  readonly signal?: AbortSignal | undefined
}

/** Runs an effect as a promise, which is rejected with the effect's own error. */
export type Run = <A, E>(effect: Effect.Effect<A, E>, signal: AbortSignal | undefined) => Promise<A>

/** The value of an exit, or what a promise is to be rejected with: the typed error itself, or the signal's reason. */
const valueOf = <A, E>(exit: Exit.Exit<A, E>, signal: AbortSignal | undefined): A => {
  if (Exit.isSuccess(exit)) return exit.value
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure !== undefined) throw failure.error
  const defect = exit.cause.reasons.find((reason) => reason._tag === "Die")
  if (defect !== undefined) throw defect.defect
  throw signal?.aborted === true ? signal.reason : new DOMException("The call was interrupted", "AbortError")
}

/** Runs effects with a context that was captured once. */
export const runWith = (context: Context.Context<never>): Run => {
  const runExit = Effect.runPromiseExitWith(context)
  return async (effect, signal) => {
    signal?.throwIfAborted()
    return valueOf(await runExit(effect, signal === undefined ? undefined : { signal }), signal)
  }
}

/** A layer that was built, for as long as nobody closes it. */
export interface Built<A> {
  readonly context: Context.Context<A>
  /** Releases it; the second call waits for the first. */
  readonly close: () => Promise<void>
}

/** What the layers of this process have in common, such as the client instances, is built once and counted. */
const memoMap = Layer.makeMemoMapUnsafe()

/** Builds a layer for as long as the scope is open, with what the layers of this process have in common. */
export const buildScoped = <A, E>(layer: Layer.Layer<A, E>): Effect.Effect<Context.Context<A>, E, Scope.Scope> =>
  Effect.flatMap(Effect.scope, (scope) => Layer.buildWithMemoMap(layer, memoMap, scope))

/** Builds a layer. A build that fails or is aborted has released everything by the time the promise is rejected. */
export const build = async <A, E>(layer: Layer.Layer<A, E>, signal: AbortSignal | undefined): Promise<Built<A>> => {
  signal?.throwIfAborted()
  const scope = Scope.makeUnsafe()
  const building = Layer.buildWithMemoMap(layer, memoMap, scope).pipe(
    Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
  )
  const exit = await Effect.runPromiseExit(building, signal === undefined ? undefined : { signal })
  const context = valueOf(exit, signal)
  let closing: Promise<void> | undefined
  return { context, close: () => (closing ??= Effect.runPromise(Scope.close(scope, Exit.void))) }
}
