import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_MIN_OFFSET (31), client to broker: the offset of the oldest message that a queue still has. 0 for an unknown
 * topic.
 *
 * ```text
 * topic           string
 * queueId         int
 * bname           string   optional
 * answer: offset long
 * ```
 *
 * Source: RocketMQ `GetMinOffsetRequestHeader`.
 */
export interface GetMinOffsetHeader {
  /** The topic. */
  readonly topic: string
  /** The queue's id, 0 to the number of queues less one. */
  readonly queueId: number
  /** The broker that is meant, by name (`bname`); a queue of a static topic needs it. */
  readonly brokerName?: string | undefined
}

/** The offset of the oldest message. */
export interface GetMinOffsetAnswer {
  /** Offset of the oldest message that the queue still has. */
  readonly offset: number
}

const header: HeaderCodec.Codec<GetMinOffsetHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  brokerName: HeaderCodec.brokerName
})

const answer: HeaderCodec.Codec<GetMinOffsetAnswer> = HeaderCodec.struct({ offset: HeaderCodec.long })

/** What a client sends. */
export const request = (value: GetMinOffsetHeader): Request => ({
  code: RequestCode.GET_MIN_OFFSET,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetMinOffsetHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: GetMinOffsetAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: answer.encode(value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): GetMinOffsetAnswer | DecodeError =>
  answer.decode(RequestCode.GET_MIN_OFFSET, cmd.extFields)
