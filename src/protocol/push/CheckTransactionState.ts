import type { MessageExt } from "../../message/MessageExt.ts"
import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import * as MessageCodec from "../MessageCodec.ts"
import type { RemotingCommand, Request } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"

/**
 * CHECK_TRANSACTION_STATE (39), broker to client, one-way: what has become of the transaction of a half message? The
 * client answers with an END_TRANSACTION that carries these offsets. The body is the half message, with its own topic.
 *
 * ```text
 * topic                  string   optional; that of half messages
 * tranStateTableOffset   long
 * commitLogOffset        long
 * msgId                  string   optional
 * transactionId          string   optional
 * offsetMsgId            string   optional
 * bname                  string   optional
 * ```
 *
 * Source: RocketMQ `CheckTransactionStateRequestHeader`.
 */
export interface CheckTransactionStateHeader {
  /** The topic that half messages lie in, `RMQ_SYS_TRANS_HALF_TOPIC`; brokers of 4.x leave it out. */
  readonly topic?: string | undefined
  /**
   * Offset of the half message in the half topic's queue. It changes with every check, and the answer must carry it.
   */
  readonly tranStateTableOffset: number
  /** Offset of the half message in the commit log. It changes with every check, and the answer must carry it. */
  readonly commitLogOffset: number
  /** The client's unique id of the message. */
  readonly msgId?: string | undefined
  /** The transaction's id, which is the message's unique id. */
  readonly transactionId?: string | undefined
  /** The half message's offset message id, as it is stored at present. */
  readonly offsetMsgId?: string | undefined
  /** The broker that asks, by name (`bname`); brokers of 4.x leave it out. */
  readonly brokerName?: string | undefined
}

const header: HeaderCodec.Codec<CheckTransactionStateHeader> = HeaderCodec.struct({
  topic: HeaderCodec.optional(HeaderCodec.string),
  tranStateTableOffset: HeaderCodec.long,
  commitLogOffset: HeaderCodec.long,
  msgId: HeaderCodec.optional(HeaderCodec.string),
  transactionId: HeaderCodec.optional(HeaderCodec.string),
  offsetMsgId: HeaderCodec.optional(HeaderCodec.string),
  brokerName: HeaderCodec.brokerName
})

/** What a broker sends; `stored` is the half message as `MessageCodec.encode` writes it. */
export const request = (value: CheckTransactionStateHeader, stored: Uint8Array): Request => ({
  code: RequestCode.CHECK_TRANSACTION_STATE,
  extFields: header.encode(value),
  body: stored
})

/** What a client reads. */
export const decodeRequest = (
  cmd: RemotingCommand
): { readonly header: CheckTransactionStateHeader; readonly message: MessageExt } | DecodeError => {
  const value = header.decode(cmd.code, cmd.extFields)
  if (value instanceof DecodeError) return value
  const { error, messages } = MessageCodec.decodeAll(cmd.body, cmd.code)
  const [message] = messages
  return message === undefined
    ? (error ?? new DecodeError({ code: cmd.code, field: "body", detail: "it holds no message" }))
    : { header: value, message }
}
