import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * QUERY_TOPIC_CONSUME_BY_WHO (300), client to broker: the consumer groups that read a topic or ever committed an offset of
 * it.
 *
 * ```text
 * topic   string
 * bname   string   optional
 * answer body: {"groupList":["..."]}
 * ```
 *
 * Source: RocketMQ `QueryTopicConsumeByWhoRequestHeader`, `GroupList`.
 */
export interface QueryTopicConsumeByWhoHeader {
  /** The topic. */
  readonly topic: string
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

/** Names of groups, in no order. */
export interface GroupList {
  /** The groups that subscribe to the topic at this broker or have positions in it, in no order. */
  readonly groupList: ReadonlyArray<string>
}

const header: HeaderCodec.Codec<QueryTopicConsumeByWhoHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  brokerName: HeaderCodec.brokerName
})

const groupList: Body.RequiredBody<GroupList> = Body.struct({
  groupList: Body.withDefault(Body.list(Body.string), [])
})

/** What a client sends. */
export const request = (value: QueryTopicConsumeByWhoHeader): Request => ({
  code: RequestCode.QUERY_TOPIC_CONSUME_BY_WHO,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): QueryTopicConsumeByWhoHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: GroupList): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(groupList, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): GroupList | DecodeError =>
  Body.decode(groupList, RequestCode.QUERY_TOPIC_CONSUME_BY_WHO, cmd.body)
