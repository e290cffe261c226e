import * as ForeignText from "../../message/ForeignText.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import * as Millis from "../../message/Millis.ts"
import type { SubscriptionData } from "../../protocol/HeartbeatData.ts"
import type { ConsumerRunningInfo, ConsumeStatus, ProcessQueueInfo } from "../../protocol/push/ConsumerRunningInfo.ts"
import type { ProcessQueue } from "../queue/ProcessQueue.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"

/** A handler that runs: what it has in hand, and since when by the monotonic clock. */
export interface RunningHandler {
  readonly received: ReadonlyArray<{ readonly message: ReceivedMessage }>
  readonly since: number
}

/** Where what a consumer says of itself comes from. */
export interface RunningInfoSources {
  /** The configuration in Java's words; values that are no text, number or boolean are left out. */
  readonly properties: Readonly<Record<string, unknown>>
  /** Milliseconds since the epoch at which the consumer was started. */
  readonly startedAt: number
  readonly concurrency: number
  /** Whether queues are consumed in order. */
  readonly isOrderly: boolean
  readonly subscriptions: Iterable<SubscriptionData>
  readonly queues: ReadonlyArray<ProcessQueue<ReceivedMessage>>
  readonly status: (topic: string) => ConsumeStatus
  readonly handlers: () => ReadonlyArray<RunningHandler>
  /** The monotonic clock, and the time since the epoch, in milliseconds. */
  readonly now: () => number
  readonly nowMillis: () => number
}

const MIB = 1024 * 1024
/** Handlers of which one is told each. */
const MAX_HANDLERS = 100

const queueInfo = (
  queue: ProcessQueue<ReceivedMessage>,
  timeOf: (at: number | undefined) => number,
  now: number
): ProcessQueueInfo => {
  const { cachedBytes, cachedCount, consumeOffset, lastConsumeAt, lastPullAt, newestOffset, oldestOffset } = queue
  return {
    commitOffset: consumeOffset ?? -1,
    cachedMsgMinOffset: oldestOffset ?? 0,
    cachedMsgMaxOffset: newestOffset ?? 0,
    cachedMsgCount: cachedCount,
    cachedMsgSizeInMiB: Math.floor(cachedBytes / MIB),
    transactionMsgMinOffset: 0,
    transactionMsgMaxOffset: 0,
    transactionMsgCount: 0,
    locked: queue.needsLock && queue.holdsLock(now),
    // A queue that is given up is not among those that are owned, however long its unlock takes.
    tryUnlockTimes: 0,
    lastLockTimestamp: timeOf(queue.lockedAt ?? queue.takenAt),
    droped: queue.dropped || queue.revoking,
    lastPullTimestamp: timeOf(lastPullAt ?? queue.takenAt),
    lastConsumeTimestamp: timeOf(lastConsumeAt ?? queue.takenAt)
  }
}

/** What stands in place of stacks, which fibers have none of: what each handler has in hand, the longest first. */
const stacks = (handlers: ReadonlyArray<RunningHandler>, concurrency: number, now: number): string => {
  const longest = handlers.toSorted((a, b) => a.since - b.since)
  const lines = longest.slice(0, MAX_HANDLERS).flatMap(({ received, since }) => {
    const [first] = received
    if (first === undefined) return []
    const { attempt, msgId, queue, queueOffset } = first.message
    const more = received.length === 1 ? "" : ` and ${received.length - 1} more`
    return [
      `running for ${Millis.text(now - since)}: message ${ForeignText.clean(msgId)}${more} of ${MessageQueue.key(queue)}, offset ${queueOffset}, attempt ${attempt}`
    ]
  })
  const untold = longest.length - lines.length
  return [
    `${handlers.length} of ${concurrency} handlers run. They are fibers of one JavaScript thread, of which there are no stacks.`,
    ...lines,
    ...(untold > 0 ? [`and ${untold} more`] : []),
    ""
  ].join("\n")
}

/**
 * Everything that `mqadmin consumerStatus` and the dashboard show of a consumer. Where a queue has not been pulled or
 * consumed yet, the time is the one at which it was taken, as in Java: tools tell a stuck queue by it.
 *
 * Source: RocketMQ `DefaultMQPushConsumerImpl.consumerRunningInfo`, `ProcessQueue.fillProcessQueueInfo`.
 */
export const make = (sources: RunningInfoSources, jstack: boolean): ConsumerRunningInfo => {
  const now = sources.now()
  const nowMillis = sources.nowMillis()
  const timeOf = (at: number | undefined) => (at === undefined ? 0 : Math.round(nowMillis - (now - at)))
  const subscriptionSet = [...sources.subscriptions].toSorted((a, b) => (a.topic < b.topic ? -1 : 1))
  const properties = Object.entries(sources.properties).flatMap(([name, value]): ReadonlyArray<[string, string]> =>
    typeof value === "string" || typeof value === "number" || typeof value === "boolean" ? [[name, String(value)]] : []
  )
  return {
    properties: new Map([
      ...properties,
      ["PROP_CONSUMEORDERLY", String(sources.isOrderly)],
      ["PROP_THREADPOOL_CORE_SIZE", String(sources.concurrency)],
      ["PROP_CONSUMER_START_TIMESTAMP", String(sources.startedAt)]
    ]),
    subscriptionSet,
    mqTable: sources.queues.map((queue) => [queue.messageQueue, queueInfo(queue, timeOf, now)]),
    mqPopTable: [],
    statusTable: new Map(subscriptionSet.map(({ topic }) => [topic, sources.status(topic)])),
    userConsumerInfo: new Map(),
    jstack: jstack ? stacks(sources.handlers(), sources.concurrency, now) : undefined
  }
}
