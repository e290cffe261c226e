import { Schema } from "effect"
import * as Millis from "../../message/Millis.ts"

/**
 * The request was stored, but no reply came in time. One that comes later is dropped.
 *
 * Source: RocketMQ `RequestTimeoutException`, client code 10006.
 */
export class RequestReplyTimeout extends Schema.TaggedError<RequestReplyTimeout>()("RequestReplyTimeout", {
  /** The topic of the request. */
  topic: Schema.String,
  /** What the reply would have been known by: the property CORRELATION_ID of both messages. */
  correlationId: Schema.String,
  /** The unique id of the request. */
  msgId: Schema.String,
  /** Of the request as a whole, sending included. */
  timeoutMillis: Schema.Number
}) {
  override get message() {
    return `No reply to the request ${this.correlationId} (message ${this.msgId} to topic "${this.topic}") came within ${Millis.text(this.timeoutMillis)}. The request is stored and may still be handled. Check that a consumer of the topic runs and replies, and that it replies in time.`
  }
}

/** The producer was shut down while the request waited for its reply; the request may be stored and handled. */
export class RequestReplyClosed extends Schema.TaggedError<RequestReplyClosed>()("RequestReplyClosed", {
  /** The topic of the request. */
  topic: Schema.String,
  /** What the reply would have been known by: the property CORRELATION_ID of both messages. */
  correlationId: Schema.String
}) {
  override get message() {
    return `The producer was shut down while the request ${this.correlationId} to topic "${this.topic}" waited for its reply; the request may have been handled. Keep the producer's scope open, or raise drainTimeoutMillis.`
  }
}

/**
 * The message cannot be replied to, because it says too little of where the reply should go.
 *
 * Source: RocketMQ `MessageUtil.createReplyMessage`, client code 10007.
 */
export class NotARequest extends Schema.TaggedError<NotARequest>()("NotARequest", {
  /** The topic that the message lies in. */
  topic: Schema.String,
  /** The id of the message that was to be replied to. */
  msgId: Schema.String,
  /** The properties that a request has, and that this message has not or not in a form that can be used. */
  missing: Schema.Array(Schema.String)
}) {
  override get message() {
    return `The message ${this.msgId} of topic "${this.topic}" is no request: it has no usable ${this.missing.join(", ")}. Reply only to what a producer's \`request\` sent, and pass the message as it was consumed.`
  }
}

/** What a request or a reply can fail with besides `SendError`. */
export const ReplyFailure = Schema.Union([RequestReplyTimeout, RequestReplyClosed, NotARequest])
/** What a request or a reply can fail with besides `SendError`. */
export type ReplyFailure = typeof ReplyFailure.Type
