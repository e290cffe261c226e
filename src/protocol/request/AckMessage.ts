import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * ACK_MESSAGE (200051), client to broker: a popped message is consumed. The broker answers 0 also for a handle that it does
 * not know, that is over, or that was used before, without any effect.
 *
 * ```text
 * consumerGroup  string
 * topic          string
 * queueId        int
 * extraInfo      string
 * offset         long
 * bname          string   optional
 * answer: none
 * ```
 *
 * Source: RocketMQ `AckMessageRequestHeader`.
 */
export interface AckMessageHeader {
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
  /** The broker that is meant, by name (`bname`). */
  readonly brokerName?: string | undefined
}

const header: HeaderCodec.Codec<AckMessageHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  topic: HeaderCodec.string,
  queueId: HeaderCodec.int,
  extraInfo: HeaderCodec.string,
  offset: HeaderCodec.int64,
  brokerName: HeaderCodec.brokerName
})

/** What a client sends. */
export const request = (value: AckMessageHeader): Request => ({
  code: RequestCode.ACK_MESSAGE,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): AckMessageHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })
