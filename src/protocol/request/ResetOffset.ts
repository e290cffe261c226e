import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * INVOKE_BROKER_TO_RESET_OFFSET (222), client to broker: sets where a group reads on. Answer 0, TOPIC_NOT_EXIST (17) or
 * SUBSCRIPTION_GROUP_NOT_EXIST (26).
 *
 * ```text
 * topic       string
 * group       string
 * timestamp   long      -1: the end
 * isForce     boolean
 * queueId     int       optional, -1: all
 * offset      long      optional, -1: by timestamp
 * answer body: {"offsetTable":{{queue}:0}}
 * ```
 *
 * Source: RocketMQ `ResetOffsetRequestHeader`, `ResetOffsetBody`.
 */
export interface ResetOffsetHeader {
  /** The topic. One that the broker does not have is answered with 17 (TOPIC_NOT_EXIST). */
  readonly topic: string
  /** The consumer group. */
  readonly group: string
  /** Milliseconds since the epoch; -1 for the end. */
  readonly timestamp: Long
  /** Whether positions may go forward as well as back. */
  readonly isForce: boolean
  /** The one queue to reset; all of them when absent or -1. */
  readonly queueId?: number | undefined
  /** The position itself, instead of a time, for one queue; by time when absent or -1. */
  readonly offset?: Long | undefined
}

/** The offsets by queue. Source: RocketMQ `ResetOffsetBody`. */
export interface ResetOffsetBody {
  /** The new position in each queue. */
  readonly offsetTable: ReadonlyArray<readonly [queue: MessageQueue, offset: Long]>
}

/** The codec of {@link ResetOffsetHeader}, which push 220 shares. */
export const resetOffsetHeader: HeaderCodec.Codec<ResetOffsetHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  group: HeaderCodec.withDefault(HeaderCodec.string, "null"),
  timestamp: HeaderCodec.withDefault(HeaderCodec.int64, 0),
  isForce: HeaderCodec.withDefault(HeaderCodec.boolean, false),
  queueId: HeaderCodec.nullable(HeaderCodec.int),
  offset: HeaderCodec.nullable(HeaderCodec.int64)
})

/** The codec of {@link ResetOffsetBody}, which push 220 shares. */
export const resetOffsetBody: Body.RequiredBody<ResetOffsetBody> = Body.struct({
  offsetTable: Body.withDefault(Body.queueMap(Body.int64), [])
})

/** What a client sends. */
export const request = (value: ResetOffsetHeader): Request => ({
  code: RequestCode.INVOKE_BROKER_TO_RESET_OFFSET,
  extFields: resetOffsetHeader.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): ResetOffsetHeader | DecodeError =>
  resetOffsetHeader.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: ResetOffsetBody): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(resetOffsetBody, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ResetOffsetBody | DecodeError =>
  Body.decode(resetOffsetBody, RequestCode.INVOKE_BROKER_TO_RESET_OFFSET, cmd.body)
