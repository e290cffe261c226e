import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { type GetConsumerStatusHeader, getConsumerStatusHeader } from "../request/GetConsumerStatus.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_CONSUMER_STATUS_FROM_CLIENT (221), broker to client: how far the client has processed a topic's queues.
 *
 * ```text
 * topic        string
 * group        string
 * clientAddr   string   optional
 * answer body: {"messageQueueTable":{{queue}:0}}
 * ```
 *
 * Source: RocketMQ `GetConsumerStatusRequestHeader`, `GetConsumerStatusBody`.
 */
export type GetConsumerStatusFromClientHeader = GetConsumerStatusHeader

/** Offsets by queue. */
export interface GetConsumerStatusFromClientAnswer {
  /** The client's position in each queue that it has. */
  readonly messageQueueTable: ReadonlyArray<readonly [queue: MessageQueue, offset: Long]>
}

const answer: Body.RequiredBody<GetConsumerStatusFromClientAnswer> = Body.struct({
  messageQueueTable: Body.withDefault(Body.queueMap(Body.int64), [])
})

/** What a broker sends. */
export const request = (value: GetConsumerStatusFromClientHeader): Request => ({
  code: RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT,
  extFields: getConsumerStatusHeader.encode(value)
})

/** What a client reads. */
export const decodeRequest = (cmd: RemotingCommand): GetConsumerStatusFromClientHeader | DecodeError =>
  getConsumerStatusHeader.decode(cmd.code, cmd.extFields)

/** What a client answers. */
export const response = (value: GetConsumerStatusFromClientAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(answer, value)
})

/** What a broker reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): GetConsumerStatusFromClientAnswer | DecodeError =>
  Body.decode(answer, RequestCode.GET_CONSUMER_STATUS_FROM_CLIENT, cmd.body)
