import { ENTRY_SIZE, MAX_TABLE_SIZE } from "../server/Limits.ts"
import type { Long } from "../../protocol/Long.ts"

/**
 * How far each group has read each queue of one broker. As on a real broker a client commits whatever it likes: less than
 * before, more than there is, and a negative offset, which reads as none.
 *
 * Source: RocketMQ `ConsumerOffsetManager`.
 */
export interface ConsumerOffsets {
  /** The committed offset; `undefined` when the group never committed one for the queue, or a negative one. */
  readonly query: (group: string, topic: string, queueId: number) => Long | undefined
  /** Keeps an offset; false, and nothing is kept, when there is no room for one more. */
  readonly commit: (group: string, topic: string, queueId: number, offset: Long) => boolean
  /** Where the group's last pull of the queue sent it on to; what it committed before its first pull. */
  readonly queryPull: (group: string, topic: string, queueId: number) => Long | undefined
  readonly commitPull: (group: string, topic: string, queueId: number, offset: number) => void
  /** Sets where the group reads on, and keeps it for the next pull to be told. */
  readonly reset: (group: string, topic: string, queueId: number, offset: number) => void
  /** The offset of a reset that no pull was told of yet. */
  readonly pendingReset: (group: string, topic: string, queueId: number) => number | undefined
  /** The same, and forgets it. */
  readonly takeReset: (group: string, topic: string, queueId: number) => number | undefined
  readonly deleteGroup: (group: string) => void
  readonly deleteTopic: (topic: string) => void
  /** The groups that ever committed an offset of the topic. */
  readonly groupsOf: (topic: string) => ReadonlyArray<string>
  /** The topics of which the group ever committed an offset. */
  readonly topicsOf: (group: string) => ReadonlyArray<string>
}

const keyOf = (group: string, topic: string, queueId: number): string => JSON.stringify([topic, group, queueId])

/** What an entry counts against {@link MAX_TABLE_SIZE}. */
const sizeOf = (group: string, topic: string): number => group.length + topic.length + ENTRY_SIZE

interface Kept {
  readonly topic: string
  readonly group: string
  readonly offset: number
}

/** Offsets of queues that are read one by one only. */
const makeKept = () => {
  const table = new Map<string, Kept>()
  let size = 0
  const remove = (key: string): void => {
    const kept = table.get(key)
    if (kept === undefined) return
    table.delete(key)
    size -= sizeOf(kept.group, kept.topic)
  }
  return {
    get: (group: string, topic: string, queueId: number): number | undefined =>
      table.get(keyOf(group, topic, queueId))?.offset,
    set: (group: string, topic: string, queueId: number, offset: number): void => {
      const key = keyOf(group, topic, queueId)
      if (!table.has(key)) {
        if (size + sizeOf(group, topic) > MAX_TABLE_SIZE) return
        size += sizeOf(group, topic)
      }
      table.set(key, { topic, group, offset })
    },
    remove: (group: string, topic: string, queueId: number): void => remove(keyOf(group, topic, queueId)),
    removeWhere: (match: (kept: Kept) => boolean): void => {
      for (const [key, kept] of table) if (match(kept)) remove(key)
    }
  }
}

/** Builds an empty table. */
export const make = (): ConsumerOffsets => {
  /** topic -> group -> queue id -> offset */
  const table = new Map<string, Map<string, Map<number, Long>>>()
  let size = 0
  const resets = makeKept()
  const pulls = makeKept()

  const commit: ConsumerOffsets["commit"] = (group, topic, queueId, offset) => {
    let groups = table.get(topic)
    let queues = groups?.get(group)
    if (queues?.has(queueId) !== true) {
      if (size + sizeOf(group, topic) > MAX_TABLE_SIZE) return false
      size += sizeOf(group, topic)
    }
    if (groups === undefined) table.set(topic, (groups = new Map()))
    if (queues === undefined) groups.set(group, (queues = new Map()))
    queues.set(queueId, offset)
    return true
  }

  /** Forgets what a group has of a topic. */
  const forget = (topic: string, group: string): void => {
    const groups = table.get(topic)
    size -= (groups?.get(group)?.size ?? 0) * sizeOf(group, topic)
    groups?.delete(group)
  }

  const query: ConsumerOffsets["query"] = (group, topic, queueId) => {
    const offset = resets.get(group, topic, queueId) ?? table.get(topic)?.get(group)?.get(queueId)
    return offset === undefined || offset < 0 ? undefined : offset
  }

  return {
    query,
    commit,
    queryPull: (group, topic, queueId) => pulls.get(group, topic, queueId) ?? query(group, topic, queueId),
    commitPull: pulls.set,
    reset: (group, topic, queueId, offset) => {
      resets.set(group, topic, queueId, offset)
      commit(group, topic, queueId, offset)
    },
    pendingReset: resets.get,
    takeReset: (group, topic, queueId) => {
      const offset = resets.get(group, topic, queueId)
      resets.remove(group, topic, queueId)
      return offset
    },
    deleteGroup: (group) => {
      for (const kept of [resets, pulls]) kept.removeWhere((entry) => entry.group === group)
      for (const topic of table.keys()) forget(topic, group)
    },
    deleteTopic: (topic) => {
      for (const kept of [resets, pulls]) kept.removeWhere((entry) => entry.topic === topic)
      for (const group of table.get(topic)?.keys() ?? []) forget(topic, group)
      table.delete(topic)
    },
    groupsOf: (topic) => [...(table.get(topic)?.keys() ?? [])],
    topicsOf: (group) => [...table].filter(([, groups]) => groups.has(group)).map(([topic]) => topic)
  }
}
