import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * UPDATE_AND_CREATE_TOPIC (17), client to broker: creates a topic on this broker, or changes it. Answer 0 (with the
 * remark "not set any response code", which means nothing), or INVALID_PARAMETER (29).
 *
 * ```text
 * topic             string
 * defaultTopic      string    not used by brokers
 * readQueueNums     int
 * writeQueueNums    int
 * perm              int
 * topicFilterType   string
 * topicSysFlag      int       optional
 * order             boolean
 * attributes        string    optional: +key=value,-key
 * force             boolean   optional
 * ```
 *
 * Source: RocketMQ `CreateTopicRequestHeader`.
 */
export interface CreateTopicHeader {
  /** The topic to create or change: at most 127 characters of letters, digits, `%`, `|`, `-` and `_`. */
  readonly topic: string
  /** Whose form it is to take. Java writes `TBW102`; brokers demand the field and do not look at it. */
  readonly defaultTopic: string
  /** Queues that consumers see. */
  readonly readQueueNums: number
  /** Queues that producers see. */
  readonly writeQueueNums: number
  /** Bits of `PermName`; 6 is usual. */
  readonly perm: number
  /** `SINGLE_TAG` or `MULTI_TAG`. */
  readonly topicFilterType: string
  /** Bit 0: the topic belongs to a unit; bit 1: it is subscribed to from other units. 0 when absent. */
  readonly topicSysFlag?: number | undefined
  /** Whether the topic is an ordered one. */
  readonly order: boolean
  /** Changes of attributes, for instance `+message.type=DELAY`. */
  readonly attributes?: string | undefined
  /** Of static topics: whether a mapping that does not fit is replaced; false when absent. */
  readonly force?: boolean | undefined
}

const header: HeaderCodec.Codec<CreateTopicHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  defaultTopic: HeaderCodec.withDefault(HeaderCodec.string, ""),
  readQueueNums: HeaderCodec.int,
  writeQueueNums: HeaderCodec.int,
  perm: HeaderCodec.int,
  topicFilterType: HeaderCodec.string,
  topicSysFlag: HeaderCodec.nullable(HeaderCodec.int),
  order: HeaderCodec.withDefault(HeaderCodec.boolean, false),
  attributes: HeaderCodec.optional(HeaderCodec.string),
  force: HeaderCodec.optional(HeaderCodec.boolean)
})

/** What a client sends. */
export const request = (value: CreateTopicHeader): Request => ({
  code: RequestCode.UPDATE_AND_CREATE_TOPIC,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): CreateTopicHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers, with the remark that a real one leaves in. */
export const response = (): Response => ({ code: ResponseCode.SUCCESS, remark: "not set any response code" })

/** An answer with code 0 says nothing more. */
export const decodeResponse = (_cmd: RemotingCommand): undefined => undefined
