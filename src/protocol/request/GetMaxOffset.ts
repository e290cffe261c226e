import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_MAX_OFFSET (30), client to broker: the offset that the next message of a queue will get. 0 for an unknown
 * topic.
 *
 * ```text
 * topic           string
 * queueId         int
 * committed       boolean   optional
 * bname           string   optional
 * answer: offset long
 * ```
 *
 * Source: RocketMQ `GetMaxOffsetRequestHeader`.
 */
export interface GetMaxOffsetHeader {
  /** The topic. */
  readonly topic: string
  /** The queue's id, 0 to the number of queues less one. */
  readonly queueId: number
  /** Whether only what replicas confirmed counts; the broker's default is true. */
  readonly committed?: boolean | undefined
  /** The broker that is meant, by name (`bname`); a queue of a static topic needs it. */
  readonly brokerName?: string | undefined
}

/** The offset behind the last message. */
export interface GetMaxOffsetAnswer {
  /** Offset of the next message that the queue will get; 0 for a queue that never had one. */
  readonly offset: number
}

const header: HeaderCodec.Codec<GetMaxOffsetHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  committed: HeaderCodec.optional(HeaderCodec.boolean),
  brokerName: HeaderCodec.brokerName
})

const answer: HeaderCodec.Codec<GetMaxOffsetAnswer> = HeaderCodec.struct({ offset: HeaderCodec.long })

/** What a client sends. */
export const request = (value: GetMaxOffsetHeader): Request => ({
  code: RequestCode.GET_MAX_OFFSET,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetMaxOffsetHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: GetMaxOffsetAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: answer.encode(value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): GetMaxOffsetAnswer | DecodeError =>
  answer.decode(RequestCode.GET_MAX_OFFSET, cmd.extFields)
