import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * RESUME_CHECK_HALF_MESSAGE (323), client to broker: a half message that was given up after too many checks is checked
 * again, from none.
 *
 * ```text
 * topic   string   optional
 * msgId   string   the broker's id of the message where it lies now
 * bname   string   optional
 * ```
 *
 * Source: RocketMQ `ResumeCheckHalfMessageRequestHeader`.
 */
export interface ResumeCheckHalfMessageHeader {
  /** The message's topic; brokers of 4.x do not want it. */
  readonly topic?: string | undefined
  /** The offset message id of the half message that was checked too often. */
  readonly msgId: string
  /** The broker that has it, by name (`bname`). */
  readonly brokerName?: string | undefined
}

const header: HeaderCodec.Codec<ResumeCheckHalfMessageHeader> = HeaderCodec.struct({
  topic: HeaderCodec.optional(HeaderCodec.string),
  msgId: HeaderCodec.string,
  brokerName: HeaderCodec.brokerName
})

/** What a client sends. */
export const request = (value: ResumeCheckHalfMessageHeader): Request => ({
  code: RequestCode.RESUME_CHECK_HALF_MESSAGE,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): ResumeCheckHalfMessageHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
