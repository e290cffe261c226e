import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * RECALL_MESSAGE (370), client to broker: takes back a timer message that is not delivered yet. Brokers refuse it unless
 * `recallMessageEnable` is set.
 *
 * ```text
 * producerGroup   string   optional
 * topic           string
 * recallHandle    string   from the answer to the send
 * bname           string   optional
 * answer: msgId string
 * ```
 *
 * Source: RocketMQ `RecallMessageRequestHeader`, `RecallMessageResponseHeader`.
 */
export interface RecallMessageHeader {
  /** The group of the producer that asks; absent with other clients. */
  readonly producerGroup?: string | undefined
  /** The topic that the message is for; it must be the handle's. */
  readonly topic: string
  /** The handle of the answer to the send; see `RecallHandle`. */
  readonly recallHandle: string
  /** The broker that holds the message, by name (`bname`). */
  readonly brokerName?: string | undefined
}

/** Which message was taken back, by the client's unique id. */
export interface RecallMessageAnswer {
  /** The unique id of the message that will not be delivered. */
  readonly msgId: string
}

const header: HeaderCodec.Codec<RecallMessageHeader> = HeaderCodec.struct({
  producerGroup: HeaderCodec.optional(HeaderCodec.string),
  topic: HeaderCodec.string,
  recallHandle: HeaderCodec.string,
  brokerName: HeaderCodec.brokerName
})

const answer: HeaderCodec.Codec<RecallMessageAnswer> = HeaderCodec.struct({ msgId: HeaderCodec.string })

/** What a client sends. */
export const request = (value: RecallMessageHeader): Request => ({
  code: RequestCode.RECALL_MESSAGE,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): RecallMessageHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: RecallMessageAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: answer.encode(value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): RecallMessageAnswer | DecodeError =>
  answer.decode(RequestCode.RECALL_MESSAGE, cmd.extFields)
