import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import { type ConsumerRunningInfo, consumerRunningInfo } from "./ConsumerRunningInfo.ts"

/**
 * GET_CONSUMER_RUNNING_INFO (307), tool to broker, which forwards it to the client: what a consumer does right now.
 * Answer 0 with a `ConsumerRunningInfo` as the body, or SYSTEM_ERROR (1) for a group that the client does not run.
 *
 * ```text
 * consumerGroup   string
 * clientId        string
 * jstackEnable    boolean   optional
 * ```
 *
 * Source: RocketMQ `GetConsumerRunningInfoRequestHeader`, `ConsumerRunningInfo`.
 */
export interface GetConsumerRunningInfoHeader {
  /** The consumer group that is asked about. */
  readonly consumerGroup: string
  /** The client that is to answer; the broker passes the request on to it. */
  readonly clientId: string
  /** Whether stacks are wanted. */
  readonly jstackEnable?: boolean | undefined
}

const header: HeaderCodec.Codec<GetConsumerRunningInfoHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  clientId: HeaderCodec.string,
  jstackEnable: HeaderCodec.optional(HeaderCodec.boolean)
})

/** What a tool sends to a broker, and a broker to the client. */
export const request = (value: GetConsumerRunningInfoHeader): Request => ({
  code: RequestCode.GET_CONSUMER_RUNNING_INFO,
  extFields: header.encode(value)
})

/** What either reads. */
export const decodeRequest = (cmd: RemotingCommand): GetConsumerRunningInfoHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a client answers. */
export const response = (value: ConsumerRunningInfo): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(consumerRunningInfo, value)
})

/** What is read of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ConsumerRunningInfo | DecodeError =>
  Body.decode(consumerRunningInfo, RequestCode.GET_CONSUMER_RUNNING_INFO, cmd.body)
