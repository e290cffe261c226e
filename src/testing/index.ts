/**
 * Entry point `effect-rocketmq/testing`: RocketMQ inside the process, on sockets or on a test's virtual clock, with
 * faults on demand and recorded traffic; and on top of it simulation, where one seed decides everything.
 *
 * @packageDocumentation
 */
export type { AclOptions, AclUser, Action } from "../embedded/server/AccessControl.ts"
export * as Arbitraries from "../embedded/Arbitraries.ts"
export type { BrokerConfig } from "../embedded/store/BrokerConfig.ts"
export type { DelayedMessage, HalfMessage, LiveClient } from "../embedded/ClusterView.ts"
export type { EmbeddedBroker, StopOptions } from "../embedded/broker/EmbeddedBroker.ts"
export { EmbeddedCluster, NoSuchBroker } from "../embedded/EmbeddedCluster.ts"
export type { BrokerOptions, ClusterFaults, EmbeddedClusterOptions, TopicOptions } from "../embedded/EmbeddedCluster.ts"
export type { EmbeddedNameServer } from "../embedded/nameserver/EmbeddedNameServer.ts"
export * as FaultScript from "../embedded/server/FaultScript.ts"
export * as LeakCheck from "../embedded/LeakCheck.ts"
export type { MessageStore } from "../embedded/store/MessageStore.ts"
export type { StoredEntry } from "../embedded/store/StoredMessage.ts"
export { TrafficMismatch } from "../embedded/server/Traffic.ts"
export type { RecordedRequest, Traffic, TrafficMatch } from "../embedded/server/Traffic.ts"
export * as MemoryWire from "../transport/MemoryWire.ts"
export type { TlsServerOptions } from "../transport/Tls.ts"
export * as TcpWire from "../transport/TcpWire.ts"
export { Wire, WireError } from "../transport/Wire.ts"
export type { ByteStream } from "../transport/Wire.ts"
export * as FaultPlan from "./FaultPlan.ts"
export * as FaultProxy from "./FaultProxy.ts"
export * as Finishes from "./Finishes.ts"
export * as Ledger from "./Ledger.ts"
export * as Simulation from "./Simulation.ts"
