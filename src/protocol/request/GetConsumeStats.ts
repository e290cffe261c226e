import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_CONSUME_STATS (208), client to broker: how far a group has read the queues of this broker. An unknown group is
 * answered 0 with nothing in it.
 *
 * ```text
 * consumerGroup   string
 * topic           string   optional
 * bname           string   optional
 * answer body: {"consumeTps":0.0,"offsetTable":{{queue}:{"brokerOffset":3,"consumerOffset":3,"lastTimestamp":0,"pullOffset":3}}}
 * ```
 *
 * Source: RocketMQ `GetConsumeStatsRequestHeader`, `ConsumeStats`.
 */
export interface GetConsumeStatsHeader {
  /** The group that is asked about. One that nobody knows gives an empty table. */
  readonly consumerGroup: string
  /** The one topic that counts; every topic that the group has positions in when absent. */
  readonly topic?: string | undefined
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

/** How far one queue is read; `brokerOffset - consumerOffset` is the backlog. Source: RocketMQ `OffsetWrapper`. */
export interface OffsetWrapper {
  /** Offset of the next message that the queue will get. */
  readonly brokerOffset: number
  /** The group's position; what it lags is the difference. */
  readonly consumerOffset: Long
  /** Up to where the group has pulled, be it consumed or not. */
  readonly pullOffset: Long
  /** Milliseconds since the epoch. */
  readonly lastTimestamp: number
}

/** How far a group has read. Source: RocketMQ `ConsumeStats`. */
export interface ConsumeStats {
  /** The group's position in each queue of this broker. */
  readonly offsetTable: ReadonlyArray<readonly [queue: MessageQueue, offset: OffsetWrapper]>
  /** Messages per second. */
  readonly consumeTps: number
}

const header: HeaderCodec.Codec<GetConsumeStatsHeader> = HeaderCodec.struct({
  consumerGroup: HeaderCodec.string,
  topic: HeaderCodec.optional(HeaderCodec.string),
  brokerName: HeaderCodec.brokerName
})

/** The codec of {@link ConsumeStats}. */
export const consumeStats: Body.RequiredBody<ConsumeStats> = Body.struct({
  consumeTps: Body.withDefault(Body.double, 0),
  offsetTable: Body.withDefault(
    Body.queueMap(
      Body.struct({
        brokerOffset: Body.withDefault(Body.long, 0),
        consumerOffset: Body.withDefault(Body.int64, 0),
        lastTimestamp: Body.withDefault(Body.long, 0),
        pullOffset: Body.withDefault(Body.int64, 0)
      })
    ),
    []
  )
})

/** What a client sends. */
export const request = (value: GetConsumeStatsHeader): Request => ({
  code: RequestCode.GET_CONSUME_STATS,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetConsumeStatsHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: ConsumeStats): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(consumeStats, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ConsumeStats | DecodeError =>
  Body.decode(consumeStats, RequestCode.GET_CONSUME_STATS, cmd.body)
