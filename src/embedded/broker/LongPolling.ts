import { Effect } from "effect"
import type { StoredEntry } from "../store/StoredMessage.ts"

/** Pulls that wait for a message. Source: RocketMQ `PullRequestHoldService`. */
export interface LongPolling {
  /**
   * Waits until a message that `matches` is stored in the queue, or until the time is over, exactly (a real broker looks
   * every 5 s only). `available` is asked once when the wait begins, so that a message stored just before is not missed.
   * Interruption takes the waiter out of the table.
   */
  readonly hold: (options: {
    /** Whose pull it is, for {@link LongPolling.drop}. */
    readonly owner: number
    readonly topic: string
    readonly queueId: number
    readonly available: () => boolean
    readonly matches: (entry: StoredEntry) => boolean
    readonly timeoutMillis: number
  }) => Effect.Effect<"arrived" | "expired">
  /** Wakes the pulls that wait for these messages. */
  readonly notify: (entries: ReadonlyArray<StoredEntry>) => void
  /** Ends the waits of an owner that is gone. */
  readonly drop: (owner: number) => void
  /** How many pulls wait now. */
  readonly waiting: () => number
}

interface Waiter {
  readonly owner: number
  readonly matches: (entry: StoredEntry) => boolean
  readonly resume: (effect: Effect.Effect<"arrived" | "expired">) => void
}

/** Builds an empty table. */
export const make = (): LongPolling => {
  const waiters = new Map<string, Set<Waiter>>()
  const arrived = Effect.succeed("arrived" as const)

  const remove = (name: string, waiter: Waiter): void => {
    const set = waiters.get(name)
    if (set?.delete(waiter) === true && set.size === 0) waiters.delete(name)
  }

  return {
    hold: ({ available, matches, owner, queueId, timeoutMillis, topic }) => {
      const name = `${topic}@${queueId}`
      const arrival = Effect.callback<"arrived" | "expired">((resume) => {
        if (available()) {
          resume(arrived)
          return Effect.void
        }
        const waiter: Waiter = { owner, matches, resume }
        const set = waiters.get(name)
        if (set === undefined) waiters.set(name, new Set([waiter]))
        else set.add(waiter)
        return Effect.sync(() => remove(name, waiter))
      })
      return Effect.timeoutOrElse(arrival, {
        duration: Math.max(0, timeoutMillis),
        orElse: () => Effect.succeed("expired" as const)
      })
    },
    notify: (entries) => {
      const woken: Array<Waiter> = []
      for (const entry of entries) {
        const name = `${entry.topic}@${entry.queueId}`
        for (const waiter of waiters.get(name) ?? []) {
          if (waiter.matches(entry)) {
            remove(name, waiter)
            woken.push(waiter)
          }
        }
      }
      // A resumed pull runs at once and may wait again: the table is in order before the first one is resumed.
      for (const waiter of woken) waiter.resume(arrived)
    },
    drop: (owner) => {
      const gone: Array<Waiter> = []
      for (const [name, set] of waiters) {
        for (const waiter of set) {
          if (waiter.owner !== owner) continue
          remove(name, waiter)
          gone.push(waiter)
        }
      }
      for (const waiter of gone) waiter.resume(Effect.succeed("expired"))
    },
    waiting: () => {
      let count = 0
      for (const set of waiters.values()) count += set.size
      return count
    }
  }
}
