import { Context, Effect, Exit, type Fiber, Layer, Scope } from "effect"
import { callerOf, startEffect } from "../producer/send/StartSend.ts"
import * as Abort from "./Abort.ts"

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

/** Begins something that tells its end by a callback; gives how it is ended before that. */
export type Begin<A, E> = (done: (exit: Exit.Exit<A, E>) => void) => () => Effect.Effect<unknown>

/** What a promise is rejected with: the typed error itself, a defect, or the signal's reason. */
const reasonOf = ({ cause }: Exit.Failure<unknown, unknown>, signal: AbortSignal | undefined): unknown => {
  const failure = cause.reasons.find((reason) => reason._tag === "Fail")
  if (failure !== undefined) return failure.error
  const defect = cause.reasons.find((reason) => reason._tag === "Die")
  if (defect !== undefined) return defect.defect
  return signal?.aborted === true ? signal.reason : new DOMException("The call was interrupted", "AbortError")
}

/** What is begun, as a promise; it costs no fiber. What the signal ends has ended when the promise is rejected. */
export const promiseOf = <A, E>(begin: Begin<A, E>, signal: AbortSignal | undefined): Promise<A> =>
  new Promise((resolve, reject) => {
    signal?.throwIfAborted()
    let left: (() => void) | undefined
    let settled = false
    const done = (exit: Exit.Exit<A, E>) => {
      if (settled) return
      settled = true
      left?.()
      if (Exit.isSuccess(exit)) resolve(exit.value)
      else reject(reasonOf(exit, signal))
    }
    const cancel = begin(done)
    if (signal === undefined || settled) return
    left = Abort.listen(signal, () => Effect.runFork(cancel()).addObserver(() => done(Exit.interrupt())))
  })

/** Runs effects with what a fiber has. */
export const runAs =
  (caller: Fiber.Fiber<unknown, unknown>): Run =>
  (effect, signal) =>
    promiseOf((done) => startEffect(caller, effect, done), signal)

// Made by the first call: an import of the package begins nothing.
let plain: Run | undefined

/** Runs effects that need nothing. */
export const run: Run = (effect, signal) => (plain ??= runAs(callerOf(Context.empty())))(effect, signal)

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
  const scope = Scope.makeUnsafe()
  const building = Layer.buildWithMemoMap(layer, memoMap, scope).pipe(
    Effect.onExit((exit) => (Exit.isSuccess(exit) ? Effect.void : Scope.close(scope, exit)))
  )
  const context = await run(building, signal)
  let closing: Promise<void> | undefined
  return { context, close: () => (closing ??= Effect.runPromise(Scope.close(scope, Exit.void))) }
}
