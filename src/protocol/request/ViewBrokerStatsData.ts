import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * VIEW_BROKER_STATS_DATA (315), client to broker: one of the broker's counts over the last minute, hour and day. Answer 0,
 * or 1 when nothing was ever counted under that key.
 *
 * ```text
 * statsName   string   TOPIC_PUT_NUMS, GROUP_GET_NUMS, ...
 * statsKey    string   a topic; for a group `topic@group`
 * answer body: {"statsDay":{"avgpt":0.0,"sum":0,"tps":0.0},"statsHour":{...},"statsMinute":{...}}
 * ```
 *
 * Source: RocketMQ `ViewBrokerStatsDataRequestHeader`, `BrokerStatsData`.
 */
export interface ViewBrokerStatsDataHeader {
  /** What is counted: `TOPIC_PUT_NUMS` for messages sent to a topic, `GROUP_GET_NUMS` for those a group read of it. */
  readonly statsName: string
  /** Whose count: a topic, or `topic@group`. */
  readonly statsKey: string
}

/** A count over some time. Source: RocketMQ `BrokerStatsItem`. */
export interface BrokerStatsItem {
  /** How much each time, on average. */
  readonly avgpt: number
  /** How much altogether. */
  readonly sum: number
  /** How much in a second, on average. */
  readonly tps: number
}

/** A count over three times. */
export interface BrokerStatsData {
  /** Over the last day. */
  readonly statsDay: BrokerStatsItem
  /** Over the last hour. */
  readonly statsHour: BrokerStatsItem
  /** Over the last minute. */
  readonly statsMinute: BrokerStatsItem
}

const header: HeaderCodec.Codec<ViewBrokerStatsDataHeader> = HeaderCodec.struct({
  statsName: HeaderCodec.string,
  statsKey: HeaderCodec.string
})

/** Nothing was counted in that time. */
export const nothing: BrokerStatsItem = { avgpt: 0, sum: 0, tps: 0 }

const item: Body.RequiredBody<BrokerStatsItem> = Body.struct({
  avgpt: Body.withDefault(Body.double, 0),
  sum: Body.withDefault(Body.long, 0),
  tps: Body.withDefault(Body.double, 0)
})

const data: Body.RequiredBody<BrokerStatsData> = Body.struct({
  statsDay: Body.withDefault(item, nothing),
  statsHour: Body.withDefault(item, nothing),
  statsMinute: Body.withDefault(item, nothing)
})

/** What a client sends. */
export const request = (value: ViewBrokerStatsDataHeader): Request => ({
  code: RequestCode.VIEW_BROKER_STATS_DATA,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): ViewBrokerStatsDataHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: BrokerStatsData): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(data, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): BrokerStatsData | DecodeError =>
  Body.decode(data, RequestCode.VIEW_BROKER_STATS_DATA, cmd.body)
