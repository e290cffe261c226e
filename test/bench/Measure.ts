/** What every contestant prints as one line of JSON. */
export interface Measurement {
  readonly messagesPerSecond: number
  /** CPU seconds of the client's process for 100,000 messages. */
  readonly cpuPer100k: number
  readonly p50Millis: number
  readonly p99Millis: number
  readonly rssMiB: number
  /** From the call of start to the first acknowledgement; undefined for a program that has no start. */
  readonly startToFirstAckMillis: number | undefined
  readonly failed: number
}

/** What a contestant is told, as JSON in its first argument. */
export interface Task {
  readonly address: string
  readonly inFlight: number
  readonly bodySize: number
  readonly warmUp: number
  readonly count: number
}

/** The task of this process. */
export const task = (): Task => JSON.parse(process.argv[2] ?? "{}") as Task

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
    startToFirstAckMillis,
    failed
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
