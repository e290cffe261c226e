import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { Long } from "../Long.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import type { ConsumeStats } from "./GetConsumeStats.ts"
import { consumeStats } from "./GetConsumeStats.ts"

/**
 * GET_BROKER_CONSUME_STATS (317), client to broker: how far every group of the broker has read each of its topics.
 *
 * ```text
 * isOrder   boolean   only topics marked as ordered
 * answer body: {"brokerAddr":"...","consumeStatsList":[{"group":[{consume stats}]}],"totalDiff":0,"totalInflightDiff":0}
 * ```
 *
 * Source: RocketMQ `GetConsumeStatsInBrokerHeader`, `ConsumeStatsList`.
 */
export interface GetBrokerConsumeStatsHeader {
  /** Whether only topics that were created as ordered ones count. */
  readonly isOrder: boolean
}

/** The groups of one broker. Source: RocketMQ `ConsumeStatsList`. */
export interface ConsumeStatsList {
  /** The broker's address as it knows itself. */
  readonly brokerAddr?: string | undefined
  /** One map a group: its name to what it read, topic by topic. */
  readonly consumeStatsList: ReadonlyArray<ReadonlyMap<string, ReadonlyArray<ConsumeStats>>>
  /** Messages that no group has read yet, summed. */
  readonly totalDiff: Long
  /** Messages that were pulled and not committed, of all groups together. */
  readonly totalInflightDiff: Long
}

const header: HeaderCodec.Codec<GetBrokerConsumeStatsHeader> = HeaderCodec.struct({ isOrder: HeaderCodec.boolean })

const answer: Body.RequiredBody<ConsumeStatsList> = Body.struct({
  brokerAddr: Body.optional(Body.string),
  consumeStatsList: Body.withDefault(Body.list(Body.map(Body.list(consumeStats))), []),
  totalDiff: Body.withDefault(Body.int64, 0),
  totalInflightDiff: Body.withDefault(Body.int64, 0)
})

/** What a client sends. */
export const request = (value: GetBrokerConsumeStatsHeader): Request => ({
  code: RequestCode.GET_BROKER_CONSUME_STATS,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetBrokerConsumeStatsHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: ConsumeStatsList): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(answer, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ConsumeStatsList | DecodeError =>
  Body.decode(answer, RequestCode.GET_BROKER_CONSUME_STATS, cmd.body)
