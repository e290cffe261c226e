import * as Body from "../BodyCodec.ts"
import type { DecodeError } from "../DecodeError.ts"
import * as HeaderCodec from "../HeaderCodec.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_PRODUCER_CONNECTION_LIST (204), client to broker: the clients of a producer group that are connected to this
 * broker. Answer 0, or SYSTEM_ERROR (1) when there are none.
 *
 * ```text
 * producerGroup   string
 * bname           string   optional
 * answer body: {"connectionSet":[{"clientAddr":"...","clientId":"...","language":"JAVA","version":513}]}
 * ```
 *
 * Source: RocketMQ `GetProducerConnectionListRequestHeader`, `ProducerConnection`.
 */
export interface GetProducerConnectionListHeader {
  /** The group that is asked about. One without a producer is answered with code 1. */
  readonly producerGroup: string
  /** The broker that is meant, by name (`bname`); absent, it is the one that gets the request. */
  readonly brokerName?: string | undefined
}

/** One client of a group on one broker. Source: RocketMQ `Connection`. */
export interface Connection {
  /** The client's id. */
  readonly clientId: string
  /** `ip:port`. */
  readonly clientAddr: string
  /** A name of `LanguageCode`. */
  readonly language: string
  /** See `MQVersion`. */
  readonly version: number
}

/** The clients of a producer group. Source: RocketMQ `ProducerConnection`. */
export interface ProducerConnection {
  /** The producers of the group that have a connection to this broker. */
  readonly connectionSet: ReadonlyArray<Connection>
}

const header: HeaderCodec.Codec<GetProducerConnectionListHeader> = HeaderCodec.struct({
  producerGroup: HeaderCodec.string,
  brokerName: HeaderCodec.brokerName
})

/** The codec of {@link Connection}. */
export const connection: Body.RequiredBody<Connection> = Body.struct({
  clientAddr: Body.string,
  clientId: Body.string,
  language: Body.withDefault(Body.string, "OTHER"),
  version: Body.withDefault(Body.int, 0)
})

const answer: Body.RequiredBody<ProducerConnection> = Body.struct({
  connectionSet: Body.withDefault(Body.list(connection), [])
})

/** What a client sends. */
export const request = (value: GetProducerConnectionListHeader): Request => ({
  code: RequestCode.GET_PRODUCER_CONNECTION_LIST,
  extFields: header.encode(value)
})

/** What a broker reads. */
export const decodeRequest = (cmd: RemotingCommand): GetProducerConnectionListHeader | DecodeError =>
  header.decode(cmd.code, cmd.extFields)

/** What a broker answers. */
export const response = (value: ProducerConnection): Response => ({
  code: ResponseCode.SUCCESS,
  body: Body.encode(answer, value)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ProducerConnection | DecodeError =>
  Body.decode(answer, RequestCode.GET_PRODUCER_CONNECTION_LIST, cmd.body)
