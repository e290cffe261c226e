import type { MessageExt } from "../../message/MessageExt.ts"
import * as Body from "../BodyCodec.ts"
import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import * as MessageCodec from "../MessageCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * CONSUME_MESSAGE_DIRECTLY (309), tool to broker, which adds the stored message as the body and forwards it to the
 * client: let this consumer process this message now.
 *
 * ```text
 * consumerGroup   string
 * clientId        string   optional
 * msgId           string   optional
 * brokerName      string   optional
 * topic           string   optional
 * topicSysFlag    int      optional
 * groupSysFlag    int      optional
 * answer body: {"autoCommit":true,"consumeResult":"CR_SUCCESS","order":false,"remark":"...","spentTimeMills":2}
 * ```
 *
 * Source: RocketMQ `ConsumeMessageDirectlyResultRequestHeader`, `ConsumeMessageDirectlyResult`.
 */
export interface ConsumeMessageDirectlyHeader {
  /** The consumer group whose listener shall have the message. */
  readonly consumerGroup: string
  /** The client that shall run it. */
  readonly clientId?: string | undefined
  /** The broker's message id. */
  readonly msgId?: string | undefined
  /** The broker that holds the message. */
  readonly brokerName?: string | undefined
  /** The message's topic; brokers of 4.x leave it out. */
  readonly topic?: string | undefined
  /** The topic's unit flags; absent where the broker tells none. */
  readonly topicSysFlag?: number | undefined
  /** The group's unit flags; absent where the broker tells none. */
  readonly groupSysFlag?: number | undefined
}

/** What the consumer made of the message. */
export interface ConsumeMessageDirectlyResult {
  /** `CR_SUCCESS`, `CR_LATER`, `CR_ROLLBACK`, `CR_COMMIT`, `CR_THROW_EXCEPTION` or `CR_RETURN_NULL`. */
  readonly consumeResult: string
  /** Whether the listener is an orderly one. */
  readonly order: boolean
  /** Whether an orderly listener commits by itself; true for others. */
  readonly autoCommit: boolean
  /** What the listener threw, as text; absent when it ended. */
  readonly remark?: string | undefined
  /** Milliseconds. */
  readonly spentTimeMills: number
}

const header: HeaderCodec.Codec<ConsumeMessageDirectlyHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  clientId: HeaderCodec.optional(HeaderCodec.string),
  msgId: HeaderCodec.optional(HeaderCodec.string),
  brokerName: HeaderCodec.optional(HeaderCodec.string),
  topic: HeaderCodec.optional(HeaderCodec.string),
  topicSysFlag: HeaderCodec.nullable(HeaderCodec.int),
  groupSysFlag: HeaderCodec.nullable(HeaderCodec.int)
})

const result: Body.RequiredBody<ConsumeMessageDirectlyResult> = Body.struct({
  autoCommit: Body.withDefault(Body.boolean, true),
  consumeResult: Body.withDefault(Body.string, "CR_RETURN_NULL"),
  order: Body.withDefault(Body.boolean, false),
  remark: Body.optional(Body.string),
  spentTimeMills: Body.withDefault(Body.long, 0)
})

/** What a tool sends (without a message) to a broker, and a broker (with the stored message) to the client. */
export const request = (value: ConsumeMessageDirectlyHeader, stored?: Uint8Array): Request => ({
  code: RequestCode.CONSUME_MESSAGE_DIRECTLY,
  extFields: header.encode(value),
  body: stored
})

/** What either reads; the message is undefined when there is none, and the first where there are several. */
export const decodeRequest = (
  cmd: RemotingCommand
): { readonly header: ConsumeMessageDirectlyHeader; readonly message: MessageExt | undefined } | DecodeError => {
  const value = header.decode(cmd.code, cmd.extFields)
  if (value instanceof DecodeError) return value
  const { error, messages } = MessageCodec.decodeAll(cmd.body, cmd.code, 1)
  return error ?? { header: value, message: messages[0] }
}

/** What a client answers. */
export const response = (value: ConsumeMessageDirectlyResult): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(result, value)
})

/** What is read of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ConsumeMessageDirectlyResult | DecodeError =>
  Body.decode(result, RequestCode.CONSUME_MESSAGE_DIRECTLY, cmd.body)
