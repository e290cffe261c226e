import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_TOPIC_STATS_INFO (202), client to broker: the offsets of a topic's queues on this broker. Answer 0, or
 * TOPIC_NOT_EXIST (17).
 *
 * ```text
 * topic   string
 * bname   string   optional
 * answer body: {"offsetTable":{{queue}:{"lastUpdateTimestamp":0,"maxOffset":0,"minOffset":0}},"topicPutTps":0.0}
 * ```
 *
 * Source: RocketMQ `GetTopicStatsInfoRequestHeader`, `TopicStatsTable`.
 */
export interface GetTopicStatsHeader {
  /** The topic. One that the broker does not have is answered with 17 (TOPIC_NOT_EXIST). */
  readonly topic: string
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

/** What one queue holds. Source: RocketMQ `TopicOffset`. */
export interface TopicOffset {
  /** Offset of the oldest message that the queue still has. */
  readonly minOffset: number
  /** The offset that the next message gets. */
  readonly maxOffset: number
  /** Milliseconds since the epoch; 0 when the queue is empty. */
  readonly lastUpdateTimestamp: number
}

/** The offsets of a topic on one broker. Source: RocketMQ `TopicStatsTable`. */
export interface TopicStatsTable {
  /** The span of each queue that this broker has of the topic. */
  readonly offsetTable: ReadonlyArray<readonly [queue: MessageQueue, offset: TopicOffset]>
  /** Messages per second. */
  readonly topicPutTps?: number | undefined
}

const header: HeaderCodec.Codec<GetTopicStatsHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  brokerName: HeaderCodec.brokerName
})

const table: Body.RequiredBody<TopicStatsTable> = Body.struct({
  offsetTable: Body.withDefault(
    Body.queueMap(
      Body.struct({
        lastUpdateTimestamp: Body.withDefault(Body.long, 0),
        maxOffset: Body.withDefault(Body.long, 0),
        minOffset: Body.withDefault(Body.long, 0)
      })
    ),
    []
  ),
  topicPutTps: Body.optional(Body.double)
})

/** What a client sends. */
export const request = (value: GetTopicStatsHeader): Request => ({
  code: RequestCode.GET_TOPIC_STATS_INFO,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetTopicStatsHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: TopicStatsTable): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(table, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): TopicStatsTable | DecodeError =>
  Body.decode(table, RequestCode.GET_TOPIC_STATS_INFO, cmd.body)
