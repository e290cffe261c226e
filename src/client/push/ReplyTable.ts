import { Deferred, Effect } from "effect"
import type { MessageExt } from "../../message/MessageExt.ts"

/** What became of the replies that brokers pushed to a client instance. */
export interface ReplyCounters {
  /** Replies that somebody waited for. */
  readonly taken: number
  /** Replies that nobody waits for (any more): they came too late, or a second time. */
  readonly late: number
  /** Replies that could not be read or unpacked. */
  readonly unreadable: number
}

/** A waiter whose reply has come. One of the two is called, once. */
export interface ReplyClaim {
  /** Hands over the reply; false when the waiter has gone meanwhile. */
  readonly complete: (reply: MessageExt) => boolean
  /** Gives the waiter back, as the reply cannot be read; another one may come. */
  readonly giveBack: () => void
}

/**
 * Who waits for which reply, over all producers of one client instance: brokers push replies to a client, not to a
 * group. The waiter removes its entry in any case.
 *
 * Source: RocketMQ `RequestFutureHolder`, which holds all clients of a process and looks for late ones once a second.
 */
export interface ReplyTable {
  /** Waits for the reply with this correlation id for as long as `use` runs; it is given the wait. */
  readonly expect: <A, E, R>(
    correlationId: string,
    use: (reply: Effect.Effect<MessageExt>) => Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
  /**
   * Finds the waiter of a reply before the reply is unpacked; undefined when there is none. The first reply to a request
   * is the one that counts: the waiter is not found again until it is given back.
   */
  readonly claim: (correlationId: string | undefined) => ReplyClaim | undefined
  /** Counts a reply that could not be read. */
  readonly unreadable: () => void
  /** Requests that wait for their reply now. */
  readonly waiting: () => number
  /** What became of the replies so far. */
  readonly counters: () => ReplyCounters
}

interface Waiter {
  readonly reply: Deferred.Deferred<MessageExt>
  claimed: boolean
}

/** An empty table. */
export const make = (): ReplyTable => {
  const table = new Map<string, Waiter>()
  let taken = 0
  let late = 0
  let unreadable = 0

  const claimOf = (correlationId: string, waiter: Waiter): ReplyClaim => {
    waiter.claimed = true
    return {
      complete: (message) => {
        if (table.get(correlationId) !== waiter) {
          late++
          return false
        }
        taken++
        // Before the waiter goes on, which it does right here.
        table.delete(correlationId)
        return Deferred.doneUnsafe(waiter.reply, Effect.succeed(message))
      },
      giveBack: () => {
        waiter.claimed = false
      }
    }
  }

  return {
    expect: (correlationId, use) =>
      Effect.suspend(() => {
        const waiter: Waiter = { reply: Deferred.makeUnsafe<MessageExt>(), claimed: false }
        table.set(correlationId, waiter)
        return Effect.ensuring(
          use(Deferred.await(waiter.reply)),
          Effect.sync(() => {
            if (table.get(correlationId) === waiter) table.delete(correlationId)
          })
        )
      }),
    claim: (correlationId) => {
      const waiter = correlationId === undefined ? undefined : table.get(correlationId)
      if (correlationId === undefined || waiter === undefined || waiter.claimed) {
        late++
        return undefined
      }
      return claimOf(correlationId, waiter)
    },
    unreadable: () => {
      unreadable++
    },
    waiting: () => table.size,
    counters: () => ({ taken, late, unreadable })
  }
}
