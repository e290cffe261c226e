import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_ALL_TOPIC_LIST_FROM_NAMESERVER (206), GET_TOPICS_BY_CLUSTER (224) and GET_SYSTEM_TOPIC_LIST_FROM_NS (304), client
 * to name server: names of topics.
 *
 * ```text
 * cluster   string   224 only
 * answer body: {"brokerAddr":"...","topicList":["..."]}, brokerAddr with 304 only
 * ```
 *
 * Source: RocketMQ `GetTopicsByClusterRequestHeader`, `TopicList`.
 */
export interface GetTopicListHeader {
  /** Only the topics of one cluster. */
  readonly cluster?: string | undefined
  /** Only the topics of the system: the names of clusters and brokers. */
  readonly system?: boolean | undefined
}

/** Names of topics, in no order. */
export interface TopicList {
  /** The topics, in no order. */
  readonly topicList: ReadonlyArray<string>
  /** Of the system topics: the address of some broker. Absent otherwise. */
  readonly brokerAddr?: string | undefined
}

const header: HeaderCodec.Codec<{ readonly cluster?: string | undefined }> = HeaderCodec.struct({
  cluster: HeaderCodec.optional(HeaderCodec.string)
})

const topicList: Body.RequiredBody<TopicList> = Body.struct({
  brokerAddr: Body.optional(Body.string),
  topicList: Body.withDefault(Body.list(Body.string), [])
})

/** What a client sends: one of the three codes, by what is set. */
export const request = (value: GetTopicListHeader = {}): Request =>
  value.system === true
    ? { code: RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS, extFields: undefined }
    : value.cluster === undefined
      ? { code: RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, extFields: undefined }
      : { code: RequestCode.GET_TOPICS_BY_CLUSTER, extFields: header.encode(value) }

/** What a name server reads, for the three codes. */
export const decodeRequest = (cmd: RemotingCommand): GetTopicListHeader | DecodeError =>
  cmd.code === RequestCode.GET_SYSTEM_TOPIC_LIST_FROM_NS ? { system: true } : header.decode(cmd.code, cmd.extFields)

/** What a name server answers. */
export const response = (value: TopicList): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(topicList, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): TopicList | DecodeError =>
  Body.decode(topicList, RequestCode.GET_ALL_TOPIC_LIST_FROM_NAMESERVER, cmd.body)
