import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * PUSH_REPLY_MESSAGE_TO_CLIENT (326), broker to client: the reply to a request that this client sent. The body is the
 * reply's body; the client answers 0.
 *
 * ```text
 * producerGroup           string
 * topic                   string
 * defaultTopic            string
 * defaultTopicQueueNums   int
 * queueId                 int
 * sysFlag                 int
 * bornTimestamp           long
 * flag                    int
 * properties              string    optional
 * reconsumeTimes          int       optional
 * unitMode                boolean   optional
 * bornHost                string
 * storeHost               string
 * storeTimestamp          long
 * ```
 *
 * Source: RocketMQ `ReplyMessageRequestHeader`.
 */
export interface PushReplyMessageToClientHeader {
  /** The replier's group. */
  readonly producerGroup: string
  /** The reply topic of the cluster: `<cluster>_REPLY_TOPIC`. */
  readonly topic: string
  /** The template topic that the replier named; of no use to the requester. */
  readonly defaultTopic: string
  /** The queues that the replier named for a new topic; of no use to the requester. */
  readonly defaultTopicQueueNums: number
  /** The queue that the reply was sent to. */
  readonly queueId: number
  /** Bits of `SysFlag`. */
  readonly sysFlag: number
  /** Milliseconds since the epoch. */
  readonly bornTimestamp: Long
  /** The user's number of the reply. */
  readonly flag: number
  /** Encoded by `MessageProperties.encode`; CORRELATION_ID names the request. */
  readonly properties?: string | undefined
  /** 0 for a reply; absent where the replier's client did not tell it. */
  readonly reconsumeTimes?: number | undefined
  /** Whether the replier belongs to a unit; false when absent. */
  readonly unitMode?: boolean | undefined
  /** `ip:port`. */
  readonly bornHost: string
  /** `ip:port`. */
  readonly storeHost: string
  /** Milliseconds since the epoch. */
  readonly storeTimestamp: number
}

const header: HeaderCodec.Codec<PushReplyMessageToClientHeader> = HeaderCodec.struct({
  producerGroup: HeaderCodec.string,
  topic: HeaderCodec.string,
  defaultTopic: HeaderCodec.string,
  defaultTopicQueueNums: HeaderCodec.int,
  queueId: HeaderCodec.int,
  sysFlag: HeaderCodec.int,
  bornTimestamp: HeaderCodec.int64,
  flag: HeaderCodec.int,
  properties: HeaderCodec.optional(HeaderCodec.string),
  reconsumeTimes: HeaderCodec.nullable(HeaderCodec.int),
  unitMode: HeaderCodec.optional(HeaderCodec.boolean),
  bornHost: HeaderCodec.string,
  storeHost: HeaderCodec.string,
  storeTimestamp: HeaderCodec.long
})

/** What a broker sends. */
export const request = (value: PushReplyMessageToClientHeader, body: Uint8Array): Request => ({
  code: RequestCode.PUSH_REPLY_MESSAGE_TO_CLIENT,
  extFields: header.encode(value),
  body
})

/** What a client reads. */
export const decodeRequest = (
  cmd: RemotingCommand
): { readonly header: PushReplyMessageToClientHeader; readonly body: Uint8Array } | DecodeError => {
  const value = header.decode(cmd.code, cmd.extFields)
  return value instanceof DecodeError ? value : { header: value, body: cmd.body }
}

/** What a client answers when it took the reply. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS })
