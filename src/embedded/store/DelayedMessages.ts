import { SysFlag } from "../../message/SysFlag.ts"
import { parseInt32 } from "../../protocol/Long.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import type { BrokerConfig } from "./BrokerConfig.ts"
import type { DelayLevels } from "./DelayLevels.ts"
import * as DueQueue from "./DueQueue.ts"
import type { MessageStore } from "./MessageStore.ts"
import type { StoredEntry } from "./StoredMessage.ts"
import type { MessageInner } from "./StoredMessage.ts"
import * as StoredMessage from "./StoredMessage.ts"
import * as TimerProperties from "./TimerProperties.ts"

/**
 * The way into the log for single messages: one with a delay level or a time of delivery is put aside under the topic of
 * those that wait, and comes out again, as another message, when it is due.
 *
 * Source: RocketMQ `HookUtils.handleScheduleMessage`, `ScheduleMessageService`, `TimerMessageStore`.
 */
export interface DelayedMessages {
  /** Stores a message where it belongs now; the word instead says why it cannot be taken. */
  readonly put: (message: MessageInner) => StoredEntry | PutRefusal
  /** Where the time of delivery that the properties name puts a message that is not to be delivered alone. */
  readonly timed: (properties: MessageInner["properties"]) => "now" | "later" | PutRefusal
  /** Milliseconds since the epoch at which the next one is due. */
  readonly next: () => number | undefined
  /** Delivers what is due, in order of time. */
  readonly deliver: () => void
  /** What waits and is not recalled, in order of time. */
  readonly waiting: () => ReadonlyArray<WaitingMessage>
}

/**
 * Why a message is refused: a time of delivery that is no number or too far away, timers that are off, or a delay level
 * that is no number, at which Java throws.
 */
export type PutRefusal = "WHEEL_TIMER_MSG_ILLEGAL" | "WHEEL_TIMER_NOT_ENABLE" | "DELAY_LEVEL_NO_NUMBER"

/** A message that waits for its time. */
export interface WaitingMessage {
  /** Milliseconds since the epoch at which it is delivered. */
  readonly deliverAt: number
  /** The message as it lies under the topic of those that wait; REAL_TOPIC says where it goes. */
  readonly entry: StoredEntry
}

/** Where messages with a delay level wait, a queue a level. */
export const SCHEDULE_TOPIC = "SCHEDULE_TOPIC_XXXX"
/** Where messages with a time of delivery wait. */
export const TIMER_TOPIC = "rmq_sys_wheel_timer"

/** What a broker sets about waiting messages. */
export interface DelayOptions {
  readonly store: MessageStore
  readonly levels: DelayLevels
  /** Whether times of delivery are understood at all: not before 5.0.0, where such a message is a plain one. */
  readonly timers: boolean
  readonly config: Pick<BrokerConfig, "timerWheelEnable" | "timerMaxDelaySec" | "timerPrecisionMs">
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Told when something new waits. */
  readonly onWaiting: () => void
}

/** What is put aside, and what undoes it. */
interface Waiting {
  readonly kind: "level" | "timer"
  readonly entry: StoredEntry
}

/** The message without a few properties. */
const without = (message: MessageInner, ...names: ReadonlyArray<string>): MessageInner => ({
  ...message,
  properties: Object.fromEntries(Object.entries(message.properties).filter(([name]) => !names.includes(name)))
})

/** The level a message asks for; 0 for none, undefined for what is no number. Source: RocketMQ `Message.getDelayTimeLevel`. */
export const delayLevel = (properties: MessageInner["properties"]): number | undefined =>
  parseInt32(properties[MessageConst.DELAY_TIME_LEVEL] ?? "0")

/** The message under the topic where it waits; its properties remember where it goes. */
const aside = (
  message: MessageInner,
  topic: string,
  queueId: number,
  more: Readonly<Record<string, string>> = {}
): MessageInner => ({
  ...message,
  topic,
  queueId,
  properties: {
    ...message.properties,
    ...more,
    [MessageConst.REAL_TOPIC]: message.topic,
    [MessageConst.REAL_QUEUE_ID]: String(message.queueId)
  }
})

/** Builds the service with nothing that waits. */
export const make = (options: DelayOptions): DelayedMessages => {
  const { config, levels, now, store } = options
  // The wheel is built once.
  const { timerPrecisionMs } = config
  const waiting = DueQueue.make<Waiting>()
  /** Timer messages that were recalled, by the time they would have been delivered at. */
  const recalled = new Map<number, Set<string>>()

  const append = (message: MessageInner): StoredEntry => {
    const [entry] = store.append([message])
    if (entry === undefined) throw new Error("the store took no message")
    return entry
  }

  const wait = (kind: Waiting["kind"], deliverAt: number, message: MessageInner): StoredEntry => {
    const entry = append(message)
    waiting.add(deliverAt, { kind, entry })
    options.onWaiting()
    return entry
  }

  const putLevel = (message: MessageInner, level: number): StoredEntry => {
    const used = Math.min(level, levels.max)
    const stored = aside(message, SCHEDULE_TOPIC, used - 1, { [MessageConst.DELAY_TIME_LEVEL]: String(used) })
    return wait("level", message.storeTimestamp + levels.millis(used), stored)
  }

  /** When a message is due that names a time of delivery; undefined for at once. */
  const dueAt = (properties: MessageInner["properties"]): number | undefined | PutRefusal => {
    if (!config.timerWheelEnable) return "WHEEL_TIMER_NOT_ENABLE"
    const deliverAt = TimerProperties.deliverAt(properties, now())
    if (deliverAt === undefined) return "WHEEL_TIMER_MSG_ILLEGAL"
    if (deliverAt <= now()) {
      return properties[MessageConst.TIMER_DEL_UNIQKEY] === undefined ? undefined : "WHEEL_TIMER_MSG_ILLEGAL"
    }
    const tooFar = Number(deliverAt) - now() > config.timerMaxDelaySec * 1_000
    return tooFar ? "WHEEL_TIMER_MSG_ILLEGAL" : Number(deliverAt)
  }

  /** Whether the time of delivery in the properties counts: not before 5.0.0, nor for what comes out of the timers. */
  const isTimed = (properties: MessageInner["properties"]): boolean =>
    options.timers && properties[MessageConst.TIMER_OUT_MS] === undefined && TimerProperties.isTimed(properties)

  /** A broker's timers tick once a precision; a message leaves with the tick after the one it belongs to. */
  const putTimer = (message: MessageInner): StoredEntry | PutRefusal => {
    const deliverAt = dueAt(message.properties)
    if (typeof deliverAt === "string") return deliverAt
    if (deliverAt === undefined) return append(message)
    const recalls = message.properties[MessageConst.TIMER_DEL_UNIQKEY]
    const outAt = TimerProperties.outAt(deliverAt, timerPrecisionMs)
    const stored = aside(message, TIMER_TOPIC, 0, { [MessageConst.TIMER_OUT_MS]: String(outAt) })
    if (recalls === undefined) return wait("timer", outAt + timerPrecisionMs, stored)
    const keys = recalled.get(outAt)
    if (keys === undefined) recalled.set(outAt, new Set([recalls]))
    else keys.add(recalls)
    return append(stored)
  }

  const put: DelayedMessages["put"] = (message) => {
    const transaction = message.sysFlag & SysFlag.TRANSACTION_ROLLBACK
    if (transaction === SysFlag.TRANSACTION_PREPARED || transaction === SysFlag.TRANSACTION_ROLLBACK) {
      return append(message)
    }
    const level = delayLevel(message.properties)
    if (level === undefined) return "DELAY_LEVEL_NO_NUMBER"
    // A level wins over a time, which is then forgotten.
    if (level > 0) return putLevel(options.timers ? without(message, ...TimerProperties.names) : message, level)
    return isTimed(message.properties) ? putTimer(message) : append(message)
  }

  /** The message that comes out: where it was to go, and with what brought it there still in its properties. */
  const released = (entry: StoredEntry, more: Readonly<Record<string, string>>): MessageInner | undefined => {
    const message = StoredMessage.read(entry)
    if (message === undefined) return undefined
    const { [MessageConst.REAL_QUEUE_ID]: queueId, [MessageConst.REAL_TOPIC]: topic } = message.properties
    if (topic === undefined || queueId === undefined) return undefined
    return {
      ...message,
      topic,
      queueId: Number(queueId),
      properties: { ...message.properties, ...more },
      storeTimestamp: now(),
      preparedTransactionOffset: 0
    }
  }

  const isRecalled = (topic: string, uniqueKey: string | undefined, deliverAt: number): boolean =>
    recalled.get(deliverAt - timerPrecisionMs)?.has(TimerProperties.recallKey(topic, uniqueKey ?? "")) === true

  const deliverOne = ({ entry, kind }: Waiting, at: number): void => {
    if (kind === "level") {
      const message = released(entry, {})
      // A half message with a delay would never be asked about; a real broker throws it away too.
      if (message !== undefined && message.topic !== "RMQ_SYS_TRANS_HALF_TOPIC") append(message)
      return
    }
    const message = released(entry, {
      [MessageConst.TIMER_ENQUEUE_MS]: String(TimerProperties.tick(entry.storeTimestamp, timerPrecisionMs)),
      [MessageConst.TIMER_DEQUEUE_MS]: String(now())
    })
    if (message === undefined || isRecalled(message.topic, message.properties[MessageConst.UNIQ_KEY], at)) return
    append(message)
  }

  return {
    put,
    next: waiting.next,
    deliver: () => {
      const time = now()
      for (let at = waiting.next(); at !== undefined && at <= time; at = waiting.next()) {
        const due = waiting.take(time)
        if (due !== undefined) deliverOne(due, at)
      }
      for (const outAt of recalled.keys()) if (outAt + timerPrecisionMs <= time) recalled.delete(outAt)
    },
    timed: (properties) => {
      const due = isTimed(properties) ? dueAt(properties) : undefined
      return typeof due === "string" ? due : due === undefined ? "now" : "later"
    },
    waiting: () =>
      waiting.all().flatMap(({ at, value }) => {
        const message = released(value.entry, {})
        if (message === undefined) return []
        const { properties, topic } = message
        return value.kind === "timer" && isRecalled(topic, properties[MessageConst.UNIQ_KEY], at)
          ? []
          : [{ deliverAt: at, entry: value.entry }]
      })
  }
}
