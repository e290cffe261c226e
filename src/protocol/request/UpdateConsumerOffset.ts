import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * UPDATE_CONSUMER_OFFSET (15), client to broker, usually one-way: how far a group has processed a queue.
 *
 * ```text
 * consumerGroup   string
 * topic           string
 * queueId         int
 * commitOffset    long
 * bname           string   optional
 * ```
 *
 * Source: RocketMQ `UpdateConsumerOffsetRequestHeader`.
 */
export interface UpdateConsumerOffsetHeader {
  /** The consumer group. Brokers of 5.x refuse one that they do not know with 26. */
  readonly consumerGroup: string
  /** The topic. */
  readonly topic: string
  /** The queue's id, 0 to the number of queues less one. */
  readonly queueId: number
  /** The offset that the group reads next. */
  readonly commitOffset: Long
  /** The broker that is meant, by name (`bname`); a queue of a static topic needs it. */
  readonly brokerName?: string | undefined
}

const header: HeaderCodec.Codec<UpdateConsumerOffsetHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  commitOffset: HeaderCodec.int64,
  brokerName: HeaderCodec.brokerName
})

/** What a client sends. */
export const request = (value: UpdateConsumerOffsetHeader): Request => ({
  code: RequestCode.UPDATE_CONSUMER_OFFSET,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): UpdateConsumerOffsetHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** The remark of an answer to a write that was not taken. Source: RocketMQ `ConsumerManageProcessor`. */
const PREVIOUSLY_RESET = "Offset has been previously reset"

/** What became of a write that was answered with 0. */
export interface UpdateConsumerOffsetAnswer {
  /** The offset was not taken: somebody has reset it, and nobody has pulled the queue since. Only 5.x brokers say so. */
  readonly reset: boolean
}

/** What a broker answers. */
export const response = ({ reset }: UpdateConsumerOffsetAnswer = { reset: false }): Response => ({
  code: ResponseCode.SUCCESS,
  remark: reset ? PREVIOUSLY_RESET : undefined
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = ({ remark }: RemotingCommand): UpdateConsumerOffsetAnswer => ({
  reset: remark === PREVIOUSLY_RESET
})
