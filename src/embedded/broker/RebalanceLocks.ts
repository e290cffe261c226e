import type { MessageQueue } from "../../message/MessageQueue.ts"
import { key } from "../../message/MessageQueue.ts"

/** Milliseconds a lock lives after its last renewal (Java `rocketmq.broker.rebalance.lockMaxLiveTime`). */
export const LOCK_MAX_LIVE_MILLIS = 60_000

/** Which client of a group may read a queue in order. Source: RocketMQ `RebalanceLockManager`. */
export interface RebalanceLocks {
  /** Takes or renews the locks that are free, expired or the client's own; returns those. `now` in milliseconds. */
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

/** Builds an empty table. */
export const make = (): RebalanceLocks => {
  const table = new Map<string, Map<string, Lock>>()
  const expired = (lock: Lock, now: number) => now - lock.since > LOCK_MAX_LIVE_MILLIS
  return {
    lock: (group, clientId, queues, now) => {
      let locks = table.get(group)
      if (locks === undefined) table.set(group, (locks = new Map()))
      const granted: Array<MessageQueue> = []
      for (const queue of queues) {
        const name = key(queue)
        const held = locks.get(name)
        if (held === undefined || held.clientId === clientId || expired(held, now)) {
          locks.set(name, { clientId, since: now })
          granted.push(queue)
        }
      }
      return granted
    },
    unlock: (group, clientId, queues) => {
      const locks = table.get(group)
      for (const queue of queues) {
        const name = key(queue)
        if (locks?.get(name)?.clientId === clientId) locks.delete(name)
      }
    },
    isLocked: (group, now) => [...(table.get(group)?.values() ?? [])].some((lock) => !expired(lock, now))
  }
}
