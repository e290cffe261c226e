import type { InstanceState } from "../client/InstanceState.ts"
import type { ServiceState } from "../client/ServiceState.ts"
import type { StepRecord } from "../client/StartStep.ts"
import type { RunningProducer } from "./RunningProducer.ts"
import type { FaultState } from "./queue/FaultStrategy.ts"
import type { HookCounters } from "./telemetry/Hooks.ts"
import * as Counters from "./send/SendCounters.ts"
import type { SendCounters } from "./send/SendCounters.ts"
import type { TraceState } from "../client/telemetry/TraceDispatcher.ts"

/** Everything there is to see of a producer, in one value that can be printed as JSON. */
export interface ProducerState {
  /** The group, as the options name it. */
  readonly producerGroup: string
  /** Where the producer stands. */
  readonly serviceState: ServiceState
  /** The start-up steps, numbered as in docs/startup.md, in the order in which they ended. */
  readonly steps: ReadonlyArray<StepRecord>
  /** The topics whose routes it keeps up to date: those that were sent to, and those that it was told. */
  readonly topics: ReadonlyArray<string>
  /** Sends under way. */
  readonly inFlight: number
  /** What is held against brokers; empty unless `sendLatencyEnable` is set. */
  readonly faults: ReadonlyArray<FaultState>
  /** What became of the sends so far. */
  readonly counters: SendCounters
  /** What became of the runs of hooks. */
  readonly hooks: HookCounters
  /** What became of the message traces; undefined unless `enableTrace` is set and the producer is running. */
  readonly trace: TraceState | undefined
  /** The client instance under the producer; undefined unless it is running. */
  readonly instance: InstanceState | undefined
}

/** The state of a producer: what is the same whether it runs or not, and what is read of it while it runs. */
export const viewOf = (
  always: Pick<ProducerState, "producerGroup" | "serviceState" | "steps" | "topics" | "instance">,
  running: RunningProducer | undefined
): ProducerState => ({
  ...always,
  inFlight: running?.engine.inFlight() ?? 0,
  faults: running?.engine.faults() ?? [],
  counters: { ...(running?.engine.counters ?? Counters.make()) },
  hooks: { ...(running?.telemetry.hooks ?? { failures: 0, refused: 0 }) },
  trace: running?.telemetry.trace?.state()
})
