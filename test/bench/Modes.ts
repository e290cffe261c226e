import { SOURCE_QUEUES, SOURCE_TOPIC } from "./Source.ts"
import type { Kind, Task } from "./Task.ts"

/** What is measured: in which way messages leave or come, how many at once, and how long they are. */

export interface Mode {
  readonly title: string
  readonly kind: Kind
  readonly inFlight: number
  readonly bodySize: number
}

const KIB = 1024

/** By the names that `--modes` knows. */
export const modes = {
  one: { title: "one in flight, 1 KiB", kind: "send", inFlight: 1, bodySize: KIB },
  "100B": { title: "256 in flight, 100 B", kind: "send", inFlight: 256, bodySize: 100 },
  "1KiB": { title: "256 in flight, 1 KiB", kind: "send", inFlight: 256, bodySize: KIB },
  "64KiB": { title: "256 in flight, 64 KiB", kind: "send", inFlight: 256, bodySize: 64 * KIB },
  oneway: { title: "one-way, 1 KiB", kind: "oneway", inFlight: 256, bodySize: KIB },
  batch: { title: "batches of 32, 8 in flight, 1 KiB", kind: "batch", inFlight: 8, bodySize: KIB },
  auto: { title: "automatic batching, 256 in flight, 1 KiB", kind: "auto", inFlight: 256, bodySize: KIB },
  consume: {
    title: "push consumer, 8 queues, pulls of 32, 1 KiB",
    kind: "consume",
    inFlight: SOURCE_QUEUES,
    bodySize: KIB
  }
} as const satisfies Record<string, Mode>

export type ModeName = keyof typeof modes

export const isModeName = (name: string): name is ModeName => Object.hasOwn(modes, name)

/** How long and how much is measured. */
export interface Extent {
  readonly rounds: number
  readonly seconds: number
  readonly warmUp: number
}

/** Messages of a batch, one-way messages of a slice. */
export const BATCH = 32
export const SLICE = 4096

/** A task against the sink; `warmUpSeconds` is without bound for a peer that must be warm by count. */
export const taskOf = (mode: Mode, extent: Extent, address: string, warmUpSeconds: number): Task => ({
  address,
  broker: { name: "sink", address },
  topic: mode.kind === "consume" ? SOURCE_TOPIC : "bench",
  kind: mode.kind,
  inFlight: mode.inFlight,
  bodySize: mode.bodySize,
  batchSize: BATCH,
  slice: SLICE,
  warmUp: extent.warmUp,
  warmUpSeconds,
  rampSeconds: Math.min(0.5, extent.seconds / 2),
  seconds: extent.seconds,
  variant: "default"
})
