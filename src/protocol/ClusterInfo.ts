import * as Body from "./BodyCodec.ts"
import type { DecodeError } from "./DecodeError.ts"
import { RequestCode } from "./RequestCode.ts"
import { type BrokerData, brokerData } from "./TopicRouteData.ts"

/** All clusters and brokers that a name server knows. Source: RocketMQ `ClusterInfo`. */
export interface ClusterInfo {
  /** Broker name to its addresses. */
  readonly brokerAddrTable: ReadonlyMap<string, BrokerData>
  /** Cluster name to the names of its brokers. */
  readonly clusterAddrTable: ReadonlyMap<string, ReadonlyArray<string>>
}

// Real servers write broker ids without quotes here, whatever the version of the asker.
const clusterInfo: Body.RequiredBody<ClusterInfo> = Body.struct({
  brokerAddrTable: Body.withDefault(Body.map(brokerData(true)), new Map()),
  clusterAddrTable: Body.withDefault(Body.map(Body.list(Body.string)), new Map())
})

/** Writes the answer to GET_BROKER_CLUSTER_INFO as a Java server does, with bare broker ids. */
export const encode = (info: ClusterInfo): Uint8Array => Body.encode(clusterInfo, info)

/** Reads the answer to GET_BROKER_CLUSTER_INFO. */
export const decode = (body: Uint8Array): ClusterInfo | DecodeError =>
  Body.decode(clusterInfo, RequestCode.GET_BROKER_CLUSTER_INFO, body)
