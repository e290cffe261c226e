import { Cause, Clock, Effect, Exit } from "effect"
import * as Millis from "../message/Millis.ts"
import type { Message } from "../message/Message.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import { MASTER_ID } from "../message/MixAll.ts"
import type { SendResult } from "../message/SendResult.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { EmbeddedCluster } from "../embedded/EmbeddedCluster.ts"
import * as StoredMessage from "../embedded/store/StoredMessage.ts"
import type { FailedSend, RecordOptions } from "./Recording.ts"
import * as Recording from "./Recording.ts"
import { monotonicMillis } from "../transport/Deadline.ts"

export type { FailedSend, RecordOptions } from "./Recording.ts"

/** Something that must hold and did not. */
export interface Violation {
  /** What does not hold, in a word or two: `acknowledged`, `honesty`, `order`, `deadline`, ... */
  readonly check: string
  /** Which message, and what was found instead. */
  readonly detail: string
}

/** Answers that say something of the message itself: no other broker and no other time makes it better. */
const FINAL: ReadonlySet<number> = new Set([ResponseCode.MESSAGE_ILLEGAL, ResponseCode.INVALID_PARAMETER])

/** A transaction's end: its half message, and what the broker was told. */
export interface EndedTransaction {
  /** What the half message came to. */
  readonly sendResult: SendResult
  /** What the broker was told. */
  readonly localTransactionState: "COMMIT_MESSAGE" | "ROLLBACK_MESSAGE" | "UNKNOW"
}

/** How the sends of a ledger ended. */
export interface LedgerCounts {
  /** Those that a broker acknowledged. */
  readonly acknowledged: number
  /** Those that failed with the outcome `not-sent`. */
  readonly notSent: number
  /** Those that failed with the outcome `rejected`. */
  readonly rejected: number
  /** Failed with an open outcome, or interrupted. */
  readonly unknown: number
  /** Messages that are stored more often than once; each such copy is explained by an attempt with an open outcome. */
  readonly duplicated: number
  /** Messages that nobody acknowledged, and that are stored. */
  readonly storedUnknown: number
}

/**
 * Everything that was sent and what became of it, to be compared with what the brokers have. A message is known by its
 * topic and body: the body must be small enough not to be packed, and sends that have one body are counted together.
 */
export interface Ledger extends Recording.Recorder {
  /**
   * The producer, with a ledger that sees every `send`, `sendBatch` and `sendOneway` of it; see {@link
   * Recording.watch}.
   */
  readonly watch: Recording.Watch
  /**
   * Runs a transaction and writes down what became of it: readable if it was committed, and never if it was rolled back
   * or did not run. A check of the broker must answer the same as the transaction did, and ROLLBACK_MESSAGE for one
   * that never ran.
   */
  readonly recordTransaction: <A extends EndedTransaction, E, R>(
    message: Message,
    transaction: Effect.Effect<A, E, R>
  ) => Effect.Effect<A, E, R>
  /** Holds everything against what the cluster has; to be asked when nothing is under way any more. */
  readonly audit: Effect.Effect<
    { readonly violations: ReadonlyArray<Violation>; readonly counts: LedgerCounts },
    never,
    EmbeddedCluster
  >
}

/** One send of a message, and how many copies of the message there may be because of it. */
interface Entry {
  readonly message: Message
  readonly key: string | undefined
  /** In the order in which sends began. */
  readonly serial: number
  end: "open" | "acknowledged" | FailedSend["outcome"]
  least: number
  most: number
  /** Where it must lie; undefined where the result does not say so (delayed messages and transactions). */
  place: SendResult | undefined
}

const textOf = (body: Uint8Array): string => Buffer.from(body.buffer, body.byteOffset, body.length).toString("latin1")

/** How a message is called in a report. */
const nameOf = ({ body, topic }: Pick<Message, "topic" | "body">): string =>
  `"${textOf(body).slice(0, 60)}" to ${topic}`

const times = (count: number): string => (count === 1 ? "once" : `${count} times`)

const placeOf = ({ queue, queueOffset }: SendResult): string => `${MessageQueue.key(queue)}@${queueOffset}`

/**
 * A virtual clock does not go on while code runs, so a deadline is met but for rounding: of what is left for the last
 * request to whole milliseconds, and of the sleep that waits for it.
 */
const TICK_MILLIS = 2

/** An empty ledger. */
export const make = (): Ledger => {
  /** By topic and body. */
  const entries = new Map<string, Array<Entry>>()
  const found: Array<Violation> = []
  let serial = 0

  const open = (message: Message, key: string | undefined, most: number): Entry => {
    const entry: Entry = { message, key, serial: serial++, end: "open", least: 0, most, place: undefined }
    const id = `${message.topic}/${textOf(message.body)}`
    const others = entries.get(id)
    if (others === undefined) entries.set(id, [entry])
    else others.push(entry)
    return entry
  }

  const acknowledge = (entry: Entry, result: SendResult): void => {
    entry.end = "acknowledged"
    entry.least = 1
    entry.most = result.attempts
    // The broker answers with the place among the messages that wait.
    entry.place = entry.message.delay === undefined ? result : undefined
  }

  const fail = (entry: Entry, { attempts, outcome }: FailedSend): void => {
    entry.end = outcome
    entry.most = outcome === "unknown" ? attempts.length : 0
    const refused = attempts.findIndex(
      ({ cause }) => cause._tag === "BrokerRejected" && cause.code !== undefined && FINAL.has(cause.code)
    )
    if (refused >= 0 && refused < attempts.length - 1) {
      found.push({ check: "retries", detail: `${nameOf(entry.message)} was sent again after it was refused for good` })
    }
  }

  /**
   * Runs a send, and gives what it came to, typed failures included, to `end`. Anything else leaves the outcome open.
   */
  const watch = <A, E, R>(
    entered: ReadonlyArray<Entry>,
    send: Effect.Effect<A, E, R>,
    options: RecordOptions,
    end: (exit: Exit.Exit<A, E>, error: E | undefined) => void
  ): Effect.Effect<A, E, R> =>
    Effect.flatMap(Clock.Clock, (clock) => {
      const now = monotonicMillis(clock)
      const begin = now()
      return Effect.onExit(send, (exit) =>
        Effect.sync(() => {
          const took = now() - begin
          const [first] = entered
          const name = first === undefined ? "an empty batch" : nameOf(first.message)
          const limit = options.timeoutMillis === undefined ? Infinity : Millis.of(options.timeoutMillis)
          if (took > limit + TICK_MILLIS) {
            const how = Exit.isSuccess(exit) ? "was acknowledged" : Cause.pretty(exit.cause)
            found.push({
              check: "deadline",
              detail: `${name} took ${Millis.text(took)} of ${limit}: ${how}`
            })
          }
          if (Exit.isSuccess(exit)) return end(exit, undefined)
          const reason = exit.cause.reasons.find((candidate) => candidate._tag !== "Interrupt")
          if (reason === undefined) return
          if (reason._tag === "Fail") return end(exit, reason.error)
          found.push({ check: "defect", detail: `${name}: ${Cause.pretty(exit.cause)}` })
        })
      )
    })

  const audit: Ledger["audit"] = Effect.gen(function* () {
    const cluster = yield* EmbeddedCluster
    const violations = [...found]
    const say = (check: string, detail: string) => void violations.push({ check, detail })
    const all = [...entries.values()].flat()
    const topics = new Set(all.map(({ message }) => message.topic))
    const copies = new Map<string, Array<MessageExt>>()
    const places = new Map<string, MessageExt>()
    for (const topic of topics) {
      for (const broker of cluster.brokers.filter(({ id }) => id === MASTER_ID)) {
        for (const stored of broker.store.entries(topic).flatMap(StoredMessage.decode)) {
          const id = `${topic}/${textOf(stored.body)}`
          copies.set(id, [...(copies.get(id) ?? []), stored])
          places.set(
            `${MessageQueue.key(MessageQueue.make(topic, broker.name, stored.queueId))}@${stored.queueOffset}`,
            stored
          )
        }
      }
    }

    const counts = { acknowledged: 0, notSent: 0, rejected: 0, unknown: 0, duplicated: 0, storedUnknown: 0 }
    const taken = new Map<string, Entry>()
    for (const [id, sends] of entries) {
      const stored = copies.get(id)?.length ?? 0
      const least = sends.reduce((sum, entry) => sum + entry.least, 0)
      const most = sends.reduce((sum, entry) => sum + entry.most, 0)
      const [name] = sends.map(({ message }) => nameOf(message))
      if (stored > Math.max(1, least)) counts.duplicated++
      if (stored < least) {
        say("acknowledged", `${name} was acknowledged ${times(least)} and is stored ${times(stored)}`)
      }
      if (stored > most) {
        const ends = sends.map(({ end }) => `"${end}"`).join(", ")
        say("honesty", `${name} ended ${ends} and is stored ${times(stored)}, at most ${most} of that are explained`)
      }
      if (least === 0 && stored > 0) counts.storedUnknown++
    }
    for (const entry of all) {
      const name = nameOf(entry.message)
      if (entry.end === "acknowledged") counts.acknowledged++
      else if (entry.end === "not-sent") counts.notSent++
      else if (entry.end === "rejected") counts.rejected++
      else counts.unknown++

      if (entry.place === undefined) continue
      const place = placeOf(entry.place)
      const there = places.get(place)
      const other = taken.get(place)
      taken.set(place, entry)
      if (other !== undefined) say("acknowledged", `${name} and ${nameOf(other.message)} were acknowledged at ${place}`)
      if (there === undefined) say("acknowledged", `${name} was acknowledged at ${place}, and nothing lies there`)
      else if (textOf(there.body) !== textOf(entry.message.body)) {
        say("acknowledged", `${name} was acknowledged at ${place}, and ${nameOf(there)} lies there`)
      } else if (there.msgId !== entry.place.msgId) {
        say("acknowledged", `${name} lies under the id ${there.msgId}, not ${entry.place.msgId}`)
      }
    }
    for (const [id, messages] of copies) {
      const [message] = messages
      if (!entries.has(id) && message !== undefined) {
        say("honesty", `${nameOf(message)} is stored and nobody sent it, or not through the ledger`)
      }
    }

    /** By key and queue, the offset of the message before. */
    const last = new Map<string, { readonly entry: Entry; readonly offset: number }>()
    for (const entry of all.toSorted((a, b) => a.serial - b.serial)) {
      if (entry.key === undefined || entry.place === undefined) continue
      const { queue, queueOffset } = entry.place
      const at = `${entry.key}/${MessageQueue.key(queue)}`
      const before = last.get(at)
      last.set(at, { entry, offset: queueOffset })
      if (before !== undefined && before.offset >= queueOffset) {
        const earlier = nameOf(before.entry.message)
        say("order", `${nameOf(entry.message)} lies at ${queueOffset}, before ${earlier} at ${before.offset}`)
      }
    }
    return { violations, counts }
  })

  const ledger: Omit<Ledger, "watch"> = {
    record: (message, send, options = {}) =>
      Effect.suspend(() => {
        const entry = open(message, options.orderingKey, Infinity)
        return watch([entry], send, options, (exit, error) => {
          if (Exit.isSuccess(exit)) acknowledge(entry, exit.value)
          else if (error !== undefined) fail(entry, error)
        })
      }),
    recordBatch: (messages, send, options = {}) =>
      Effect.suspend(() => {
        const entered = messages.map((message) => open(message, options.orderingKey, Infinity))
        return watch(entered, send, options, (exit, error) => {
          for (const [index, entry] of entered.entries()) {
            if (error !== undefined) fail(entry, error)
            const result = Exit.isSuccess(exit) ? exit.value.results[index] : undefined
            if (result !== undefined) acknowledge(entry, result)
          }
        })
      }),
    recordTransaction: (message, transaction) =>
      Effect.suspend(() => {
        const entry = open(message, undefined, Infinity)
        return watch([entry], transaction, {}, (exit) => {
          entry.most = 0
          entry.end = "rejected"
          if (Exit.isFailure(exit) || exit.value.localTransactionState === "ROLLBACK_MESSAGE") return
          entry.most = exit.value.sendResult.attempts
          if (exit.value.localTransactionState === "UNKNOW") {
            entry.end = "unknown"
          } else {
            entry.end = "acknowledged"
            entry.least = 1
          }
        })
      }),
    recordOneway: (message, send, options = {}) =>
      Effect.suspend(() => {
        const entry = open(message, undefined, 1)
        return watch([entry], send, options, (exit, error) => {
          if (Exit.isSuccess(exit)) entry.end = "unknown"
          else if (error !== undefined) fail(entry, error)
        })
      }),
    audit
  }
  return { ...ledger, watch: Recording.watch(ledger) }
}
