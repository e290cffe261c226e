import * as MessageQueue from "../../message/MessageQueue.ts"

/**
 * Clocks of a client and a broker differ by less than this, in milliseconds: so much earlier a queue is read that came up
 * while the consumer ran.
 */
const CLOCKS_DIFFER_MILLIS = 10_000

/**
 * Which queues came up while a consumer ran, by the routes of its topics. Such a queue may have messages before its first
 * round, and the group has no offset for it; `last` would pass over them.
 */
export interface Newcomers {
  /** The topic was looked for and is not there: all queues that it will have are new. */
  readonly absent: (topic: string) => void
  /** A route of a topic says which queues it has; those of the first one were there before. */
  readonly seen: (topic: string, queues: ReadonlyArray<MessageQueue.MessageQueue>) => void
  /** For a queue that came up since: from when on it is read, in milliseconds since the epoch. Undefined for the others. */
  readonly since: (queue: MessageQueue.MessageQueue) => number | undefined
}

/** Makes {@link Newcomers}; `nowMillis` gives milliseconds since the epoch. */
export const make = (nowMillis: () => number): Newcomers => {
  /** By topic, when it was first looked for, and what it had then. */
  const first = new Map<string, { readonly at: number; readonly queues: ReadonlySet<string> }>()
  const note = (topic: string, queues: ReadonlyArray<MessageQueue.MessageQueue>) => {
    if (!first.has(topic)) first.set(topic, { at: nowMillis(), queues: new Set(queues.map(MessageQueue.key)) })
  }
  return {
    absent: (topic) => note(topic, []),
    seen: note,
    since: (queue) => {
      const known = first.get(queue.topic)
      return known === undefined || known.queues.has(MessageQueue.key(queue))
        ? undefined
        : Math.max(0, known.at - CLOCKS_DIFFER_MILLIS)
    }
  }
}
