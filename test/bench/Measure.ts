import { Schema } from "effect"

/** What every contestant prints as one line of JSON. */
export const Measurement = Schema.Struct({
  messagesPerSecond: Schema.Number,
  /** CPU seconds of the client's process for 100,000 messages. */
  cpuPer100k: Schema.Number,
  p50Millis: Schema.Number,
  p99Millis: Schema.Number,
  rssMiB: Schema.Number,
  /** From the call of start to the first acknowledgement; absent for a program that has no start. */
  startToFirstAckMillis: Schema.optionalKey(Schema.Number),
  failed: Schema.Number
})
export type Measurement = typeof Measurement.Type

/** What a contestant is told, as JSON in its first argument. */
export const Task = Schema.Struct({
  address: Schema.String,
  inFlight: Schema.Number,
  bodySize: Schema.Number,
  warmUp: Schema.Number,
  count: Schema.Number,
  /** What is switched on in this package: its defaults, nothing, or spans besides. */
  telemetry: Schema.Literals(["default", "off", "traced"])
})
export type Task = typeof Task.Type

/** The task of this process. */
export const task = (): Task => Schema.decodeUnknownSync(Schema.fromJsonString(Task))(process.argv[2])

/** Reads what a contestant printed. */
export const readMeasurement = Schema.decodeUnknownSync(Schema.fromJsonString(Measurement))

/** The value below which a part `p` of the sorted values lies. */
export const percentile = (sorted: Float64Array, p: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN

/** Runs the measured part and prints what came of it. `run` gets an array to write each latency into, in milliseconds. */
export const measure = async (
  options: Task,
  startToFirstAckMillis: number | undefined,
  run: (count: number, latencies: Float64Array) => Promise<number>
): Promise<void> => {
  await run(options.warmUp, new Float64Array(options.warmUp))
  const latencies = new Float64Array(options.count)
  const cpu = process.cpuUsage()
  const begin = performance.now()
  const failed = await run(options.count, latencies)
  const seconds = (performance.now() - begin) / 1000
  const used = process.cpuUsage(cpu)
  latencies.sort()
  const result: Measurement = {
    messagesPerSecond: options.count / seconds,
    cpuPer100k: ((used.user + used.system) / 1e6 / options.count) * 100_000,
    p50Millis: percentile(latencies, 0.5),
    p99Millis: percentile(latencies, 0.99),
    rssMiB: process.memoryUsage.rss() / 1024 / 1024,
    ...(startToFirstAckMillis === undefined ? {} : { startToFirstAckMillis }),
    failed
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
