import type { ConsumeStatus } from "../../protocol/push/ConsumerRunningInfo.ts"

const SECOND = 1_000
const MINUTE = 60 * SECOND

/** Slots of a window that are full, besides the one that is being filled. */
const FULL_SLOTS = 6

/** Sums over the last minute or hour: six slots that are full and the one that is being filled, without a timer. */
class Window {
  private readonly slotMillis: number
  private readonly values = new Float64Array(FULL_SLOTS + 1)
  private readonly times = new Float64Array(FULL_SLOTS + 1)
  /** The number of the slot that is being filled, counted from the beginning of the clock. */
  private slot: number
  private readonly since: number

  constructor(slotMillis: number, now: number) {
    this.slotMillis = slotMillis
    this.slot = Math.floor(now / slotMillis)
    this.since = now
  }

  add(now: number, value: number, times: number): void {
    this.advance(now)
    const at = this.slot % this.values.length
    this.values[at] = (this.values[at] ?? 0) + value
    this.times[at] = (this.times[at] ?? 0) + times
  }

  sum(now: number): number {
    this.advance(now)
    return this.values.reduce((sum, value) => sum + value, 0)
  }

  /** The value of one time, on average; 0 without any. */
  average(now: number): number {
    const sum = this.sum(now)
    const times = this.times.reduce((all, one) => all + one, 0)
    return times === 0 ? 0 : sum / times
  }

  perSecond(now: number): number {
    const sum = this.sum(now)
    const from = Math.max(this.since, (this.slot - FULL_SLOTS) * this.slotMillis)
    // As in Java, what is younger than a slot counts as one.
    return (sum * SECOND) / Math.max(this.slotMillis, now - from)
  }

  /** Empties the slots that nothing was added to since the last one. */
  private advance(now: number): void {
    const slot = Math.floor(now / this.slotMillis)
    for (let skipped = Math.min(slot - this.slot, this.values.length); skipped > 0; skipped--) {
      const at = (slot - skipped + 1) % this.values.length
      this.values[at] = 0
      this.times[at] = 0
    }
    if (slot > this.slot) this.slot = slot
  }
}

/**
 * How fast a topic is pulled and consumed, over the last minute and hour. All times are milliseconds of the monotonic clock.
 *
 * Source: RocketMQ `ConsumerStatsManager`, `StatsItem`.
 */
export class TopicStats {
  private readonly pullTimes: Window
  private readonly pulledMessages: Window
  private readonly handlerTimes: Window
  private readonly handlerTimesOfHour: Window
  private readonly succeeded: Window
  private readonly failed: Window
  private readonly failedOfHour: Window

  constructor(now: number) {
    const minute = () => new Window(10 * SECOND, now)
    const hour = () => new Window(10 * MINUTE, now)
    this.pullTimes = minute()
    this.pulledMessages = minute()
    this.handlerTimes = minute()
    this.handlerTimesOfHour = hour()
    this.succeeded = minute()
    this.failed = minute()
    this.failedOfHour = hour()
  }

  /** A pull took so long and brought so many messages. */
  pulled(now: number, millis: number, messages: number): void {
    this.pullTimes.add(now, millis, 1)
    this.pulledMessages.add(now, messages, 1)
  }

  /** A handler took so long; of its messages so many were consumed, and so many are to come again or are given up. */
  consumed(now: number, millis: number, succeeded: number, failed: number): void {
    this.handlerTimes.add(now, millis, 1)
    this.handlerTimesOfHour.add(now, millis, 1)
    if (succeeded > 0) this.succeeded.add(now, succeeded, 1)
    if (failed > 0) {
      this.failed.add(now, failed, 1)
      this.failedOfHour.add(now, failed, 1)
    }
  }

  /** The same as Java's consumers say it of themselves. */
  status(now: number): ConsumeStatus {
    const consumeRT = this.handlerTimes.average(now)
    return {
      pullRT: this.pullTimes.average(now),
      pullTPS: this.pulledMessages.perSecond(now),
      consumeRT: consumeRT === 0 ? this.handlerTimesOfHour.average(now) : consumeRT,
      consumeOKTPS: this.succeeded.perSecond(now),
      consumeFailedTPS: this.failed.perSecond(now),
      consumeFailedMsgs: this.failedOfHour.sum(now)
    }
  }
}
