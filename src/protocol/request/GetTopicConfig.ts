import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import { type TopicConfig, topicConfig } from "../TopicConfig.ts"

/**
 * GET_TOPIC_CONFIG (351), client to broker: a topic as this broker keeps it. Answer 0 with a `TopicConfig` as the body,
 * or TOPIC_NOT_EXIST (17).
 *
 * ```text
 * topic   string
 * lo      boolean   optional; true adds the mapping of a static topic
 * bname   string    optional
 * ```
 *
 * Source: RocketMQ `GetTopicConfigRequestHeader`.
 */
export interface GetTopicConfigHeader {
  /** The topic. One that the broker does not have is answered with 17 (TOPIC_NOT_EXIST). */
  readonly topic: string
  /** Whether the mapping of a static topic is wanted too; false when absent. */
  readonly lo?: boolean | undefined
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

const header: HeaderCodec.Codec<GetTopicConfigHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  lo: HeaderCodec.optional(HeaderCodec.boolean),
  brokerName: HeaderCodec.brokerName
})

/** What a client sends. */
export const request = (value: GetTopicConfigHeader): Request => ({
  code: RequestCode.GET_TOPIC_CONFIG,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetTopicConfigHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (config: TopicConfig): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(topicConfig, config)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): TopicConfig | DecodeError =>
  Body.decode(topicConfig, RequestCode.GET_TOPIC_CONFIG, cmd.body)
