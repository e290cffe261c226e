import type { ConnectionInfo, RemotingCounters } from "../transport/RemotingClient.ts"
import type { HeartbeatState } from "./Heartbeat.ts"
import type { ReplyCounters } from "./push/ReplyTable.ts"
import type { RouteWarning } from "./RouteBounds.ts"
import type { ServiceState } from "./ServiceState.ts"
import type { StepRecord } from "./StartStep.ts"
import type { TimerState } from "./Timers.ts"

/** What an instance knows of one topic. */
export interface RouteState {
  readonly topic: string
  /** Whether the route is the template topic's. */
  readonly borrowed: boolean
  readonly brokers: ReadonlyArray<string>
  readonly writeQueues: number
  readonly readQueues: number
  /** What of the route is not used, since it has more of it than is believed; empty when all of it is. */
  readonly warnings: ReadonlyArray<RouteWarning>
}

/**
 * Everything there is to see of a client instance, in one value that can be printed as JSON. Times are milliseconds
 * since the epoch, durations milliseconds.
 */
export interface InstanceState {
  readonly clientId: string
  /** Where the instance stands: its own ServiceState. */
  readonly phase: ServiceState
  readonly nameServers: { readonly addresses: ReadonlyArray<string>; readonly chosen: string | undefined }
  /** The start-up steps, in the order in which they ended. */
  readonly steps: ReadonlyArray<StepRecord>
  readonly producerGroups: ReadonlyArray<string>
  readonly consumerGroups: ReadonlyArray<string>
  readonly routes: ReadonlyArray<RouteState>
  /** Broker name, id and address from the routes, with what became of the last heartbeat. */
  readonly brokers: ReadonlyArray<HeartbeatState>
  readonly sockets: ReadonlyArray<ConnectionInfo>
  readonly inFlight: number
  readonly timers: ReadonlyArray<TimerState>
  /** Requests that wait for a reply now, and what became of the replies so far. */
  readonly replies: ReplyCounters & { readonly waiting: number }
  readonly counters: RemotingCounters
}
