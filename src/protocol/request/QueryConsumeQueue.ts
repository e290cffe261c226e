import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import { type SubscriptionData, subscriptionData } from "../HeartbeatData.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * QUERY_CONSUME_QUEUE (321), client to broker: what the index of a queue says of some messages. Answer 0 (with the remark
 * "not set any response code", which means nothing), or 1 for a queue that never had a message. Of an index outside of
 * the queue the answer is 0 too, without a body, and its remark says so.
 *
 * ```text
 * topic           string
 * queueId         int
 * index           long
 * count           int
 * consumerGroup   string   optional: whose filter is to be shown
 * answer body: {"filterData":"...","maxQueueIndex":3,"minQueueIndex":0,"queueData":[{"eval":false,"physicOffset":0,
 *               "physicSize":239,"tagsCode":2652}],"subscriptionData":{}}
 * ```
 *
 * Source: RocketMQ `QueryConsumeQueueRequestHeader`, `QueryConsumeQueueResponseBody`.
 */
export interface QueryConsumeQueueHeader {
  /** The topic. */
  readonly topic: string
  /** The queue. */
  readonly queueId: number
  /** The queue offset of the first message. */
  readonly index: Long
  /** At most so many messages. */
  readonly count: number
  /** The group whose subscription is to be shown. */
  readonly consumerGroup?: string | undefined
}

/** What the index says of one message. Source: RocketMQ `ConsumeQueueData`. */
export interface ConsumeQueueData {
  /** Where the message begins in the log. */
  readonly physicOffset: number
  /** Its length in the log, in bytes. */
  readonly physicSize: number
  /** The hash of its tag; 0 without one. */
  readonly tagsCode: number
  /** Whether the group's filter takes it; false for a filter by tag, which is not evaluated. */
  readonly eval: boolean
}

/** A part of a queue's index. */
export interface QueryConsumeQueueAnswer {
  /** The group's filter by property as JSON, `null` for one by tag; or that the group is not online. */
  readonly filterData?: string | undefined
  /** The queue offset that the next message gets. */
  readonly maxQueueIndex: number
  /** The smallest queue offset. */
  readonly minQueueIndex: number
  /** The messages from the index on; absent when it lies outside of the queue. */
  readonly queueData?: ReadonlyArray<ConsumeQueueData> | undefined
  /** The group's subscription to the topic. */
  readonly subscriptionData?: SubscriptionData | undefined
}

const header: HeaderCodec.Codec<QueryConsumeQueueHeader> = HeaderCodec.struct({
  topic: HeaderCodec.string,
  queueId: HeaderCodec.withDefault(HeaderCodec.int, 0),
  index: HeaderCodec.withDefault(HeaderCodec.int64, 0),
  count: HeaderCodec.withDefault(HeaderCodec.int, 0),
  consumerGroup: HeaderCodec.optional(HeaderCodec.string)
})

const answer: Body.RequiredBody<QueryConsumeQueueAnswer> = Body.struct({
  filterData: Body.optional(Body.string),
  maxQueueIndex: Body.withDefault(Body.long, 0),
  minQueueIndex: Body.withDefault(Body.long, 0),
  queueData: Body.optional(
    Body.list(
      Body.struct({
        eval: Body.withDefault(Body.boolean, false),
        physicOffset: Body.long,
        physicSize: Body.int,
        tagsCode: Body.withDefault(Body.long, 0)
      })
    )
  ),
  subscriptionData: Body.optional(subscriptionData)
})

/** What a client sends. */
export const request = (value: QueryConsumeQueueHeader): Request => ({
  code: RequestCode.QUERY_CONSUME_QUEUE,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): QueryConsumeQueueHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers, with the remark that a real one leaves in. */
export const response = (value: QueryConsumeQueueAnswer): Response => ({
  code: ResponseCode.SUCCESS,
  remark: "not set any response code",
  body: Body.encode(answer, value)
})

/** What a client reads of an answer with code 0; undefined for an index outside of the queue. */
export const decodeResponse = (cmd: RemotingCommand): QueryConsumeQueueAnswer | DecodeError | undefined =>
  cmd.body.length === 0 ? undefined : Body.decode(answer, RequestCode.QUERY_CONSUME_QUEUE, cmd.body)
