import { Effect } from "effect"
import { MQAdmin, type MQAdminShape } from "../admin/MQAdmin.ts"
import { type QueueRange, readInOrder, type ReadMessage } from "../admin/QueueReader.ts"
import * as MessageQueues from "../message/MessageQueue.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import * as NameList from "../message/NameList.ts"
import { NotThere } from "./Failure.ts"

/** Where to begin in each queue: at the oldest message, at an offset, or so that the newest messages come. */
export type ReadFrom = "earliest" | "latest" | number

/** Which messages of a topic are wanted. */
export interface ReadFilter {
  /** Stored at this time or later, in milliseconds since the epoch. */
  readonly since?: number | undefined
  /** Stored at this time or earlier. */
  readonly until?: number | undefined
  /** With this tag. */
  readonly tag?: string | undefined
  /** With this key. */
  readonly key?: string | undefined
}

/** What is read of a topic. */
export interface ReadQuery extends ReadFilter {
  readonly topic: string
  /** `3` on every broker, or `broker-a:3`; every queue when absent. */
  readonly queue?: string | undefined
  readonly offset: ReadFrom
  /** How many messages at most, all queues together. */
  readonly count: number
}

/** Queues that are asked for their ends at once. */
const QUEUES_AT_ONCE = 8
/** How much further back is looked for the newest messages, each time that too few pass the filter. */
const GROWTH = 8
/** How often it is looked for new messages, in milliseconds, and every how many times for new queues. */
const LOOK_MILLIS = 500
const ROUTE_EVERY = 20
/** So many looks in a row may fail, half a minute; a broker that restarts is back by then. */
const MAX_FAILURES = 60

const isFiltered = ({ key, since, tag, until }: ReadFilter): boolean =>
  [key, since, tag, until].some((wanted) => wanted !== undefined)

/** Whether a message is wanted. */
const passes = (
  { message: { keys, storeTimestamp, tags } }: ReadMessage,
  { key, since = -Infinity, tag, until = Infinity }: ReadFilter
): boolean =>
  storeTimestamp >= since &&
  storeTimestamp <= until &&
  (tag === undefined || tags === tag) &&
  (key === undefined || keys.includes(key))

/** The queues that `3` or `broker-a:3` names; all of them when absent. */
export const selected = (
  queues: ReadonlyArray<MessageQueue>,
  wanted: string | undefined
): ReadonlyArray<MessageQueue> => {
  if (wanted === undefined) return queues
  const colon = wanted.lastIndexOf(":")
  const id = Number(wanted.slice(colon + 1))
  const brokerName = colon < 0 ? undefined : wanted.slice(0, colon)
  return queues.filter((q) => q.queueId === id && (brokerName === undefined || q.brokerName === brokerName))
}

/** The queues of a topic that can be read; one that was named has to be there. */
export const selectQueues = Effect.fnUntraced(function* ({ queue, topic }: Pick<ReadQuery, "queue" | "topic">) {
  const admin = yield* MQAdmin
  const all = yield* admin.fetchSubscribeMessageQueues(topic)
  const queues = selected(all, queue)
  if (queues.length === 0 && queue !== undefined) {
    return yield* new NotThere({
      problem: `Topic "${topic}" has no readable queue ${queue}.`,
      remedy: `It has ${NameList.text(all.map((q) => `${q.brokerName}:${q.queueId}`))}.`
    })
  }
  return queues
})

/** Where in a queue to begin. */
const startOf = (admin: MQAdminShape, queue: MessageQueue, { offset, since }: ReadQuery) =>
  since !== undefined
    ? // Brokers before 5.0 give the nearest message, and any of several of one time; the one before is never too late.
      admin.searchOffset(queue, Math.max(0, since - 1))
    : typeof offset === "number"
      ? Effect.succeed(offset)
      : admin.minOffset(queue)

/** The newest messages that pass, oldest first: ever longer ends of the queues are read until there are enough of each. */
const newestOf = Effect.fnUntraced(function* (
  admin: MQAdminShape,
  queues: ReadonlyArray<MessageQueue>,
  query: ReadQuery
) {
  const ends = yield* Effect.forEach(
    queues,
    (queue) =>
      Effect.map(Effect.all([admin.minOffset(queue), admin.maxOffset(queue)]), ([least, to]) => ({ queue, least, to })),
    { concurrency: QUEUES_AT_ONCE }
  )
  for (let length = query.count; ; length *= GROWTH) {
    // The newest of all queues are among the newest of each; what is older falls off the front.
    const ranges = ends.map(({ least, queue, to }): QueueRange => ({ queue, from: Math.max(least, to - length), to }))
    const newest: Array<ReadMessage> = []
    const found = new Map<string, number>()
    yield* readInOrder(admin, ranges, length, (read) =>
      Effect.sync(() => {
        if (!passes(read, query)) return true
        const key = MessageQueues.key(read.queue)
        found.set(key, (found.get(key) ?? 0) + 1)
        newest.push(read)
        if (newest.length > query.count) newest.shift()
        return true
      })
    )
    const isEnough = ends.every(
      ({ least, queue, to }) =>
        to - length <= least || !isFiltered(query) || (found.get(MessageQueues.key(queue)) ?? 0) >= query.count
    )
    if (isEnough) return newest
  }
})

/**
 * Reads the messages of a topic that are wanted, without consuming them, in the order in which they were stored, and hands
 * them over one by one, each unpacked when its turn has come unless it is wanted as it is stored. What is stored meanwhile does
 * not come; false ends it.
 */
export const read = Effect.fnUntraced(function* <E, R>(
  query: ReadQuery,
  emit: (read: ReadMessage) => Effect.Effect<boolean | void, E, R>,
  bodies: "stored" | "unpacked" = "unpacked"
) {
  const admin = yield* MQAdmin
  const show = ({ message, queue }: ReadMessage) =>
    Effect.flatMap(bodies === "stored" ? Effect.succeed(message) : admin.unpack(message), (one) =>
      emit({ queue, message: one })
    )
  const queues = yield* selectQueues(query)
  if (query.offset === "latest" && query.since === undefined) {
    const newest = yield* newestOf(admin, queues, query)
    yield* Effect.forEach(newest, show, { discard: true })
    return
  }
  const ranges = yield* Effect.forEach(
    queues,
    (queue) =>
      Effect.map(Effect.all([startOf(admin, queue, query), admin.maxOffset(queue)]), ([from, to]): QueueRange => ({
        queue,
        from,
        to
      })),
    { concurrency: QUEUES_AT_ONCE }
  )
  let shown = 0
  yield* readInOrder(admin, ranges, isFiltered(query) ? Infinity : query.count, (one) => {
    // In the order of their store times: none that follows is in time.
    if (one.message.storeTimestamp > (query.until ?? Infinity)) return Effect.succeed(false)
    return passes(one, query)
      ? Effect.map(show(one), (more) => ++shown < query.count && more !== false)
      : Effect.succeed(true)
  })
})

/**
 * {@link read}, and goes on with what is stored from then on, until there are enough; with `latest`, only that. Queues that are
 * new are read from their beginning. Brokers may be away for half a minute.
 */
export const follow = Effect.fnUntraced(function* <E, R>(
  query: ReadQuery,
  emit: (read: ReadMessage) => Effect.Effect<void, E, R>
) {
  const admin = yield* MQAdmin
  const isTail = query.offset === "latest" && query.since === undefined
  /** Where each queue is read on. */
  const positions = new Map<string, number>()
  let queues: ReadonlyArray<MessageQueue> = []
  let looks = 0
  let shown = 0

  const rangeOf = Effect.fnUntraced(function* (queue: MessageQueue, isFirst: boolean) {
    const key = MessageQueues.key(queue)
    const to = yield* admin.maxOffset(queue)
    const known = positions.get(key)
    const from =
      known ?? (isFirst ? (isTail ? to : yield* startOf(admin, queue, query)) : yield* admin.minOffset(queue))
    if (known === undefined) positions.set(key, from)
    return { queue, from, to } satisfies QueueRange
  })

  const look = Effect.gen(function* () {
    const isFirst = looks === 0
    if (looks % ROUTE_EVERY === 0) queues = yield* selectQueues(query)
    const ranges = yield* Effect.forEach(queues, (queue) => rangeOf(queue, isFirst), { concurrency: QUEUES_AT_ONCE })
    yield* readInOrder(admin, ranges, Infinity, (one) => {
      const done = Effect.sync(() => {
        positions.set(MessageQueues.key(one.queue), one.message.queueOffset + 1)
        return shown < query.count
      })
      if (!passes(one, query)) return done
      return Effect.flatMap(admin.unpack(one.message), (message) => {
        shown++
        return Effect.andThen(emit({ queue: one.queue, message }), done)
      })
    })
    if (shown >= query.count) return true
    // An end that no message stands at is passed as well.
    for (const { queue, to } of ranges) {
      const key = MessageQueues.key(queue)
      positions.set(key, Math.max(to, positions.get(key) ?? 0))
    }
    looks++
    return false
  })

  let failures = 0
  for (;;) {
    const isOver = yield* look.pipe(
      Effect.tap(() => Effect.sync(() => (failures = 0))),
      Effect.catchTag("AdminError", (error) =>
        looks === 0 || ++failures > MAX_FAILURES ? Effect.fail(error) : Effect.succeed(false)
      )
    )
    if (isOver) return
    yield* Effect.sleep(LOOK_MILLIS)
  }
})
