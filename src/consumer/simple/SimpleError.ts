import { Schema } from "effect"
import {
  ApiError,
  BrokerRejected,
  IllegalServiceState,
  InvalidConfig,
  RouteUnavailable
} from "../../client/ClientError.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"

/**
 * A broker does not know pop, by which a `SimpleConsumer` reads: brokers have it from 5.0 on. 4.9.7 answers
 * REQUEST_CODE_NOT_SUPPORTED.
 *
 * Source: RocketMQ `PopMessageProcessor`.
 */
export class PopUnsupported extends Schema.TaggedError<PopUnsupported>()("PopUnsupported", {
  /** The topic that was to be popped. */
  topic: Schema.String,
  /** The broker's name, in a form that can be shown. */
  brokerName: Schema.String,
  /** `host:port` of the broker. */
  address: Schema.String
}) {
  override get message() {
    return `Broker ${this.brokerName} at ${this.address} does not know pop, by which a SimpleConsumer reads topic "${this.topic}": it is of before 5.0. Use a DefaultLitePullConsumer or a DefaultMQPushConsumer, or upgrade the brokers.`
  }
}

/** Why nothing was received. */
export const ReceiveReason = Schema.Union([
  IllegalServiceState,
  InvalidConfig,
  RouteUnavailable,
  PopUnsupported,
  ...ApiError.members
])
/** Why nothing was received. */
export type ReceiveReason = typeof ReceiveReason.Type

/** Whether a request that a broker of pop did not answer well may do better later, as it is. */
export const mayPass = (error: ApiError): boolean => {
  switch (error._tag) {
    case "BrokerRejected":
      return passingCodes.has(error.code)
    case "ConnectFailed":
    case "ConnectionClosed":
    case "RequestTimeout":
    case "TooManyRequests":
    case "RpcHookFailed":
      return true
    default:
      return false
  }
}

const passingCodes: ReadonlySet<number> = new Set([
  ResponseCode.SYSTEM_ERROR,
  ResponseCode.SYSTEM_BUSY,
  ResponseCode.SERVICE_NOT_AVAILABLE,
  ResponseCode.FLOW_CONTROL,
  ResponseCode.GO_AWAY
])

/** What a broker's refusal of a pop means. */
export const unsupportedOr = (
  error: ApiError,
  where: { readonly topic: string; readonly brokerName: string }
): ApiError | PopUnsupported =>
  error instanceof BrokerRejected && error.code === ResponseCode.REQUEST_CODE_NOT_SUPPORTED
    ? new PopUnsupported({ ...where, address: error.address })
    : error

/**
 * A `receive` to which no broker of any subscribed topic answered well. Where one does, what is wrong with the others stands in
 * the consumer's problems.
 */
export class ReceiveError extends Schema.TaggedError<ReceiveError>()("ReceiveError", {
  /** The consumer group. */
  group: Schema.String,
  /** Why, of the first broker that was asked; take it apart with `Effect.catchReason`. */
  reason: ReceiveReason
}) {
  override get message() {
    return `Group ${this.group} received nothing. ${this.reason.message}`
  }
  /** Whether the same call may succeed later without a change by somebody. */
  get retryable(): boolean {
    switch (this.reason._tag) {
      case "IllegalServiceState":
      case "InvalidConfig":
      case "PopUnsupported":
        return false
      case "RouteUnavailable":
        return this.reason.retryable
      default:
        return mayPass(this.reason)
    }
  }
}

/** Why an acknowledgement or an extension was not made. */
export const SettleReason = Schema.Union([IllegalServiceState, InvalidConfig, ...ApiError.members])
/** Why an acknowledgement or an extension was not made. */
export type SettleReason = typeof SettleReason.Type

/**
 * An acknowledgement or an extension that trying again does not help. The message comes again when its time is over. That the
 * time is over is no error but an outcome.
 */
export class SettleError extends Schema.TaggedError<SettleError>()("SettleError", {
  /** The consumer group. */
  group: Schema.String,
  /** The message's topic. */
  topic: Schema.String,
  /** The sender's unique id of the message, in a form that can be shown. */
  msgId: Schema.String,
  /** What was to be done. */
  action: Schema.Literals(["ack", "extend"]),
  /** Why it was not; take it apart with `Effect.catchReason`. */
  reason: SettleReason
}) {
  override get message() {
    const done = this.action === "ack" ? "acknowledged" : "extended"
    return `Message ${this.msgId} of topic "${this.topic}" was not ${done} for group ${this.group}. ${this.reason.message} It comes again when its invisible time is over.`
  }
}
