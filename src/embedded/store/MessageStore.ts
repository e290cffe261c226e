import type { Long } from "../../protocol/Long.ts"
import type { MessageInner, StoredEntry } from "./StoredMessage.ts"
import * as StoredMessage from "./StoredMessage.ts"

/** The offsets of a queue: `min` is the first that can be read, `max` the one the next message gets. */
export interface QueueOffsets {
  /** The first that can be read. */
  readonly min: number
  /** The one that the next message gets. */
  readonly max: number
}

/** What one key query asks; times in milliseconds, both inclusive. */
export interface IndexQuery {
  /** The topic. */
  readonly topic: string
  /** What the index has it under, without the type. */
  readonly key: string
  /** `U` unique id, `K` business key, `T` tag; all but tags when absent. */
  readonly indexType?: string | undefined
  /** At most so many, the newest first. */
  readonly maxNum: number
  /** Stored then or later, in milliseconds since the epoch. */
  readonly begin: number
  /** Stored then or earlier, in milliseconds since the epoch. */
  readonly end: number
}

/** One broker's log with its queues and its key index, in memory. Source: RocketMQ `DefaultMessageStore`. */
export interface MessageStore {
  /** Appends messages, gives each its offsets, and tells the listeners once all are readable. */
  readonly append: (messages: ReadonlyArray<MessageInner>) => ReadonlyArray<StoredEntry>
  /** The offsets of a queue; both 0 for one that never had a message. */
  readonly offsets: (topic: string, queueId: number) => QueueOffsets
  /** The message at an offset; undefined outside of what can be read. */
  readonly read: (topic: string, queueId: number, offset: Long) => StoredEntry | undefined
  /** The message that begins at a position in the log; undefined when none does. */
  readonly byPhysicalOffset: (offset: Long) => StoredEntry | undefined
  /**
   * The queue offset that belongs to a time. LOWER: the first message stored at or after it, the end when none is.
   * UPPER: the last one stored at or before it, 0 when none is. NEAREST, as before 5.0: the one whose time is nearest, the
   * first that halving the queue comes upon among those of exactly this time.
   */
  readonly offsetByTime: (
    topic: string,
    queueId: number,
    timestamp: Long,
    boundary: "LOWER" | "UPPER" | "NEAREST"
  ) => number
  /** What the key index finds. */
  readonly query: (query: IndexQuery) => ReadonlyArray<StoredEntry>
  /** Every message of a topic that can still be read, in the order it was stored. */
  readonly entries: (topic: string) => ReadonlyArray<StoredEntry>
  /** The topics that have queues. */
  readonly topics: () => ReadonlyArray<string>
  /** Whether the queue ever had a message. */
  readonly hasQueue: (topic: string, queueId: number) => boolean
  /** Removes the queues of which every message is forgotten: the next one gets offset 0 again. Those that wait keep theirs. */
  readonly dropExpiredQueues: () => void
  /** Removes a topic's queues with what is in them. */
  readonly deleteTopic: (topic: string) => void
  /** Forgets what lies before an offset of a queue, as a broker's cleaning of old files does. */
  readonly trim: (topic: string, queueId: number, offset: number) => void
  /** Called with every batch of appended entries; returns the way to stop that. */
  readonly subscribe: (listener: (entries: ReadonlyArray<StoredEntry>) => void) => () => void
  /** Totals over all queues. */
  readonly stats: () => {
    readonly messages: number
    readonly bytes: number
    /** Where the next message goes. */
    readonly maxPhysicalOffset: number
    /** Messages ever appended. */
    readonly puts: number
    /** Milliseconds since the epoch of the last append, 0 before it. */
    readonly lastPut: number
  }
}

/** A list that also loses elements at its front cheaply. */
interface Run {
  items: Array<StoredEntry>
  head: number
}

interface StoreQueue extends Run {
  /** Queue offset of the element at `head`. */
  min: number
}

const dropFirst = (run: Run): void => {
  run.head += 1
  if (run.head > 1024 && run.head * 2 > run.items.length) {
    run.items = run.items.slice(run.head)
    run.head = 0
  }
}

const size = (run: Run): number => run.items.length - run.head

/** The first position in `head..length` for which `after` holds; the length when none does. */
const search = (run: Run, after: (entry: StoredEntry) => boolean): number => {
  let low = run.head
  let high = run.items.length
  while (low < high) {
    const middle = (low + high) >>> 1
    const entry = run.items[middle]
    if (entry !== undefined && after(entry)) high = middle
    else low = middle + 1
  }
  return low
}

/** Source: RocketMQ 4.9 `ConsumeQueue.getOffsetInQueueByTime`. */
const nearest = (run: Run, timestamp: Long): number => {
  const distance = (entry: StoredEntry): number => Math.abs(entry.storeTimestamp - Number(timestamp))
  let low = run.head
  let high = run.items.length - 1
  while (low <= high) {
    const middle = (low + high) >>> 1
    const time = run.items[middle]?.storeTimestamp
    if (time === timestamp) return middle
    if (time !== undefined && time > timestamp) high = middle - 1
    else low = middle + 1
  }
  // Nothing of this time: what is younger begins at `low`.
  const before = high < run.head ? undefined : run.items[high]
  const after = run.items[low]
  if (before === undefined || after === undefined) return before === undefined ? low : high
  return distance(before) > distance(after) ? low : high
}

/**
 * Builds an empty store.
 *
 * `maxBytes` bounds what is kept (default 512 MiB): past it the oldest messages are forgotten and the minimum offsets
 * of their queues grow, as on a broker whose disk is cleaned.
 */
export const make = (options?: { readonly maxBytes?: number | undefined }): MessageStore => {
  const maxBytes = options?.maxBytes ?? 512 * 1024 * 1024
  const log: Run = { items: [], head: 0 }
  const topics = new Map<string, Map<number, StoreQueue>>()
  const index = new Map<string, Run>()
  const listeners = new Set<(entries: ReadonlyArray<StoredEntry>) => void>()
  let end = 0
  let bytes = 0
  let puts = 0
  let lastPut = 0
  /** Entries that are in their queues; the log may have more. */
  let live = 0

  const queueOf = (topic: string, queueId: number): StoreQueue | undefined => topics.get(topic)?.get(queueId)

  const queueFor = (topic: string, queueId: number): StoreQueue => {
    let queues = topics.get(topic)
    if (queues === undefined) topics.set(topic, (queues = new Map()))
    let queue = queues.get(queueId)
    if (queue === undefined) queues.set(queueId, (queue = { items: [], head: 0, min: 0 }))
    return queue
  }

  const unindex = (entry: StoredEntry): void => {
    for (const key of entry.indexKeys) {
      const name = `${entry.topic}#${key}`
      const found = index.get(name)
      if (found === undefined) continue
      // What is forgotten is nearly always the oldest; a tag may have every message of the store behind it.
      if (found.items[found.head] === entry) dropFirst(found)
      else found.items = found.items.filter((other) => other !== entry)
      if (size(found) === 0) index.delete(name)
    }
  }

  const forget = (entry: StoredEntry): void => {
    bytes -= entry.bytes.length
    live -= 1
    unindex(entry)
  }

  /** Whether an entry of the log is out of its queue, so that nobody can read it any more. */
  const isGone = (entry: StoredEntry): boolean => {
    const queue = queueOf(entry.topic, entry.queueId)
    return queue === undefined || entry.queueOffset < queue.min
  }

  /** Lets go of what is out of its queue: at the front at once, elsewhere when it is the larger part of the log. */
  const dropGone = (): void => {
    for (let oldest = log.items[log.head]; oldest !== undefined && isGone(oldest); oldest = log.items[log.head]) {
      dropFirst(log)
    }
    if (size(log) <= 2 * live + 1_024) return
    log.items = log.items.slice(log.head).filter((entry) => !isGone(entry))
    log.head = 0
  }

  const evict = (): void => {
    // The newest message stays, however large it is.
    while (size(log) > 1) {
      const oldest = log.items[log.head]
      if (bytes <= maxBytes || oldest === undefined) return
      dropFirst(log)
      const queue = queueOf(oldest.topic, oldest.queueId)
      // A message whose topic was deleted or whose queue was trimmed is out of its queue already.
      if (queue !== undefined && queue.items[queue.head] === oldest) {
        dropFirst(queue)
        queue.min += 1
        forget(oldest)
      }
    }
  }

  const appendOne = (message: MessageInner): StoredEntry => {
    const queue = queueFor(message.topic, message.queueId)
    const queueOffset = queue.min + size(queue)
    const encoded = StoredMessage.encode(message, queueOffset, end)
    const entry: StoredEntry = {
      topic: message.topic,
      queueId: message.queueId,
      queueOffset,
      physicalOffset: end,
      storeTimestamp: message.storeTimestamp,
      tagsCode: StoredMessage.tagsCode(message.properties),
      indexKeys: StoredMessage.indexKeys(message.properties),
      bytes: encoded
    }
    end += encoded.length
    bytes += encoded.length
    puts += 1
    live += 1
    lastPut = message.storeTimestamp
    queue.items.push(entry)
    log.items.push(entry)
    for (const key of entry.indexKeys) {
      const name = `${entry.topic}#${key}`
      const found = index.get(name)
      if (found === undefined) index.set(name, { items: [entry], head: 0 })
      else found.items.push(entry)
    }
    return entry
  }

  const matching = (query: IndexQuery): ReadonlyArray<StoredEntry> => {
    const of = (type: string): ReadonlyArray<StoredEntry> => {
      const found = index.get(`${query.topic}#${type}#${query.key}`)
      return found === undefined ? [] : found.items.slice(found.head)
    }
    if (query.indexType !== undefined && query.indexType !== "") return of(query.indexType)
    const both = [...of("U"), ...of("K")]
    return [...new Set(both)].toSorted((a, b) => a.physicalOffset - b.physicalOffset)
  }

  return {
    append: (messages) => {
      const entries = messages.map(appendOne)
      evict()
      for (const listener of listeners) listener(entries)
      return entries
    },
    offsets: (topic, queueId) => {
      const queue = queueOf(topic, queueId)
      return queue === undefined ? { min: 0, max: 0 } : { min: queue.min, max: queue.min + size(queue) }
    },
    read: (topic, queueId, offset) => {
      const queue = queueOf(topic, queueId)
      if (queue === undefined || offset < queue.min) return undefined
      return queue.items[queue.head + (Number(offset) - queue.min)]
    },
    byPhysicalOffset: (offset) => {
      const entry = log.items[search(log, (candidate) => candidate.physicalOffset >= offset)]
      return entry?.physicalOffset === offset && !isGone(entry) ? entry : undefined
    },
    offsetByTime: (topic, queueId, timestamp, boundary) => {
      const queue = queueOf(topic, queueId)
      if (queue === undefined) return 0
      if (boundary === "NEAREST")
        return size(queue) === 0 ? queue.min : queue.min + nearest(queue, timestamp) - queue.head
      if (boundary === "LOWER") {
        return queue.min + search(queue, (entry) => entry.storeTimestamp >= timestamp) - queue.head
      }
      const after = search(queue, (entry) => entry.storeTimestamp > timestamp)
      return after === queue.head ? 0 : queue.min + after - queue.head - 1
    },
    query: (query) => {
      const found: Array<StoredEntry> = []
      const candidates = matching(query)
      for (let i = candidates.length - 1; i >= 0 && found.length < query.maxNum; i--) {
        const entry = candidates[i]
        if (entry !== undefined && entry.storeTimestamp >= query.begin && entry.storeTimestamp <= query.end) {
          found.push(entry)
        }
      }
      return found
    },
    entries: (topic) => {
      const all: Array<StoredEntry> = []
      for (const queue of topics.get(topic)?.values() ?? []) {
        for (let i = queue.head; i < queue.items.length; i++) {
          const entry = queue.items[i]
          if (entry !== undefined) all.push(entry)
        }
      }
      return all.toSorted((a, b) => a.physicalOffset - b.physicalOffset)
    },
    topics: () => [...topics.keys()],
    hasQueue: (topic, queueId) => queueOf(topic, queueId) !== undefined,
    dropExpiredQueues: () => {
      for (const [topic, queues] of topics) {
        if (topic === "SCHEDULE_TOPIC_XXXX") continue
        for (const [queueId, queue] of queues) if (size(queue) === 0) queues.delete(queueId)
      }
    },
    deleteTopic: (topic) => {
      for (const queue of topics.get(topic)?.values() ?? []) {
        for (const entry of queue.items.slice(queue.head)) forget(entry)
      }
      topics.delete(topic)
      log.items = log.items.slice(log.head).filter((entry) => entry.topic !== topic)
      log.head = 0
    },
    trim: (topic, queueId, offset) => {
      const queue = queueOf(topic, queueId)
      if (queue === undefined) return
      while (queue.min < offset && size(queue) > 0) {
        const entry = queue.items[queue.head]
        dropFirst(queue)
        queue.min += 1
        if (entry !== undefined) forget(entry)
      }
      dropGone()
    },
    subscribe: (listener) => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    },
    stats: () => ({ messages: live, bytes, maxPhysicalOffset: end, puts, lastPut })
  }
}
