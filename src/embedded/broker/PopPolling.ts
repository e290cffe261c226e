import { Effect } from "effect"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as MixAll from "../../message/MixAll.ts"
import type { BrokerConfig } from "../store/BrokerConfig.ts"
import type { StoredEntry } from "../store/StoredMessage.ts"
import * as StoredMessage from "../store/StoredMessage.ts"
import { MAX_HOLD_MILLIS } from "./LongPolling.ts"

/** What a held request waits for. */
export interface HeldPop {
  /** Whose request it is, for {@link PopPolling.drop}. */
  readonly owner: number
  readonly topic: string
  readonly group: string
  /** -1 for every queue. */
  readonly queueId: number
  readonly matches: (entry: StoredEntry) => boolean
  /** Milliseconds to wait. */
  readonly millis: number
  /** What {@link PopPolling.signals} said before the queues were looked at. */
  readonly since: number
}

/**
 * Pops, or notifications, that wait for a message. Of a topic's groups one request each is woken by a message, and after it
 * another one while there are more.
 *
 * Source: RocketMQ `PopLongPollingService`.
 */
export interface PopPolling {
  /** Waits for a message or the end of the time; undefined, at once, when too many wait already. */
  readonly hold: (held: HeldPop) => Effect.Effect<"arrived" | "expired" | undefined>
  /** Wakes those that wait for these messages. */
  readonly notify: (entries: ReadonlyArray<StoredEntry>) => void
  /** Wakes one request of a group that waits for exactly this queue; false when there is none. */
  readonly wake: (topic: string, group: string, queueId: number) => boolean
  /** Counts messages and wakings, so that none is missed between a look and the wait. */
  readonly signals: () => number
  /** Ends the waits of an owner that is gone. */
  readonly drop: (owner: number) => void
  /** How many requests wait for exactly this queue. */
  readonly waiting: (topic: string, group: string, queueId: number) => number
}

interface Waiter {
  readonly held: HeldPop
  readonly expiresAt: number
  readonly wake: (how: "arrived" | "expired") => void
}

/** The group and the topic of a message that comes again, which it says itself. */
const revived = (entry: StoredEntry): { readonly group: string; readonly topic: string } | undefined => {
  const group = StoredMessage.read(entry)?.properties[MessageConst.ORIGIN_GROUP]
  if (group === undefined || group.trim() === "") return undefined
  const start = MixAll.retryTopic(group).length + 1
  return entry.topic.length > start ? { group, topic: entry.topic.slice(start) } : undefined
}

/** Builds an empty table. `latest` wakes the one first that may wait longest, as for notifications. */
export const make = (options: {
  readonly config: Pick<BrokerConfig, "popPollingSize" | "maxPopPollingSize">
  readonly latest: boolean
  /** Milliseconds since the epoch. */
  readonly now: () => number
}): PopPolling => {
  const { config, now } = options
  /** topic -> group -> queue id -> who waits */
  const topics = new Map<string, Map<string, Map<number, Set<Waiter>>>>()
  let count = 0
  let signals = 0

  const waitersOf = (topic: string, group: string, queueId: number): Set<Waiter> | undefined =>
    topics.get(topic)?.get(group)?.get(queueId)

  const add = (waiter: Waiter): void => {
    const { group, queueId, topic } = waiter.held
    let groups = topics.get(topic)
    if (groups === undefined) topics.set(topic, (groups = new Map()))
    let queues = groups.get(group)
    if (queues === undefined) groups.set(group, (queues = new Map()))
    let waiters = queues.get(queueId)
    if (waiters === undefined) queues.set(queueId, (waiters = new Set()))
    waiters.add(waiter)
    count += 1
  }

  const remove = (waiter: Waiter): void => {
    const { group, queueId, topic } = waiter.held
    const groups = topics.get(topic)
    const queues = groups?.get(group)
    const waiters = queues?.get(queueId)
    if (waiters?.delete(waiter) !== true) return
    count -= 1
    if (waiters.size === 0) queues?.delete(queueId)
    if (queues?.size === 0) groups?.delete(group)
    if (groups?.size === 0) topics.delete(topic)
  }

  /** Whose turn it is, of those that are not woken already. */
  const next = (topic: string, group: string, queueId: number, woken?: ReadonlySet<Waiter>): Waiter | undefined => {
    let found: Waiter | undefined
    for (const waiter of waitersOf(topic, group, queueId) ?? []) {
      if (woken?.has(waiter) === true) continue
      const isFirst =
        found === undefined ||
        (options.latest ? waiter.expiresAt >= found.expiresAt : waiter.expiresAt < found.expiresAt)
      if (isFirst) found = waiter
    }
    return found
  }

  const wake: PopPolling["wake"] = (topic, group, queueId) => {
    signals += 1
    const waiter = next(topic, group, queueId)
    waiter?.wake("arrived")
    return waiter !== undefined
  }

  /** A message for a group: the one whose turn it is keeps it when the message is none for it. */
  const offer = (topic: string, group: string, entry: StoredEntry, woken: Set<Waiter>): void => {
    for (const queueId of [-1, entry.queueId]) {
      const waiter = next(topic, group, queueId, woken)
      if (waiter?.held.matches(entry) === true) woken.add(waiter)
    }
  }

  return {
    hold: (held) =>
      Effect.suspend((): Effect.Effect<"arrived" | "expired" | undefined> => {
        const { group, queueId, topic } = held
        const size = waitersOf(topic, group, queueId)?.size ?? 0
        if (count >= config.maxPopPollingSize || size > config.popPollingSize) return Effect.succeed(undefined)
        const arrival = Effect.callback<"arrived" | "expired">((resume) => {
          if (signals !== held.since) {
            resume(Effect.succeed("arrived"))
            return Effect.void
          }
          const waiter: Waiter = {
            held,
            expiresAt: now() + held.millis,
            wake: (how) => {
              remove(waiter)
              resume(Effect.succeed(how))
            }
          }
          add(waiter)
          return Effect.sync(() => remove(waiter))
        })
        const millis = Math.min(Math.max(0, held.millis), MAX_HOLD_MILLIS)
        return Effect.raceFirst(arrival, Effect.as(Effect.sleep(millis), "expired" as const))
      }),
    notify: (entries) => {
      signals += 1
      if (count === 0) return
      // A woken request runs at once and may wait again: who is woken is known before the first one is.
      const woken = new Set<Waiter>()
      for (const entry of entries) {
        const of = MixAll.isRetryTopic(entry.topic) ? revived(entry) : undefined
        if (of !== undefined) offer(of.topic, of.group, entry, woken)
        else for (const group of topics.get(entry.topic)?.keys() ?? []) offer(entry.topic, group, entry, woken)
      }
      for (const waiter of woken) waiter.wake("arrived")
    },
    wake,
    signals: () => signals,
    drop: (owner) => {
      const gone: Array<Waiter> = []
      for (const groups of topics.values())
        for (const queues of groups.values())
          for (const waiters of queues.values())
            for (const waiter of waiters) if (waiter.held.owner === owner) gone.push(waiter)
      for (const waiter of gone) waiter.wake("expired")
    },
    waiting: (topic, group, queueId) => waitersOf(topic, group, queueId)?.size ?? 0
  }
}
