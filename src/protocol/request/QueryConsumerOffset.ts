import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * QUERY_CONSUMER_OFFSET (14), client to broker: how far a group has read a queue. Answer 0, or
 * QUERY_NOT_FOUND (22) when the broker knows nothing of the group.
 *
 * ```text
 * consumerGroup   string
 * topic           string
 * queueId         int
 * setZeroIfNotFound boolean   optional
 * bname           string   optional
 * answer: offset long
 * ```
 *
 * Source: RocketMQ `QueryConsumerOffsetRequestHeader`.
 */
export interface QueryConsumerOffsetHeader {
  /** The consumer group. */
  readonly consumerGroup: string
  /** The topic. */
  readonly topic: string
  /** The queue's id, 0 to the number of queues less one. */
  readonly queueId: number
  /** False asks for QUERY_NOT_FOUND where a broker would answer 0 for a young queue. */
  readonly setZeroIfNotFound?: boolean | undefined
  /** The broker that is meant, by name (`bname`); a queue of a static topic needs it. */
  readonly brokerName?: string | undefined
}

/** The offset that the group reads next. */
export interface QueryConsumerOffsetAnswer {
  /** The group's position in the queue: the offset of the next message it has not consumed. */
  readonly offset: Long
}

const header: HeaderCodec.Codec<QueryConsumerOffsetHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.withDefault(HeaderCodec.string, "null"),
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  setZeroIfNotFound: HeaderCodec.optional(HeaderCodec.boolean),
  brokerName: HeaderCodec.brokerName
})

const answer: HeaderCodec.Codec<QueryConsumerOffsetAnswer> = HeaderCodec.struct({ offset: HeaderCodec.int64 })

/** What a client sends. */
export const request = (value: QueryConsumerOffsetHeader): Request => ({
  code: RequestCode.QUERY_CONSUMER_OFFSET,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): QueryConsumerOffsetHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: QueryConsumerOffsetAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: answer.encode(value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): QueryConsumerOffsetAnswer | DecodeError =>
  answer.decode(RequestCode.QUERY_CONSUMER_OFFSET, cmd.extFields)
