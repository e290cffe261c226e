import type { SendStatus } from "../../message/SendResult.ts"
import { DecodeError } from "../DecodeError.ts"
import { boolean } from "../HeaderCodec.ts"
import { type Long, parseInt32, parseLong } from "../Long.ts"
import type { ExtFields, RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * SEND_MESSAGE (10), SEND_MESSAGE_V2 (310), SEND_BATCH_MESSAGE (320), SEND_REPLY_MESSAGE (324) and _V2 (325), client to
 * broker. The body is the message's body, or several messages (`MessageCodec.encodeBatch`).
 *
 * ```text
 * V2  V1                      type
 * a   producerGroup           string
 * b   topic                   string
 * c   defaultTopic            string
 * d   defaultTopicQueueNums   int
 * e   queueId                 int      -1: the broker chooses
 * f   sysFlag                 int
 * g   bornTimestamp           long
 * h   flag                    int
 * i   properties              string   optional
 * j   reconsumeTimes          int
 * k   unitMode                boolean
 * l   maxReconsumeTimes       int      optional
 * m   batch                   boolean
 * n   bname                   string   optional
 * answer: msgId, queueId, queueOffset, transactionId?, batchUniqId?, recallHandle?, MSG_REGION?, TRACE_ON?
 * ```
 *
 * This is the one request that a producer sends per message, so both ends are written out by hand.
 *
 * Source: RocketMQ `SendMessageRequestHeaderV2`, `SendMessageRequestHeader`, `SendMessageResponseHeader`.
 */

/** How a send is put on the wire: short names, long names, several messages, or as a reply to a request. */
export type SendMessageForm = "V2" | "V1" | "BATCH" | "REPLY_V2" | "REPLY_V1"

/** What a send says besides the body. */
export interface SendMessageHeader {
  /** The producer group; for half messages it is the one that will be asked. */
  readonly producerGroup: string
  /**
   * The topic. One that the broker does not have is created after `defaultTopic`, or refused with 17 (TOPIC_NOT_EXIST).
   */
  readonly topic: string
  /** The topic from which a missing topic is created (Java `createTopicKey`). */
  readonly defaultTopic: string
  /** Queues that a topic gets when this send creates it; 4 with Java. */
  readonly defaultTopicQueueNums?: number | undefined
  /** -1 lets the broker choose. */
  readonly queueId: number
  /** Bits of `SysFlag`. */
  readonly sysFlag: number
  /** Milliseconds since the epoch. */
  readonly bornTimestamp: Long
  /** The user's number of the message, any 32-bit int; RocketMQ does not look at it. */
  readonly flag: number
  /** Encoded by `MessageProperties.encode`. */
  readonly properties?: string | undefined
  /** How often consumers have failed on the message: 0, except for sends to a retry topic. */
  readonly reconsumeTimes: number
  /** Whether the producer belongs to a unit of a deployment over several regions; false with everyone else. */
  readonly unitMode: boolean
  /** For sends to a retry topic: after so many times the message goes to the dead letters. Absent otherwise. */
  readonly maxReconsumeTimes?: number | undefined
  /** Whether the body holds several messages; false when absent. */
  readonly batch?: boolean | undefined
  /** The broker that is meant, by name (`n`, `bname`); a queue of a static topic needs it. */
  readonly brokerName?: string | undefined
}

/** What a broker says of a message it stored. */
export interface SendMessageAnswer {
  /** The broker's message id (address and commit log offset); several, joined by commas, for a batch. */
  readonly msgId: string
  /** The queue that has the message; of a delayed or half message the one it is meant for. */
  readonly queueId: number
  /** Position in the queue; of the first message for a batch. */
  readonly queueOffset: number
  /** The transaction's id, which is the message's unique id; brokers of 4.x leave it out. */
  readonly transactionId?: string | undefined
  /** The unique id of a batch that was stored as one entry (topics with `queue.type=BatchCQ`); absent otherwise. */
  readonly batchUniqId?: string | undefined
  /** By which a timer message can be recalled. */
  readonly recallHandle?: string | undefined
  /** The broker's region (`MSG_REGION`), which message traces carry; `DefaultRegion` unless configured. */
  readonly regionId?: string | undefined
  /** Whether the broker wants traces of its messages (`TRACE_ON`); true unless it says `false`. */
  readonly traceOn: boolean
}

/** What a producer reads of a broker's answer. */
export interface StoredAnswer extends SendMessageAnswer {
  /** How safely the message is stored. */
  readonly status: SendStatus
}

/** How safely a message is stored, by the answer's code; undefined for a code that is a failure. */
export const statusOf = (code: number): SendStatus | undefined => {
  switch (code) {
    case ResponseCode.SUCCESS:
      return "SEND_OK"
    case ResponseCode.FLUSH_DISK_TIMEOUT:
      return "FLUSH_DISK_TIMEOUT"
    case ResponseCode.FLUSH_SLAVE_TIMEOUT:
      return "FLUSH_SLAVE_TIMEOUT"
    case ResponseCode.SLAVE_NOT_AVAILABLE:
      return "SLAVE_NOT_AVAILABLE"
    default:
      return undefined
  }
}

/** The request code of each form. */
export const codes: Readonly<Record<SendMessageForm, number>> = {
  V2: RequestCode.SEND_MESSAGE_V2,
  V1: RequestCode.SEND_MESSAGE,
  BATCH: RequestCode.SEND_BATCH_MESSAGE,
  REPLY_V2: RequestCode.SEND_REPLY_MESSAGE_V2,
  REPLY_V1: RequestCode.SEND_REPLY_MESSAGE
}

const text = (value: boolean): string => (value ? "true" : "false")

/** The fields of the forms with short names. */
export const shortNames = (header: SendMessageHeader, batch: boolean): ExtFields => {
  const out: Record<string, string> = {
    a: header.producerGroup,
    b: header.topic,
    c: header.defaultTopic,
    d: `${header.defaultTopicQueueNums ?? 0}`,
    e: `${header.queueId}`,
    f: `${header.sysFlag}`,
    g: `${header.bornTimestamp}`,
    h: `${header.flag}`
  }
  if (header.properties !== undefined) out["i"] = header.properties
  out["j"] = `${header.reconsumeTimes}`
  out["k"] = text(header.unitMode)
  if (header.maxReconsumeTimes !== undefined) out["l"] = `${header.maxReconsumeTimes}`
  out["m"] = text(batch)
  if (header.brokerName !== undefined) out["n"] = header.brokerName
  return out
}

const longNames = (header: SendMessageHeader): ExtFields => {
  const out: Record<string, string> = {
    producerGroup: header.producerGroup,
    topic: header.topic,
    defaultTopic: header.defaultTopic,
    defaultTopicQueueNums: `${header.defaultTopicQueueNums ?? 0}`,
    queueId: `${header.queueId}`,
    sysFlag: `${header.sysFlag}`,
    bornTimestamp: `${header.bornTimestamp}`,
    flag: `${header.flag}`,
    reconsumeTimes: `${header.reconsumeTimes}`,
    unitMode: text(header.unitMode),
    batch: text(header.batch ?? false)
  }
  if (header.properties !== undefined) out["properties"] = header.properties
  if (header.maxReconsumeTimes !== undefined) out["maxReconsumeTimes"] = `${header.maxReconsumeTimes}`
  if (header.brokerName !== undefined) out["bname"] = header.brokerName
  return out
}

/** What a producer sends. The form `BATCH` sets the batch field whatever the header says. */
export const request = (header: SendMessageHeader, body: Uint8Array, form: SendMessageForm): Request => ({
  code: codes[form],
  extFields:
    form === "V1" || form === "REPLY_V1"
      ? longNames(header)
      : shortNames(header, form === "BATCH" || (header.batch ?? false)),
  body
})

/** Java's words. */
const noNumber = (value: string): string => `For input string: ${JSON.stringify(value.slice(0, 40))}`

/**
 * What a broker reads, in any of the five forms. The body stays in `cmd.body`. As in Java, a number that is none ends a form
 * with short names, and counts as absent in one with long names.
 */
export const decodeRequest = (cmd: RemotingCommand): SendMessageHeader | DecodeError => {
  const { code } = cmd
  const f: Readonly<Partial<Record<string, string>>> = cmd.extFields ?? {}
  const longNamed = code === RequestCode.SEND_MESSAGE || code === RequestCode.SEND_REPLY_MESSAGE
  const name = (shortName: string, longName: string): string => (longNamed ? longName : shortName)
  let error: DecodeError | undefined
  const required = <A>(field: string, read: (text: string) => A | undefined, otherwise: A): A => {
    const value = f[field]
    const result = value === undefined ? undefined : read(value)
    if (result !== undefined) return result
    error ??= new DecodeError({ code, field, detail: value === undefined ? "it is absent" : noNumber(value) })
    return otherwise
  }
  const textOf = (field: string): string => required(field, (value) => value, "")
  const intOf = (field: string): number => required(field, parseInt32, 0)
  const optionalInt = (field: string): number | undefined => {
    const value = f[field]
    if (value === undefined) return undefined
    return longNamed ? parseInt32(value) : intOf(field)
  }
  const requiredInt = (field: string): number | undefined =>
    f[field] === undefined ? intOf(field) : optionalInt(field)
  const flagOf = (field: string): boolean => {
    const value = f[field]
    return value !== undefined && boolean.read(value) === true
  }

  const properties = f[name("i", "properties")]
  const maxReconsumeTimes = optionalInt(name("l", "maxReconsumeTimes"))
  const brokerName = f[name("n", "bname")]
  const header: SendMessageHeader = {
    producerGroup: textOf(name("a", "producerGroup")),
    topic: textOf(name("b", "topic")),
    defaultTopic: textOf(name("c", "defaultTopic")),
    defaultTopicQueueNums: requiredInt(name("d", "defaultTopicQueueNums")),
    queueId: intOf(name("e", "queueId")),
    sysFlag: intOf(name("f", "sysFlag")),
    bornTimestamp: required(name("g", "bornTimestamp"), parseLong, 0),
    flag: intOf(name("h", "flag")),
    ...(properties === undefined ? {} : { properties }),
    reconsumeTimes: optionalInt(name("j", "reconsumeTimes")) ?? 0,
    unitMode: flagOf(name("k", "unitMode")),
    ...(maxReconsumeTimes === undefined ? {} : { maxReconsumeTimes }),
    batch: code === RequestCode.SEND_BATCH_MESSAGE || flagOf(name("m", "batch")),
    ...(brokerName === undefined ? {} : { brokerName })
  }
  return error ?? header
}

/** What a broker answers; `code` is 0 or one of the codes for "stored, but" (FLUSH_DISK_TIMEOUT and so on). */
export const response = (answer: SendMessageAnswer, code: number = ResponseCode.SUCCESS): Response => {
  const extFields: Record<string, string> = {
    queueId: `${answer.queueId}`,
    msgId: answer.msgId,
    TRACE_ON: text(answer.traceOn),
    queueOffset: `${answer.queueOffset}`
  }
  if (answer.transactionId !== undefined) extFields["transactionId"] = answer.transactionId
  if (answer.batchUniqId !== undefined) extFields["batchUniqId"] = answer.batchUniqId
  if (answer.recallHandle !== undefined) extFields["recallHandle"] = answer.recallHandle
  if (answer.regionId !== undefined) extFields["MSG_REGION"] = answer.regionId
  return { code, extFields }
}

/** The ids and names in an answer have at most so many characters: a longest recall handle has less. */
const MAX_ID_LENGTH = 1_024

/** A text of an answer that goes on into results and traces; one that is longer than any is counts as absent. */
const believed = (given: string | undefined): string | undefined =>
  given === undefined || given.length > MAX_ID_LENGTH ? undefined : given

/**
 * What a producer reads of an answer with one of the codes of {@link statusOf}. Trace is on unless the broker says
 * "false"; a broker of 4.x sends no transactionId.
 */
export const decodeResponse = (cmd: RemotingCommand): StoredAnswer | DecodeError => {
  const f: Readonly<Partial<Record<string, string>>> = cmd.extFields ?? {}
  const { msgId } = f
  const code = RequestCode.SEND_MESSAGE_V2
  const status = statusOf(cmd.code)
  if (status === undefined) return new DecodeError({ code, field: "code", detail: `${cmd.code} is no send status` })
  const queueId = parseInt32(f["queueId"] ?? "")
  const queueOffset = parseLong(f["queueOffset"] ?? "")
  if (msgId === undefined || queueId === undefined || typeof queueOffset !== "number") {
    const field = msgId === undefined ? "msgId" : queueId === undefined ? "queueId" : "queueOffset"
    return new DecodeError({ code, field, detail: "it is absent or no number in the answer" })
  }
  return {
    status,
    msgId,
    queueId,
    queueOffset,
    transactionId: believed(f["transactionId"]),
    batchUniqId: believed(f["batchUniqId"]),
    recallHandle: believed(f["recallHandle"]),
    regionId: believed(f["MSG_REGION"]),
    traceOn: f["TRACE_ON"] !== "false"
  }
}
