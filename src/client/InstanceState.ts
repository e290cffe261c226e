import { Effect } from "effect"
import type { ConnectionInfo, RemotingClient, RemotingCounters } from "../transport/RemotingClient.ts"
import type { ClientMembers } from "./ClientMembers.ts"
import type { Heartbeat, HeartbeatState } from "./Heartbeat.ts"
import type { NameServer } from "./NameServer.ts"
import type { ReplyCounters, ReplyTable } from "./push/ReplyTable.ts"
import type { RouteWarning } from "./RouteBounds.ts"
import * as RouteQueues from "./RouteQueues.ts"
import type { ServiceState } from "./ServiceState.ts"
import type { StepRecord } from "./StartStep.ts"
import type { TimerState } from "./Timers.ts"
import type { TopicRoute } from "./TopicRoute.ts"

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

/** Where the state of an instance is read from. */
export interface StateSources {
  readonly clientId: string
  readonly phase: () => ServiceState
  readonly steps: () => ReadonlyArray<StepRecord>
  readonly members: ClientMembers
  readonly remoting: RemotingClient
  readonly nameServer: NameServer
  readonly routes: TopicRoute
  readonly heartbeat: Heartbeat
  readonly timers: ReadonlyMap<number, TimerState>
  readonly replies: ReplyTable
}

const routeStates = ({ topicRouteTable, warningsOf }: TopicRoute): ReadonlyArray<RouteState> =>
  [...topicRouteTable.values()].map(({ borrowed, data, topic }) => {
    const { readable, writable } = RouteQueues.count(data)
    return {
      topic,
      borrowed,
      brokers: data.brokerDatas.map((broker) => broker.brokerName).toSorted(),
      writeQueues: writable,
      readQueues: readable,
      warnings: warningsOf(topic)
    }
  })

const brokerStates = ({ brokerAddrTable }: TopicRoute, { table }: Heartbeat): ReadonlyArray<HeartbeatState> =>
  [...brokerAddrTable].flatMap(([brokerName, byId]) =>
    [...byId].map(
      ([brokerId, address]) =>
        table.get(address) ?? {
          brokerName,
          brokerId,
          address,
          lastSuccess: undefined,
          failures: 0,
          lastFailure: undefined,
          version: undefined
        }
    )
  )

/** The state of an instance at the moment at which it is run. */
export const viewOf = Effect.fnUntraced(function* (sources: StateSources) {
  const { clientId, heartbeat, members, nameServer, phase, remoting, replies, routes, steps, timers } = sources
  const sockets = remoting.connections()
  const self: InstanceState = {
    clientId,
    phase: phase(),
    nameServers: { addresses: yield* nameServer.addresses, chosen: yield* nameServer.chosen },
    steps: steps(),
    producerGroups: [...members.producerTable.keys()],
    consumerGroups: [...members.consumerTable.keys()],
    routes: routeStates(routes),
    brokers: brokerStates(routes, heartbeat),
    sockets,
    inFlight: sockets.reduce((sum, socket) => sum + socket.inFlight, 0),
    timers: [...timers.values()],
    replies: { waiting: replies.waiting(), ...replies.counters() },
    counters: remoting.counters()
  }
  return self
})
