import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * INVOKE_BROKER_TO_GET_CONSUMER_STATUS (223), tool to broker, which asks the group's clients (221): how far each has
 * processed a topic's queues. Answer 0, or SYSTEM_ERROR (1) when nobody of the group is online.
 *
 * ```text
 * topic        string
 * group        string
 * clientAddr   string   optional
 * answer body: {"consumerTable":{"clientId":{{queue}:0}},"messageQueueTable":{}}
 * ```
 *
 * Source: RocketMQ `GetConsumerStatusRequestHeader`, `GetConsumerStatusBody`, `Broker2Client.getConsumeStatus`.
 */
export interface GetConsumerStatusHeader {
  /** The topic whose queues are asked about. */
  readonly topic: string
  /** The consumer group. */
  readonly group: string
  /** The id of the one client that is asked, whatever the name says; every client of the group when absent. */
  readonly clientAddr?: string | undefined
}

/** What a broker gathered. */
export interface GetConsumerStatusAnswer {
  /** By client id, its position in each queue that it has; a client that did not answer is left out. */
  readonly consumerTable: ReadonlyMap<string, ReadonlyArray<readonly [queue: MessageQueue, offset: Long]>>
}

/** The codec of {@link GetConsumerStatusHeader}, which push 221 shares. */
export const getConsumerStatusHeader: HeaderCodec.Codec<GetConsumerStatusHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  group: HeaderCodec.string,
  clientAddr: HeaderCodec.optional(HeaderCodec.string)
})

const table = Body.queueMap(Body.int64)

const answer = Body.struct({
  consumerTable: Body.withDefault(Body.map(table), new Map()),
  messageQueueTable: Body.withDefault(table, [])
})

/** What a tool sends. */
export const request = (value: GetConsumerStatusHeader): Request => ({
  code: RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS,
  extFields: getConsumerStatusHeader.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetConsumerStatusHeader | DecodeError =>
  getConsumerStatusHeader.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: GetConsumerStatusAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(answer, { ...value, messageQueueTable: [] })
})

/** What a tool reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): GetConsumerStatusAnswer | DecodeError =>
  Body.decode(answer, RequestCode.INVOKE_BROKER_TO_GET_CONSUMER_STATUS, cmd.body)
