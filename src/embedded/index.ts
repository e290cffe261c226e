/**
 * Entry point `effect-rocketmq/testing`: RocketMQ inside the process, on sockets or on a test's virtual clock, with faults
 * on demand and a record of what was said.
 */
export type { AclOptions, AclUser, Action } from "./AccessControl.ts"
export * as Arbitraries from "./Arbitraries.ts"
export type { BrokerConfig } from "./BrokerConfig.ts"
export type { DelayedMessage, HalfMessage, LiveClient } from "./ClusterView.ts"
export type { EmbeddedBroker, StopOptions } from "./EmbeddedBroker.ts"
export { EmbeddedCluster, UnknownBroker } from "./EmbeddedCluster.ts"
export type { BrokerOptions, ClusterFaults, EmbeddedClusterOptions, TopicOptions } from "./EmbeddedCluster.ts"
export type { EmbeddedNameServer } from "./EmbeddedNameServer.ts"
export * as FaultScript from "./FaultScript.ts"
export * as LeakCheck from "./LeakCheck.ts"
export type { MessageStore, StoredEntry } from "./MessageStore.ts"
export { TrafficMismatch } from "./Traffic.ts"
export type { RecordedRequest, Traffic, TrafficMatch } from "./Traffic.ts"
export * as MemoryWire from "../transport/MemoryWire.ts"
export type { TlsServerOptions } from "../transport/Tls.ts"
export * as TcpWire from "../transport/TcpWire.ts"
export { Wire, WireError } from "../transport/Wire.ts"
export type { ByteStream } from "../transport/Wire.ts"
