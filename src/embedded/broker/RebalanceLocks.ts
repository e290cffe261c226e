import type { MessageQueue } from "../../message/MessageQueue.ts"
import { ENTRY_SIZE, MAX_TABLE_SIZE } from "../server/Limits.ts"
import { key } from "../../message/MessageQueue.ts"

/** Milliseconds a lock lives after its last renewal (Java `rocketmq.broker.rebalance.lockMaxLiveTime`). */
export const LOCK_MAX_LIVE_MILLIS = 60_000

/** Which client of a group may read a queue in order. Source: RocketMQ `RebalanceLockManager`. */
export interface RebalanceLocks {
  /** Takes or renews the locks that are free, expired or the client's own, for which there is room; returns those. `now` in milliseconds. */
  readonly lock: (
    group: string,
    clientId: string,
    queues: ReadonlyArray<MessageQueue>,
    now: number
  ) => ReadonlyArray<MessageQueue>
  /** Gives back the client's own locks among the queues. */
  readonly unlock: (group: string, clientId: string, queues: ReadonlyArray<MessageQueue>) => void
  /** Whether the group holds any lock that is not expired. */
  readonly isLocked: (group: string, now: number) => boolean
}

interface Lock {
  readonly clientId: string
  readonly since: number
}

const sizeOf = (group: string, name: string): number => group.length + name.length + ENTRY_SIZE

/** Builds an empty table. */
export const make = (): RebalanceLocks => {
  const table = new Map<string, Map<string, Lock>>()
  /** What all entries count against `MAX_TABLE_SIZE`. */
  let size = 0
  const release = (group: string, name: string): void => {
    const locks = table.get(group)
    if (locks?.delete(name) !== true) return
    size -= sizeOf(group, name)
    if (locks.size === 0) table.delete(group)
  }

  /** Whether there is room for a lock, for which those that nobody renews may have to go. */
  const hasRoom = (needed: number, now: number): boolean => {
    if (size + needed <= MAX_TABLE_SIZE) return true
    for (const [group, locks] of table) {
      for (const [name, lock] of locks) if (expired(lock, now)) release(group, name)
    }
    return size + needed <= MAX_TABLE_SIZE
  }
  const expired = (lock: Lock, now: number) => now - lock.since > LOCK_MAX_LIVE_MILLIS
  return {
    lock: (group, clientId, queues, now) => {
      // A queue that is named twice is granted once.
      const granted = new Map<string, MessageQueue>()
      let full = false
      for (const queue of queues) {
        const name = key(queue)
        const held = table.get(group)?.get(name)
        if (held === undefined) {
          full ||= !hasRoom(sizeOf(group, name), now)
          if (full) continue
          size += sizeOf(group, name)
        } else if (held.clientId !== clientId && !expired(held, now)) continue
        let locks = table.get(group)
        if (locks === undefined) table.set(group, (locks = new Map()))
        locks.set(name, { clientId, since: now })
        granted.set(name, queue)
      }
      return [...granted.values()]
    },
    unlock: (group, clientId, queues) => {
      for (const queue of queues) {
        const name = key(queue)
        if (table.get(group)?.get(name)?.clientId === clientId) release(group, name)
      }
    },
    isLocked: (group, now) => [...(table.get(group)?.values() ?? [])].some((lock) => !expired(lock, now))
  }
}
