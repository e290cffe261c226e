import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"
import { type KVTable, kvTable } from "./KVConfig.ts"

/**
 * GET_BROKER_RUNTIME_INFO (28), client to broker: counters and times of the broker, all as text.
 *
 * ```text
 * no header; answer body {"table":{"msgPutTotalTodayNow":"...","bootTimestamp":"...",...}}
 * ```
 *
 * Source: RocketMQ `AdminBrokerProcessor`, `KVTable`.
 */
export type GetBrokerRuntimeInfoHeader = undefined

/** What a client sends. */
export const request = (): Request => ({ code: RequestCode.GET_BROKER_RUNTIME_INFO, extFields: undefined })

/** The request says nothing more. */
export const decodeRequest = (_cmd: RemotingCommand): undefined => undefined

/** What a broker answers. */
export const response = (value: KVTable): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(kvTable, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): KVTable | DecodeError =>
  Body.decode(kvTable, RequestCode.GET_BROKER_RUNTIME_INFO, cmd.body)
