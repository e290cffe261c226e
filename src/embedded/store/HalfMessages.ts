import * as MixAll from "../../message/MixAll.ts"
import { SysFlag } from "../../message/SysFlag.ts"
import { type Long, multiply, parseLong } from "../../protocol/Long.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { ExactFields } from "../../protocol/MessageCodec.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import type { BrokerConfig } from "./BrokerConfig.ts"
import type { DelayedMessages, PutRefusal } from "./DelayedMessages.ts"
import type { MessageStore } from "./MessageStore.ts"
import type { StoredEntry } from "./StoredMessage.ts"
import type { MessageInner } from "./StoredMessage.ts"
import * as StoredMessage from "./StoredMessage.ts"
import type { TopicTable } from "./TopicTable.ts"

/**
 * Half messages: stored, and seen by no consumer until their producer commits them. One that nobody ends is checked from
 * time to time, each time under a new offset, and given up after too many checks.
 *
 * As on a real broker, what was committed or rolled back once can be so again: the log keeps the half message.
 *
 * Source: RocketMQ `TransactionalMessageServiceImpl`, `TransactionalMessageBridge`.
 */
export interface HalfMessages {
  /** Stores a half message where consumers do not look. */
  readonly prepare: (message: MessageInner) => StoredEntry | PutRefusal
  /** Says that a half message was committed or rolled back. */
  readonly done: (half: ExactFields) => void
  /** Puts a half message that was given up back, with no check counted. */
  readonly resume: (half: ExactFields) => void
  /** A broker runs again; its checks are counted from then, in milliseconds since the epoch. */
  readonly started: (at: number) => void
  /** Milliseconds since the epoch of the next round of checks; `undefined` while there is nothing to check. */
  readonly next: () => number | undefined
  /** A round of checks, if it is due: the half messages of which producers are to be asked, under their new offsets. */
  readonly check: () => ReadonlyArray<ExactFields>
  /** What is neither committed nor rolled back, in the order of its offsets. */
  readonly pending: () => ReadonlyArray<StoredEntry>
}

/** Where half messages lie. */
export const HALF_TOPIC = "RMQ_SYS_TRANS_HALF_TOPIC"
/** Where a broker writes which half messages are ended. */
export const OP_TOPIC = "RMQ_SYS_TRANS_OP_HALF_TOPIC"
/** Where half messages go that were checked too often. */
export const GIVEN_UP_TOPIC = "TRANS_CHECK_MAX_TIME_TOPIC"

const READ_WRITE = MixAll.PermName.READ | MixAll.PermName.WRITE
const INT_MAX = 2_147_483_647
const HOUR_MILLIS = 3_600_000
const encoder = new TextEncoder()

/** What the half messages of a broker need of it. */
export interface HalfMessageOptions {
  readonly config: BrokerConfig
  readonly store: MessageStore
  readonly topics: TopicTable
  readonly delayed: DelayedMessages
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** A unique id of this process. */
  readonly uniqueId: () => string
  /** Told when the time of the next check may have changed. */
  readonly onPending: () => void
}

/** Milliseconds for which nobody is asked, by the message's own property or the broker's setting. */
export const immunityMillis = (properties: MessageInner["properties"], transactionTimeOut: number): number => {
  const seconds = ownImmunitySeconds(properties)
  return seconds === undefined || seconds === -1 ? transactionTimeOut : Number(multiply(seconds, 1_000))
}

const ownImmunitySeconds = (properties: MessageInner["properties"]): Long | undefined => {
  const text = properties[MessageConst.CHECK_IMMUNITY_TIME_IN_SECONDS]
  return text === undefined ? undefined : (parseLong(text) ?? -1)
}

/** Whether the message says itself for how long nobody shall be asked. */
export const hasOwnImmunity = (properties: MessageInner["properties"]): boolean =>
  ownImmunitySeconds(properties) !== undefined

/** How often a half message was checked. */
export const checkTimes = (properties: MessageInner["properties"]): number => {
  const times = parseLong(properties[MessageConst.TRANSACTION_CHECK_TIMES] ?? "0")
  return times === undefined ? -1 : Math.min(Math.max(Number(times), -INT_MAX - 1), INT_MAX)
}

/** The same half message at the end of the queue; a real broker forgets its flag here. */
const renew = (half: ExactFields, more: Readonly<Record<string, string>>): MessageInner => ({
  ...half,
  flag: 0,
  reconsumeTimes: 0,
  properties: { ...half.properties, ...more }
})

/** Builds the service with no half messages. */
export const make = (options: HalfMessageOptions): HalfMessages => {
  const { config, delayed, now, store, topics } = options
  const legacy = config.version < MQVersion.V5_0_0
  /** By offset in the queue of half messages, which grows: the order of insertion is the order of offsets. */
  const pending = new Map<number, StoredEntry>()
  let origin = now()
  let checkAt: number | undefined

  /** A broker looks once every interval, counted from its start and from its last look. */
  const arm = (): void => {
    if (pending.size === 0) {
      checkAt = undefined
      return
    }
    if (checkAt !== undefined) return
    const interval = config.transactionCheckInterval
    checkAt = origin + (Math.floor((now() - origin) / interval) + 1) * interval
    options.onPending()
  }

  const add = (message: MessageInner): StoredEntry | undefined => {
    const [entry] = store.append([{ ...message, storeTimestamp: now() }])
    if (entry !== undefined) pending.set(entry.queueOffset, entry)
    return entry
  }

  const writeOp = (half: ExactFields): void => {
    const body = encoder.encode(legacy ? String(half.queueOffset) : `${half.queueOffset},`)
    const uniqueKey = options.uniqueId()
    store.append([
      {
        topic: OP_TOPIC,
        queueId: half.queueId,
        body,
        flag: 0,
        properties: { TAGS: "d", UNIQ_KEY: uniqueKey },
        sysFlag: 0,
        bornTimestamp: now(),
        bornHost: half.storeHost,
        storeTimestamp: now(),
        storeHost: half.storeHost,
        reconsumeTimes: 0,
        preparedTransactionOffset: 0
      }
    ])
  }

  /** A copy that was made while nobody was to be asked is ended by the offset the producer knows. */
  const endedBy = (offset: number): number | undefined => {
    if (pending.has(offset)) return offset
    for (const [current, entry] of pending) {
      const prepared = StoredMessage.read(entry)?.properties[MessageConst.TRANSACTION_PREPARED_QUEUE_OFFSET]
      if (prepared === String(offset)) return current
    }
    return undefined
  }

  const giveUp = (half: ExactFields): void => {
    topics.ensure(GIVEN_UP_TOPIC, 1, READ_WRITE)
    store.append([{ ...half, topic: GIVEN_UP_TOPIC, queueId: 0, storeTimestamp: now() }])
  }

  type Verdict = "stop" | "wait" | "given up" | { readonly ask: ExactFields }

  /** `time` is when the round began: what it puts at the end of the queue is not looked at in the same round. */
  const judge = (half: ExactFields, time: number): Verdict => {
    const times = checkTimes(half.properties)
    const age = time - Number(half.bornTimestamp)
    if (times >= config.transactionCheckMax || age > config.fileReservedTime * HOUR_MILLIS) {
      giveUp(half)
      return "given up"
    }
    if (half.storeTimestamp >= time) return "stop"
    const counted = { [MessageConst.TRANSACTION_CHECK_TIMES]: String(times + 1) }
    const immunity = immunityMillis(half.properties, config.transactionTimeOut)
    const own = hasOwnImmunity(half.properties)
    if (age <= immunity && (own || age >= 0)) {
      const known = half.properties[MessageConst.TRANSACTION_PREPARED_QUEUE_OFFSET]
      // A real broker that cannot read the offset of before comes to this message again and again.
      if (!own || (known !== undefined && (parseLong(known) ?? -1) === -1)) return "stop"
      // A real broker counts this as a check although it asks nobody.
      const prepared = known ?? String(half.queueOffset)
      add(renew(half, { ...counted, [MessageConst.TRANSACTION_PREPARED_QUEUE_OFFSET]: prepared }))
      return "wait"
    }
    const entry = add(renew(half, counted))
    const again = entry === undefined ? undefined : StoredMessage.read(entry)
    return again === undefined ? "wait" : { ask: { ...again, storeTimestamp: half.storeTimestamp } }
  }

  return {
    prepare: (message) => {
      const uniqueKey = message.properties[MessageConst.UNIQ_KEY]
      const half = delayed.put({
        ...message,
        topic: HALF_TOPIC,
        queueId: 0,
        sysFlag: message.sysFlag & ~SysFlag.TRANSACTION_ROLLBACK,
        properties: {
          ...message.properties,
          ...(legacy || uniqueKey === undefined ? {} : { [MessageConst.TRANSACTION_ID]: uniqueKey }),
          [MessageConst.REAL_TOPIC]: message.topic,
          [MessageConst.REAL_QUEUE_ID]: String(message.queueId)
        }
      })
      if (typeof half === "object" && half.topic === HALF_TOPIC) {
        pending.set(half.queueOffset, half)
        arm()
      }
      return half
    },
    done: (half) => {
      const offset = endedBy(half.queueOffset)
      if (offset !== undefined) pending.delete(offset)
      writeOp(half)
      arm()
    },
    resume: (half) => {
      add({
        ...half,
        topic: HALF_TOPIC,
        queueId: 0,
        properties: { ...half.properties, [MessageConst.TRANSACTION_CHECK_TIMES]: "0" }
      })
      arm()
    },
    started: (at) => {
      origin = at
      checkAt = undefined
      arm()
    },
    next: () => checkAt,
    check: () => {
      if (checkAt === undefined || checkAt > now()) return []
      // A round that comes late, on a busy machine, puts the next ones off: whoever is asked has the whole interval.
      const time = now()
      origin = time
      const asked: Array<ExactFields> = []
      for (const [offset, entry] of pending) {
        const half = StoredMessage.read(entry)
        const verdict = half === undefined ? "given up" : judge(half, time)
        if (verdict === "stop") break
        pending.delete(offset)
        if (typeof verdict === "object") asked.push(verdict.ask)
      }
      checkAt = undefined
      arm()
      return asked
    },
    pending: () => [...pending.values()]
  }
}
