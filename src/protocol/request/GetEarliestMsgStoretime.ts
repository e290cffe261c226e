import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_EARLIEST_MSG_STORETIME (32), client to broker: when the oldest message of a queue was stored.
 *
 * ```text
 * topic           string
 * queueId         int
 * bname           string   optional
 * answer: timestamp long
 * ```
 *
 * Source: RocketMQ `GetEarliestMsgStoretimeRequestHeader`.
 */
export interface GetEarliestMsgStoretimeHeader {
  /** The topic. */
  readonly topic: string
  /** The queue's id, 0 to the number of queues less one. */
  readonly queueId: number
  /** The broker that is meant, by name (`bname`); a queue of a static topic needs it. */
  readonly brokerName?: string | undefined
}

/** Milliseconds since the epoch; -1 when the queue is empty. */
export interface GetEarliestMsgStoretimeAnswer {
  /** When the oldest message that the queue still has was stored, in milliseconds since the epoch; -1 without one. */
  readonly timestamp: number
}

const header: HeaderCodec.Codec<GetEarliestMsgStoretimeHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  brokerName: HeaderCodec.brokerName
})

const answer: HeaderCodec.Codec<GetEarliestMsgStoretimeAnswer> = HeaderCodec.struct({ timestamp: HeaderCodec.long })

/** What a client sends. */
export const request = (value: GetEarliestMsgStoretimeHeader): Request => ({
  code: RequestCode.GET_EARLIEST_MSG_STORETIME,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetEarliestMsgStoretimeHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: GetEarliestMsgStoretimeAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: answer.encode(value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): GetEarliestMsgStoretimeAnswer | DecodeError =>
  answer.decode(RequestCode.GET_EARLIEST_MSG_STORETIME, cmd.extFields)
