import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
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
  readonly offset: number
  readonly group: string
  readonly delayLevel: number
  readonly originMsgId?: string | undefined
  readonly originTopic?: string | undefined
  readonly unitMode?: boolean | undefined
  readonly maxReconsumeTimes?: number | undefined
  readonly brokerName?: string | undefined
}

const header: HeaderCodec.Codec<ConsumerSendMsgBackHeader> = HeaderCodec.struct({
  offset: HeaderCodec.long,
  group: HeaderCodec.string,
  delayLevel: HeaderCodec.int,
  originMsgId: HeaderCodec.optional(HeaderCodec.string),
  originTopic: HeaderCodec.optional(HeaderCodec.string),
  unitMode: HeaderCodec.optional(HeaderCodec.boolean),
  maxReconsumeTimes: HeaderCodec.optional(HeaderCodec.int),
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
