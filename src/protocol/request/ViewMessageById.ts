import type { MessageExt } from "../../message/MessageExt.ts"
import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import * as MessageCodec from "../MessageCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * VIEW_MESSAGE_BY_ID (33), client to broker: the message at a commit log offset. Answer 0 with one stored message as the
 * body, or SYSTEM_ERROR (1).
 *
 * ```text
 * topic    string   optional
 * offset   long     commit log offset, from the broker's message id
 * bname    string   optional
 * ```
 *
 * Source: RocketMQ `ViewMessageRequestHeader`.
 */
export interface ViewMessageByIdHeader {
  /** The message's topic, for the broker's access control; brokers of 4.x do not want it. */
  readonly topic?: string | undefined
  /** The message's offset in the commit log, out of its offset message id. */
  readonly offset: Long
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

const header: HeaderCodec.Codec<ViewMessageByIdHeader> = HeaderCodec.struct({
  topic: HeaderCodec.optional(HeaderCodec.string),
  offset: HeaderCodec.int64,
  brokerName: HeaderCodec.brokerName
})

/** What a client sends. */
export const request = (value: ViewMessageByIdHeader): Request => ({
  code: RequestCode.VIEW_MESSAGE_BY_ID,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): ViewMessageByIdHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers: the message as it is stored. */
export const response = (stored: Uint8Array): Response => ({ code: ResponseCode.SUCCESS, body: stored })

/** What a client reads of an answer with code 0; the body is as it was sent, so possibly compressed. */
export const decodeResponse = (cmd: RemotingCommand): MessageExt | DecodeError => {
  const { error, messages } = MessageCodec.decodeAll(cmd.body, RequestCode.VIEW_MESSAGE_BY_ID, 1)
  return (
    messages[0] ??
    error ??
    new DecodeError({ code: RequestCode.VIEW_MESSAGE_BY_ID, field: "body", detail: "it holds no message" })
  )
}
