/** How far each group has read each queue of one broker. Source: RocketMQ `ConsumerOffsetManager`. */
export interface ConsumerOffsets {
  /** The committed offset, or `undefined` when the group never committed one for the queue. */
  readonly query: (group: string, topic: string, queueId: number) => number | undefined
  readonly commit: (group: string, topic: string, queueId: number, offset: number) => void
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

const resetKey = (group: string, topic: string, queueId: number): string => JSON.stringify([topic, group, queueId])

/** Builds an empty table. */
export const make = (): ConsumerOffsets => {
  /** topic -> group -> queue id -> offset */
  const table = new Map<string, Map<string, Map<number, number>>>()
  /** [topic, group, queue id] as text -> offset */
  const resets = new Map<string, { readonly topic: string; readonly group: string; readonly offset: number }>()

  const commit: ConsumerOffsets["commit"] = (group, topic, queueId, offset) => {
    let groups = table.get(topic)
    if (groups === undefined) table.set(topic, (groups = new Map()))
    let queues = groups.get(group)
    if (queues === undefined) groups.set(group, (queues = new Map()))
    queues.set(queueId, offset)
  }

  const forgetResets = (match: (reset: { readonly topic: string; readonly group: string }) => boolean): void => {
    for (const [key, reset] of resets) if (match(reset)) resets.delete(key)
  }

  return {
    query: (group, topic, queueId) =>
      resets.get(resetKey(group, topic, queueId))?.offset ?? table.get(topic)?.get(group)?.get(queueId),
    commit,
    reset: (group, topic, queueId, offset) => {
      resets.set(resetKey(group, topic, queueId), { topic, group, offset })
      commit(group, topic, queueId, offset)
    },
    pendingReset: (group, topic, queueId) => resets.get(resetKey(group, topic, queueId))?.offset,
    takeReset: (group, topic, queueId) => {
      const key = resetKey(group, topic, queueId)
      const offset = resets.get(key)?.offset
      resets.delete(key)
      return offset
    },
    deleteGroup: (group) => {
      forgetResets((reset) => reset.group === group)
      for (const groups of table.values()) groups.delete(group)
    },
    deleteTopic: (topic) => {
      forgetResets((reset) => reset.topic === topic)
      table.delete(topic)
    },
    groupsOf: (topic) => [...(table.get(topic)?.keys() ?? [])],
    topicsOf: (group) => [...table].filter(([, groups]) => groups.has(group)).map(([topic]) => topic)
  }
}
