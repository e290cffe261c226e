import { Deferred, Effect, FiberSet, type Scope } from "effect"
import * as Listeners from "../rebalance/RebalanceListener.ts"
import { keyOf, type OwnedQueue, type RunOptions } from "./RunOptions.ts"

/** What the listener is told of together. */
interface Told {
  /** The queues, each with what says that it is ready for the call. */
  readonly queues: Array<{ readonly queue: OwnedQueue; readonly ready: Deferred.Deferred<void> }>
  /** The call has ended. */
  readonly done: Deferred.Deferred<void>
}

const toldOf = (): Told => ({ queues: [], done: Deferred.makeUnsafe() })

/** What comes and goes of a topic in a round of rebalance. */
export interface Round {
  readonly assigned: Told
  readonly revoked: Told
  /** No more queues come or go in it. */
  readonly over: Effect.Effect<void>
}

/** Tells a consumer's listener what rounds of rebalance do. */
export interface Rounds {
  /** How much longer a queue's hand-over may take for the listener's sake, in milliseconds. */
  readonly handoverMillis: number
  /** Begins what a round does to a topic. */
  readonly begin: () => Round
  /** A queue is taken in a round: `ready` when it is known where it begins. */
  readonly take: (round: Round | undefined, queue: OwnedQueue, ready: Deferred.Deferred<void>) => void
  /** Waits until the listener has heard of the queues that are taken in a round. */
  readonly awaitAssigned: (round: Round | undefined) => Effect.Effect<void>
  /**
   * A queue is given up in a round: `ready` when its handlers have ended. Gives what waits until the listener has heard of it;
   * nothing is to be waited for when it was never told that the queue is assigned.
   */
  readonly giveUp: (round: Round, queue: OwnedQueue, ready: Deferred.Deferred<void>) => Effect.Effect<void>
  /** Tells that the queues are given up at the shutdown. */
  readonly close: (queues: ReadonlyArray<OwnedQueue>) => Effect.Effect<void>
}

/** Makes {@link Rounds} over the queues that are owned; calls under way end with the scope. */
export const make = Effect.fnUntraced(function* (
  { config, happened, listener }: Pick<RunOptions, "config" | "happened" | "listener">,
  table: ReadonlyMap<string, OwnedQueue>
): Effect.fn.Return<Rounds, never, Scope.Scope> {
  /** The queues of which the listener was told that they are assigned, by {@link keyOf}. */
  const told = new Set<string>()
  const call = listener === undefined ? undefined : Listeners.caller(listener, config.group, happened)
  const calls = yield* FiberSet.make<void, never>()

  /** Has the listener told once all queues are ready, of those that are not anybody else's by then. */
  const tell = (kind: "assigned" | "revoked", { done, queues }: Told) =>
    Effect.suspend(() => {
      if (call === undefined || queues.length === 0) return Effect.asVoid(Deferred.succeed(done, undefined))
      const telling = Effect.forEach(queues, ({ ready }) => Deferred.await(ready), { discard: true }).pipe(
        Effect.andThen(
          Effect.suspend(() => {
            const present = queues.filter(({ queue }) => kind === "revoked" || table.has(keyOf(queue)))
            if (kind === "assigned") for (const { queue } of present) told.add(keyOf(queue))
            return call(
              kind,
              present.map(({ queue }) => queue.messageQueue)
            )
          })
        ),
        Effect.ensuring(Deferred.succeed(done, undefined))
      )
      return Effect.asVoid(FiberSet.run(calls, telling, { startImmediately: true }))
    })

  return {
    handoverMillis: listener?.revoked === undefined ? 0 : Listeners.MOST_MILLIS.revoked,
    begin: () => {
      const [assigned, revoked] = [toldOf(), toldOf()]
      return { assigned, revoked, over: Effect.andThen(tell("revoked", revoked), tell("assigned", assigned)) }
    },
    take: (round, queue, ready) => void round?.assigned.queues.push({ queue, ready }),
    awaitAssigned: (round) =>
      call === undefined || round === undefined ? Effect.void : Deferred.await(round.assigned.done),
    giveUp: ({ revoked }, queue, ready) => {
      if (!told.delete(keyOf(queue))) return Effect.void
      revoked.queues.push({ queue, ready })
      return Deferred.await(revoked.done)
    },
    close: (queues) =>
      call?.(
        "revoked",
        queues.filter((queue) => told.delete(keyOf(queue))).map((queue) => queue.messageQueue)
      ) ?? Effect.void
  }
})
