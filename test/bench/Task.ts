import { Schema } from "effect"

/**
 * What a contestant is told, as JSON in its first argument, and what it prints as one line of JSON. The contestants are
 * programs of four languages; this is all they share.
 */

/** In which way messages leave, or that they are consumed. */
export const Kind = Schema.Literals(["send", "oneway", "batch", "auto", "consume"])
export type Kind = typeof Kind.Type

/** What a contestant is told. */
export const Task = Schema.Struct({
  /** The name server, `host:port`. */
  address: Schema.String,
  /** The broker, for the bare program, which asks for no route. */
  broker: Schema.Struct({ name: Schema.String, address: Schema.String }),
  topic: Schema.String,
  kind: Kind,
  /** Requests under way: messages, batches, or pulls. */
  inFlight: Schema.Number,
  bodySize: Schema.Number,
  /** Messages of a batch. */
  batchSize: Schema.Number,
  /** One-way messages between two that are acknowledged. */
  slice: Schema.Number,
  /** Messages of 1 KiB at most, 256 in flight, before everything else. */
  warmUp: Schema.Number,
  /** Seconds after which that part ends, be it as it may. */
  warmUpSeconds: Schema.Number,
  /** Seconds of the mode itself before the measured part. */
  rampSeconds: Schema.Number,
  /** Seconds of the measured part. */
  seconds: Schema.Number,
  /** What is different about this package: nothing, no metrics, a span for each send, a write for each frame. */
  variant: Schema.Literals(["default", "no-metrics", "spans", "write-per-frame"]),
  /** How users write it; see `oursForms.ts`. Fibers that each send one message after the other where it is absent. */
  form: Schema.optionalKey(Schema.Literals(["loop", "forEach", "sendAll", "sink", "promise"]))
})
export type Task = typeof Task.Type

/** What a contestant prints. */
export const Measurement = Schema.Struct({
  /** Messages of the measured part that were acknowledged; one-way: handed over; consumed: handled. */
  messages: Schema.Number,
  /** From the first message of the measured part to the last acknowledgement. */
  seconds: Schema.Number,
  /** CPU seconds of the process over that time. */
  cpuSeconds: Schema.Number,
  /** From handing a request over to its acknowledgement; one-way: until it is handed over; absent for what is consumed. */
  p50Millis: Schema.optionalKey(Schema.Number),
  p99Millis: Schema.optionalKey(Schema.Number),
  rssMiB: Schema.Number,
  failed: Schema.Number,
  /** The first failure of the whole run. */
  firstFailure: Schema.optionalKey(Schema.String),
  /** Messages of the whole run that were acknowledged; one-way: handed over; consumed: handled. */
  total: Schema.Number
})
export type Measurement = typeof Measurement.Type

/** What a contestant prints when the measured part begins. */
export const MEASURING = "measuring"

/** The task of this process. */
export const task = (): Task => Schema.decodeUnknownSync(Schema.fromJsonString(Task))(process.argv[2])

/** Reads what a contestant printed. */
export const readMeasurement = Schema.decodeUnknownSync(Schema.fromJsonString(Measurement))
