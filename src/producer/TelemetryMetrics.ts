import { type Context, type Exit, Metric } from "effect"
import type { Outgoing } from "./Outgoing.ts"
import type { SendError } from "./SendError.ts"
import { countOf, errorType } from "./TelemetryFacts.ts"

/** The bounds in seconds that OpenTelemetry asks for. */
export const DURATION_BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10] as const

/** Topics with series of their own; those beyond share the name `_OTHER`, so that no program can fill the memory. */
export const MAX_TOPICS = 1_000

/** The two series of one topic and outcome. */
interface Series {
  readonly duration: Metric.Histogram<number>
  readonly messages: Metric.Counter<number>
}

const makeSeries = (topic: string, error: string | undefined): Series => {
  const attributes = {
    "messaging.system": "rocketmq",
    "messaging.operation.name": "send",
    "messaging.destination.name": topic,
    ...(error === undefined ? {} : { "error.type": error })
  }
  return {
    duration: Metric.histogram("messaging.client.operation.duration", {
      description: "Time from the call of a send to its end, all attempts together",
      boundaries: DURATION_BOUNDARIES,
      attributes: { ...attributes, "messaging.operation.type": "send", unit: "s" }
    }),
    messages: Metric.counter("messaging.client.sent.messages", {
      description: "Messages that a producer tried to send",
      incremental: true,
      attributes: { ...attributes, unit: "{message}" }
    })
  }
}

/** Records the ends of sends. */
export type RecordSend = (outgoing: Outgoing, exit: Exit.Exit<unknown, SendError>, millis: number) => void

/**
 * Makes the recorder of a producer. A series is made for the first send of its topic and outcome and kept; an update
 * then is a look-up, a bucket and two additions. Producers with one metric registry share the series.
 */
export const make = (context: Context.Context<never>): RecordSend => {
  const succeeded = new Map<string, Series>()
  const failed = new Map<string, Map<string, Series>>()

  const successOf = (topic: string): Series => {
    const key = succeeded.size < MAX_TOPICS ? topic : "_OTHER"
    const series = succeeded.get(key) ?? makeSeries(key, undefined)
    succeeded.set(key, series)
    return series
  }

  const failureOf = (topic: string, error: string): Series => {
    const key = failed.has(topic) || failed.size < MAX_TOPICS ? topic : "_OTHER"
    const byError = failed.get(key) ?? new Map<string, Series>()
    failed.set(key, byError)
    const series = byError.get(error) ?? makeSeries(key, error)
    byError.set(error, series)
    return series
  }

  return (outgoing, exit, millis) => {
    const error = errorType(exit)
    const series =
      error === undefined
        ? (succeeded.get(outgoing.topic) ?? successOf(outgoing.topic))
        : failureOf(outgoing.topic, error)
    series.duration.updateUnsafe(millis / 1_000, context)
    series.messages.updateUnsafe(outgoing.form === "BATCH" ? countOf(outgoing) : 1, context)
  }
}
