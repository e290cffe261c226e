import { Effect } from "effect"
import type { StoredEntry } from "../store/StoredMessage.ts"

/** What a held pull waits for. */
export interface HeldPull {
  /** Whose pull it is, for {@link LongPolling.drop}. */
  readonly owner: number
  readonly topic: string
  readonly queueId: number
  /** Asked once when the wait begins, so that a message stored just before is not missed. */
  readonly available: () => boolean
  readonly matches: (entry: StoredEntry) => boolean
  readonly timeoutMillis: number
}

/** How a held pull ended. */
export type PullWakeUp = "arrived" | "expired"

/** Pulls that wait for a message. Source: RocketMQ `PullRequestHoldService`. */
export interface LongPolling {
  /**
   * Waits until a message that `matches` is stored in the queue, or until the time is over, exactly (a real broker looks
   * every 5 s only). A message that does not match ends the wait after these 5 s, as on a real broker, whose look does not
   * ask for tags. Undefined, at once, when too many pulls wait already. Interruption takes the waiter out of the table.
   */
  readonly hold: (pull: HeldPull) => Effect.Effect<PullWakeUp | undefined>
  /** Wakes the pulls that wait for these messages. */
  readonly notify: (entries: ReadonlyArray<StoredEntry>) => void
  /** Ends the waits of an owner that is gone. */
  readonly drop: (owner: number) => void
  /** How many pulls wait now. */
  readonly waiting: () => number
}

/** Pulls that one broker holds, and those of one connection: clients have one for each queue that they read. */
export const MAX_HELD_PULLS = 65_536
/** The same for one connection. */
export const MAX_HELD_PULLS_OF_OWNER = 16_384
/** The longest wait in milliseconds, whatever a client asks for; RocketMQ's ask for 15 to 20 seconds. */
export const MAX_HOLD_MILLIS = 30 * 60_000
/** Milliseconds between two looks of a real broker at the pulls it holds. */
const CHECK_INTERVAL_MILLIS = 5_000

const nameOf = (topic: string, queueId: number): string => `${topic}@${queueId}`

interface Waiter {
  readonly pull: HeldPull
  readonly wake: (how: PullWakeUp) => void
  /** Whether a message came that does not match, and what then begins the wait for the next look. */
  passed: boolean
  onPassed: (() => void) | undefined
}

/** Builds an empty table. */
export const make = (): LongPolling => {
  const waiters = new Map<string, Set<Waiter>>()
  const owners = new Map<number, number>()
  let count = 0

  const remove = (waiter: Waiter): void => {
    const name = nameOf(waiter.pull.topic, waiter.pull.queueId)
    const set = waiters.get(name)
    if (set?.delete(waiter) !== true) return
    if (set.size === 0) waiters.delete(name)
    count -= 1
    const left = (owners.get(waiter.pull.owner) ?? 1) - 1
    if (left === 0) owners.delete(waiter.pull.owner)
    else owners.set(waiter.pull.owner, left)
  }

  const add = (waiter: Waiter): void => {
    const name = nameOf(waiter.pull.topic, waiter.pull.queueId)
    const set = waiters.get(name)
    if (set === undefined) waiters.set(name, new Set([waiter]))
    else set.add(waiter)
    count += 1
    owners.set(waiter.pull.owner, (owners.get(waiter.pull.owner) ?? 0) + 1)
  }

  /** Waits until the time is over, or the next look after a message that does not match. */
  const expiry = (waiter: () => Waiter | undefined, millis: number): Effect.Effect<PullWakeUp> => {
    const passed = Effect.callback<void>((resume) => {
      const mine = waiter()
      if (mine === undefined) return
      if (mine.passed) resume(Effect.void)
      else mine.onPassed = () => resume(Effect.void)
    })
    return Effect.as(
      Effect.raceFirst(Effect.sleep(millis), Effect.andThen(passed, Effect.sleep(CHECK_INTERVAL_MILLIS))),
      "expired" as const
    )
  }

  return {
    hold: (pull) =>
      Effect.suspend((): Effect.Effect<PullWakeUp | undefined> => {
        const mine = owners.get(pull.owner) ?? 0
        if (count >= MAX_HELD_PULLS || mine >= MAX_HELD_PULLS_OF_OWNER) return Effect.succeed(undefined)
        let waiter: Waiter | undefined
        const arrival = Effect.callback<PullWakeUp>((resume) => {
          if (pull.available()) {
            resume(Effect.succeed("arrived"))
            return Effect.void
          }
          const added: Waiter = {
            pull,
            wake: (how) => {
              remove(added)
              resume(Effect.succeed(how))
            },
            passed: false,
            onPassed: undefined
          }
          waiter = added
          add(added)
          return Effect.sync(() => remove(added))
        })
        const millis = Math.min(Math.max(0, pull.timeoutMillis), MAX_HOLD_MILLIS)
        return Effect.raceFirst(
          arrival,
          expiry(() => waiter, millis)
        )
      }),
    notify: (entries) => {
      const woken = new Set<Waiter>()
      for (const entry of entries) {
        for (const waiter of waiters.get(nameOf(entry.topic, entry.queueId)) ?? []) {
          if (waiter.pull.matches(entry)) woken.add(waiter)
          else waiter.passed = true
        }
      }
      // A woken pull runs at once and may wait again: who is woken is known before the first one is.
      for (const waiter of woken) waiter.wake("arrived")
      for (const entry of entries) {
        for (const waiter of waiters.get(nameOf(entry.topic, entry.queueId)) ?? [])
          if (waiter.passed) waiter.onPassed?.()
      }
    },
    drop: (owner) => {
      const gone: Array<Waiter> = []
      for (const set of waiters.values()) for (const waiter of set) if (waiter.pull.owner === owner) gone.push(waiter)
      for (const waiter of gone) waiter.wake("expired")
    },
    waiting: () => count
  }
}
