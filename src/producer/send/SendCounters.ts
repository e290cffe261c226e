import { Effect } from "effect"
import type { IllegalServiceState } from "../../client/ClientError.ts"
import { type InvalidMessage, notSent, SendError, type SendReason } from "./SendError.ts"
import type { SendState } from "./SendState.ts"

/** What a producer has counted since it was started. */
export interface SendCounters {
  /** Sends begun. */
  sends: number
  /** Sends that a broker acknowledged. */
  acknowledged: number
  /** Sends that failed. */
  failed: number
  /** Of those, the ones whose message may be stored all the same. */
  unknown: number
  /** Attempts beyond the first. */
  retries: number
}

/** Nothing counted. */
export const make = (): SendCounters => ({ sends: 0, acknowledged: 0, failed: 0, unknown: 0, retries: 0 })

/** Ends a send that was begun, and counts it as failed. */
export const fail = (counters: SendCounters, send: SendState, reason: SendReason): Effect.Effect<never, SendError> => {
  counters.failed++
  if (send.outcome === "unknown") counters.unknown++
  const { msgId, topic } = send.prepared
  return Effect.fail(new SendError({ topic, msgId, outcome: send.outcome, attempts: send.failures, reason }))
}

/** Ends a send before it was begun, and counts it as failed. */
export const refuse = (
  counters: SendCounters,
  topic: string,
  reason: IllegalServiceState | InvalidMessage
): Effect.Effect<never, SendError> => {
  counters.failed++
  return Effect.fail(notSent(topic, reason))
}
