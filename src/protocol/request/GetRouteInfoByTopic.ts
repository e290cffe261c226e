import * as HeaderCodec from "../HeaderCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import * as TopicRouteData from "../TopicRouteData.ts"

/**
 * GET_ROUTEINFO_BY_TOPIC (105), client to name server: where a topic lives. Answer 0 with a route as the body, or
 * TOPIC_NOT_EXIST (17).
 *
 * ```text
 * topic                    string
 * acceptStandardJsonOnly   boolean   optional; quoted map keys whatever the version
 * ```
 *
 * Source: RocketMQ `GetRouteInfoRequestHeader`.
 */
export interface GetRouteInfoByTopicHeader {
  /** The topic. One without a route is answered with 17 (TOPIC_NOT_EXIST). */
  readonly topic: string
  /** Whether broker ids must come as quoted names, whatever the version of the request says; false when absent. */
  readonly acceptStandardJsonOnly?: boolean | undefined
}

const header: HeaderCodec.Codec<GetRouteInfoByTopicHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  acceptStandardJsonOnly: HeaderCodec.optional(HeaderCodec.boolean)
})

/** What a client sends. */
export const request = (value: GetRouteInfoByTopicHeader): Request => ({
  code: RequestCode.GET_ROUTEINFO_BY_TOPIC,
  extFields: header.encode(value)
})

/** What a name server reads. */
export const decodeRequest = (cmd: RemotingCommand): GetRouteInfoByTopicHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a name server answers; without `standardJson` as clients below version 401 get it. */
export const response = (
  route: TopicRouteData.TopicRouteData,
  options: { readonly standardJson: boolean } = { standardJson: true }
): Response => ({ code: ResponseCode.SUCCESS, body: TopicRouteData.encode(route, options) })

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): TopicRouteData.TopicRouteData | DecodeError =>
  TopicRouteData.decode(cmd.body)
