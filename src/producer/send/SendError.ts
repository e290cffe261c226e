import { Schema } from "effect"
import * as Millis from "../../message/Millis.ts"
import { TopicEncodeError } from "../../message/Topic.ts"
import { CompressionUnavailable } from "../../protocol/Lz4.ts"
import { ApiError, BrokerNotExist, IllegalServiceState, RouteUnavailable } from "../../client/ClientError.ts"
import { meaningOf, SendOutcome } from "./RetryPolicy.ts"

export { SendOutcome } from "./RetryPolicy.ts"

/** A message that must not be sent as it is; nothing was sent. Source: RocketMQ response code 13 `MESSAGE_ILLEGAL`. */
export class InvalidMessage extends Schema.TaggedError<InvalidMessage>()("InvalidMessage", {
  /** The topic that the message names. */
  topic: Schema.String,
  /** The part that is wrong: `topic`, `body`, `keys`, `properties.<name>`, ... */
  field: Schema.String,
  /** What is wrong with that part, in words. */
  problem: Schema.String
}) {
  override get message() {
    return `The message to topic "${this.topic}" cannot be sent: its ${this.field} ${this.problem}.`
  }
}

/** The send's deadline passed before an attempt could be made or had ended. */
export class SendTimeout extends Schema.TaggedError<SendTimeout>()("SendTimeout", {
  /** The topic of the message. */
  topic: Schema.String,
  /** Milliseconds that the send had: `timeoutMillis`, or `sendMsgTimeout`. */
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
  /** The topic of the message. */
  topic: Schema.String,
  /** `threw`: the selector threw; `no-queue`: it gave none; `wrong-queue`: it gave one that is none of the topic's. */
  problem: Schema.Literals(["threw", "no-queue", "wrong-queue"]),
  /** The same with particulars: what was thrown, or which queue it gave. */
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
  /** The topic of the message. */
  topic: Schema.String,
  /** The hook's name. */
  hook: Schema.String,
  /** Why, in the hook's words. */
  problem: Schema.String
}) {
  override get message() {
    return `The hook "${this.hook}" forbids the send to topic "${this.topic}": ${this.problem}.`
  }
}

/** One attempt of a send that failed. */
export class SendAttempt extends Schema.Class<SendAttempt>("SendAttempt")({
  /** The broker that was chosen. */
  brokerName: Schema.String,
  /** The queue that was chosen, 0 up. */
  queueId: Schema.Int,
  /** `host:port` of the broker. */
  address: Schema.String,
  /** Milliseconds from the attempt's begin to its failure. */
  elapsedMillis: Schema.Number,
  /** What is known of this attempt alone. */
  outcome: SendOutcome,
  /** What it failed with. */
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
/** Why a send failed in the end. */
export type SendReason = typeof SendReason.Type

/** A send that failed: why, what became of the message, and every attempt that was made. */
export class SendError extends Schema.TaggedError<SendError>()("SendError", {
  /** The topic of the message. */
  topic: Schema.String,
  /** The unique id that the message carried; a consumer that sees it has the message. Undefined when none was made. */
  msgId: Schema.UndefinedOr(Schema.String),
  /** What is known of the message after all attempts. */
  outcome: SendOutcome,
  /** In the order in which they were made. */
  attempts: Schema.Array(SendAttempt),
  /** Why the last attempt failed, or why none was made; take it apart with `Effect.catchReason`. */
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
    const shown = this.topic.toWellFormed()
    const topic = this.reason.message.includes(`"${shown}"`) ? "" : `Sending to topic "${shown}": `
    return `${topic}${this.reason.message} ${sent}${tried}`
  }
  /** Whether the same send may succeed later without a change by somebody. Mind the {@link outcome} before repeating it. */
  get retryable(): boolean {
    switch (this.reason._tag) {
      case "IllegalServiceState":
      case "InvalidMessage":
      case "SendForbidden":
      case "QueueSelectorFailed":
      case "TopicEncodeError":
      case "CompressionUnavailable":
        return false
      case "RouteUnavailable":
        return this.reason.retryable
      case "BrokerNotExist":
      case "SendTimeout":
        return true
      default:
        return meaningOf(this.reason).retryable
    }
  }
}

/** The error of a send that ended before it began: nothing was sent. */
export const notSent = (topic: string, reason: SendReason, msgId?: string): SendError =>
  new SendError({ topic, msgId, outcome: "not-sent", attempts: [], reason })
