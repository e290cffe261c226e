import { Schema } from "effect"

/** What the program of the growth part is told, as JSON in its first argument. */
export const GrowthTask = Schema.Struct({
  address: Schema.String,
  producers: Schema.Number,
  topics: Schema.Number,
  inFlight: Schema.Number,
  bodySize: Schema.Number,
  /** Seconds of sending; 0 to do nothing but keep routes and heartbeats up. */
  seconds: Schema.Number
})
export type GrowthTask = typeof GrowthTask.Type

/** What it prints after sending. */
export const Load = Schema.Struct({
  messagesPerSecond: Schema.Number,
  cpuPer100k: Schema.Number,
  /** The most memory it had. */
  maxRssMiB: Schema.Number,
  /** What it held when it was over and swept. */
  heapMiB: Schema.Number,
  failed: Schema.Number
})
export type Load = typeof Load.Type

/** What it answers when it is asked while it only keeps up. */
export const Upkeep = Schema.Struct({ cpuSeconds: Schema.Number, heapMiB: Schema.Number })
export type Upkeep = typeof Upkeep.Type
