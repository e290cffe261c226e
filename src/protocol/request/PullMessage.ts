import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * PULL_MESSAGE (11) and LITE_PULL_MESSAGE (361), client to broker: messages of one queue from an offset on.
 *
 * ```text
 * consumerGroup         string
 * topic                 string
 * queueId               int
 * queueOffset           long
 * maxMsgNums            int
 * sysFlag               int
 * commitOffset          long
 * suspendTimeoutMillis  long
 * subscription          string   optional
 * subVersion            long
 * expressionType        string   optional
 * maxMsgBytes           int      optional
 * bname                 string   optional
 * answer: suggestWhichBrokerId, nextBeginOffset, minOffset, maxOffset, offsetDelta?, topicSysFlag?, groupSysFlag?,
 *         forbiddenType?; body: stored messages, see `MessageCodec`
 * ```
 *
 * Source: RocketMQ `PullMessageRequestHeader`, `PullMessageResponseHeader`.
 */
export interface PullMessageHeader {
  /** The consumer group. */
  readonly consumerGroup: string
  /** The topic. */
  readonly topic: string
  /** The queue's id, 0 to `readQueueNums` less one. */
  readonly queueId: number
  /** The offset to read from. */
  readonly queueOffset: Long
  /** At most so many messages; the broker has a limit of its own (32 out of memory, 8 from disk). */
  readonly maxMsgNums: number
  /** Bits of {@link PullSysFlag}; LITE_PULL selects the request code. */
  readonly sysFlag: number
  /** What the group has processed; needed, and stored, when COMMIT_OFFSET is set. */
  readonly commitOffset?: Long | undefined
  /** How long the broker may hold the request when SUSPEND is set, in milliseconds; needed then. */
  readonly suspendTimeoutMillis?: Long | undefined
  /** The filter, when SUBSCRIPTION is set. */
  readonly subscription?: string | undefined
  /** The version of the subscription, see `SubscriptionData`; needed unless SUBSCRIPTION is set. */
  readonly subVersion?: Long | undefined
  /** `TAG` or `SQL92`. */
  readonly expressionType?: string | undefined
  /** How many bytes the client wants at most; brokers to 5.5.0 have a limit of their own (262,144) and do not look at it. */
  readonly maxMsgBytes?: number | undefined
  /** The broker that is meant, by name (`bname`); a queue of a static topic needs it. */
  readonly brokerName?: string | undefined
}

/** Bits of a pull's `sysFlag`. Source: RocketMQ `PullSysFlag`. */
export const PullSysFlag = { COMMIT_OFFSET: 1, SUSPEND: 2, SUBSCRIPTION: 4, CLASS_FILTER: 8, LITE_PULL: 16 } as const

/** What came of a pull. Source: RocketMQ `PullStatus`. */
export type PullStatus = "FOUND" | "NO_NEW_MSG" | "NO_MATCHED_MSG" | "OFFSET_ILLEGAL"

/** The header of an answer to a pull. */
export interface PullMessageResponseHeader {
  /** The broker id to pull from next; 0 is the master. */
  readonly suggestWhichBrokerId: number
  /** Where the next pull is to begin. */
  readonly nextBeginOffset: number
  /** Offset of the oldest message that the queue still has. */
  readonly minOffset: number
  /** Offset of the next message that the queue will get. */
  readonly maxOffset: number
  /** To be added to each message's queue offset (static topics). */
  readonly offsetDelta?: number | undefined
  /** The topic's unit flags; brokers of 4.x leave it out. */
  readonly topicSysFlag?: number | undefined
  /** The group's unit flags; brokers of 4.x leave it out. */
  readonly groupSysFlag?: number | undefined
  /** Why a pull was refused with NO_PERMISSION, as a number; absent otherwise. */
  readonly forbiddenType?: number | undefined
}

/** What a broker answers to a pull. */
export interface PullMessageAnswer extends PullMessageResponseHeader {
  /** What the code of the answer says. */
  readonly status: PullStatus
  /** Stored messages; read them with `MessageCodec.decodeAll`. Empty unless FOUND. */
  readonly body: Uint8Array
  /** OFFSET_ILLEGAL because somebody has reset where the group reads the queue on; brokers before 5.0 never say so. */
  readonly reset?: boolean | undefined
}

const header: HeaderCodec.Codec<PullMessageHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  queueOffset: HeaderCodec.int64,
  maxMsgNums: HeaderCodec.int,
  sysFlag: HeaderCodec.int,
  commitOffset: HeaderCodec.optional(HeaderCodec.int64),
  suspendTimeoutMillis: HeaderCodec.optional(HeaderCodec.int64),
  subscription: HeaderCodec.optional(HeaderCodec.string),
  subVersion: HeaderCodec.optional(HeaderCodec.int64),
  expressionType: HeaderCodec.optional(HeaderCodec.string),
  maxMsgBytes: HeaderCodec.optional(HeaderCodec.int),
  brokerName: HeaderCodec.brokerName
})

const responseHeader: HeaderCodec.Codec<PullMessageResponseHeader> = HeaderCodec.struct({
  suggestWhichBrokerId: HeaderCodec.long,
  nextBeginOffset: HeaderCodec.long,
  minOffset: HeaderCodec.long,
  maxOffset: HeaderCodec.long,
  offsetDelta: HeaderCodec.optional(HeaderCodec.long),
  topicSysFlag: HeaderCodec.optional(HeaderCodec.int),
  groupSysFlag: HeaderCodec.optional(HeaderCodec.int),
  forbiddenType: HeaderCodec.optional(HeaderCodec.int)
})

const codes: Readonly<Record<PullStatus, number>> = {
  FOUND: ResponseCode.SUCCESS,
  NO_NEW_MSG: ResponseCode.PULL_NOT_FOUND,
  NO_MATCHED_MSG: ResponseCode.PULL_RETRY_IMMEDIATELY,
  OFFSET_ILLEGAL: ResponseCode.PULL_OFFSET_MOVED
}

const statuses: ReadonlyMap<number, PullStatus> = new Map([
  [codes.FOUND, "FOUND"],
  [codes.NO_NEW_MSG, "NO_NEW_MSG"],
  [codes.NO_MATCHED_MSG, "NO_MATCHED_MSG"],
  [codes.OFFSET_ILLEGAL, "OFFSET_ILLEGAL"]
])

/** The remark of an answer that tells of a reset. Source: RocketMQ `GetMessageStatus`. */
export const OFFSET_RESET = "OFFSET_RESET"

/** What came of a pull by the answer's code; undefined for a code that is a failure. */
export const statusOf = (code: number): PullStatus | undefined => statuses.get(code)

/** What a client sends; a lite pull when its bit of `sysFlag` is set. */
export const request = (value: PullMessageHeader): Request => ({
  code: (value.sysFlag & PullSysFlag.LITE_PULL) === 0 ? RequestCode.PULL_MESSAGE : RequestCode.LITE_PULL_MESSAGE,
  extFields: header.encode(value)
})

/** What a broker reads, for both codes. */
export const decodeRequest = (cmd: RemotingCommand): PullMessageHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers; real ones put the internal name of what happened into `remark`. */
export const response = (
  value: PullMessageResponseHeader & { readonly status: PullStatus; readonly body?: Uint8Array | undefined },
  remark?: string
): Response => ({
  code: codes[value.status],
  remark,
  extFields: responseHeader.encode(value),
  body: value.body
})

/** What a client reads of an answer with one of the four codes of {@link PullStatus}. */
export const decodeResponse = (cmd: RemotingCommand): PullMessageAnswer | DecodeError => {
  const status = statuses.get(cmd.code)
  if (status === undefined) {
    return new DecodeError({ code: RequestCode.PULL_MESSAGE, field: "code", detail: `${cmd.code} is no pull status` })
  }
  const value = responseHeader.decode(RequestCode.PULL_MESSAGE, cmd.extFields)
  if (value instanceof DecodeError) return value
  const answer = { ...value, status, body: cmd.body }
  return status === "OFFSET_ILLEGAL" && cmd.remark === OFFSET_RESET ? { ...answer, reset: true } : answer
}
