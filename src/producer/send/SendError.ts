import { Schema } from "effect"
import * as Millis from "../../message/Millis.ts"
import { TopicEncodeError } from "../../message/Topic.ts"
import { CompressionUnavailable } from "../../protocol/Lz4.ts"
import { ApiError, BrokerNotExist, IllegalServiceState, RouteUnavailable } from "../../client/ClientError.ts"

/** A message that must not be sent as it is; nothing was sent. Source: RocketMQ response code 13 `MESSAGE_ILLEGAL`. */
export class InvalidMessage extends Schema.TaggedError<InvalidMessage>()("InvalidMessage", {
  topic: Schema.String,
  /** The part that is wrong: `topic`, `body`, `keys`, `properties.<name>`, ... */
  field: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `The message to topic "${this.topic}" cannot be sent: its ${this.field} ${this.problem}.`
  }
}

/** The send's deadline passed before an attempt could be made or had ended. */
export class SendTimeout extends Schema.TaggedError<SendTimeout>()("SendTimeout", {
  topic: Schema.String,
  timeoutMillis: Schema.Number,
  /** What the time went into. */
  during: Schema.String
}) {
  override get message() {
    return `The send to topic "${this.topic}" did not end within ${Millis.text(this.timeoutMillis)} (it was at: ${this.during}). Raise sendMsgTimeout if the servers are only slow.`
  }
}

/** The chosen selector gave no queue that the message can go to; nothing was sent. */
export class QueueSelectorFailed extends Schema.TaggedError<QueueSelectorFailed>()("QueueSelectorFailed", {
  topic: Schema.String,
  /** `threw`: the selector threw; `no-queue`: it gave none; `wrong-queue`: it gave one that is none of the topic's. */
  problem: Schema.Literals(["threw", "no-queue", "wrong-queue"]),
  detail: Schema.String,
  /** What it threw. */
  cause: Schema.Defect()
}) {
  override get message() {
    return `The selector found no queue for the message to topic "${this.topic}": ${this.detail}. Correct the selector, or send without one.`
  }
}

/** A `CheckForbiddenHook` refused the send; nothing was sent. Source: RocketMQ `CheckForbiddenHook`. */
export class SendForbidden extends Schema.TaggedError<SendForbidden>()("SendForbidden", {
  topic: Schema.String,
  /** The hook's name. */
  hook: Schema.String,
  problem: Schema.String
}) {
  override get message() {
    return `The hook "${this.hook}" forbids the send to topic "${this.topic}": ${this.problem}.`
  }
}

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

/** One attempt of a send that failed. */
export class SendAttempt extends Schema.Class<SendAttempt>("SendAttempt")({
  brokerName: Schema.String,
  queueId: Schema.Int,
  address: Schema.String,
  /** Milliseconds from the attempt's begin to its failure. */
  elapsedMillis: Schema.Number,
  outcome: SendOutcome,
  cause: ApiError
}) {}

/** Why a send failed in the end. */
export const SendReason = Schema.Union([
  IllegalServiceState,
  InvalidMessage,
  SendForbidden,
  QueueSelectorFailed,
  TopicEncodeError,
  CompressionUnavailable,
  RouteUnavailable,
  BrokerNotExist,
  SendTimeout,
  ...ApiError.members
])
export type SendReason = typeof SendReason.Type

/** Broker answers after which the same send may succeed later. */
const RETRYABLE_CODES: ReadonlySet<number> = new Set([1, 2, 14, 204, 205, 215, 1500])

/** A send that failed: why, what became of the message, and every attempt that was made. */
export class SendError extends Schema.TaggedError<SendError>()("SendError", {
  topic: Schema.String,
  /** The unique id that the message carried; a consumer that sees it has the message. Undefined when none was made. */
  msgId: Schema.UndefinedOr(Schema.String),
  outcome: SendOutcome,
  /** In the order in which they were made. */
  attempts: Schema.Array(SendAttempt),
  reason: SendReason
}) {
  override get message() {
    const sent = {
      "not-sent": "The message was not sent.",
      rejected: "The message was refused and is not stored.",
      unknown: `The message may be stored, up to ${Math.max(1, this.attempts.length)} time(s)${this.msgId === undefined ? "" : `, under the id ${this.msgId}`}.`
    }[this.outcome]
    const tried =
      this.attempts.length < 2
        ? ""
        : ` Tried ${this.attempts.map((a) => `${a.brokerName}:${a.queueId} (${Millis.text(a.elapsedMillis)}, ${a.cause._tag})`).join(", ")}.`
    // A server's words do not always say what the message was for.
    const topic = this.reason.message.includes(`"${this.topic}"`) ? "" : `Sending to topic "${this.topic}": `
    return `${topic}${this.reason.message} ${sent}${tried}`
  }
  /** Whether the same send may succeed later without a change by somebody. Mind the {@link outcome} before repeating it. */
  get retryable() {
    switch (this.reason._tag) {
      case "IllegalServiceState":
      case "InvalidMessage":
      case "AccessDenied":
      case "TlsFailed":
      case "SendForbidden":
      case "QueueSelectorFailed":
      case "TopicEncodeError":
      case "CompressionUnavailable":
      case "ClientClosed":
        return false
      case "RouteUnavailable":
        return this.reason.retryable
      case "BrokerRejected":
        return RETRYABLE_CODES.has(this.reason.code)
      default:
        return true
    }
  }
}

/** The error of a send that ended before it began: nothing was sent. */
export const notSent = (topic: string, reason: SendReason, msgId?: string): SendError =>
  new SendError({ topic, msgId, outcome: "not-sent", attempts: [], reason })
