import { type Kind, MEASURING, type Measurement, type Task } from "./Task.ts"

/** A stretch of one kind of sends: until so many messages, or so many seconds. */
export interface Phase {
  readonly kind: Kind
  readonly inFlight: number
  readonly bodySize: number
  readonly batchSize: number
  readonly slice: number
}

/** Sends one phase; for each request it asks the meter whether there is one more, and tells it what came of it. */
export type Run = (phase: Phase, meter: Meter) => Promise<void>

// Of more requests than these, the last are kept.
const MOST = 1 << 20

/** Counts the requests of a phase and says when it is over. */
export class Meter {
  readonly latencies = new Float64Array(MOST)
  messages = 0
  failed = 0
  firstFailure: string | undefined
  #answered = 0
  #begun = 0
  readonly #most: number
  readonly #deadline: number

  constructor(most: number, seconds: number) {
    this.#most = most
    this.#deadline = performance.now() + seconds * 1000
  }

  /** The time, when a request of so many messages is to begin; -1 when the phase is over. */
  begin(messages: number): number {
    const now = performance.now()
    if (now >= this.#deadline || this.#begun >= this.#most) return -1
    this.#begun += messages
    return now
  }

  done(began: number, messages: number): void {
    this.latencies[this.#answered++ & (MOST - 1)] = performance.now() - began
    this.messages += messages
  }

  fail(error: unknown): void {
    this.failed++
    this.firstFailure ??= String(error)
  }

  percentile(p: number): number {
    const sorted = this.latencies.subarray(0, Math.min(MOST, this.#answered)).toSorted()
    return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? 0
  }
}

/** Warms up, measures, prints. `acknowledged` is what was sent before: the first messages. */
export const measure = async (task: Task, acknowledged: number, run: Run): Promise<void> => {
  const { batchSize, bodySize, inFlight, kind, slice } = task
  const mode: Phase = { kind, inFlight, bodySize, batchSize, slice }
  const plain: Phase = { ...mode, kind: "send", inFlight: 256, bodySize: Math.min(bodySize, 1024) }

  const warming = new Meter(task.warmUp, task.warmUpSeconds)
  await run(plain, warming)
  const ramp = new Meter(Infinity, task.rampSeconds)
  await run(mode, ramp)

  process.stdout.write(`${MEASURING}\n`)
  const cpu = process.cpuUsage()
  const meter = new Meter(Infinity, task.seconds)
  const begin = performance.now()
  await run(mode, meter)
  const seconds = (performance.now() - begin) / 1000
  const used = process.cpuUsage(cpu)
  const firstFailure = warming.firstFailure ?? ramp.firstFailure ?? meter.firstFailure
  const result: Measurement = {
    messages: meter.messages,
    seconds,
    cpuSeconds: (used.user + used.system) / 1e6,
    p50Millis: meter.percentile(0.5),
    p99Millis: meter.percentile(0.99),
    rssMiB: process.memoryUsage.rss() / 1024 / 1024,
    failed: warming.failed + ramp.failed + meter.failed,
    ...(firstFailure === undefined ? {} : { firstFailure }),
    total: acknowledged + warming.messages + ramp.messages + meter.messages
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}

/** Waits until so many messages were handled, or so many seconds have passed. */
const until = async (handled: () => number, most: number, seconds: number): Promise<void> => {
  const deadline = performance.now() + seconds * 1000
  while (handled() < most && performance.now() < deadline) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** The same for a consumer that runs by itself and counts what it has handled: warms up, measures, prints. */
export const measureConsumer = async (task: Task, handled: () => number): Promise<void> => {
  await until(handled, task.warmUp, task.warmUpSeconds)
  await until(handled, Infinity, task.rampSeconds)

  process.stdout.write(`${MEASURING}\n`)
  const cpu = process.cpuUsage()
  const begin = performance.now()
  const before = handled()
  await until(handled, Infinity, task.seconds)
  const seconds = (performance.now() - begin) / 1000
  const used = process.cpuUsage(cpu)
  const total = handled()
  const result: Measurement = {
    messages: total - before,
    seconds,
    cpuSeconds: (used.user + used.system) / 1e6,
    rssMiB: process.memoryUsage.rss() / 1024 / 1024,
    failed: 0,
    total
  }
  process.stdout.write(`${JSON.stringify(result)}\n`)
}
