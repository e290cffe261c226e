import { isRetryTopic, retryTopic } from "../message/MixAll.ts"
import { type Long, parseInt32, parseLong } from "./Long.ts"

/**
 * Where a message was popped from: `0` the topic itself, `1` the group's retry topic of it, `2` that of its second form
 * (`enableRetryTopicV2` of brokers).
 *
 * Source: RocketMQ `ExtraInfoUtil.getRetry`.
 */
export type RetryFlag = "0" | "1" | "2"

/**
 * The handle of a popped message (property `POP_CK`, field `extraInfo`): by it the broker finds what was popped. It holds
 * for one acknowledgement or one extension, whose answer has what the next handle is made of.
 *
 * ```text
 * ckQueueOffset popTime invisibleTime reviveQid retryFlag brokerName queueId msgQueueOffset
 * ```
 *
 * Source: RocketMQ `ExtraInfoUtil.buildExtraInfo`.
 */
export interface PopHandle {
  /** The offset at which the pop began in this queue. */
  readonly ckQueueOffset: Long
  /** When the broker popped it, in milliseconds since the epoch by its clock. */
  readonly popTime: Long
  /** For how long it is hidden from other consumers, in milliseconds. */
  readonly invisibleTime: Long
  /** The queue of the broker's revive topic; {@link ORDER_REVIVE_QUEUE} for one that was popped in order. */
  readonly reviveQid: number
  /** Which topic it lies in. */
  readonly retryFlag: RetryFlag
  /** The broker that it was popped from. */
  readonly brokerName: string
  /** Its queue. */
  readonly queueId: number
  /** Its offset there. */
  readonly msgQueueOffset: Long
}

/** The `reviveQid` of what was popped in order. Source: RocketMQ `KeyBuilder.POP_ORDER_REVIVE_QUEUE`. */
export const ORDER_REVIVE_QUEUE = 999

const FIELDS = 8

const flagOf = (text: string | undefined): RetryFlag | undefined =>
  text === "0" || text === "1" || text === "2" ? text : undefined

/** The text of a handle. */
export const encode = (handle: PopHandle): string =>
  [
    handle.ckQueueOffset,
    handle.popTime,
    handle.invisibleTime,
    handle.reviveQid,
    handle.retryFlag,
    handle.brokerName,
    handle.queueId,
    handle.msgQueueOffset
  ].join(" ")

/** Reads a handle; undefined for a text that is none. */
export const decode = (text: string): PopHandle | undefined => {
  const parts = text.split(" ", FIELDS + 1)
  const [ck = "", pop = "", invisible = "", revive = "", flag, brokerName = "", queue = "", offset = ""] = parts
  const ckQueueOffset = parseLong(ck)
  const popTime = parseLong(pop)
  const invisibleTime = parseLong(invisible)
  const reviveQid = parseInt32(revive)
  const retryFlag = flagOf(flag)
  const queueId = parseInt32(queue)
  const msgQueueOffset = parseLong(offset)
  if (
    parts.length !== FIELDS ||
    ckQueueOffset === undefined ||
    popTime === undefined ||
    invisibleTime === undefined ||
    reviveQid === undefined ||
    retryFlag === undefined ||
    brokerName === "" ||
    queueId === undefined ||
    msgQueueOffset === undefined
  ) {
    return undefined
  }
  return { ckQueueOffset, popTime, invisibleTime, reviveQid, retryFlag, brokerName, queueId, msgQueueOffset }
}

/** The group's retry topic of a topic that is popped. Source: RocketMQ `KeyBuilder.buildPopRetryTopic`. */
export const popRetryTopic = (group: string, topic: string, flag: "1" | "2" = "1"): string =>
  `${retryTopic(group)}${flag === "1" ? "_" : "+"}${topic}`

/** The topic that a popped message lies in: what acknowledgements and extensions name. Source: RocketMQ `ExtraInfoUtil.getRealTopic`. */
export const realTopic = (group: string, topic: string, flag: RetryFlag): string =>
  flag === "0" ? topic : popRetryTopic(group, topic, flag)

/** Where a pop found messages: a topic, by its flag, and a queue of it. */
export interface PopQueue {
  /** Which topic. */
  readonly retryFlag: RetryFlag
  /** Which queue. */
  readonly queueId: number
}

/** Where a pop began in a queue; an entry of `startOffsetInfo`. */
export interface StartOffset extends PopQueue {
  /** The first offset that it looked at. */
  readonly offset: Long
}

/** The offsets of the messages that a pop found in a queue; an entry of `msgOffsetInfo`. */
export interface MessageOffsets extends PopQueue {
  /** In the order of the messages. */
  readonly offsets: ReadonlyArray<Long>
}

/** How often a message or a queue was consumed in order; an entry of `orderCountInfo`. */
export interface OrderCount extends PopQueue {
  /** The message's offset; undefined where the count is the whole queue's. */
  readonly offset: Long | undefined
  /** How often. */
  readonly count: number
}

/** Entries of a text at most: brokers look at no more queues for one pop. */
const MAX_ENTRIES = 4_096

/** Reads the entries of a text; undefined when it is none, or names a queue twice. */
const entries = <A>(text: string, read: (flag: RetryFlag, place: string, value: string) => A | undefined) => {
  if (text === "") return []
  const parts = text.split(";", MAX_ENTRIES + 1)
  if (parts.length > MAX_ENTRIES) return undefined
  const seen = new Set<string>()
  const found: Array<A> = []
  for (const part of parts) {
    const [first, place, value, ...more] = part.split(" ", 4)
    const flag = flagOf(first)
    if (flag === undefined || place === undefined || value === undefined || more.length > 0) return undefined
    const one = read(flag, place, value)
    const key = `${flag} ${place}`
    if (one === undefined || seen.has(key)) return undefined
    seen.add(key)
    found.push(one)
  }
  return found
}

/** The text of `startOffsetInfo`. */
export const encodeStartOffsets = (starts: ReadonlyArray<StartOffset>): string =>
  starts.map(({ offset, queueId, retryFlag }) => `${retryFlag} ${queueId} ${offset}`).join(";")

/** Reads `startOffsetInfo`; undefined for a text that is none. */
export const decodeStartOffsets = (text: string): ReadonlyArray<StartOffset> | undefined =>
  entries(text, (retryFlag, place, value): StartOffset | undefined => {
    const queueId = parseInt32(place)
    const offset = parseLong(value)
    return queueId === undefined || offset === undefined ? undefined : { retryFlag, queueId, offset }
  })

/** The text of `msgOffsetInfo`. */
export const encodeMessageOffsets = (found: ReadonlyArray<MessageOffsets>): string =>
  found.map(({ offsets, queueId, retryFlag }) => `${retryFlag} ${queueId} ${offsets.join(",")}`).join(";")

/** Reads `msgOffsetInfo`; undefined for a text that is none. */
export const decodeMessageOffsets = (text: string): ReadonlyArray<MessageOffsets> | undefined =>
  entries(text, (retryFlag, place, value): MessageOffsets | undefined => {
    const queueId = parseInt32(place)
    const parts = value.split(",", MAX_ENTRIES + 1)
    const offsets = parts.flatMap((part) => parseLong(part) ?? [])
    const isWhole = offsets.length === parts.length && parts.length <= MAX_ENTRIES
    return queueId === undefined || !isWhole ? undefined : { retryFlag, queueId, offsets }
  })

const ofMessage = /^qo([^%]+)%(.+)$/

/** The text of `orderCountInfo`. */
export const encodeOrderCounts = (counts: ReadonlyArray<OrderCount>): string =>
  counts
    .map(
      ({ count, offset, queueId, retryFlag }) =>
        `${retryFlag} ${offset === undefined ? queueId : `qo${queueId}%${offset}`} ${count}`
    )
    .join(";")

/** Reads `orderCountInfo`; undefined for a text that is none. */
export const decodeOrderCounts = (text: string): ReadonlyArray<OrderCount> | undefined =>
  entries(text, (retryFlag, place, value): OrderCount | undefined => {
    const [, ofQueue = place, at] = ofMessage.exec(place) ?? []
    const queueId = parseInt32(ofQueue)
    const offset = at === undefined ? undefined : parseLong(at)
    const count = parseInt32(value)
    if (queueId === undefined || count === undefined || (at !== undefined && offset === undefined)) return undefined
    return { retryFlag, queueId, offset, count }
  })

/** What a pop's answer says of the handles of its messages. */
export interface PopInfo {
  /** When it was popped, in milliseconds since the epoch by the broker's clock. */
  readonly popTime: Long
  /** For how long its messages are hidden, in milliseconds. */
  readonly invisibleTime: Long
  /** The queue of the broker's revive topic. */
  readonly reviveQid: number
  /** Where it began, by queue; undefined from a broker that does not say it. */
  readonly startOffsets: ReadonlyArray<StartOffset> | undefined
  /** What it found, by queue; undefined from a broker that does not say it. */
  readonly messageOffsets: ReadonlyArray<MessageOffsets> | undefined
}

/** What of a popped message its handle is made of. */
export interface PoppedMessage {
  /** The topic that it was popped by. */
  readonly topic: string
  /** Its queue. */
  readonly queueId: number
  /** Its offset as it is stored. */
  readonly queueOffset: Long
  /** Its property `POP_CK`, where the broker has set it: on a message that comes again. */
  readonly popCk: string | undefined
}

const placeOf = ({ queueId, retryFlag }: PopQueue) => `${retryFlag} ${queueId}`

/** Which topic a message lies in; brokers give what comes again the topic's own name, and a handle. */
const flagOfTopic = (topic: string): RetryFlag => (isRetryTopic(topic) ? (topic.includes("+") ? "2" : "1") : "0")

const ascending = (a: Long, b: Long) => (a < b ? -1 : a > b ? 1 : 0)

/**
 * The handles of the messages of an answer, in their order; undefined for one whose handle cannot be made: the answer does
 * not name its offset. What comes again carries its own.
 *
 * Source: RocketMQ `MQClientAPIImpl.processPopResponse`.
 */
export const handlesOf = (
  brokerName: string,
  info: PopInfo,
  messages: ReadonlyArray<PoppedMessage>
): ReadonlyArray<PopHandle | undefined> => {
  const { invisibleTime, popTime, reviveQid } = info
  const starts = new Map(info.startOffsets?.map((start) => [placeOf(start), start.offset]))
  const offsets = new Map(info.messageOffsets?.map((found) => [placeOf(found), found.offsets]))
  const found = messages.map((message) => {
    const own = message.popCk === undefined ? undefined : decode(message.popCk)
    const retryFlag = own?.retryFlag ?? flagOfTopic(message.topic)
    return { ...message, own, retryFlag, place: placeOf({ retryFlag, queueId: message.queueId }) }
  })
  /** By place, the offsets of its messages, ascending: those of the answer have the same ranks. */
  const ranks = new Map(
    [...Map.groupBy(found, ({ place }) => place)].map(([place, some]) => [
      place,
      some.map(({ queueOffset }) => queueOffset).toSorted(ascending)
    ])
  )
  return found.map(({ own, place, popCk, queueId, queueOffset, retryFlag }) => {
    if (popCk !== undefined) return own
    const common = { popTime, invisibleTime, reviveQid, retryFlag, brokerName, queueId }
    const rank = ranks.get(place)
    if (info.startOffsets === undefined) {
      return { ...common, ckQueueOffset: rank?.[0] ?? queueOffset, msgQueueOffset: queueOffset }
    }
    const ckQueueOffset = starts.get(place)
    const msgQueueOffset = offsets.get(place)?.[rank?.indexOf(queueOffset) ?? -1]
    return ckQueueOffset === undefined || msgQueueOffset === undefined
      ? undefined
      : { ...common, ckQueueOffset, msgQueueOffset }
  })
}
