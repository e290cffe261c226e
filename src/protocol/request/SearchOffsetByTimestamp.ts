import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * SEARCH_OFFSET_BY_TIMESTAMP (29), client to broker: the offset of the first message stored at or after a time.
 *
 * ```text
 * topic           string
 * queueId         int
 * timestamp       long
 * boundaryType    "LOWER" | "UPPER"   optional
 * bname           string   optional
 * answer: offset long
 * ```
 *
 * Source: RocketMQ `SearchOffsetRequestHeader`.
 */
export interface SearchOffsetByTimestampHeader {
  /** The topic. */
  readonly topic: string
  /** The queue's id, 0 to the number of queues less one. */
  readonly queueId: number
  /** Milliseconds since the epoch. */
  readonly timestamp: Long
  /** Which of several messages of that time. */
  readonly boundaryType?: "LOWER" | "UPPER" | undefined
  /** The broker that is meant, by name (`bname`); a queue of a static topic needs it. */
  readonly brokerName?: string | undefined
}

/** The offset found; the end of the queue when every message is older. */
export interface SearchOffsetByTimestampAnswer {
  /** The offset that was found. */
  readonly offset: number
}

/** Any other word is LOWER. */
const boundary: HeaderCodec.RequiredField<"LOWER" | "UPPER"> = {
  ...HeaderCodec.literal("LOWER", "UPPER"),
  read: (text) => (text.toUpperCase() === "UPPER" ? "UPPER" : "LOWER")
}

const header: HeaderCodec.Codec<SearchOffsetByTimestampHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  timestamp: HeaderCodec.int64,
  boundaryType: HeaderCodec.optional(boundary),
  brokerName: HeaderCodec.brokerName
})

const answer: HeaderCodec.Codec<SearchOffsetByTimestampAnswer> = HeaderCodec.struct({ offset: HeaderCodec.long })

/** What a client sends. */
export const request = (value: SearchOffsetByTimestampHeader): Request => ({
  code: RequestCode.SEARCH_OFFSET_BY_TIMESTAMP,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): SearchOffsetByTimestampHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: SearchOffsetByTimestampAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: answer.encode(value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): SearchOffsetByTimestampAnswer | DecodeError =>
  answer.decode(RequestCode.SEARCH_OFFSET_BY_TIMESTAMP, cmd.extFields)
