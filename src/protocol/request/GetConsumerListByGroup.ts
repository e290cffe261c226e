import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_CONSUMER_LIST_BY_GROUP (38), client to broker: the client ids of a consumer group. Answer 0, or SYSTEM_ERROR (1)
 * when the group has none.
 *
 * ```text
 * consumerGroup   string
 * bname           string   optional
 * answer body: {"consumerIdList":["..."]}
 * ```
 *
 * Source: RocketMQ `GetConsumerListByGroupRequestHeader`, `GetConsumerListByGroupResponseBody`.
 */
export interface GetConsumerListByGroupHeader {
  /** The group. One without a member is answered with code 1. */
  readonly consumerGroup: string
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

/** The client ids of a group, in no order. */
export interface GetConsumerListByGroupAnswer {
  /** The client ids of the members that have a connection to this broker, in no order. */
  readonly consumerIdList: ReadonlyArray<string>
}

const header: HeaderCodec.Codec<GetConsumerListByGroupHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  brokerName: HeaderCodec.brokerName
})

const answer: Body.RequiredBody<GetConsumerListByGroupAnswer> = Body.struct({
  consumerIdList: Body.withDefault(Body.list(Body.string), [])
})

/** What a client sends. */
export const request = (value: GetConsumerListByGroupHeader): Request => ({
  code: RequestCode.GET_CONSUMER_LIST_BY_GROUP,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetConsumerListByGroupHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: GetConsumerListByGroupAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: {},
  body: Body.encode(answer, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): GetConsumerListByGroupAnswer | DecodeError =>
  Body.decode(answer, RequestCode.GET_CONSUMER_LIST_BY_GROUP, cmd.body)
