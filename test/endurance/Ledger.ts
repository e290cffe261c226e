/**
 * What was sent and what became of it, in some twenty bytes a message, so that a million fit beside everything else. It is
 * told of every send and of every copy that lies at a broker, in any order, and says at the end what does not agree.
 */
import { Buffer } from "node:buffer"

/** What a sender knows in the end of one message. */
export const State = { waiting: 0, acknowledged: 1, notSent: 2, rejected: 3, unknown: 4, givenUp: 5 } as const
export type StateName = keyof typeof State

/** By their numbers. */
const stateNames: ReadonlyArray<StateName> = ["waiting", "acknowledged", "notSent", "rejected", "unknown", "givenUp"]

/** Why it is not known what became of an attempt, as bits. */
export const causeBits: ReadonlyArray<string> = [
  "ConnectionClosed",
  "RequestTimeout",
  "BrokerRejected",
  "ClientClosed",
  "another member of a batch",
  "the sender gave up",
  "other"
]

const bitOf = (cause: string): number => {
  const index = causeBits.indexOf(cause)
  return 1 << (index === -1 ? causeBits.length - 1 : index)
}

/** The attempts of one send whose outcome is unknown: how many, and why. */
export interface Doubts {
  count: number
  causes: number
}

/** Nothing in doubt. */
export const noDoubts = (): Doubts => ({ count: 0, causes: 0 })

/** Writes down one more attempt of which nobody knows whether it was stored. */
export const doubt = (doubts: Doubts, cause: string, count = 1): void => {
  doubts.count += count
  doubts.causes |= bitOf(cause)
}

/** One copy as a broker has it. */
export interface Copy {
  readonly n: number
  readonly broker: string
  readonly queueId: number
  readonly offset: number
  readonly msgId: string
}

/** Where an acknowledged message lies. */
export interface Place {
  readonly broker: string
  readonly queueId: number
  readonly offset: number
  readonly msgId: string
  readonly attempts: number
}

/** What the end comes to. */
export interface Findings {
  readonly states: Readonly<Record<StateName, number>>
  readonly stored: number
  /** Acknowledged after more than one attempt. */
  readonly retried: number
  /** Messages that are stored more than once, and how many copies there are beyond the first. */
  readonly duplicated: number
  readonly extraCopies: number
  /** Extra copies by the reasons why their sender was in doubt. */
  readonly explained: ReadonlyMap<string, number>
  /** Messages whose sender did not learn what became of them, and which are stored. */
  readonly storedUnknown: number
  /** What must not be; the first hundred in words. */
  readonly violations: ReadonlyArray<string>
  readonly violationCount: number
}

/** Everything that was sent. */
export interface Ledger {
  readonly capacity: number
  /** The number of the next message. */
  readonly next: () => number
  readonly sent: () => number
  readonly isAcknowledged: (n: number) => boolean
  readonly acknowledged: (n: number, place: Place, doubts: Doubts) => void
  readonly ended: (n: number, state: "notSent" | "rejected" | "unknown" | "givenUp", doubts: Doubts) => void
  /** Is told of a copy. False when the message's send has not ended, so that it must be told again later. */
  readonly copy: (copy: Copy) => boolean
  /** Writes down something that must not be, whatever it is. */
  readonly violation: (text: string) => void
  readonly findings: () => Findings
}

/** FNV-1a of a text: two ids that differ have the same one once in four thousand million times. */
const hash = (text: string): number => {
  let value = 0x811c9dc5
  for (let i = 0; i < text.length; i++) value = Math.imul(value ^ text.charCodeAt(i), 0x01000193)
  return value >>> 0
}

const REPORTED = 100

/** An empty ledger for at most so many messages. */
export const makeLedger = (capacity: number): Ledger => {
  const state = new Uint8Array(capacity)
  const broker = new Uint8Array(capacity)
  const queue = new Uint16Array(capacity)
  const offset = new Uint32Array(capacity)
  const id = new Uint32Array(capacity)
  const attempts = new Uint8Array(capacity)
  const doubted = new Uint8Array(capacity)
  const causes = new Uint8Array(capacity)
  const copies = new Uint8Array(capacity)
  const found = new Uint8Array(capacity)
  const brokers: Array<string> = []
  const violations: Array<string> = []
  let violationCount = 0
  let sent = 0
  let stored = 0

  const violation = (text: string): void => {
    violationCount++
    if (violations.length < REPORTED) violations.push(text)
  }
  const brokerIndex = (name: string): number => {
    const index = brokers.indexOf(name)
    return index === -1 ? brokers.push(name) - 1 : index
  }
  const end = (n: number, value: number, doubts: Doubts): boolean => {
    if (n >= sent || state[n] !== State.waiting) {
      violation(`message ${n} ended a second time`)
      return false
    }
    state[n] = value
    doubted[n] = Math.min(255, doubts.count)
    causes[n] = doubts.causes
    return true
  }
  const at = (n: number): string =>
    `${brokers[broker[n] ?? 0] ?? "?"}:${queue[n]} offset ${offset[n]} after ${attempts[n]} attempt(s)`

  const findings = (): Findings => {
    const states = { waiting: 0, acknowledged: 0, notSent: 0, rejected: 0, unknown: 0, givenUp: 0 }
    const explained = new Map<string, number>()
    let retried = 0
    let duplicated = 0
    let extraCopies = 0
    let storedUnknown = 0
    for (let n = 0; n < sent; n++) {
      const count = copies[n] ?? 0
      const doubts = doubted[n] ?? 0
      const name = stateNames[state[n] ?? 0] ?? "waiting"
      states[name]++
      if ((attempts[n] ?? 0) > 1) retried++
      const least = state[n] === State.acknowledged ? 1 : 0
      const most = state[n] === State.notSent || state[n] === State.rejected ? 0 : least + doubts
      if (state[n] === State.waiting) violation(`message ${n} never ended`)
      if (least === 1 && found[n] === 0) violation(`message ${n} was acknowledged and is not at ${at(n)}`)
      if (count < least || count > most) {
        violation(
          `message ${n} (${name}, ${doubts} in doubt) is stored ${count} times, ${least} to ${most} are explained`
        )
      }
      if (count > 1) {
        duplicated++
        extraCopies += count - 1
        const why = causeBits.filter((_, bit) => ((causes[n] ?? 0) & (1 << bit)) !== 0).join(" + ")
        explained.set(why, (explained.get(why) ?? 0) + count - 1)
      }
      if (least === 0 && count > 0) storedUnknown++
    }
    return {
      states,
      stored,
      retried,
      duplicated,
      extraCopies,
      explained,
      storedUnknown,
      violations: [...violations],
      violationCount
    }
  }

  return {
    capacity,
    next: () => {
      if (sent >= capacity) throw new Error(`the ledger holds ${capacity} messages`)
      return sent++
    },
    sent: () => sent,
    isAcknowledged: (n) => state[n] === State.acknowledged,
    acknowledged: (n, place, doubts) => {
      if (!end(n, State.acknowledged, doubts)) return
      broker[n] = brokerIndex(place.broker)
      queue[n] = place.queueId
      offset[n] = place.offset
      id[n] = hash(place.msgId)
      attempts[n] = Math.min(255, place.attempts)
    },
    ended: (n, name, doubts) => void end(n, State[name], doubts),
    copy: (copy) => {
      const { n } = copy
      if (n >= sent) {
        violation(`a message is stored that nobody sent: ${n}`)
        return true
      }
      if (state[n] === State.waiting) return false
      stored++
      copies[n] = Math.min(255, (copies[n] ?? 0) + 1)
      if (state[n] !== State.acknowledged) return true
      const isPlace = broker[n] === brokerIndex(copy.broker) && queue[n] === copy.queueId && offset[n] === copy.offset
      if (isPlace) found[n] = 1
      if (id[n] !== hash(copy.msgId)) {
        violation(`message ${n} is stored under the id ${copy.msgId}, which is not the one of its result`)
      }
      return true
    },
    violation,
    findings
  }
}

/** What a message says of itself: its number, then bytes that follow from it. */
export const bodyOf = (n: number): Buffer => {
  let x = Math.imul(n + 1, 0x9e3779b1) >>> 0
  const step = () => {
    x ^= x << 13
    x ^= x >>> 17
    x ^= x << 5
    return (x >>>= 0)
  }
  // Each 200th is so large that it leaves compressed.
  const length = n % 200 === 199 ? 6_000 + (step() % 2_000) : 8 + (step() % 250)
  const body = Buffer.alloc(length)
  body.writeUInt32BE(n, 0)
  // Words that come again, so that compressing is worth it.
  for (let i = 4; i < length; i++) body[i] = i % 64 < 32 ? i & 255 : step() & 255
  return body
}

/** The number of the message with this body; undefined when the body is not what it was sent as. */
export const numberOf = (body: Uint8Array): number | undefined => {
  if (body.length < 8) return undefined
  const n = Buffer.from(body.buffer, body.byteOffset, body.byteLength).readUInt32BE(0)
  return bodyOf(n).equals(body) ? n : undefined
}
