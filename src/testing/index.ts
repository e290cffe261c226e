/**
 * Entry point `effect-rocketmq/testing`: RocketMQ inside the process, on sockets or on a test's virtual clock, with faults
 * on demand and a record of what was said.
 */
export type { AclOptions, AclUser, Action } from "../embedded/AccessControl.ts"
export * as Arbitraries from "../embedded/Arbitraries.ts"
export type { BrokerConfig } from "../embedded/BrokerConfig.ts"
export type { DelayedMessage, HalfMessage, LiveClient } from "../embedded/ClusterView.ts"
export type { EmbeddedBroker, StopOptions } from "../embedded/EmbeddedBroker.ts"
export { EmbeddedCluster, UnknownBroker } from "../embedded/EmbeddedCluster.ts"
export type { BrokerOptions, ClusterFaults, EmbeddedClusterOptions, TopicOptions } from "../embedded/EmbeddedCluster.ts"
export type { EmbeddedNameServer } from "../embedded/EmbeddedNameServer.ts"
export * as FaultScript from "../embedded/FaultScript.ts"
export * as LeakCheck from "../embedded/LeakCheck.ts"
export type { MessageStore, StoredEntry } from "../embedded/MessageStore.ts"
export { TrafficMismatch } from "../embedded/Traffic.ts"
export type { RecordedRequest, Traffic, TrafficMatch } from "../embedded/Traffic.ts"
export * as MemoryWire from "../transport/MemoryWire.ts"
export type { TlsServerOptions } from "../transport/Tls.ts"
export * as TcpWire from "../transport/TcpWire.ts"
export { Wire, WireError } from "../transport/Wire.ts"
export type { ByteStream } from "../transport/Wire.ts"
export * as FaultProxy from "./FaultProxy.ts"
