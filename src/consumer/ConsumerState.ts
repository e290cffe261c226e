import type { InstanceState } from "../client/InstanceState.ts"
import type { ServiceState } from "../client/ServiceState.ts"
import type { StepRecord } from "../client/StartStep.ts"
import type { TraceState } from "../client/telemetry/TraceDispatcher.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type { ConsumerCounters } from "./ConsumerCounters.ts"
import type { DrainReport, OwnedQueue } from "./run/RunOptions.ts"
import { LOCK_MAX_LIVE_MILLIS, type QueueMove, type QueuePhase } from "./queue/ProcessQueue.ts"
import type { ConsumeHookCounters } from "./telemetry/Hooks.ts"

/** One queue that a consumer owns. */
export interface QueueState {
  /** The queue. */
  readonly queue: MessageQueue
  /** Which time this is that the consumer owns a queue; a queue that comes back has a higher one. */
  readonly generation: number
  /** What is done with it: it is pulled, or why not. */
  readonly phase: QueuePhase
  /** Where the next pull begins; undefined while it is not known where the queue begins. */
  readonly nextOffset: number | undefined
  /** The smallest offset that is not finished; undefined while it is not known where the queue begins. */
  readonly consumeOffset: number | undefined
  /**
   * What may be written as the group's offset: `consumeOffset`, and for a lite pull consumer what was committed by `commit`
   * or by a poll. Undefined while nothing may.
   */
  readonly committableOffset: number | undefined
  /** What was last written as the group's offset; undefined before the first write. */
  readonly committedOffset: number | undefined
  /** The offset that the queue's next message will get, by the last answer; undefined before the first. */
  readonly maxOffset: number | undefined
  /** Messages from `consumeOffset` to `maxOffset`; undefined while either is. */
  readonly lag: number | undefined
  /** Messages that were pulled and are not finished. */
  readonly cached: number
  /** Bytes of their bodies. */
  readonly cachedBytes: number
  /** Handlers that run with messages of it. */
  readonly running: number
  /** Milliseconds since the oldest of them came; undefined when there is none. */
  readonly oldestAge: number | undefined
  /** Milliseconds since its last pull began; undefined before the first. */
  readonly lastPullAge: number | undefined
  /**
   * When its lock is not believed any more, in milliseconds since the epoch; it is renewed every 20 s. Undefined without a
   * lock, and where queues are not consumed in order.
   */
  readonly lockedUntil: number | undefined
  /** When it was last read on elsewhere than where it was, from where, to where and who said so; undefined: never while owned. */
  readonly lastMove: QueueMove | undefined
  /** What the last failed pull or look-up said; undefined when the last one worked. */
  readonly lastFailure: string | undefined
}

/**
 * Something that keeps a consumer from doing all it should; it goes when it is over. What has happened rather than lasts is shown
 * for ten minutes after the last time: `unreadable topic@broker-a@0`, a message whose body cannot be unpacked and was given
 * back, and `moved topic@broker-a@0`, a broker that has lost messages. What is about a queue goes when the queue changes hands.
 */
export interface ConsumerProblem {
  /** What it is about: `pull topic@broker-a@0`, `topic orders`, `persist topic@broker-a@0`. */
  readonly key: string
  /** What is wrong, as a sentence. */
  readonly text: string
  /** Since when, in milliseconds since the epoch. */
  readonly since: number
}

/** Everything there is to see of a consumer, in one value that can be printed as JSON. */
export interface ConsumerState {
  /** The consumer group. */
  readonly consumerGroup: string
  /** Where the consumer stands. */
  readonly serviceState: ServiceState
  /** The steps of its start, in the order in which they ended. */
  readonly steps: ReadonlyArray<StepRecord>
  /** The client ids of the group's members, sorted, by the last answer of a broker, made printable. */
  readonly members: ReadonlyArray<string>
  /** When queues were last taken or given up, in milliseconds since the epoch; undefined before. */
  readonly lastRebalance: number | undefined
  /** The queues that it owns, sorted. */
  readonly queues: ReadonlyArray<QueueState>
  /** Handlers that run now. */
  readonly running: number
  /** How many may run at once now. */
  readonly concurrency: number
  /** Whether it was suspended. */
  readonly suspended: boolean
  /** What it has counted since its start. */
  readonly counters: Readonly<ConsumerCounters>
  /** What became of the runs of hooks. */
  readonly hooks: ConsumeHookCounters
  /** What became of the message traces; undefined unless `enableTrace` is set, and before the start. */
  readonly trace: TraceState | undefined
  /** What is wrong now; empty when all is well. */
  readonly problems: ReadonlyArray<ConsumerProblem>
  /** Why it does not compare what the members of its group subscribe to: the server refuses to ask them. Undefined when it does. */
  readonly comparisonRefused: string | undefined
  /** What its last shutdown left; undefined before. */
  readonly lastDrain: DrainReport | undefined
  /** The client instance under it; undefined unless it is RUNNING. */
  readonly instance: InstanceState | undefined
}

const viewOf = (queue: OwnedQueue, running: number, now: number, nowMillis: number): QueueState => ({
  queue: queue.messageQueue,
  generation: queue.generation,
  phase: queue.phase,
  nextOffset: queue.consumeOffset === undefined ? undefined : queue.nextOffset,
  consumeOffset: queue.consumeOffset,
  committableOffset: queue.committableOffset,
  committedOffset: queue.committedOffset,
  maxOffset: queue.maxOffset,
  lag: queue.lag,
  cached: queue.cachedCount,
  cachedBytes: queue.cachedBytes,
  running,
  oldestAge: queue.oldestSince === undefined ? undefined : Math.round(now - queue.oldestSince),
  lastPullAge: queue.lastPullAt === undefined ? undefined : Math.round(now - queue.lastPullAt),
  lockedUntil:
    queue.lockedAt === undefined ? undefined : Math.round(nowMillis + queue.lockedAt + LOCK_MAX_LIVE_MILLIS - now),
  lastMove: queue.movedBy,
  lastFailure: queue.lastFailure
})

/** Queues as the state shows them; `jobs` is what the handlers that run have in hand, `now` the monotonic clock, `nowMillis` the time since the epoch. */
export const viewsOf = (
  queues: ReadonlyArray<OwnedQueue>,
  jobs: ReadonlyArray<{ readonly received: ReadonlyArray<{ readonly queue: unknown }> }>,
  now: number,
  nowMillis: number
): ReadonlyArray<QueueState> => {
  const running = new Map<unknown, number>()
  for (const { received } of jobs) {
    const queue = received[0]?.queue
    running.set(queue, (running.get(queue) ?? 0) + 1)
  }
  return queues.map((queue) => viewOf(queue, running.get(queue) ?? 0, now, nowMillis))
}
