import { Context, type Exit, Metric } from "effect"
import type { Outgoing } from "../send/Outgoing.ts"
import type { SendError } from "../send/SendError.ts"
import { countOf, errorType } from "./TelemetryFacts.ts"

/** The bounds in seconds that OpenTelemetry asks for. */
export const DURATION_BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

/** Topics with series of their own; those beyond share the name `_OTHER`, so that no program can fill the memory. */
export const MAX_TOPICS = 1_000

/**
 * What is known of the sends of one topic and outcome. The metrics read it when somebody exports: `Metric.update` looks
 * the series up in its registry each time, which would be the dearest part of a send's telemetry.
 */
interface Tally {
  /** Sends by the first bound that they do not exceed; the last are beyond all. */
  readonly buckets: Float64Array
  count: number
  sum: number
  min: number
  max: number
  messages: number
}

/** The tallies of a registry: producers that share it share its series, as with any metric. */
const tallies = new WeakMap<Metric.MetricRegistry, Map<string, Tally>>()

const nothing = () => {}

const register = (context: Context.Context<never>, topic: string, error: string | undefined): Tally => {
  const tally: Tally = {
    buckets: new Float64Array(DURATION_BOUNDARIES.length + 1),
    count: 0,
    sum: 0,
    min: Number.MAX_VALUE,
    max: -Number.MAX_VALUE,
    messages: 0
  }
  const attributes = {
    "messaging.system": "rocketmq",
    "messaging.operation.name": "send",
    "messaging.destination.name": topic,
    ...(error === undefined ? {} : { "error.type": error })
  }
  const duration = Metric.histogram("messaging.client.operation.duration", {
    description: "Time from the call of a send to its end, all attempts together",
    boundaries: DURATION_BOUNDARIES,
    attributes: { ...attributes, "messaging.operation.type": "send", unit: "s" }
  })
  const messages = Metric.counter("messaging.client.sent.messages", {
    description: "Messages that a producer tried to send",
    incremental: true,
    attributes: { ...attributes, unit: "{message}" }
  })
  Metric.registerUnsafe(duration, context, {
    get: () => {
      let upTo = 0
      const buckets = DURATION_BOUNDARIES.map((bound, index): [number, number] => {
        upTo += tally.buckets[index] ?? 0
        return [bound, upTo]
      })
      const { count, max, min, sum } = tally
      return { buckets, count, min, max, sum }
    },
    update: nothing,
    modify: nothing
  })
  Metric.registerUnsafe(messages, context, {
    get: () => ({ count: tally.messages, incremental: true }),
    update: nothing,
    modify: nothing
  })
  return tally
}

/** Records the ends of sends. */
export type RecordSend = (outgoing: Outgoing, exit: Exit.Exit<unknown, SendError>, millis: number) => void

/**
 * Makes the recorder of a producer. A series is made for the first send of its topic and outcome and kept for as long as
 * its registry; an update then is one look-up and a few additions.
 */
export const make = (context: Context.Context<never>): RecordSend => {
  const registry = Context.get(context, Metric.MetricRegistry)
  const shared = tallies.get(registry) ?? new Map<string, Tally>()
  tallies.set(registry, shared)
  const extra = JSON.stringify(Context.get(context, Metric.CurrentMetricAttributes))
  const succeeded = new Map<string, Tally>()
  const failed = new Map<string, Map<string, Tally>>()

  const tallyOf = (topic: string, error: string | undefined): Tally => {
    const key = JSON.stringify([topic, error ?? "", extra])
    const tally = shared.get(key) ?? register(context, topic, error)
    shared.set(key, tally)
    return tally
  }

  const successOf = (topic: string): Tally => {
    const key = succeeded.size < MAX_TOPICS ? topic : "_OTHER"
    const tally = succeeded.get(key) ?? tallyOf(key, undefined)
    succeeded.set(key, tally)
    return tally
  }

  const failureOf = (topic: string, error: string): Tally => {
    const key = failed.has(topic) || failed.size < MAX_TOPICS ? topic : "_OTHER"
    const byError = failed.get(key) ?? new Map<string, Tally>()
    failed.set(key, byError)
    const tally = byError.get(error) ?? tallyOf(key, error)
    byError.set(error, tally)
    return tally
  }

  return (outgoing, exit, millis) => {
    const error = errorType(exit)
    const tally =
      error === undefined
        ? (succeeded.get(outgoing.topic) ?? successOf(outgoing.topic))
        : failureOf(outgoing.topic, error)
    const seconds = millis / 1_000
    let at = 0
    while (at < DURATION_BOUNDARIES.length && seconds > (DURATION_BOUNDARIES[at] ?? 0)) at++
    tally.buckets[at] = (tally.buckets[at] ?? 0) + 1
    tally.count++
    tally.sum += seconds
    if (seconds < tally.min) tally.min = seconds
    if (seconds > tally.max) tally.max = seconds
    tally.messages += outgoing.form === "BATCH" ? countOf(outgoing) : 1
  }
}
