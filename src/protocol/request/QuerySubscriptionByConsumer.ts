import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { SubscriptionData } from "../HeartbeatData.ts"
import { subscriptionData } from "../HeartbeatData.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * QUERY_SUBSCRIPTION_BY_CONSUMER (345), client to broker: what a live consumer group wants of a topic.
 *
 * ```text
 * group   string
 * topic   string
 * bname   string   optional
 * answer body: {"group":"...","subscriptionData":{...},"topic":"..."}, without subscriptionData when there is none
 * ```
 *
 * Source: RocketMQ `QuerySubscriptionByConsumerRequestHeader`, `QuerySubscriptionResponseBody`.
 */
export interface QuerySubscriptionByConsumerHeader {
  /** The consumer group. */
  readonly group: string
  /** The topic. */
  readonly topic: string
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

/** A group's subscription of one topic. Source: RocketMQ `QuerySubscriptionResponseBody`. */
export interface QuerySubscriptionByConsumerAnswer {
  /** The consumer group, as it was asked. */
  readonly group: string
  /** The topic, as it was asked. */
  readonly topic: string
  /** What the group subscribes to in the topic; absent when it does not, or when no member is online. */
  readonly subscriptionData?: SubscriptionData | undefined
}

const header: HeaderCodec.Codec<QuerySubscriptionByConsumerHeader> = HeaderCodec.struct({
  group: HeaderCodec.string,
  topic: HeaderCodec.string,
  brokerName: HeaderCodec.brokerName
})

const answer: Body.RequiredBody<QuerySubscriptionByConsumerAnswer> = Body.struct({
  group: Body.string,
  subscriptionData: Body.optional(subscriptionData),
  topic: Body.string
})

/** What a client sends. */
export const request = (value: QuerySubscriptionByConsumerHeader): Request => ({
  code: RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): QuerySubscriptionByConsumerHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: QuerySubscriptionByConsumerAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(answer, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): QuerySubscriptionByConsumerAnswer | DecodeError =>
  Body.decode(answer, RequestCode.QUERY_SUBSCRIPTION_BY_CONSUMER, cmd.body)
