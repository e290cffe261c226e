import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * END_TRANSACTION (37), client to broker, one-way: commits or rolls back a half message.
 *
 * ```text
 * topic                  string    optional
 * producerGroup          string
 * tranStateTableOffset   long      queueOffset of the half message's answer
 * commitLogOffset        long      the offset part of the answer's msgId
 * commitOrRollback       int       8 commit, 12 rollback, 0 unknown
 * fromTransactionCheck   boolean   optional
 * msgId                  string
 * transactionId          string    optional
 * bname                  string    optional
 * ```
 *
 * Source: RocketMQ `EndTransactionRequestHeader`.
 */
export interface EndTransactionHeader {
  /**
   * The message's topic; in the answer to a check that of the check, which is the half topic. Brokers of 4.x do not
   * want it.
   */
  readonly topic?: string | undefined
  /** Must be that of the half message. */
  readonly producerGroup: string
  /** Offset of the half message in the half topic's queue: `queueOffset` of the send's answer, or of the check. */
  readonly tranStateTableOffset: Long
  /**
   * Offset of the half message in the commit log: part of the offset message id of the send's answer, or of the check.
   */
  readonly commitLogOffset: Long
  /** Transaction bits of `SysFlag`. */
  readonly commitOrRollback: number
  /** Whether the broker asked; default false. */
  readonly fromTransactionCheck?: boolean | undefined
  /** The client's unique id of the message. */
  readonly msgId: string
  /** The transaction's id, which is the message's unique id. */
  readonly transactionId?: string | undefined
  /** The broker that has the half message, by name (`bname`). */
  readonly brokerName?: string | undefined
}

const header: HeaderCodec.Codec<EndTransactionHeader> = HeaderCodec.struct({
  topic: HeaderCodec.optional(HeaderCodec.string),
  producerGroup: HeaderCodec.withDefault(HeaderCodec.string, "null"),
  tranStateTableOffset: HeaderCodec.int64,
  commitLogOffset: HeaderCodec.int64,
  commitOrRollback: HeaderCodec.int,
  fromTransactionCheck: HeaderCodec.optional(HeaderCodec.boolean),
  msgId: HeaderCodec.withDefault(HeaderCodec.string, "null"),
  transactionId: HeaderCodec.optional(HeaderCodec.string),
  brokerName: HeaderCodec.brokerName
})

/** What a client sends. */
export const request = (value: EndTransactionHeader): Request => ({
  code: RequestCode.END_TRANSACTION,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): EndTransactionHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers to a sender that waits for it. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
