import { DecodeError } from "./DecodeError.ts"
import { NAME_END as FIELD_END, VALUE_END as RECORD_END } from "./MessageProperties.ts"

/**
 * Message traces: what clients tell about messages they sent or consumed, as text in messages to a topic of their own.
 * Fields end with U+0001, records with U+0002; there is no escaping, and an absent text is `null`.
 *
 * ```text
 * Pub             timeStamp regionId groupName topic msgId tags keys storeHost bodyLength costTime msgType offsetMsgId
 *                 isSuccess               older: no offsetMsgId; or a clientHost at the end
 * SubBefore       timeStamp regionId groupName requestId msgId retryTimes keys
 * SubAfter        requestId msgId costTime isSuccess keys contextCode timeStamp groupName
 *                                         older: ends after keys or after contextCode
 * EndTransaction  timeStamp regionId groupName topic msgId tags keys storeHost msgType transactionId transactionState
 *                 fromTransactionCheck
 * Recall          timeStamp regionId groupName topic msgId isSuccess
 * ```
 *
 * Source: RocketMQ `TraceDataEncoder`, `TraceConstants`.
 */

/** What a message was, as traces number it. Source: RocketMQ `MessageType`. */
export const TraceMessageType = { NORMAL: 0, TRANS_HALF: 1, TRANS_COMMIT: 2, DELAY: 3, ORDER: 4 } as const

/** How a listener ended, as traces number it. Source: RocketMQ `ConsumeReturnType`. */
export const TraceContextCode = { SUCCESS: 0, TIME_OUT: 1, EXCEPTION: 2, RETURNNULL: 3, FAILED: 4 } as const

/** A message was sent. */
export interface TracePub {
  /** The first field of the record. */
  readonly type: "Pub"
  /** Before the send, in milliseconds since the epoch. */
  readonly timeStamp: number
  /** The region that the broker named in its answer; `DefaultRegion` when it named none. */
  readonly regionId: string
  /** The producer group, without namespace. */
  readonly groupName: string
  /** The topic, without namespace. */
  readonly topic: string
  /** The unique id; those of a batch, joined by commas. */
  readonly msgId: string
  /** The tag; absent when the message has none. */
  readonly tags?: string | undefined
  /** Separated by one space. */
  readonly keys?: string | undefined
  /** `host:port` of the broker as the client knew it. */
  readonly storeHost: string
  /** In bytes, as sent. */
  readonly bodyLength: number
  /** In milliseconds. */
  readonly costTime: number
  /** See {@link TraceMessageType}. */
  readonly msgType: number
  /** The broker's message id (address and commit log offset); older clients do not tell it. */
  readonly offsetMsgId?: string | undefined
  /** True for SEND_OK alone; the other statuses of a stored message count as failed here. */
  readonly isSuccess: boolean
  /** Only some older clients tell it. */
  readonly clientHost?: string | undefined
}

/** A message is about to be consumed. */
export interface TraceSubBefore {
  /** The first field of the record. */
  readonly type: "SubBefore"
  /** In milliseconds since the epoch. */
  readonly timeStamp: number
  /** The region that the broker wrote into the message. */
  readonly regionId: string
  /** The consumer group, without namespace. */
  readonly groupName: string
  /** The same in the {@link TraceSubAfter} of this attempt. */
  readonly requestId: string
  /** The unique id. */
  readonly msgId: string
  /** How often the group had taken the message before; 0 the first time. */
  readonly retryTimes: number
  /** The message's keys, separated by one space; absent when it has none. */
  readonly keys?: string | undefined
}

/** A message was consumed, or could not be. */
export interface TraceSubAfter {
  /** The first field of the record. */
  readonly type: "SubAfter"
  /** The same as in the {@link TraceSubBefore} of this attempt. */
  readonly requestId: string
  /** The unique id. */
  readonly msgId: string
  /** In milliseconds. */
  readonly costTime: number
  /** What the listener said. */
  readonly isSuccess: boolean
  /** The message's keys, separated by one space; absent when it has none. */
  readonly keys?: string | undefined
  /** See {@link TraceContextCode}; older clients do not tell it. */
  readonly contextCode?: number | undefined
  /** In milliseconds since the epoch; older clients do not tell it. */
  readonly timeStamp?: number | undefined
  /** Older clients do not tell it. */
  readonly groupName?: string | undefined
}

/** A half message was committed or rolled back. */
export interface TraceEndTransaction {
  /** The first field of the record. */
  readonly type: "EndTransaction"
  /** In milliseconds since the epoch. */
  readonly timeStamp: number
  /** The region in the message's properties; `DefaultRegion` when there is none. */
  readonly regionId: string
  /** The producer group, without namespace. */
  readonly groupName: string
  /** The topic, without namespace. */
  readonly topic: string
  /** The unique id of the half message. */
  readonly msgId: string
  /** The tag; absent when the message has none. */
  readonly tags?: string | undefined
  /** The message's keys, separated by one space; absent when it has none. */
  readonly keys?: string | undefined
  /** `host:port` of the broker as the client knew it. */
  readonly storeHost: string
  /** See {@link TraceMessageType}. */
  readonly msgType: number
  /** The transaction's id, which is the message's unique id; absent when the client knew none. */
  readonly transactionId?: string | undefined
  /** As Java spells it. */
  readonly transactionState: "COMMIT_MESSAGE" | "ROLLBACK_MESSAGE" | "UNKNOW"
  /** Whether the broker had asked. */
  readonly fromTransactionCheck: boolean
}

/** A delayed message was taken back. */
export interface TraceRecall {
  /** The first field of the record. */
  readonly type: "Recall"
  /** In milliseconds since the epoch. */
  readonly timeStamp: number
  /** The region that the broker named; `DefaultRegion` when it named none. */
  readonly regionId: string
  /** The producer group, without namespace. */
  readonly groupName: string
  /** The topic, without namespace. */
  readonly topic: string
  /** The unique id of the message that was recalled. */
  readonly msgId: string
  /** Whether the broker took it back. */
  readonly isSuccess: boolean
}

/** One record of a trace. */
export type TraceRecord = TracePub | TraceSubBefore | TraceSubAfter | TraceEndTransaction | TraceRecall

const NULL = "null"

type Value = string | number | boolean | undefined

/** The fields of a record behind its type, and how many of them are always there; the others end it when absent. */
const layouts: Readonly<Record<TraceRecord["type"], readonly [fields: string, always: number]>> = {
  Pub: [
    "timeStamp regionId groupName topic msgId tags keys storeHost bodyLength costTime msgType offsetMsgId isSuccess clientHost",
    13
  ],
  SubBefore: ["timeStamp regionId groupName requestId msgId retryTimes keys", 7],
  SubAfter: ["requestId msgId costTime isSuccess keys contextCode timeStamp groupName", 5],
  EndTransaction: [
    "timeStamp regionId groupName topic msgId tags keys storeHost msgType transactionId transactionState fromTransactionCheck",
    12
  ],
  Recall: ["timeStamp regionId groupName topic msgId isSuccess", 6]
}

const textOf = (value: Value): string =>
  // A separator inside would shift all fields behind it.
  typeof value === "string"
    ? value.replaceAll(FIELD_END, " ").replaceAll(RECORD_END, " ")
    : value === undefined
      ? NULL
      : String(value)

/** Writes one record; the text of a trace message is several of them, one behind the other. */
export const encode = (record: TraceRecord): string => {
  const values: Readonly<Record<string, Value>> = { ...record }
  const [fields, always] = layouts[record.type]
  let out: string = record.type
  for (const [i, name] of fields.split(" ").entries()) {
    if (i >= always && values[name] === undefined) break
    out += FIELD_END + textOf(values[name])
  }
  return out + RECORD_END
}

/**
 * What a trace message must carry as its keys, so that a query for a message finds the trace: the ids and the keys of
 * all messages in it, each once.
 *
 * Source: RocketMQ `TraceDataEncoder.encoderFromContextBean`.
 */
export const keysOf = (records: ReadonlyArray<TraceRecord>): ReadonlyArray<string> => {
  const keys = new Set<string>()
  for (const record of records) {
    for (const id of record.msgId.split(",")) keys.add(id)
    if (record.type !== "Recall") for (const key of record.keys?.split(" ") ?? []) keys.add(key)
  }
  keys.delete("")
  return [...keys]
}

/** What {@link decode} read, and what was wrong with the first record that is none. */
export interface DecodedTrace {
  /** Those before the first that cannot be read, in their order. */
  readonly records: ReadonlyArray<TraceRecord>
  /** Why reading ended; undefined when everything was read. */
  readonly error: DecodeError | undefined
}

/**
 * Reads the body of a trace message. Records of a type that this library does not know are left out, as in Java; so are
 * those that cannot be read, of which the first is told. `null` and absent fields are undefined where they may be.
 *
 * Source: RocketMQ `TraceDataEncoder.decoderFromTraceDataString`.
 */
export const decode = (body: string | Uint8Array): DecodedTrace => {
  const text = typeof body === "string" ? body : Buffer.from(body).toString("utf8")
  const records: Array<TraceRecord> = []
  let error: DecodeError | undefined
  let index = 0
  for (const line of text.split(RECORD_END)) {
    if (line === "") continue
    const read = reader(line.split(FIELD_END))
    const record = recordOf(read)
    if (record !== undefined && read.bad() === undefined) records.push(record)
    else if (record !== undefined) {
      error ??= new DecodeError({
        code: -1,
        field: `${record.type}[${index}].${read.bad() ?? ""}`,
        detail: "it is absent or no such value"
      })
    }
    index++
  }
  return { records, error }
}

interface Reader {
  /** Fields present, as Java counts them: empty ones at the end do not count. */
  readonly count: number
  readonly string: (at: number) => string
  readonly optional: (at: number) => string | undefined
  readonly number: (at: number, name: string) => number
  readonly boolean: (at: number) => boolean
  readonly fail: (name: string) => void
  /** The first field that could not be read. */
  readonly bad: () => string | undefined
}

const reader = (fields: ReadonlyArray<string>): Reader => {
  let bad: string | undefined
  let count = fields.length
  while (count > 0 && fields[count - 1] === "") count--
  const optional = (at: number) => (fields[at] === NULL ? undefined : fields[at])
  return {
    count,
    string: (at) => optional(at) ?? "",
    optional,
    number: (at, name) => {
      const value = /^-?\d{1,16}$/.test(fields[at] ?? "") ? Number(fields[at]) : Number.NaN
      if (!Number.isSafeInteger(value)) bad ??= name
      return value
    },
    boolean: (at) => fields[at]?.toLowerCase() === "true",
    fail: (name) => {
      bad ??= name
    },
    bad: () => bad
  }
}

const recordOf = (r: Reader): TraceRecord | undefined => {
  const type = r.string(0)
  switch (type) {
    case "Pub":
      return pubOf(r)
    case "SubBefore":
      return {
        type,
        timeStamp: r.number(1, "timeStamp"),
        regionId: r.string(2),
        groupName: r.string(3),
        requestId: r.string(4),
        msgId: r.string(5),
        retryTimes: r.number(6, "retryTimes"),
        keys: r.optional(7)
      }
    case "SubAfter":
      return {
        type,
        requestId: r.string(1),
        msgId: r.string(2),
        costTime: r.number(3, "costTime"),
        isSuccess: r.boolean(4),
        keys: r.optional(5),
        contextCode: r.count >= 7 ? r.number(6, "contextCode") : undefined,
        timeStamp: r.count >= 8 ? r.number(7, "timeStamp") : undefined,
        groupName: r.count >= 8 ? r.optional(8) : undefined
      }
    case "EndTransaction":
      return endTransactionOf(r)
    case "Recall":
      return {
        type,
        timeStamp: r.number(1, "timeStamp"),
        regionId: r.string(2),
        groupName: r.string(3),
        topic: r.string(4),
        msgId: r.string(5),
        isSuccess: r.boolean(6)
      }
    default:
      return undefined
  }
}

const pubOf = (r: Reader): TracePub => {
  // The oldest form has no offsetMsgId, so that everything behind it comes one earlier.
  const old = r.count <= 13
  return {
    type: "Pub",
    timeStamp: r.number(1, "timeStamp"),
    regionId: r.string(2),
    groupName: r.string(3),
    topic: r.string(4),
    msgId: r.string(5),
    tags: r.optional(6),
    keys: r.optional(7),
    storeHost: r.string(8),
    bodyLength: r.number(9, "bodyLength"),
    costTime: r.number(10, "costTime"),
    msgType: r.number(11, "msgType"),
    offsetMsgId: old ? undefined : r.optional(12),
    isSuccess: r.boolean(old ? 12 : 13),
    ...(r.count >= 15 ? { clientHost: r.optional(14) } : {})
  }
}

const endTransactionOf = (r: Reader): TraceEndTransaction => {
  const state = r.string(11)
  const known = state === "COMMIT_MESSAGE" || state === "ROLLBACK_MESSAGE" || state === "UNKNOW" ? state : undefined
  if (known === undefined) r.fail("transactionState")
  return {
    type: "EndTransaction",
    timeStamp: r.number(1, "timeStamp"),
    regionId: r.string(2),
    groupName: r.string(3),
    topic: r.string(4),
    msgId: r.string(5),
    tags: r.optional(6),
    keys: r.optional(7),
    storeHost: r.string(8),
    msgType: r.number(9, "msgType"),
    transactionId: r.optional(10),
    transactionState: known ?? "UNKNOW",
    fromTransactionCheck: r.boolean(12)
  }
}
