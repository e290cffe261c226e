import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_ALL_PRODUCER_INFO (328), client to broker: the producers that are connected to it, by group.
 *
 * ```text
 * answer body: {"data":{"group":[{"clientId":"...","language":"JAVA","lastUpdateTimestamp":0,"remoteIP":"...","version":513}]}}
 * ```
 *
 * Source: RocketMQ `GetAllProducerInfoRequestHeader`, `ProducerTableInfo`.
 */

/** One producer. Source: RocketMQ `ProducerInfo`. */
export interface ProducerInfo {
  /** The producer's client. */
  readonly clientId: string
  /** `ip:port`, whatever the name says. */
  readonly remoteIP: string
  /** A name of `LanguageCode`. */
  readonly language: string
  /** See `MQVersion`. */
  readonly version: number
  /** Milliseconds since the epoch of its last heartbeat. */
  readonly lastUpdateTimestamp: number
}

/** Producers by group. Source: RocketMQ `ProducerTableInfo`. */
export interface ProducerTableInfo {
  /** The producers by their group. */
  readonly data: ReadonlyMap<string, ReadonlyArray<ProducerInfo>>
}

const answer: Body.RequiredBody<ProducerTableInfo> = Body.struct({
  data: Body.withDefault(
    Body.map(
      Body.list(
        Body.struct({
          clientId: Body.string,
          language: Body.withDefault(Body.string, "OTHER"),
          lastUpdateTimestamp: Body.withDefault(Body.long, 0),
          remoteIP: Body.withDefault(Body.string, ""),
          version: Body.withDefault(Body.int, 0)
        })
      )
    ),
    new Map()
  )
})

/** What a client sends. */
export const request = (): Request => ({ code: RequestCode.GET_ALL_PRODUCER_INFO, extFields: undefined })

/** The request says nothing. */
export const decodeRequest = (_cmd: RemotingCommand): undefined => undefined

/** What a broker answers. */
export const response = (value: ProducerTableInfo): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(answer, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ProducerTableInfo | DecodeError =>
  Body.decode(answer, RequestCode.GET_ALL_PRODUCER_INFO, cmd.body)
