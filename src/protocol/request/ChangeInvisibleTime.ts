import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * CHANGE_MESSAGE_INVISIBLETIME (200053), client to broker: a popped message stays hidden for so long from now on. The answer
 * has what its new handle is made of; each change by an old handle makes a copy of the message come back.
 *
 * ```text
 * consumerGroup  string
 * topic          string
 * queueId        int
 * extraInfo      string
 * offset         long
 * invisibleTime  long
 * suspend        bool     optional
 * bname          string   optional
 * answer: popTime, invisibleTime, reviveQid
 * ```
 *
 * Source: RocketMQ `ChangeInvisibleTimeRequestHeader`, `ChangeInvisibleTimeResponseHeader`.
 */
export interface ChangeInvisibleTimeHeader {
  /** The consumer group. */
  readonly consumerGroup: string
  /** The topic that it lies in: for what came again the group's retry topic, see `PopHandle.realTopic`. */
  readonly topic: string
  /** Its queue. */
  readonly queueId: number
  /** The text of its `PopHandle`. */
  readonly extraInfo: string
  /** Its offset in the queue. */
  readonly offset: Long
  /** For how long it is hidden from now on, in milliseconds. */
  readonly invisibleTime: Long
  /** Whether the attempt does not count, for what is popped in order. */
  readonly suspend?: boolean | undefined
  /** The broker that is meant, by name (`bname`). */
  readonly brokerName?: string | undefined
}

/** What the message's new handle is made of; zeros for one that was popped in order and is acknowledged. */
export interface ChangeInvisibleTimeAnswer {
  /** When it was changed, in milliseconds since the epoch by the broker's clock. */
  readonly popTime: Long
  /** For how long it is hidden, in milliseconds. */
  readonly invisibleTime: Long
  /** The queue of the broker's revive topic. */
  readonly reviveQid: number
}

const header: HeaderCodec.Codec<ChangeInvisibleTimeHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  extraInfo: HeaderCodec.string,
  offset: HeaderCodec.int64,
  invisibleTime: HeaderCodec.int64,
  suspend: HeaderCodec.optional(HeaderCodec.boolean),
  brokerName: HeaderCodec.brokerName
})

const answer: HeaderCodec.Codec<ChangeInvisibleTimeAnswer> = HeaderCodec.struct({
  popTime: HeaderCodec.int64,
  invisibleTime: HeaderCodec.int64,
  reviveQid: HeaderCodec.int
})

/** What a client sends. */
export const request = (value: ChangeInvisibleTimeHeader): Request => ({
  code: RequestCode.CHANGE_MESSAGE_INVISIBLETIME,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): ChangeInvisibleTimeHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: ChangeInvisibleTimeAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: answer.encode(value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ChangeInvisibleTimeAnswer | DecodeError =>
  answer.decode(RequestCode.CHANGE_MESSAGE_INVISIBLETIME, cmd.extFields)
