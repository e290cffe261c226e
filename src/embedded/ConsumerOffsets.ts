/** How far each group has read each queue of one broker. Source: RocketMQ `ConsumerOffsetManager`. */
export interface ConsumerOffsets {
  /** The committed offset, or `undefined` when the group never committed one for the queue. */
  readonly query: (group: string, topic: string, queueId: number) => number | undefined
  readonly commit: (group: string, topic: string, queueId: number, offset: number) => void
  readonly deleteGroup: (group: string) => void
  readonly deleteTopic: (topic: string) => void
  /** The groups that ever committed an offset of the topic. */
  readonly groupsOf: (topic: string) => ReadonlyArray<string>
  /** The topics of which the group ever committed an offset. */
  readonly topicsOf: (group: string) => ReadonlyArray<string>
}

/** Builds an empty table. */
export const make = (): ConsumerOffsets => {
  /** topic -> group -> queue id -> offset */
  const table = new Map<string, Map<string, Map<number, number>>>()
  return {
    query: (group, topic, queueId) => table.get(topic)?.get(group)?.get(queueId),
    commit: (group, topic, queueId, offset) => {
      let groups = table.get(topic)
      if (groups === undefined) table.set(topic, (groups = new Map()))
      let queues = groups.get(group)
      if (queues === undefined) groups.set(group, (queues = new Map()))
      queues.set(queueId, offset)
    },
    deleteGroup: (group) => {
      for (const groups of table.values()) groups.delete(group)
    },
    deleteTopic: (topic) => {
      table.delete(topic)
    },
    groupsOf: (topic) => [...(table.get(topic)?.keys() ?? [])],
    topicsOf: (group) => [...table].filter(([, groups]) => groups.has(group)).map(([topic]) => topic)
  }
}
