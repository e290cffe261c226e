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
  /** Hands a reply to its waiter; false when there is none. The first reply to a request is the one that counts. */
  readonly complete: (correlationId: string | undefined, reply: MessageExt) => boolean
  /** Counts a reply that could not be read. */
  readonly unreadable: () => void
  /** Requests that wait for their reply now. */
  readonly waiting: () => number
  /** What became of the replies so far. */
  readonly counters: () => ReplyCounters
}

/** An empty table. */
export const make = (): ReplyTable => {
  const table = new Map<string, Deferred.Deferred<MessageExt>>()
  let taken = 0
  let late = 0
  let unreadable = 0
  return {
    expect: (correlationId, use) =>
      Effect.suspend(() => {
        const reply = Deferred.makeUnsafe<MessageExt>()
        table.set(correlationId, reply)
        return Effect.ensuring(
          use(Deferred.await(reply)),
          Effect.sync(() => {
            if (table.get(correlationId) === reply) table.delete(correlationId)
          })
        )
      }),
    complete: (correlationId, message) => {
      const reply = correlationId === undefined ? undefined : table.get(correlationId)
      if (correlationId === undefined || reply === undefined) {
        late++
        return false
      }
      taken++
      // Before the waiter goes on, which it does right here.
      table.delete(correlationId)
      return Deferred.doneUnsafe(reply, Effect.succeed(message))
    },
    unreadable: () => {
      unreadable++
    },
    waiting: () => table.size,
    counters: () => ({ taken, late, unreadable })
  }
}
