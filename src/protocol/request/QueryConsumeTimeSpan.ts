import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * QUERY_CONSUME_TIME_SPAN (303), client to broker: from when to when a topic's queues have messages, and how far in time
 * a group has read them. Answer 0 or TOPIC_NOT_EXIST (17).
 *
 * ```text
 * topic   string
 * group   string
 * bname   string   optional
 * answer body: {"consumeTimeSpanSet":[{"consumeTimeStamp":0,"delayTime":0,"maxTimeStamp":0,"messageQueue":{queue},"minTimeStamp":0}]}
 * ```
 *
 * Source: RocketMQ `QueryConsumeTimeSpanRequestHeader`, `QueryConsumeTimeSpanBody`.
 */
export interface QueryConsumeTimeSpanHeader {
  /** The topic. One that the broker does not have is answered with 17 (TOPIC_NOT_EXIST). */
  readonly topic: string
  /** The consumer group. */
  readonly group: string
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

/** One queue; times in milliseconds since the epoch, -1 for none. Source: RocketMQ `QueueTimeSpan`. */
export interface QueueTimeSpan {
  /** The queue. */
  readonly messageQueue: MessageQueue
  /** When the oldest message was stored, in milliseconds since the epoch; -1 without one. */
  readonly minTimeStamp: number
  /** When the newest message was stored, in milliseconds since the epoch; -1 without one. */
  readonly maxTimeStamp: number
  /** When the message before the group's position was stored, in milliseconds since the epoch; -1 without one. */
  readonly consumeTimeStamp: number
  /** Milliseconds since the first message that is not read was stored; 0 without one. */
  readonly delayTime: number
}

/** The queues of a topic on one broker. Source: RocketMQ `QueryConsumeTimeSpanBody`. */
export interface QueryConsumeTimeSpanAnswer {
  /** The queues that this broker has of the topic. */
  readonly consumeTimeSpanSet: ReadonlyArray<QueueTimeSpan>
}

const header: HeaderCodec.Codec<QueryConsumeTimeSpanHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  group: HeaderCodec.withDefault(HeaderCodec.string, "null"),
  brokerName: HeaderCodec.brokerName
})

const answer: Body.RequiredBody<QueryConsumeTimeSpanAnswer> = Body.struct({
  consumeTimeSpanSet: Body.withDefault(
    Body.list(
      Body.struct({
        consumeTimeStamp: Body.withDefault(Body.long, -1),
        delayTime: Body.withDefault(Body.long, 0),
        maxTimeStamp: Body.withDefault(Body.long, -1),
        messageQueue: Body.messageQueue,
        minTimeStamp: Body.withDefault(Body.long, -1)
      })
    ),
    []
  )
})

/** What a client sends. */
export const request = (value: QueryConsumeTimeSpanHeader): Request => ({
  code: RequestCode.QUERY_CONSUME_TIME_SPAN,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): QueryConsumeTimeSpanHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: QueryConsumeTimeSpanAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(answer, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): QueryConsumeTimeSpanAnswer | DecodeError =>
  Body.decode(answer, RequestCode.QUERY_CONSUME_TIME_SPAN, cmd.body)
