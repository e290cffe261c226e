import { Context, Metric } from "effect"

/** The bounds in seconds that OpenTelemetry asks for. */
export const DURATION_BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

/** Topics with series of their own; those beyond share the name `_OTHER`, so that no program can fill the memory. */
export const MAX_TOPICS = 1_000

/** What is done with messages, and how its metrics are called: sends, receives, the processing of messages. */
export interface Operation {
  /** `messaging.operation.name`: `send`. */
  readonly name: string
  /** `messaging.operation.type`, one of OpenTelemetry's: `send`, `receive`, `process`. */
  readonly type: string
  /** The histogram of the times, in seconds. */
  readonly duration: { readonly name: string; readonly description: string }
  /** The counter of the messages; undefined for an operation that counts none. */
  readonly messages: { readonly name: string; readonly description: string } | undefined
}

/**
 * The counts of the operations of one topic and outcome. The metrics read them when somebody exports: `Metric.update` looks
 * the series up in its registry each time, which would cost more than all else that telemetry does for a message.
 */
interface Counts {
  /** Operations by the first bound that they do not exceed; the last are beyond all. */
  readonly buckets: Float64Array
  count: number
  sum: number
  min: number
  max: number
  messages: number
}

/** The counts of a registry: clients that share it share its series, as with any metric. */
const registered = new WeakMap<Metric.MetricRegistry, Map<string, Counts>>()

const nothing = () => {}

const register = (
  context: Context.Context<never>,
  operation: Operation,
  own: Readonly<Record<string, string>>,
  topic: string,
  error: string | undefined
): Counts => {
  const counts: Counts = {
    buckets: new Float64Array(DURATION_BOUNDARIES.length + 1),
    count: 0,
    sum: 0,
    min: Number.MAX_VALUE,
    max: -Number.MAX_VALUE,
    messages: 0
  }
  const attributes = {
    "messaging.system": "rocketmq",
    "messaging.operation.name": operation.name,
    "messaging.destination.name": topic,
    ...own,
    ...(error === undefined ? {} : { "error.type": error })
  }
  const duration = Metric.histogram(operation.duration.name, {
    description: operation.duration.description,
    boundaries: DURATION_BOUNDARIES,
    attributes: { ...attributes, "messaging.operation.type": operation.type, unit: "s" }
  })
  Metric.registerUnsafe(duration, context, {
    get: () => {
      let upTo = 0
      const buckets = DURATION_BOUNDARIES.map((bound, index): [number, number] => {
        upTo += counts.buckets[index] ?? 0
        return [bound, upTo]
      })
      const { count, max, min, sum } = counts
      return { buckets, count, min, max, sum }
    },
    update: nothing,
    modify: nothing
  })
  if (operation.messages === undefined) return counts
  const messages = Metric.counter(operation.messages.name, {
    description: operation.messages.description,
    incremental: true,
    attributes: { ...attributes, unit: "{message}" }
  })
  Metric.registerUnsafe(messages, context, {
    get: () => ({ count: counts.messages, incremental: true }),
    update: nothing,
    modify: nothing
  })
  return counts
}

/** Records the ends of operations on so many messages of a topic, which took so many milliseconds. */
export interface OperationRecorder {
  readonly succeeded: (topic: string, millis: number, messages: number) => void
  /** `error` is what went wrong, in one word of a small set. */
  readonly failed: (topic: string, error: string, millis: number, messages: number) => void
}

const add = (counts: Counts, millis: number, messages: number) => {
  const seconds = millis / 1_000
  let at = 0
  while (at < DURATION_BOUNDARIES.length && seconds > (DURATION_BOUNDARIES[at] ?? 0)) at++
  counts.buckets[at] = (counts.buckets[at] ?? 0) + 1
  counts.count++
  counts.sum += seconds
  if (seconds < counts.min) counts.min = seconds
  if (seconds > counts.max) counts.max = seconds
  counts.messages += messages
}

/**
 * Makes the recorder of an operation, whose series all have the given attributes. A series is made for the first operation of its topic and outcome and kept for as long
 * as its registry; an update then is one look-up and a few additions.
 */
export const make = (
  context: Context.Context<never>,
  operation: Operation,
  attributes: Readonly<Record<string, string>> = {}
): OperationRecorder => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const shared = registered.get(registry) ?? new Map<string, Counts>()
  registered.set(registry, shared)
  const extra = JSON.stringify(Context.get(context, Metric.CurrentMetricAttributes))
  const succeeded = new Map<string, Counts>()
  const failed = new Map<string, Map<string, Counts>>()

  const countsOf = (topic: string, error: string | undefined): Counts => {
    const key = JSON.stringify([operation.name, topic, error ?? "", extra, attributes])
    const counts = shared.get(key) ?? register(context, operation, attributes, topic, error)
    shared.set(key, counts)
    return counts
  }

  const successOf = (topic: string): Counts => {
    const key = succeeded.size < MAX_TOPICS ? topic : "_OTHER"
    const counts = succeeded.get(key) ?? countsOf(key, undefined)
    succeeded.set(key, counts)
    return counts
  }

  const failureOf = (topic: string, error: string): Counts => {
    const key = failed.has(topic) || failed.size < MAX_TOPICS ? topic : "_OTHER"
    const byError = failed.get(key) ?? new Map<string, Counts>()
    failed.set(key, byError)
    const counts = byError.get(error) ?? countsOf(key, error)
    byError.set(error, counts)
    return counts
  }

  return {
    succeeded: (topic, millis, messages) => add(succeeded.get(topic) ?? successOf(topic), millis, messages),
    failed: (topic, error, millis, messages) => add(failureOf(topic, error), millis, messages)
  }
}
