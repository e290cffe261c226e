import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * CONSUMER_SEND_MSG_BACK (36), client to broker: a message that a consumer could not process, to be delivered again
 * later or put with the dead letters.
 *
 * ```text
 * offset              long      commit log offset
 * group               string
 * delayLevel          int       0: the broker chooses, -1: dead letters
 * originMsgId         string    optional
 * originTopic         string    optional
 * unitMode            boolean   optional
 * maxReconsumeTimes   int       optional
 * bname               string    optional
 * ```
 *
 * Source: RocketMQ `ConsumerSendMsgBackRequestHeader`.
 */
export interface ConsumerSendMsgBackHeader {
  /** The message's offset in the commit log, by which the broker finds it. */
  readonly offset: Long
  /** The group whose retry topic, or dead letter topic, shall have a copy. */
  readonly group: string
  /**
   * Level 1 to 18 until it comes again; 0: the broker takes 3 and the times it came already; below 0: to the dead
   * letters at once.
   */
  readonly delayLevel: number
  /** The message's unique id, for the broker's log. */
  readonly originMsgId?: string | undefined
  /** The topic that the message was consumed from. */
  readonly originTopic?: string | undefined
  /** Whether the consumer belongs to a unit; false when absent. */
  readonly unitMode?: boolean | undefined
  /** After so many times the message goes to the dead letters; the group's `retryMaxTimes` when absent. */
  readonly maxReconsumeTimes?: number | undefined
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

const header: HeaderCodec.Codec<ConsumerSendMsgBackHeader> = HeaderCodec.struct({
  offset: HeaderCodec.int64,
  group: HeaderCodec.string,
  delayLevel: HeaderCodec.int,
  originMsgId: HeaderCodec.optional(HeaderCodec.string),
  originTopic: HeaderCodec.optional(HeaderCodec.string),
  unitMode: HeaderCodec.optional(HeaderCodec.boolean),
  maxReconsumeTimes: HeaderCodec.nullable(HeaderCodec.int),
  brokerName: HeaderCodec.brokerName
})

/** What a client sends. */
export const request = (value: ConsumerSendMsgBackHeader): Request => ({
  code: RequestCode.CONSUMER_SEND_MSG_BACK,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): ConsumerSendMsgBackHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
