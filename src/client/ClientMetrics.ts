import { Effect, type Scope } from "effect"
import type { RemotingClient } from "../transport/RemotingClient.ts"
import type { Heartbeat } from "./Heartbeat.ts"
import type { ServiceState } from "./ServiceState.ts"
import type { TimerState } from "./Timers.ts"
import { observe, type ObservedSeries } from "./telemetry/ObservedMetrics.ts"
import type { TopicRoute } from "./TopicRoute.ts"

/** Where the numbers of an instance come from. */
export interface InstanceSources {
  readonly clientId: string
  readonly remoting: RemotingClient
  readonly routes: TopicRoute
  readonly heartbeat: Heartbeat
  readonly timers: ReadonlyMap<number, TimerState>
  readonly phase: () => ServiceState
  /** Milliseconds since the epoch. */
  readonly nowMillis: () => number
  /** Milliseconds on the monotonic clock. */
  readonly monotonicMillis: () => number
}

/** How far a timer is behind: since when it should have run, or since when a run should have ended. */
export const timerLagMillis = (timer: TimerState, now: number): number => {
  if (timer.next !== undefined) return Math.max(0, now - timer.next)
  const since = timer.lastStart
  return since === undefined || (timer.lastEnd ?? 0) > since ? 0 : Math.max(0, now - since - timer.periodMillis)
}

const sum = (numbers: ReadonlyArray<number>) => numbers.reduce((total, one) => total + one, 0)
const largest = (numbers: ReadonlyArray<number>) => numbers.reduce((most, one) => Math.max(most, one), 0)

/** The series of a client instance. */
export const instanceSeries = (sources: InstanceSources): ReadonlyArray<ObservedSeries> => {
  const { heartbeat, monotonicMillis, nowMillis, phase, remoting, routes, timers } = sources
  const { connections: sockets, counters } = remoting
  const connectionStates = ["open", "connecting", "backing-off"] as const
  return [
    {
      kind: "gauge",
      name: "rocketmq.client.state",
      description: "1 while the client instance is running, 0 while it ends",
      unit: "1",
      read: () => (phase() === "RUNNING" ? 1 : 0)
    },
    ...connectionStates.map((state): ObservedSeries => ({
      kind: "gauge",
      name: "rocketmq.client.connections",
      description: "Connections by state",
      unit: "{connection}",
      attributes: { state },
      read: () => sockets().filter((socket) => socket.state === state).length
    })),
    {
      kind: "gauge",
      name: "rocketmq.client.in_flight",
      description: "Requests that wait for an answer",
      unit: "{request}",
      read: () => sum(sockets().map((socket) => socket.inFlight))
    },
    {
      kind: "gauge",
      name: "rocketmq.client.pending_bytes",
      description: "Bytes of requests that wait for an answer",
      unit: "By",
      read: () => sum(sockets().map((socket) => socket.inFlightBytes))
    },
    {
      kind: "counter",
      name: "rocketmq.client.reconnects",
      description: "Connections opened anew to an address that had been connected before",
      unit: "{connection}",
      read: () => counters().reconnects
    },
    {
      kind: "counter",
      name: "rocketmq.client.bytes_sent",
      description: "Bytes handed to sockets",
      unit: "By",
      read: () => counters().bytesOut
    },
    {
      kind: "counter",
      name: "rocketmq.client.bytes_received",
      description: "Bytes read from sockets",
      unit: "By",
      read: () => counters().bytesIn
    },
    {
      kind: "counter",
      name: "rocketmq.client.unmatched_responses",
      description: "Answers that no request waited for: late, second, or to nothing that was sent",
      unit: "{response}",
      read: () => {
        const { duplicate, late, unknownResponse } = counters()
        return duplicate + late + unknownResponse
      }
    },
    {
      kind: "counter",
      name: "rocketmq.client.decode_errors",
      description: "Connections closed because of bytes that are no frame",
      unit: "{error}",
      read: () => counters().frameErrors
    },
    {
      kind: "gauge",
      name: "rocketmq.client.route.age",
      description: "How long ago a name server last answered for the route that has waited longest for it",
      unit: "s",
      read: () =>
        largest(
          [...routes.topicRouteTable.keys()].map((topic) => {
            const at = routes.readAt(topic)
            return at === undefined ? 0 : (monotonicMillis() - at) / 1_000
          })
        )
    },
    {
      kind: "counter",
      name: "rocketmq.client.heartbeat.failures",
      description: "Heartbeats that no broker acknowledged",
      unit: "{heartbeat}",
      read: () => heartbeat.failures()
    },
    {
      kind: "gauge",
      name: "rocketmq.client.timer.lag",
      description: "How far the timer that is most behind is behind",
      unit: "s",
      read: () => largest([...timers.values()].map((timer) => timerLagMillis(timer, nowMillis()) / 1_000))
    },
    {
      kind: "counter",
      name: "rocketmq.client.timer.failures",
      description: "Runs of the five timers that failed",
      unit: "{run}",
      read: () => sum([...timers.values()].map((timer) => timer.failures))
    }
  ]
}

/** Shows the metrics of a client instance for as long as the scope is open. */
export const instance = (sources: InstanceSources): Effect.Effect<void, never, Scope.Scope> =>
  observe({ "messaging.system": "rocketmq", "messaging.client.id": sources.clientId }, instanceSeries(sources))
