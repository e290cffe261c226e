import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import { type SubscriptionData, subscriptionData } from "../HeartbeatData.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import { type Connection, connection } from "./GetProducerConnectionList.ts"

/**
 * GET_CONSUMER_CONNECTION_LIST (203), client to broker: the clients of a consumer group and what they subscribe. Answer
 * 0, or CONSUMER_NOT_ONLINE (206).
 *
 * ```text
 * consumerGroup   string
 * bname           string   optional
 * answer body: {"connectionSet":[],"consumeFromWhere":"...","consumeType":"...","messageModel":"...","subscriptionTable":{"t":{}}}
 * ```
 *
 * Source: RocketMQ `GetConsumerConnectionListRequestHeader`, `ConsumerConnection`.
 */
export interface GetConsumerConnectionListHeader {
  /** The group that is asked about. One without a member is answered with 206 (CONSUMER_NOT_ONLINE). */
  readonly consumerGroup: string
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

/** The clients of a consumer group. Source: RocketMQ `ConsumerConnection`. */
export interface ConsumerConnection {
  /** The members that have a connection to this broker. */
  readonly connectionSet: ReadonlyArray<Connection>
  /**
   * Where a group without a position begins: `CONSUME_FROM_LAST_OFFSET`, `CONSUME_FROM_FIRST_OFFSET`,
   * `CONSUME_FROM_TIMESTAMP`.
   */
  readonly consumeFromWhere?: string | undefined
  /** `CONSUME_PASSIVELY` (push), `CONSUME_ACTIVELY` (pull), `CONSUME_POP`. */
  readonly consumeType?: string | undefined
  /** `CLUSTERING` (each message to one member) or `BROADCASTING` (to every member). */
  readonly messageModel?: string | undefined
  /** Topic to subscription. */
  readonly subscriptionTable: ReadonlyMap<string, SubscriptionData>
}

const header: HeaderCodec.Codec<GetConsumerConnectionListHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  brokerName: HeaderCodec.brokerName
})

const answer: Body.RequiredBody<ConsumerConnection> = Body.struct({
  connectionSet: Body.withDefault(Body.list(connection), []),
  consumeFromWhere: Body.optional(Body.string),
  consumeType: Body.optional(Body.string),
  messageModel: Body.optional(Body.string),
  subscriptionTable: Body.withDefault(Body.map(subscriptionData), new Map())
})

/** What a client sends. */
export const request = (value: GetConsumerConnectionListHeader): Request => ({
  code: RequestCode.GET_CONSUMER_CONNECTION_LIST,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetConsumerConnectionListHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: ConsumerConnection): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(answer, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ConsumerConnection | DecodeError =>
  Body.decode(answer, RequestCode.GET_CONSUMER_CONNECTION_LIST, cmd.body)
