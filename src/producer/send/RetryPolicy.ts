import { Effect, Schema } from "effect"
import type { ApiError } from "../../client/ClientError.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { RetryDecision } from "../ProducerConfig.ts"

/**
 * What is known of a message whose send failed.
 *
 * - `not-sent`: no broker can have it; sending it again cannot duplicate it.
 * - `rejected`: a broker saw it and refused it; it is not stored.
 * - `unknown`: it may be stored, up to as many times as it was attempted.
 */
export const SendOutcome = Schema.Literals(["not-sent", "rejected", "unknown"])

/** See {@link SendOutcome}. */
export type SendOutcome = typeof SendOutcome.Type

/** The worst of what is known: a message that may be stored once may be stored. */
export const worst = (a: SendOutcome, b: SendOutcome): SendOutcome =>
  a === "unknown" || b === "unknown" ? "unknown" : a === "rejected" || b === "rejected" ? "rejected" : "not-sent"

/** What the failure of an attempt means, for the send that it belongs to and for its error in the end. */
export interface FailureMeaning {
  /** What follows, unless the option `retryPolicy` says otherwise. */
  readonly decision: RetryDecision
  /** What is known of the message after it. */
  readonly outcome: SendOutcome
  /** Whether the same send may succeed later without a change by somebody. */
  readonly retryable: boolean
}

const rejected = (decision: RetryDecision, retryable: boolean): FailureMeaning => ({
  decision,
  outcome: "rejected",
  retryable
})

/** A code that is not in the table says nothing of what the broker did. */
const otherCode: FailureMeaning = { decision: "fail", outcome: "unknown", retryable: false }

/**
 * The answers of brokers. What is sent again at once may also succeed later, but for two: a second broker, or the route as
 * it is now, may know better than the first, but in the end somebody has to open the topic, or to create it.
 *
 * Java's `retryResponseCodes` with three changes: "busy" waits before it sends again, 215 is tried once more after such a
 * wait, and 501 is retried as well.
 *
 * Source: RocketMQ `DefaultMQProducer.retryResponseCodes`.
 */
const byCode: ReadonlyMap<number, FailureMeaning> = new Map<number, FailureMeaning>([
  // Brokers do not say whether they stored the message before what went wrong.
  [ResponseCode.SYSTEM_ERROR, { decision: "retry", outcome: "unknown", retryable: true }],
  [ResponseCode.SYSTEM_BUSY, rejected("busy", true)],
  [ResponseCode.MESSAGE_ILLEGAL, rejected("fail", false)],
  [ResponseCode.SERVICE_NOT_AVAILABLE, rejected("retry", true)],
  [ResponseCode.NO_PERMISSION, rejected("refresh", false)],
  [ResponseCode.TOPIC_NOT_EXIST, rejected("refresh", false)],
  [ResponseCode.INVALID_PARAMETER, rejected("fail", false)],
  [ResponseCode.NO_BUYER_ID, rejected("retry", true)],
  [ResponseCode.NOT_IN_CURRENT_UNIT, rejected("retry", true)],
  [ResponseCode.FLOW_CONTROL, rejected("busy-once", true)],
  [ResponseCode.NOT_LEADER_FOR_QUEUE, rejected("refresh", true)],
  [ResponseCode.GO_AWAY, rejected("refresh", true)]
])

/** How brokers word that they are overloaded when the code is the general one. */
const flowControl = /start flow control for a while/

const overloaded = rejected("busy", true)

/** What a failure means: the one table that both the retries and the errors' `retryable` are read from. */
export const meaningOf = (error: ApiError): FailureMeaning => {
  switch (error._tag) {
    case "BrokerRejected":
      // The words decide nothing where the code says more: what is refused for its own sake stays refused.
      return error.code === ResponseCode.SYSTEM_ERROR && flowControl.test(error.remark)
        ? overloaded
        : (byCode.get(error.code) ?? otherCode)
    case "ConnectFailed":
    case "ConnectionClosed":
      return { decision: "refresh", outcome: error.outcome, retryable: true }
    case "RequestTimeout":
    // No place on the connection to one broker says nothing of the others.
    case "TooManyRequests":
      return { decision: "retry", outcome: error.outcome, retryable: true }
    // The certificate of one broker says nothing of the others', but none mends itself.
    case "TlsFailed":
      return { decision: "retry", outcome: error.outcome, retryable: false }
    // The next attempt would meet the same hook; a later send finds credentials that can be read again.
    case "RpcHookFailed":
      return { decision: "fail", outcome: error.outcome, retryable: true }
    case "AccessDenied":
    case "ClientClosed":
      return { decision: "fail", outcome: error.outcome, retryable: false }
    // Of an answer that cannot be read.
    default:
      return { decision: "fail", outcome: "unknown", retryable: false }
  }
}

/**
 * The retry table of a producer: the user's, or {@link meaningOf}. A function of the user that throws is reported, and the
 * table decides.
 */
export const decider =
  (policy: ((error: ApiError) => RetryDecision) | undefined) =>
  (error: ApiError): Effect.Effect<RetryDecision> =>
    policy === undefined
      ? Effect.succeed(meaningOf(error).decision)
      : Effect.catchCause(
          Effect.sync(() => policy(error)),
          (cause) =>
            Effect.as(Effect.logWarning("retryPolicy threw; the table decides", cause), meaningOf(error).decision)
        )

const BUSY_PAUSE_FIRST_MILLIS = 20
const BUSY_PAUSE_MAX_MILLIS = 500

/** How long to wait after the n-th busy answer (n from 1), in milliseconds: doubling, half of it random. */
export const busyPause = (n: number, random: number): number => {
  const full = Math.min(BUSY_PAUSE_MAX_MILLIS, BUSY_PAUSE_FIRST_MILLIS * 2 ** (n - 1))
  return full / 2 + (full / 2) * random
}
