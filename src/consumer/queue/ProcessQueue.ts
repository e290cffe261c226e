import * as MessageQueues from "../../message/MessageQueue.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import { Position } from "./Position.ts"
import type { TopicStats } from "./TopicStats.ts"

/** Where a queue that is owned stands: it is pulled, or there is one reason why not. */
export type QueuePhase =
  /** Its start offset is being looked up. */
  | "locating"
  /** It is consumed in order, and the broker's lock is being asked for. */
  | "locking"
  /** A pull is under way. */
  | "pulling"
  /** The next pull waits: `pullInterval`, or the pause after a failure. */
  | "waiting"
  /** Enough of it is cached, by count, by bytes or by the span of offsets; or in all queues together. */
  | "full"
  /** The user has paused it, or suspended the consumer. */
  | "suspended"
  /** Its pulls or its offset look-ups fail; see `lastFailure`. */
  | "failing"
  /** It is being given up. */
  | "revoking"

/** A lock that was not renewed for so long is not believed any more (Java `rocketmq.client.rebalance.lockMaxLiveTime`). */
export const LOCK_MAX_LIVE_MILLIS = 30_000

/** That a queue is read on elsewhere than where it was. */
export interface QueueMove {
  /** Where it was; undefined while it was not known where the queue begins. */
  readonly from: number | undefined
  /** Where it is read on. */
  readonly to: number
  /** When that was, in milliseconds since the epoch. */
  readonly at: number
  /**
   * Who said so: the broker, which does not have the offset that was asked for, somebody who has reset the group, or the
   * program itself.
   */
  readonly by: "broker" | "reset" | "seek"
}

/** A position that a pull carries. */
export interface CarriedPosition {
  readonly offset: number
  /** The address of the broker that was asked. */
  readonly address: string
  /** When it left, in milliseconds of the monotonic clock. */
  readonly at: number
}

/** A message that was taken over, and what belongs to it. */
export interface Slot<M> {
  /** The message; tried again in this process, it says how often. */
  message: M
  /** The queue that it was read from. */
  readonly queue: ProcessQueue<M>
  /** Its place in the queue's {@link Position}. */
  readonly slot: number
  /** Bytes that it counts for in the cache. */
  readonly bytes: number
  /** How often it was given to a handler in this process; 0 before the first time. */
  deliveries: number
}

/** What all queues of a consumer have cached together. */
export interface CacheTotals {
  /** Messages. */
  count: number
  /** Bytes of their bodies. */
  bytes: number
}

/**
 * The messages of one queue that were pulled and are not finished, in one generation of owning it.
 *
 * Its counters are the sum of what is in it, whatever is done in whatever order. What belongs to a generation that is over
 * is dropped wherever it turns up: {@link ProcessQueue.dropped} says so.
 *
 * Source: RocketMQ `ProcessQueue`.
 */
export class ProcessQueue<M> {
  readonly messageQueue: MessageQueue
  /** `topic@broker@id`, for log lines. */
  readonly name: string
  /** A number that the queue gets each time it is taken, higher than any before. */
  readonly generation: number
  /** When it was taken, in milliseconds of the monotonic clock. */
  readonly takenAt: number
  /** How fast the queue's topic is pulled and consumed. */
  readonly stats: TopicStats
  private readonly position = new Position(0)
  private located = false
  private marked: number | undefined = undefined
  private waitingCount = 0
  private count = 0
  private size = 0
  /** Whether only what {@link ProcessQueue.mark} says is committed, and not every position: what was handed out may not be done. */
  marksOnly = false
  /** Where the next pull begins; it means nothing before {@link ProcessQueue.locate}. */
  nextOffset = 0
  /** The next offset that the queue will get, as the last answer said; undefined before the first. */
  maxOffset: number | undefined = undefined
  /** What the group's offset is as far as is known: the last one that the store acknowledged, or that a pull carried there. */
  committedOffset: number | undefined = undefined
  /** What the store itself has read or acknowledged last: from here on a position is written again, whatever pulls carry. */
  storedOffset: number | undefined = undefined
  /**
   * Whether its position is being written by a request of its own. Pulls carry none meanwhile: one that is greater and
   * overtakes the write would be put back by it.
   */
  writing = false
  /** The position that the last pull carried; undefined once the pull is answered. A broker may take it behind a later write. */
  carried: CarriedPosition | undefined = undefined
  phase: QueuePhase = "locating"
  /** Whether this generation is over; see {@link ProcessQueue.drop}. */
  dropped = false
  /** Whether it is being given up: no pull and no handler begins, what runs still counts. */
  revoking = false
  /** Milliseconds of the monotonic clock at which the last pull began and at which a handler last finished a message. */
  lastPullAt: number | undefined = undefined
  lastConsumeAt: number | undefined = undefined
  /** Why it was taken anew; undefined for one that came by a rebalance. */
  movedBy: QueueMove | undefined = undefined
  /** What the last failed pull or look-up said; undefined after one that worked. */
  lastFailure: string | undefined = undefined
  /** Whether its messages may be handled only while the broker's lock is held: it is consumed in order. */
  needsLock = false
  /** Whether the lock was ever asked for: it may be held then, whatever was answered. */
  lockAsked = false
  /** When the lock was last asked for that was granted, in milliseconds of the monotonic clock; undefined without a lock. */
  lockedAt: number | undefined = undefined
  /** The broker that the last answer suggested to pull from; 0 is the master. */
  suggestedBrokerId = 0

  private readonly totals: CacheTotals
  private readonly onFinished: (queue: ProcessQueue<M>) => void

  /** `onFinished` is called whenever a message of it was finished: there may be room then. */
  constructor(
    messageQueue: MessageQueue,
    generation: number,
    takenAt: number,
    stats: TopicStats,
    totals: CacheTotals,
    onFinished: (queue: ProcessQueue<M>) => void
  ) {
    this.messageQueue = messageQueue
    this.name = MessageQueues.key(messageQueue)
    this.generation = generation
    this.takenAt = takenAt
    this.stats = stats
    this.totals = totals
    this.onFinished = onFinished
  }

  /** Whether its messages may be handled and its position written, as far as locks go. */
  holdsLock(now: number): boolean {
    return !this.needsLock || (this.lockedAt !== undefined && now - this.lockedAt < LOCK_MAX_LIVE_MILLIS)
  }

  /** Ends the generation: nothing of it counts any more, and its position stays where it is. */
  drop(): void {
    if (this.dropped) return
    this.dropped = true
    this.totals.count -= this.count
    this.totals.bytes -= this.size
  }

  /** Says where the queue begins; nothing is pulled or committed before. */
  locate(offset: number): void {
    this.position.value = offset
    this.nextOffset = offset
    this.located = true
    this.marked = offset
  }

  /** As {@link locate}, in the place of a generation of which it stays as it is what was committed and what may be. */
  relocate(offset: number, before: ProcessQueue<M>): void {
    this.locate(offset)
    this.marked = before.marked
    this.storedOffset = before.storedOffset
    this.committedOffset = before.committedOffset
  }

  /** Says that everything before an offset, or before the position, may be committed. */
  mark(offset: number | undefined = this.consumeOffset): void {
    if (!this.dropped && this.located) this.marked = offset
  }

  /** What may be committed: the position, or where {@link marksOnly} is set what was marked. Undefined while nothing may. */
  get committableOffset(): number | undefined {
    return this.marksOnly ? this.marked : this.consumeOffset
  }

  /** The smallest offset that is not finished, or the one behind the last: the position. Undefined while it is not known where the queue begins. */
  get consumeOffset(): number | undefined {
    return this.located ? this.position.value : undefined
  }

  /** Messages that were pulled and are not finished, those whose handlers run included. */
  get cachedCount(): number {
    return this.count
  }

  /** Bytes of their bodies. */
  get cachedBytes(): number {
    return this.size
  }

  /** Those of them that no handler has got yet. */
  get waiting(): number {
    return this.waitingCount
  }

  /** The smallest offset that was pulled and is not finished; undefined when there is none. */
  get oldestOffset(): number | undefined {
    return this.position.oldest
  }

  /** The largest one; it may be finished while a smaller one is not. Undefined when there is none. */
  get newestOffset(): number | undefined {
    return this.position.newest
  }

  /** When the oldest message that is not finished was taken over, in milliseconds of the monotonic clock; undefined when there is none. */
  get oldestSince(): number | undefined {
    return this.position.oldestSince
  }

  /** From the oldest message that is not finished to the newest, in offsets. */
  get span(): number {
    const { newest, oldest } = this.position
    return oldest === undefined || newest === undefined ? 0 : newest - oldest
  }

  /** Messages between the position and the end of the queue; undefined before the first answer. */
  get lag(): number | undefined {
    return this.maxOffset === undefined ? undefined : Math.max(0, this.maxOffset - this.position.value)
  }

  /** Takes over a message of an answer at a time of the monotonic clock; offsets must come ascending. Gives undefined for one that was taken over before. */
  accept(message: M, offset: number, bytes: number, now = 0): Slot<M> | undefined {
    const { newest } = this.position
    if (offset < this.position.value || (newest !== undefined && offset <= newest)) return undefined
    const slot: Slot<M> = { message, queue: this, slot: this.position.accept(offset, now), bytes, deliveries: 0 }
    this.count++
    this.waitingCount++
    this.size += bytes
    this.totals.count++
    this.totals.bytes += bytes
    return slot
  }

  /** Says that everything below `offset` that was not taken over needs nothing: the broker or the filter passed it over. */
  reach(offset: number): void {
    this.position.reach(offset)
  }

  /** A handler has got the message. */
  begin(slot: Slot<M>): void {
    if (slot.deliveries++ === 0) this.waitingCount--
  }

  /** The message is finished: consumed, given back, dead-lettered or filtered. True if the position moved. */
  finish(slot: Slot<M>): boolean {
    if (this.dropped || this.position.isDone(slot.slot)) return false
    if (slot.deliveries === 0) this.waitingCount--
    this.count--
    this.size -= slot.bytes
    this.totals.count--
    this.totals.bytes -= slot.bytes
    const moved = this.position.finish(slot.slot)
    this.onFinished(this)
    return moved
  }

  /** Whether {@link finish} was called for it. */
  isFinished(slot: Slot<M>): boolean {
    return this.position.isDone(slot.slot)
  }
}
