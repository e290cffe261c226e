import type { ConnectionInfo, RemotingCounters } from "../transport/RemotingClient.ts"
import type { HeartbeatState } from "./Heartbeat.ts"
import type { ReplyCounters } from "./push/ReplyTable.ts"
import type { RouteWarning } from "./RouteBounds.ts"
import type { ServiceState } from "./ServiceState.ts"
import type { StepRecord } from "./StartStep.ts"
import type { TimerState } from "./Timers.ts"

/** What an instance knows of one topic. */
export interface RouteState {
  /** The topic. */
  readonly topic: string
  /** Whether the route is the template topic's. */
  readonly borrowed: boolean
  /** The brokers that have it, by name. */
  readonly brokers: ReadonlyArray<string>
  /** Queues that producers see, over all brokers. */
  readonly writeQueues: number
  /** Queues that consumers see, over all brokers. */
  readonly readQueues: number
  /** What of the route is not used, since it has more of it than is believed; empty when all of it is. */
  readonly warnings: ReadonlyArray<RouteWarning>
}

/**
 * Everything there is to see of a client instance, in one value that can be printed as JSON. Times are milliseconds
 * since the epoch, durations milliseconds.
 */
export interface InstanceState {
  /** The client's id, unique in the cluster. */
  readonly clientId: string
  /** Where the instance stands: its own ServiceState. */
  readonly phase: ServiceState
  /** The known addresses, and the one that requests go to; undefined before the first request. */
  readonly nameServers: { readonly addresses: ReadonlyArray<string>; readonly chosen: string | undefined }
  /** The start-up steps, in the order in which they ended. */
  readonly steps: ReadonlyArray<StepRecord>
  /** The registered producer groups, that of the instance's own producer included. */
  readonly producerGroups: ReadonlyArray<string>
  /** The registered consumer groups. */
  readonly consumerGroups: ReadonlyArray<string>
  /** What is known of each topic that anybody asked for. */
  readonly routes: ReadonlyArray<RouteState>
  /** Broker name, id and address from the routes, with what became of the last heartbeat. */
  readonly brokers: ReadonlyArray<HeartbeatState>
  /** The connections, those that are being opened or wait to be dialled again included. */
  readonly sockets: ReadonlyArray<ConnectionInfo>
  /** Requests that wait for their answer, over all connections. */
  readonly inFlight: number
  /** The five timers, in their order. */
  readonly timers: ReadonlyArray<TimerState>
  /** Requests that wait for a reply now, and what became of the replies so far. */
  readonly replies: ReplyCounters & { readonly waiting: number }
  /** What all connections carried since the instance began. */
  readonly counters: RemotingCounters
}
