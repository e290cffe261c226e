import * as Body from "../BodyCodec.ts"
import { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import { type DataVersion, dataVersion, type TopicConfig, topicConfig } from "../TopicConfig.ts"

/**
 * GET_ALL_TOPIC_CONFIG (21), client to broker: all topics of this broker.
 *
 * ```text
 * topicSeq      int      optional, paging: the first topic
 * dataVersion   string   optional, paging: of the page before, as JSON
 * maxTopicNum   int      optional, paging: how many
 * answer: totalTopicNum int; body {"dataVersion":{...},"topicConfigTable":{"t":{...}}}
 * ```
 *
 * Source: RocketMQ `GetAllTopicConfigRequestHeader`, `TopicConfigAndMappingSerializeWrapper`.
 */
export interface GetAllTopicConfigHeader {
  /** Index of the first topic of the page; brokers page only with `enableSplitMetadata`. */
  readonly topicSeq?: number | undefined
  /** The version that the page before was of, as JSON; a broker with another one begins again. */
  readonly dataVersion?: string | undefined
  /** At most so many topics; all of them when absent. */
  readonly maxTopicNum?: number | undefined
}

/** The topics of a broker by name. */
export interface GetAllTopicConfigAnswer {
  /** The version of the table; brokers of some versions leave it out. */
  readonly dataVersion?: DataVersion | undefined
  /** The topics by name. */
  readonly topicConfigTable: ReadonlyMap<string, TopicConfig>
}

const header: HeaderCodec.Codec<GetAllTopicConfigHeader> = HeaderCodec.struct({
  topicSeq: HeaderCodec.nullable(HeaderCodec.int),
  dataVersion: HeaderCodec.optional(HeaderCodec.string),
  maxTopicNum: HeaderCodec.nullable(HeaderCodec.int)
})

const answer: Body.RequiredBody<GetAllTopicConfigAnswer> = Body.struct({
  dataVersion: Body.optional(dataVersion),
  topicConfigTable: Body.withDefault(Body.map(topicConfig), new Map())
})

/** Whether the text is the version of a table, as its JSON; what cannot be read is no version. */
export const isVersion = (text: string | undefined, version: DataVersion): boolean => {
  if (text === undefined || text.trim() === "") return false
  const read = Body.decode(dataVersion, RequestCode.GET_ALL_TOPIC_CONFIG, encoder.encode(text))
  return (
    !(read instanceof DecodeError) &&
    read.counter === version.counter &&
    read.stateVersion === version.stateVersion &&
    read.timestamp === version.timestamp
  )
}

const encoder = new TextEncoder()

/** What a client sends. */
export const request = (value: GetAllTopicConfigHeader = {}): Request => ({
  code: RequestCode.GET_ALL_TOPIC_CONFIG,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetAllTopicConfigHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: GetAllTopicConfigAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  extFields: { totalTopicNum: String(value.topicConfigTable.size) },
  body: Body.encode(answer, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): GetAllTopicConfigAnswer | DecodeError =>
  Body.decode(answer, RequestCode.GET_ALL_TOPIC_CONFIG, cmd.body)
