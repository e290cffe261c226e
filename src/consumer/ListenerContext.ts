import { Context, Effect, Tracer } from "effect"
import type { RebalanceListener } from "./rebalance/RebalanceListener.ts"

/** The context without the span that a layer is built in, which would be the parent of every message's. */
export function withoutSpan<R>(context: Context.Context<R>): Context.Context<R>
export function withoutSpan(context: Context.Context<never>): Context.Context<never> {
  return Context.omit(Tracer.ParentSpan)(context)
}

/** A listener with what it needs of the present context; what is none is given on as it is, for the check of the options. */
export const provided = <RL>(
  listener: RebalanceListener<RL> | undefined
): Effect.Effect<RebalanceListener | undefined, never, RL> =>
  Effect.map(Effect.context<RL>(), (context) => {
    const services = withoutSpan(context)
    const given = (call: RebalanceListener<RL>["assigned"]): RebalanceListener["assigned"] =>
      typeof call === "function" ? (queues) => Effect.provideContext(call(queues), services) : call
    return typeof listener !== "object" || listener === null
      ? listener
      : { assigned: given(listener.assigned), revoked: given(listener.revoked) }
  })
