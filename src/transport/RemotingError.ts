import { Schema } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import * as Millis from "../message/Millis.ts"
import { requestCodeName } from "../protocol/RequestCode.ts"
import { tlsHints, TlsReason } from "./Tls.ts"
import { WireErrorKind, wireErrorHints } from "./Wire.ts"

/** Whether a request that failed can have reached the peer: surely not, or nobody knows. */
export type Outcome = "not-sent" | "unknown"

const outcomeOf = (sent: boolean): Outcome => (sent ? "unknown" : "not-sent")
const sentence = (sent: boolean): string =>
  sent ? "The request may have been handled." : "The request was not sent, so it is safe to send it again."

/** What the caller gave, and how much of it a try had. */
const timeOf = (timeoutMillis: number, leftMillis: number | undefined): string =>
  leftMillis === undefined ? Millis.text(timeoutMillis) : `${Millis.text(leftMillis)} of ${Millis.text(timeoutMillis)}`

/**
 * The address could not be dialled, or was not dialled because the last dial failed less than `retryAfterMillis` ago.
 *
 * Source: RocketMQ `RemotingConnectException`.
 */
export class ConnectFailed extends Schema.TaggedError<ConnectFailed>()("ConnectFailed", {
  /** `host:port` that was dialled. */
  address: Schema.String,
  /** In which way it failed. */
  kind: WireErrorKind,
  /** Milliseconds until the address may be dialled again; until then every request to it fails with this error. */
  retryAfterMillis: Schema.Number,
  /** What the platform reported. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `Could not connect to ${this.address} (${this.kind}): ${wireErrorHints[this.kind]}. The next attempt is possible in ${Millis.text(this.retryAfterMillis)}.`
  }
  /** There was no connection, so the peer cannot have seen the request. */
  get outcome(): Outcome {
    return "not-sent"
  }
}

/**
 * No TLS connection to the address came about, so nothing was sent: never in plain text instead.
 *
 * Source: RocketMQ `TlsHelper`, whose failures are a `RemotingConnectException`.
 */
export class TlsFailed extends Schema.TaggedError<TlsFailed>()("TlsFailed", {
  /** `host:port` that was dialled. */
  address: Schema.String,
  /** What was wrong. */
  reason: TlsReason,
  /** Milliseconds until the address may be dialled again; until then every request to it fails with this error. */
  retryAfterMillis: Schema.Number,
  /** What the platform reported. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    return `No TLS connection to ${this.address} (${this.reason}): ${tlsHints[this.reason]}. Nothing was sent.`
  }
  /** There was no connection, so the peer cannot have seen the request. */
  get outcome(): Outcome {
    return "not-sent"
  }
}

/**
 * The request was held back, because the hook that signs or changes requests failed on it: credentials that cannot be
 * read, for instance. A request is never sent without what the hook adds to it.
 *
 * Source: RocketMQ `RPCHook`, whose exceptions reach the caller as they are.
 */
export class RpcHookFailed extends Schema.TaggedError<RpcHookFailed>()("RpcHookFailed", {
  /** `host:port` that the request was for. */
  address: Schema.String,
  /** The request code. */
  code: Schema.Number,
  /** What the hook or the source of the credentials failed or died with. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    const what = this.cause instanceof Error ? this.cause.name : typeof this.cause
    return `${requestCodeName(this.code)} to ${this.address} was not sent, because the rpc hook or the source of the credentials failed with ${what}; see the cause.`
  }
  /** The request was held back, so the peer cannot have seen it. */
  get outcome(): Outcome {
    return "not-sent"
  }
}

/**
 * This end closed the connection, because the peer sends requests and does not read the answers. It is the `cause` of a
 * {@link ConnectionClosed}.
 *
 * Source: RocketMQ `NettyServerConfig.writeBufferHighWaterMark`, by which brokers refuse to gather answers.
 */
export class AnswersNotRead extends Schema.TaggedError<AnswersNotRead>()("AnswersNotRead", {
  /** `host:port` of the peer. */
  address: Schema.String,
  /** Bytes of answers that the peer had not taken. */
  unreadBytes: Schema.Number
}) {
  override get message(): string {
    return `${this.address} sends requests and does not read the answers, of which ${this.unreadBytes} bytes were waiting; look at it, or at who answers at its address`
  }
}

/**
 * The connection ended before the answer came: the peer closed or reset it, sent no readable frame, or went silent.
 *
 * Source: RocketMQ `RemotingSendRequestException`, and the fail-fast of `NettyRemotingAbstract`.
 */
export class ConnectionClosed extends Schema.TaggedError<ConnectionClosed>()("ConnectionClosed", {
  /** `host:port` of the peer. */
  address: Schema.String,
  /** Whether the request had been handed to the socket. */
  sent: Schema.Boolean,
  /** Why it ended: what the platform reported, or what could not be read. */
  cause: Schema.Defect()
}) {
  override get message(): string {
    const reason = ForeignText.ofThrown(this.cause)
    return `The connection to ${this.address} ended before the answer came: ${reason}. ${sentence(this.sent)}`
  }
  /** `unknown` when it was sent. */
  get outcome(): Outcome {
    return outcomeOf(this.sent)
  }
}

/**
 * No answer came within the time the caller gave.
 *
 * Source: RocketMQ `RemotingTimeoutException`.
 */
export class RequestTimeout extends Schema.TaggedError<RequestTimeout>()("RequestTimeout", {
  /** `host:port` of the peer. */
  address: Schema.String,
  /** The request code. */
  code: Schema.Number,
  /** Milliseconds that the caller gave: of a send, for all attempts together. */
  timeoutMillis: Schema.Number,
  /**
   * Milliseconds of them that this try had, where signing, opening the connection, earlier attempts, or what is kept for
   * later ones took the rest; absent when it had all of them.
   */
  leftMillis: Schema.optional(Schema.Number),
  /** Whether the request had been written; false when the time ran out while the connection was being opened. */
  sent: Schema.Boolean
}) {
  override get message(): string {
    const what = `${requestCodeName(this.code)} to ${this.address}`
    return this.sent
      ? `No answer to ${what} within ${this.time}. ${sentence(true)} Raise the timeout if the server is only slow.`
      : `${what} was not sent within ${this.time}: the time ran out before there was a connection to write to. ${sentence(false)}`
  }
  /** The time in words: `900 ms of 3000 ms`, or `3000 ms`. */
  get time(): string {
    return timeOf(this.timeoutMillis, this.leftMillis)
  }
  /** `unknown` when it was sent. */
  get outcome(): Outcome {
    return outcomeOf(this.sent)
  }
}

/**
 * The caller's time ran out while it waited for one of the connection's in-flight places.
 *
 * Source: RocketMQ `RemotingTooMuchRequestException`.
 */
export class TooManyRequests extends Schema.TaggedError<TooManyRequests>()("TooManyRequests", {
  /** `host:port` of the peer. */
  address: Schema.String,
  /** Milliseconds that the caller gave: of a send, for all attempts together. */
  timeoutMillis: Schema.Number,
  /** Milliseconds of them that this try had; absent when it had all of them. */
  leftMillis: Schema.optional(Schema.Number)
}) {
  override get message(): string {
    return `Too many requests are under way to ${this.address}: no place became free within ${timeOf(this.timeoutMillis, this.leftMillis)}. ${sentence(false)} Send less at once, or raise maxInFlightRequests or maxInFlightBytes.`
  }
  /** The request was never written, so the peer cannot have seen it. */
  get outcome(): Outcome {
    return "not-sent"
  }
}

/** The client was closed while the request was under way, or before it began. */
export class ClientClosed extends Schema.TaggedError<ClientClosed>()("ClientClosed", {
  /** `host:port` of the peer. */
  address: Schema.String,
  /** Whether the request had been handed to the socket. */
  sent: Schema.Boolean
}) {
  override get message(): string {
    return `The client was closed before ${this.address} answered. ${sentence(this.sent)} Keep the client's scope open until the sends have ended.`
  }
  /** `unknown` when it was sent. */
  get outcome(): Outcome {
    return outcomeOf(this.sent)
  }
}

/** The error of a try that had a part of the caller's time, with all of that time in it. */
export const withCallersTime =
  (callersMillis: number) =>
  <E extends { readonly _tag: string }>(error: E): E | RequestTimeout | TooManyRequests => {
    if (!(error instanceof RequestTimeout || error instanceof TooManyRequests)) return error
    const { leftMillis = error.timeoutMillis } = error
    if (callersMillis - leftMillis < 1) return error
    const times = { timeoutMillis: callersMillis, leftMillis: Math.max(0, leftMillis) }
    return error instanceof RequestTimeout
      ? new RequestTimeout({ address: error.address, code: error.code, sent: error.sent, ...times })
      : new TooManyRequests({ address: error.address, ...times })
  }

/** Every way in which a request can end without an answer; `outcome` says whether the peer can have seen it. */
export const RemotingError = Schema.Union([
  ConnectFailed,
  TlsFailed,
  RpcHookFailed,
  ConnectionClosed,
  RequestTimeout,
  TooManyRequests,
  ClientClosed
])

/** Every way in which a request can end without an answer; `outcome` says whether the peer can have seen it. */
export type RemotingError =
  ConnectFailed | TlsFailed | RpcHookFailed | ConnectionClosed | RequestTimeout | TooManyRequests | ClientClosed
