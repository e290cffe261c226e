import type { Context } from "effect"
import * as OperationMetrics from "../../client/telemetry/OperationMetrics.ts"
import type { ObservedSeries } from "../../client/telemetry/ObservedMetrics.ts"
import type { ConsumerCounters } from "../ConsumerCounters.ts"
import type { ProcessQueue } from "../queue/ProcessQueue.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import type { ConsumeHookCounters } from "./Hooks.ts"
import type { MessageTraces } from "./MessageTraces.ts"

/** The metrics of a consumer that are written: one look-up and a few additions each. */
export interface ConsumeRecorders {
  /** Handlers, with the messages that they had. */
  readonly process: OperationMetrics.OperationRecorder
  /** From the time at which a broker stored a message to the one at which a handler gets it. */
  readonly delivery: OperationMetrics.OperationRecorder
  /** Pulls that brought messages, or failed. */
  readonly receive: OperationMetrics.OperationRecorder
  /** Commits and send-backs. */
  readonly settle: OperationMetrics.OperationRecorder
}

const clientOperation = {
  name: "messaging.client.operation.duration",
  description: "Time from the call of an operation to its end"
}

/** Makes the recorders of a consumer group. */
export const make = (context: Context.Context<never>, consumerGroup: string): ConsumeRecorders => {
  const attributes = { "messaging.consumer.group.name": consumerGroup }
  const recorder = (operation: OperationMetrics.Operation) => OperationMetrics.make(context, operation, attributes)
  return {
    process: recorder({
      name: "process",
      type: "process",
      duration: { name: "messaging.process.duration", description: "Time that a handler takes" },
      messages: { name: "messaging.client.consumed.messages", description: "Messages that were given to handlers" }
    }),
    delivery: recorder({
      name: "deliver",
      type: "process",
      duration: {
        name: "rocketmq.consumer.delivery.duration",
        description: "Time from a message's storage, by the broker's clock, to its handler, by this one's"
      },
      messages: undefined
    }),
    receive: recorder({ name: "receive", type: "receive", duration: clientOperation, messages: undefined }),
    settle: recorder({ name: "settle", type: "settle", duration: clientOperation, messages: undefined })
  }
}

/** Where the numbers of a consumer come from. */
export interface ConsumerSources {
  readonly counters: Readonly<ConsumerCounters>
  readonly queues: () => ReadonlyArray<ProcessQueue<ReceivedMessage>>
  readonly cached: () => { readonly count: number; readonly bytes: number }
  readonly running: () => number
  readonly concurrency: () => number
  /** How many problems there are, of a kind or of all. */
  readonly problems: (key?: string) => number
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
}

const gauge = (name: string, unit: string, description: string, read: () => number): ObservedSeries => ({
  kind: "gauge",
  name: `rocketmq.consumer.${name}`,
  description,
  unit,
  read
})
const counter = (name: string, unit: string, description: string, read: () => number): ObservedSeries => ({
  ...gauge(name, unit, description, read),
  kind: "counter"
})

/** The series of a consumer, read from what it counts anyway. */
export const consumerSeries = (sources: ConsumerSources): ReadonlyArray<ObservedSeries> => {
  const { counters, queues } = sources
  return [
    gauge("lag", "{message}", "Messages of its queues that are not finished", () =>
      queues().reduce((sum, { lag }) => sum + (lag ?? 0), 0)
    ),
    gauge("queues", "{queue}", "Queues that it owns", () => queues().length),
    gauge("cached", "{message}", "Messages that were pulled and are not finished", () => sources.cached().count),
    gauge("cached_bytes", "By", "Bytes of their bodies", () => sources.cached().bytes),
    gauge("running", "{handler}", "Handlers that run", sources.running),
    gauge("concurrency", "{handler}", "Handlers that may run at once", sources.concurrency),
    gauge("oldest_unfinished", "s", "Since when the oldest message that is not finished is here", () => {
      const oldest = queues().reduce((least, { oldestSince }) => Math.min(least, oldestSince ?? Infinity), Infinity)
      return oldest === Infinity ? 0 : (sources.now() - oldest) / 1_000
    }),
    gauge("problems", "{problem}", "What keeps it from doing all it should", () => sources.problems()),
    gauge("subscriptions_differ", "1", "1 while members of the group subscribe differently", () =>
      sources.problems("subscriptions")
    ),
    counter("rebalances", "{round}", "Rounds in which queues were taken or given up", () => counters.rebalances),
    counter("pulls", "{pull}", "Pulls that were answered", () => counters.pulls),
    counter("pull_failures", "{pull}", "Pulls that failed", () => counters.pullFailures),
    counter(
      "commits",
      "{commit}",
      "Positions that were written, those that pulls carried left out",
      () => counters.commits
    ),
    counter("commit_failures", "{commit}", "Positions that could not be written", () => counters.commitFailures),
    counter(
      "offset_moves",
      "{move}",
      "Offsets that a broker did not have, and named another for",
      () => counters.offsetsMoved
    ),
    counter("resets", "{reset}", "Queues that somebody had the group read on elsewhere", () => counters.resets),
    counter("redelivered", "{message}", "Messages that were given to a handler again", () => counters.redelivered),
    counter("late", "{message}", "Results for queues that had been given up", () => counters.late),
    counter(
      "send_back_failures",
      "{send-back}",
      "Send-backs that were not acknowledged",
      () => counters.sendBackFailures
    ),
    counter("dead_letters", "{message}", "Messages that handlers gave up", () => counters.deadLettered),
    counter(
      "filtered",
      "{message}",
      "Messages that passed the broker's filter and not the one here",
      () => counters.filtered
    )
  ]
}

/** The series of hooks and message traces, named as a producer's. */
export const watcherSeries = (
  hooks: Readonly<ConsumeHookCounters>,
  traces: MessageTraces | undefined
): ReadonlyArray<ObservedSeries> => {
  const failures: ObservedSeries = {
    kind: "counter",
    name: "rocketmq.client.hook.failures",
    description: "Runs of hooks that failed",
    unit: "{run}",
    read: () => hooks.failures
  }
  if (traces === undefined) return [failures]
  return [
    failures,
    {
      kind: "counter",
      name: "rocketmq.client.trace.dropped",
      description: "Message traces that found the buffer full",
      unit: "{record}",
      read: () => traces.state().dropped
    }
  ]
}
