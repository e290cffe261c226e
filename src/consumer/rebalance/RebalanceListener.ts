import { Cause, Effect, Exit, Fiber, Semaphore } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import * as Millis from "../../message/Millis.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"

/**
 * Hears of the queues that a consumer comes to own and gives up: a call for those of a
 * topic in a round of rebalance, and never two calls at once. What
 * it needs is taken when the layer is built. One that dies or takes too long is a problem in the consumer's state, and holds up
 * nothing else.
 *
 * Source: RocketMQ `MessageQueueListener`.
 */
export interface RebalanceListener<out R = never> {
  /** Queues were taken: before their first pull, when their old owner has given them up. It may take 30 seconds. */
  readonly assigned?: ((queues: ReadonlyArray<MessageQueue>) => Effect.Effect<unknown, never, R>) | undefined
  /**
   * Queues are given up, to another member or at the shutdown: when their last handler has ended, or `revokeDrain` is over, and
   * before their offsets are written for the last time, so that what handlers left to be flushed is flushed by then. It may take
   * a second. Only queues of which `assigned` was told.
   */
  readonly revoked?: ((queues: ReadonlyArray<MessageQueue>) => Effect.Effect<unknown, never, R>) | undefined
}

/** How long a call may take, in milliseconds; with a listener, who takes a queue waits for a `revoked` of the old owner. */
export const MOST_MILLIS = { assigned: 30_000, revoked: 1_000 } as const

/** Makes what calls the listener: within the bounds, one call after the other. */
export const caller = (
  listener: RebalanceListener,
  group: string,
  happened: (key: string, text: string) => Effect.Effect<void>
) => {
  const turn = Semaphore.makeUnsafe(1)
  return (kind: "assigned" | "revoked", queues: ReadonlyArray<MessageQueue>): Effect.Effect<void> => {
    const handler = listener[kind]
    if (handler === undefined || queues.length === 0) return Effect.void
    const key = `rebalanceListener.${kind}`
    const run = Effect.gen(function* () {
      // On its own: one that cannot be interrupted is left to itself.
      const fiber = yield* Effect.forkDetach(
        Effect.suspend(() => handler(queues)),
        { startImmediately: true }
      )
      const exit = yield* Effect.onInterrupt(Fiber.await(fiber), () => Effect.sync(() => fiber.interruptUnsafe()))
      if (Exit.isFailure(exit)) {
        yield* happened(key, `${key} of group ${group} died: ${ForeignText.ofThrown(Cause.squash(exit.cause), 200)}`)
      }
    })
    return Effect.flatMap(Effect.timeoutOption(turn.withPermits(1)(run), MOST_MILLIS[kind]), (ended) =>
      ended._tag === "Some"
        ? Effect.void
        : happened(
            key,
            `${key} of group ${group} did not end within ${Millis.text(MOST_MILLIS[kind])}; the consumer goes on`
          )
    )
  }
}
