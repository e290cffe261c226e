import * as ClusterInfo from "../ClusterInfo.ts"
import type { DecodeError } from "../DecodeError.ts"
import type { RemotingCommand, Request, Response } from "../RemotingCommand.ts"
import { RequestCode } from "../RequestCode.ts"
import { ResponseCode } from "../ResponseCode.ts"

/**
 * GET_BROKER_CLUSTER_INFO (106), client to name server: all clusters and brokers. No header; the answer's body is a
 * `ClusterInfo`.
 *
 * Source: RocketMQ `ClientRequestProcessor`, `ClusterInfo`.
 */
export type GetBrokerClusterInfoHeader = undefined

/** What a client sends. */
export const request = (): Request => ({ code: RequestCode.GET_BROKER_CLUSTER_INFO, extFields: undefined })

/** The request says nothing more. */
export const decodeRequest = (_cmd: RemotingCommand): undefined => undefined

/** What a name server answers. */
export const response = (info: ClusterInfo.ClusterInfo): Response => ({
  code: ResponseCode.SUCCESS,
  body: ClusterInfo.encode(info)
})

/** What a client reads of an answer with code 0. */
export const decodeResponse = (cmd: RemotingCommand): ClusterInfo.ClusterInfo | DecodeError =>
  ClusterInfo.decode(cmd.body)
