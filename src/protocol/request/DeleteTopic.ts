import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * DELETE_TOPIC_IN_BROKER (215), client to broker, and DELETE_TOPIC_IN_NAMESRV (216), client to name server. A topic is
 * gone after 215 on every master and then 216 on every name server. Answer 0, also when there is no such topic.
 *
 * ```text
 * topic         string
 * clusterName   string   optional, 216 only
 * ```
 *
 * Source: RocketMQ `DeleteTopicRequestHeader`, `DeleteTopicFromNamesrvRequestHeader`.
 */
export interface DeleteTopicHeader {
  /** The topic. One that does not exist is deleted successfully. */
  readonly topic: string
  /** At a name server: only the routes of this cluster's brokers; those of all when absent. */
  readonly clusterName?: string | undefined
}

/** Where the topic is deleted. */
export type DeleteTopicTarget = "broker" | "namesrv"

const header: HeaderCodec.Codec<DeleteTopicHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  clusterName: HeaderCodec.optional(HeaderCodec.string)
})

/** What a client sends to a broker or to a name server. */
export const request = (value: DeleteTopicHeader, target: DeleteTopicTarget): Request => ({
  code: target === "broker" ? RequestCode.DELETE_TOPIC_IN_BROKER : RequestCode.DELETE_TOPIC_IN_NAMESRV,
  extFields: header.encode(value)
})

/** What either server reads. */
export const decodeRequest = (cmd: RemotingCommand): DeleteTopicHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What either server answers. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
