import type { Long } from "../../protocol/Long.ts"
import { ENTRY_SIZE, MAX_TABLE_SIZE } from "../server/Limits.ts"

/** A queue that a group pops in order. */
export interface OrderedQueue {
  readonly group: string
  readonly topic: string
  readonly queueId: number
}

/** One pop in order. */
export interface OrderedPop {
  readonly attemptId: string | undefined
  readonly popTime: Long
  readonly invisibleTime: Long
  /** The offsets of its messages, ascending; 1 or more. */
  readonly offsets: ReadonlyArray<number>
}

/** How often a message of a pop was popped before, where it was. */
export interface ConsumedCount {
  readonly offset: number
  readonly count: number
}

/**
 * What is popped in order: a queue gives nothing more until all of it is acknowledged or visible again, but for the attempt that
 * has it.
 *
 * Source: RocketMQ `ConsumerOrderInfoManager`.
 */
export interface OrderedPops {
  /** Keeps a pop in place of the queue's last; how often its messages were popped before. Undefined when there is no room. */
  readonly update: (queue: OrderedQueue, pop: OrderedPop) => ReadonlyArray<ConsumedCount> | undefined
  /** Whether the queue gives nothing to an attempt. */
  readonly isBlocked: (queue: OrderedQueue, attemptId: string | undefined) => boolean
  /** When the queue gives something again without an acknowledgement, in milliseconds since the epoch; undefined when it does now. */
  readonly freeAt: (queue: OrderedQueue) => number | undefined
  /** Forgets what a queue has popped. */
  readonly clear: (queue: OrderedQueue) => void
  /** A message is consumed: where the group reads on, `illegal` for one that was not popped, `none` for another pop's. */
  readonly acknowledge: (queue: OrderedQueue, popTime: Long, offset: Long) => number | "illegal" | "none"
  /** A message is visible at another time; nothing happens for another pop's. */
  readonly setVisibleAt: (queue: OrderedQueue, popTime: Long, offset: Long, at: number) => void
}

interface Info extends OrderedPop {
  readonly acknowledged: Set<number>
  readonly visibleAt: Map<number, number>
  readonly counts: ReadonlyMap<number, number>
}

const keyOf = ({ group, queueId, topic }: OrderedQueue): string => JSON.stringify([topic, group, queueId])

/** Builds an empty table. `now` in milliseconds since the epoch. */
export const make = (options: { readonly now: () => number }): OrderedPops => {
  const table = new Map<string, Info>()
  let size = 0

  /** The counts of the last attempt, of which the same one goes on. */
  const countsOf = (last: Info | undefined, pop: OrderedPop): ReadonlyMap<number, number> => {
    if (last === undefined) return new Map()
    if (last.attemptId !== undefined && last.attemptId === pop.attemptId) return last.counts
    const before = new Set(last.offsets)
    return new Map(
      pop.offsets.filter((offset) => before.has(offset)).map((offset) => [offset, (last.counts.get(offset) ?? 0) + 1])
    )
  }

  /** When the first message that is neither acknowledged nor visible is visible; undefined when there is none. */
  const nextVisible = (info: Info): number | undefined => {
    const usual = Number(info.popTime) + Number(info.invisibleTime)
    for (const offset of info.offsets) {
      if (info.acknowledged.has(offset)) continue
      const at = info.visibleAt.get(offset) ?? usual
      if (options.now() < at) return at
    }
    return undefined
  }

  const remove = (key: string): void => {
    if (table.delete(key)) size -= key.length + ENTRY_SIZE
  }

  return {
    update: (queue, pop) => {
      const key = keyOf(queue)
      const last = table.get(key)
      if (last === undefined) {
        const more = key.length + ENTRY_SIZE
        if (size + more > MAX_TABLE_SIZE) return undefined
        size += more
      }
      const counts = countsOf(last, pop)
      table.set(key, { ...pop, acknowledged: new Set(), visibleAt: new Map(), counts })
      return [...counts].map(([offset, count]) => ({ offset, count }))
    },
    isBlocked: (queue, attemptId) => {
      const info = table.get(keyOf(queue))
      if (info === undefined || (info.attemptId !== undefined && info.attemptId === attemptId)) return false
      return nextVisible(info) !== undefined
    },
    freeAt: (queue) => {
      const info = table.get(keyOf(queue))
      return info === undefined ? undefined : nextVisible(info)
    },
    clear: (queue) => remove(keyOf(queue)),
    acknowledge: (queue, popTime, offset) => {
      const info = table.get(keyOf(queue))
      const at = Number(offset)
      if (info === undefined) return at + 1
      if (info.popTime !== popTime) return "none"
      if (!info.offsets.includes(at)) return "illegal"
      info.acknowledged.add(at)
      return info.offsets.find((open) => !info.acknowledged.has(open)) ?? (info.offsets.at(-1) ?? at) + 1
    },
    setVisibleAt: (queue, popTime, offset, at) => {
      const info = table.get(keyOf(queue))
      const of = Number(offset)
      // An offset that was not popped is looked at by nobody.
      if (info?.popTime === popTime && info.offsets.includes(of)) info.visibleAt.set(of, at)
    }
  }
}
