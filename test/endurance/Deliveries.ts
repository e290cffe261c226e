/**
 * What a consumer group finished, by the place where it lies, in some twenty bytes a place: whether every message was
 * consumed, and why a place was finished more than once.
 */

import { RETRY_GROUP_TOPIC_PREFIX } from "../../src/message/MixAll.ts"

/** What ends by a handler: a message at a place of a queue, which is the group's retry topic's when it comes again. */
export interface Finish {
  /** The member, by a number of its own; a process that is started again is another one. */
  readonly member: number
  /** The key of the queue. */
  readonly queue: string
  readonly offset: number
  /** The message's number; who sends it may have it stored more than once. */
  readonly n: number
  /** Whether it is consumed; otherwise it comes again. */
  readonly ok: boolean
  /** When the handler ended, in milliseconds since the epoch. */
  readonly at: number
}

/** Why what lies at an offset of a queue and behind it comes again. */
export interface Setback {
  /**
   * `kill`: the member is gone, and what it had finished was written up to this offset; `reset`: the group reads on here;
   * `broker`: a broker was killed, and this is what it had on its disk.
   */
  readonly kind: "kill" | "reset" | "broker"
  /** By the key of the queue. */
  readonly offsets: ReadonlyMap<string, number>
  /** From when until it is done, in milliseconds since the epoch: a kill takes no time. */
  readonly begin: number
  readonly end: number
  /** The member that was killed. */
  readonly member?: number | undefined
}

/** What the end comes to. */
export interface DeliveryFindings {
  /** Handlers that ended, and those of them after which their message came again. */
  readonly finished: number
  readonly failed: number
  /** Messages that were consumed more than once, by why: each time beyond the first counts. */
  readonly again: ReadonlyMap<string, number>
  /** For how long after a broker's return there were queues with two owners, in milliseconds. */
  readonly sharedMillis: number
  /** What must not be; the first hundred in words. */
  readonly violations: ReadonlyArray<string>
  readonly violationCount: number
}

/** The finishes of a group. */
export interface Deliveries {
  readonly finish: (finish: Finish) => void
  readonly setback: (setback: Setback) => void
  /** Different messages that were consumed. */
  readonly consumed: () => number
  readonly isConsumed: (n: number) => boolean
  readonly isFinished: (queue: string, offset: number) => boolean
  /** Looks whether what was sent, by its number, was consumed, and what came again after each reset. */
  readonly findings: (sent: Iterable<number>) => DeliveryFindings
}

/** How a ledger looks at finishes. */
export interface DeliveriesOptions {
  /** More than all messages. */
  readonly capacity: number
  /** Whether a queue is consumed in order: what is finished for the first time lies behind all that was. */
  readonly inOrder?: boolean
}

/** Milliseconds for which what members had cached may still be finished after a reset: until their next pull is answered. */
const UNTIL_TOLD = 20_000

/**
 * Milliseconds after a broker's return in which a queue may have two owners: it tells a member who the others are as far as it
 * has heard of them, and each computes its share from that.
 */
const UNTIL_COMPLETE = 15_000

const REPORTED = 100

/** A longer list with what a shorter one has. */
const grown = <A extends Uint8Array | Uint16Array | Float64Array>(longer: A, shorter: A): A => {
  longer.set(shorter)
  return longer
}

/** What is known of the places of a queue. */
class Places {
  /** The queue's own. */
  readonly index: number
  times = new Uint8Array(1_024)
  member = new Uint16Array(1_024)
  at = new Float64Array(1_024)
  /** The greatest offset that was finished. */
  last = -1

  constructor(index = -1) {
    this.index = index
  }

  /** Makes room for an offset. */
  reach(offset: number): void {
    if (offset < this.times.length) return
    const size = Math.max(offset + 1, 2 * this.times.length)
    this.times = grown(new Uint8Array(size), this.times)
    this.member = grown(new Uint16Array(size), this.member)
    this.at = grown(new Float64Array(size), this.at)
  }
}

/** An empty ledger. */
export const makeDeliveries = ({ capacity, inOrder = false }: DeliveriesOptions): Deliveries => {
  const places = new Map<string, Places>()
  const consumedTimes = new Uint8Array(capacity)
  /** Of each message: the places where it was sent to, those in the retry topic, and how often it was not consumed. */
  const sentTo = new Uint8Array(capacity)
  const retried = new Uint8Array(capacity)
  const failures = new Uint8Array(capacity)
  const setbacks: Array<Setback> = []
  /**
   * Finishes beyond the first, six numbers each: whether a setback explains them may be known only a little later, and a
   * reset lets thousands come again.
   */
  const repeats: Array<number> = []
  const queues: Array<string> = []
  const violations: Array<string> = []
  let violationCount = 0
  let finished = 0
  let failed = 0
  let consumed = 0

  const violation = (text: string): void => {
    violationCount++
    if (violations.length < REPORTED) violations.push(text)
  }

  const explains =
    (first: Pick<Finish, "member" | "at">, second: Pick<Finish, "queue" | "offset" | "at">) =>
    (setback: Setback): boolean => {
      const from = setback.offsets.get(second.queue)
      if (from === undefined || second.offset < from || second.at < setback.begin) return false
      switch (setback.kind) {
        case "kill":
          return setback.member === first.member && first.at <= setback.end
        case "reset":
          return first.at <= setback.end + UNTIL_TOLD
        default:
          return first.at <= setback.end
      }
    }

  const sharedAfter =
    (first: Pick<Finish, "member" | "at">, second: Pick<Finish, "member" | "queue">) =>
    ({ begin, end, kind, offsets }: Setback): boolean =>
      kind === "broker" &&
      first.member !== second.member &&
      offsets.has(second.queue) &&
      first.at >= begin &&
      first.at <= end + UNTIL_COMPLETE

  return {
    finish: (finish) => {
      const { at, member, n, offset, ok, queue } = finish
      finished++
      if (n >= capacity) return violation(`a message was handed out that nobody sent: ${n}`)
      if (!ok) {
        failed++
        failures[n] = Math.min(255, (failures[n] ?? 0) + 1)
      } else {
        if (consumedTimes[n] === 0) consumed++
        consumedTimes[n] = Math.min(255, (consumedTimes[n] ?? 0) + 1)
      }
      let known = places.get(queue)
      if (known === undefined) places.set(queue, (known = new Places(queues.push(queue) - 1)))
      known.reach(offset)
      const times = known.times[offset] ?? 0
      if (times === 0) {
        const copies = queue.startsWith(RETRY_GROUP_TOPIC_PREFIX) ? retried : sentTo
        copies[n] = Math.min(255, (copies[n] ?? 0) + 1)
        if (inOrder && offset < known.last) violation(`${offset} of ${queue} was finished behind ${known.last}`)
        known.last = Math.max(known.last, offset)
      }
      if (times > 0) {
        const before = { member: known.member[offset] ?? 0, at: known.at[offset] ?? 0 }
        // Two processes may be heard of in another order than they were in.
        const [first, second] = before.at <= at ? [before, finish] : [finish, before]
        repeats.push(known.index, offset, first.member, first.at, second.member, second.at)
      }
      known.times[offset] = Math.min(255, times + 1)
      if (times > 0 && (known.at[offset] ?? 0) > at) return
      known.member[offset] = member
      known.at[offset] = at
    },
    setback: (setback) => void setbacks.push(setback),
    consumed: () => consumed,
    isConsumed: (n) => (consumedTimes[n] ?? 0) > 0,
    isFinished: (queue, offset) => (places.get(queue)?.times[offset] ?? 0) > 0,
    findings: (sent) => {
      for (const n of sent) if (consumedTimes[n] === 0) violation(`message ${n} was acknowledged and never consumed`)
      const again = new Map<string, number>()
      let longest = 0
      const count = (why: string, times: number) => void (times > 0 && again.set(why, (again.get(why) ?? 0) + times))
      for (let i = 0; i < repeats.length; i += 6) {
        const [index = 0, offset = 0, member = 0, at = 0, nextMember = 0, nextAt = 0] = repeats.slice(i, i + 6)
        const queue = queues[index] ?? ""
        const first = { member, at }
        const second = { member: nextMember, at: nextAt, queue, offset }
        const why = setbacks.find(explains(first, second))?.kind
        const back = why === undefined ? setbacks.findLast(sharedAfter(first, second)) : undefined
        if (why !== undefined) count(why, 1)
        else if (back !== undefined) {
          count("two owners after a broker's return", 1)
          longest = Math.max(longest, first.at - back.end)
        } else {
          violation(
            `offset ${second.offset} of ${second.queue} was finished by member ${first.member} at ${first.at} and again ` +
              `by member ${second.member} at ${second.at}, and nothing explains that`
          )
        }
      }
      const hasDoubts = setbacks.some(({ kind }) => kind === "broker")
      for (let n = 0; n < capacity; n++) {
        // How many copies a sender may have stored is for its own ledger to say.
        count("sent twice", (sentTo[n] ?? 0) - 1)
        const givenBack = (retried[n] ?? 0) - (failures[n] ?? 0)
        count("given back twice", givenBack)
        if (givenBack > 0 && !hasDoubts) violation(`message ${n} came back ${givenBack} times more than it failed`)
      }
      for (const { begin, kind, offsets } of setbacks) {
        if (kind !== "reset") continue
        for (const [queue, from] of offsets) {
          const { at, last, times } = places.get(queue) ?? new Places()
          for (let offset = from; offset <= last; offset++) {
            if (times[offset] === 0 || (at[offset] ?? 0) >= begin) continue
            violation(`offset ${offset} of ${queue} did not come again after the reset to ${from} at ${begin}`)
            break
          }
        }
      }
      return { finished, failed, again, sharedMillis: longest, violations: [...violations], violationCount }
    }
  }
}
