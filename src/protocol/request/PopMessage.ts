import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import * as PopHandle from "../PopHandle.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * POP_MESSAGE (200050), client to broker: messages of a topic, hidden from other consumers for a while. Brokers before 5.0 do
 * not know the code.
 *
 * ```text
 * consumerGroup  string
 * topic          string
 * queueId        int
 * maxMsgNums     int
 * invisibleTime  long
 * pollTime       long
 * bornTime       long
 * initMode       int
 * expType        string   optional
 * exp            string   optional
 * order          bool     optional
 * attemptId      string   optional
 * bname          string   optional
 * answer: popTime, invisibleTime, reviveQid, restNum, startOffsetInfo?, msgOffsetInfo?, orderCountInfo?;
 *         body: stored messages of several queues, one behind the other
 * ```
 *
 * Source: RocketMQ `PopMessageRequestHeader`, `PopMessageResponseHeader`.
 */
export interface PopMessageHeader {
  /** The consumer group. */
  readonly consumerGroup: string
  /** The topic; its retry topic is looked at as well. */
  readonly topic: string
  /** The queue; -1 is any queue of the broker. */
  readonly queueId: number
  /** At most so many messages, 1 to 32. */
  readonly maxMsgNums: number
  /** For how long the messages are hidden, in milliseconds. */
  readonly invisibleTime: Long
  /** For how long the broker may hold the request, in milliseconds; 0 not at all. */
  readonly pollTime: Long
  /** Now, in milliseconds since the epoch: a hold ends `pollTime` after it. 0 is the broker's own time. */
  readonly bornTime: Long
  /** Where a group without an offset begins: see {@link InitMode}. */
  readonly initMode: number
  /** `TAG` or `SQL92`. */
  readonly expType?: string | undefined
  /** The filter. */
  readonly exp?: string | undefined
  /** Whether queues are popped in order: one is blocked until what was popped of it is acknowledged. */
  readonly order?: boolean | undefined
  /** Names a pop in order, so that asking again gives the same messages again. */
  readonly attemptId?: string | undefined
  /** The broker that is meant, by name (`bname`). */
  readonly brokerName?: string | undefined
}

/** Where a group without an offset begins. Source: RocketMQ `ConsumeInitMode`. */
export const InitMode = { MIN: 0, MAX: 1 } as const

/** What came of a pop. Source: RocketMQ `PopStatus`. */
export type PopStatus = "FOUND" | "NO_NEW_MSG" | "POLLING_FULL" | "POLLING_NOT_FOUND"

/** The header of an answer to a pop. */
export interface PopMessageResponseHeader extends PopHandle.PopInfo {
  /** How many messages the queues still have, as far as the broker looked. */
  readonly restNum: Long
  /** How often messages were consumed in order; undefined where the answer has none. */
  readonly orderCounts?: ReadonlyArray<PopHandle.OrderCount> | undefined
}

/** What a broker answers to a pop. */
export interface PopMessageAnswer extends PopMessageResponseHeader {
  /** What the code of the answer says. */
  readonly status: PopStatus
  /** Stored messages; read them with `MessageCodec.decodeAll`. Empty unless FOUND. */
  readonly body: Uint8Array
}

const header: HeaderCodec.Codec<PopMessageHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  maxMsgNums: HeaderCodec.int,
  invisibleTime: HeaderCodec.int64,
  pollTime: HeaderCodec.int64,
  bornTime: HeaderCodec.int64,
  initMode: HeaderCodec.int,
  expType: HeaderCodec.optional(HeaderCodec.string),
  exp: HeaderCodec.optional(HeaderCodec.string),
  order: HeaderCodec.optional(HeaderCodec.boolean),
  attemptId: HeaderCodec.optional(HeaderCodec.string),
  brokerName: HeaderCodec.brokerName
})

const responseHeader = HeaderCodec.struct({
  popTime: HeaderCodec.int64,
  invisibleTime: HeaderCodec.int64,
  reviveQid: HeaderCodec.int,
  restNum: HeaderCodec.int64,
  startOffsetInfo: HeaderCodec.optional(HeaderCodec.string),
  msgOffsetInfo: HeaderCodec.optional(HeaderCodec.string),
  orderCountInfo: HeaderCodec.optional(HeaderCodec.string)
})

const codes: Readonly<Record<PopStatus, number>> = {
  FOUND: ResponseCode.SUCCESS,
  NO_NEW_MSG: ResponseCode.PULL_NOT_FOUND,
  POLLING_FULL: ResponseCode.POLLING_FULL,
  POLLING_NOT_FOUND: ResponseCode.POLLING_TIMEOUT
}

const statuses: ReadonlyMap<number, PopStatus> = new Map([
  [codes.FOUND, "FOUND"],
  [codes.NO_NEW_MSG, "NO_NEW_MSG"],
  [codes.POLLING_FULL, "POLLING_FULL"],
  [codes.POLLING_NOT_FOUND, "POLLING_NOT_FOUND"]
])

/** What came of a pop by the answer's code; undefined for a code that is a failure. */
export const statusOf = (code: number): PopStatus | undefined => statuses.get(code)

/** What a client sends. */
export const request = (value: PopMessageHeader): Request => ({
  code: RequestCode.POP_MESSAGE,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): PopMessageHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers; real ones put the internal name of what happened into `remark`. */
export const response = (
  {
    body,
    messageOffsets,
    orderCounts,
    startOffsets,
    status,
    ...numbers
  }: PopMessageResponseHeader & { readonly status: PopStatus; readonly body?: Uint8Array | undefined },
  remark?: string
): Response => ({
  code: codes[status],
  remark,
  extFields: responseHeader.encode({
    ...numbers,
    startOffsetInfo: startOffsets && PopHandle.encodeStartOffsets(startOffsets),
    msgOffsetInfo: messageOffsets && PopHandle.encodeMessageOffsets(messageOffsets),
    orderCountInfo: orderCounts && PopHandle.encodeOrderCounts(orderCounts)
  }),
  body
})

const bad = (field: string, detail: string) => new DecodeError({ code: RequestCode.POP_MESSAGE, field, detail })

/** What a client reads of an answer with one of the four codes of {@link PopStatus}. */
export const decodeResponse = (cmd: RemotingCommand): PopMessageAnswer | DecodeError => {
  const status = statuses.get(cmd.code)
  if (status === undefined) return bad("code", `${cmd.code} is no status of a pop`)
  const value = responseHeader.decode(RequestCode.POP_MESSAGE, cmd.extFields)
  if (value instanceof DecodeError) return value
  const { msgOffsetInfo, orderCountInfo, startOffsetInfo, ...numbers } = value
  const startOffsets = startOffsetInfo === undefined ? undefined : PopHandle.decodeStartOffsets(startOffsetInfo)
  if (startOffsets === undefined && startOffsetInfo !== undefined) return bad("startOffsetInfo", "no offsets of queues")
  const messageOffsets = msgOffsetInfo === undefined ? undefined : PopHandle.decodeMessageOffsets(msgOffsetInfo)
  if (messageOffsets === undefined && msgOffsetInfo !== undefined) return bad("msgOffsetInfo", "no offsets of messages")
  const orderCounts = orderCountInfo === undefined ? undefined : PopHandle.decodeOrderCounts(orderCountInfo)
  if (orderCounts === undefined && orderCountInfo !== undefined) return bad("orderCountInfo", "no counts")
  const answer = { ...numbers, status, body: cmd.body, startOffsets, messageOffsets }
  return orderCounts === undefined ? answer : { ...answer, orderCounts }
}
