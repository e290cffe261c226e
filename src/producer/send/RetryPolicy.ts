import { Effect } from "effect"
import type { ApiError } from "../../client/ClientError.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { SendOutcome } from "./SendError.ts"

/**
 * What to do after an attempt that failed.
 *
 * - `busy`: the broker is overloaded; wait a little and send again, for as long as the deadline allows.
 * - `busy-once`: the same, but one more busy answer ends the send.
 * - `retry`: send again, to another broker where there is one.
 * - `refresh`: the same, after the route was read anew.
 * - `fail`: sending again would fail the same way.
 */
export type RetryDecision = "busy" | "busy-once" | "retry" | "refresh" | "fail"

/** How brokers word that they are overloaded when the code is the general one. */
const flowControl = /start flow control for a while/

/** The words decide nothing where the code says more: what is refused for its own sake stays refused. */
const isOverloaded = (code: number, remark: string): boolean =>
  code === ResponseCode.SYSTEM_ERROR && flowControl.test(remark)

const byCode: ReadonlyMap<number, RetryDecision> = new Map<number, RetryDecision>([
  [ResponseCode.SYSTEM_ERROR, "retry"],
  [ResponseCode.SYSTEM_BUSY, "busy"],
  [ResponseCode.FLOW_CONTROL, "busy-once"],
  [ResponseCode.SERVICE_NOT_AVAILABLE, "retry"],
  [ResponseCode.NO_PERMISSION, "refresh"],
  [ResponseCode.TOPIC_NOT_EXIST, "refresh"],
  [ResponseCode.NO_BUYER_ID, "retry"],
  [ResponseCode.NOT_IN_CURRENT_UNIT, "retry"],
  [ResponseCode.NOT_LEADER_FOR_QUEUE, "refresh"],
  [ResponseCode.GO_AWAY, "refresh"]
])

/**
 * The retry table. Java's `retryResponseCodes` with three changes: "busy" waits before it sends again, 215 is tried once
 * more after such a wait, and 501 is retried as well.
 *
 * Source: RocketMQ `DefaultMQProducer.retryResponseCodes`.
 */
export const decide = (error: ApiError): RetryDecision => {
  switch (error._tag) {
    case "BrokerRejected":
      return isOverloaded(error.code, error.remark) ? "busy" : (byCode.get(error.code) ?? "fail")
    case "ConnectFailed":
    case "ConnectionClosed":
      return "refresh"
    // The certificate of one broker says nothing of the others'.
    case "TlsFailed":
    case "RequestTimeout":
    // No place on the connection to one broker says nothing of the others.
    case "TooManyRequests":
      return "retry"
    default:
      return "fail"
  }
}

/**
 * The retry table of a producer: the user's, or {@link decide}. A function of the user that throws is reported, and the
 * table decides.
 */
export const decider =
  (policy: ((error: ApiError) => RetryDecision) | undefined) =>
  (error: ApiError): Effect.Effect<RetryDecision> =>
    policy === undefined
      ? Effect.succeed(decide(error))
      : Effect.catchCause(
          Effect.sync(() => policy(error)),
          (cause) => Effect.as(Effect.logWarning("retryPolicy threw; the table decides", cause), decide(error))
        )

/**
 * What is known of the message after such a failure. A broker's general error says nothing of whether it was stored, so
 * it counts as unknown.
 */
export const outcomeOf = (error: ApiError): SendOutcome => {
  switch (error._tag) {
    case "BrokerRejected":
      return byCode.has(error.code) ||
        error.code === ResponseCode.MESSAGE_ILLEGAL ||
        error.code === ResponseCode.INVALID_PARAMETER
        ? error.code === ResponseCode.SYSTEM_ERROR && !isOverloaded(error.code, error.remark)
          ? "unknown"
          : "rejected"
        : "unknown"
    case "UnreadableAnswer":
      return "unknown"
    default:
      return error.outcome
  }
}

/** The worst of what is known: a message that may be stored once may be stored. */
export const worst = (a: SendOutcome, b: SendOutcome): SendOutcome =>
  a === "unknown" || b === "unknown" ? "unknown" : a === "rejected" || b === "rejected" ? "rejected" : "not-sent"

const BUSY_PAUSE_FIRST_MILLIS = 20
const BUSY_PAUSE_MAX_MILLIS = 500

/** How long to wait after the n-th busy answer (n from 1), in milliseconds: doubling, half of it random. */
export const busyPause = (n: number, random: number): number => {
  const full = Math.min(BUSY_PAUSE_MAX_MILLIS, BUSY_PAUSE_FIRST_MILLIS * 2 ** (n - 1))
  return full / 2 + (full / 2) * random
}
