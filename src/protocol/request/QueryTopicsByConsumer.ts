import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import type { TopicList } from "./GetTopicList.ts"

/**
 * QUERY_TOPICS_BY_CONSUMER (343), client to broker: the topics of which a group ever committed an offset.
 *
 * ```text
 * group   string
 * bname   string   optional
 * answer body: {"brokerAddr":"...","topicList":["..."]}
 * ```
 *
 * Source: RocketMQ `QueryTopicsByConsumerRequestHeader`, `TopicList`.
 */
export interface QueryTopicsByConsumerHeader {
  /** The consumer group. */
  readonly group: string
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

const header: HeaderCodec.Codec<QueryTopicsByConsumerHeader> = HeaderCodec.struct({
  group: HeaderCodec.string,
  brokerName: HeaderCodec.brokerName
})

const topicList: Body.RequiredBody<TopicList> = Body.struct({
  brokerAddr: Body.optional(Body.string),
  topicList: Body.withDefault(Body.list(Body.string), [])
})

/** What a client sends. */
export const request = (value: QueryTopicsByConsumerHeader): Request => ({
  code: RequestCode.QUERY_TOPICS_BY_CONSUMER,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): QueryTopicsByConsumerHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: TopicList): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(topicList, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): TopicList | DecodeError =>
  Body.decode(topicList, RequestCode.QUERY_TOPICS_BY_CONSUMER, cmd.body)
