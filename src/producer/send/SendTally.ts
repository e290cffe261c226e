import { Effect } from "effect"
import type { IllegalServiceState } from "../../client/ClientError.ts"
import type { Call } from "./SendState.ts"
import { type InvalidMessage, notSent, SendError, type SendReason } from "./SendError.ts"
import type { SendCounters } from "./Sends.ts"

/** Counts the sends of a producer, and makes the errors that they end with. */
export interface SendTally {
  readonly counters: SendCounters
  /** Ends a send that was begun. */
  readonly fail: (call: Call, reason: SendReason) => Effect.Effect<never, SendError>
  /** Ends a send before it was begun. */
  readonly refuse: (topic: string, reason: IllegalServiceState | InvalidMessage) => Effect.Effect<never, SendError>
  /** A send that was counted as acknowledged tries for better, and its error, if it comes to one, counts for nothing. */
  readonly retract: () => void
  readonly restore: (error: SendError) => void
}

/** Nothing counted. */
export const make = (): SendTally => {
  const counters: SendCounters = { sends: 0, acknowledged: 0, failed: 0, unknown: 0, retries: 0 }
  return {
    counters,
    fail: (call, reason) => {
      counters.failed++
      if (call.outcome === "unknown") counters.unknown++
      return Effect.fail(
        new SendError({
          topic: call.outgoing.topic,
          msgId: call.outgoing.msgId,
          outcome: call.outcome,
          attempts: call.failures,
          reason
        })
      )
    },
    refuse: (topic, reason) => {
      counters.failed++
      return Effect.fail(notSent(topic, reason))
    },
    retract: () => {
      counters.acknowledged--
    },
    restore: (error) => {
      counters.failed--
      if (error.outcome === "unknown") counters.unknown--
      counters.acknowledged++
    }
  }
}
