import { type Context, Effect, Exit, Fiber } from "effect"
import type { Message } from "../../message/Message.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { SendError } from "./SendError.ts"
import type { SendOptions } from "./SendOptions.ts"

/**
 * Begins a send whose end is told by a callback: it costs no fiber unless there is something to wait for but the broker's
 * answer. Spans, hooks and services are those of the caller's fiber.
 */
export type StartSend = (
  caller: Fiber.Fiber<unknown, unknown>,
  message: Message,
  options: SendOptions | undefined,
  done: (exit: Exit.Exit<SendResult, SendError>) => void
) => () => Effect.Effect<unknown>

type Send = (message: Message, options?: SendOptions) => Effect.Effect<SendResult, SendError>

/** By the effectful form of a send, the one that begins it. */
const known = new WeakMap<Send, () => StartSend | undefined>()

/** Says how a send can be begun; asked when that is wanted, as a producer may not be running before. */
export const register = (send: Send, start: () => StartSend | undefined): void => {
  known.set(send, start)
}

/** A fiber with a context, for what is begun by callbacks. It waits for ever: one that has ended has no context any more. */
export const callerOf = (context: Context.Context<never>): Fiber.Fiber<unknown, unknown> =>
  Effect.runForkWith(context)(Effect.never)

const isEnded = <A, E>(effect: Effect.Effect<A, E>): effect is Exit.Exit<A, E> => Exit.isExit(effect)

const nothing = () => Effect.void

/** Begins an effect: in a fiber of its own, with what the caller's has, unless it has ended already. */
export const startEffect = <A, E>(
  caller: Fiber.Fiber<unknown, unknown>,
  effect: Effect.Effect<A, E>,
  done: (exit: Exit.Exit<A, E>) => void
): (() => Effect.Effect<unknown>) => {
  if (isEnded(effect)) {
    done(effect)
    return nothing
  }
  const fiber = Effect.runForkWith(caller.context)(effect)
  fiber.addObserver(done)
  return () => Fiber.interrupt(fiber)
}

/** Begins a send by whatever form of it there is: one that somebody has put a layer around is run as it is. */
export const startOf = (send: Send): StartSend => {
  const own = known.get(send)
  return (caller, message, options, done) => {
    const begin = own?.()
    return begin === undefined
      ? startEffect(caller, send(message, options), done)
      : begin(caller, message, options, done)
  }
}
