import * as Millis from "../message/Millis.ts"
import { requestCodeName } from "../protocol/RequestCode.ts"
import type { AddressError } from "../transport/Address.ts"
import type { AnswersNotRead, RemotingError } from "../transport/RemotingError.ts"
import { tlsHints } from "../transport/Tls.ts"
import { type WireError, wireErrorHints } from "../transport/Wire.ts"
import { causeOf, DOCTOR, type Explainers } from "./Explanation.ts"

/** What a connection, or a request on it, can fail with. */
export type TransportReason = RemotingError | AnswersNotRead | WireError | AddressError

const sentFact = (sent: boolean) => (sent ? "the request had been sent" : "the request had not been sent")

/** A hint as the beginning of a sentence. */
export const capital = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1)

/** How the errors of `transport/` are explained. */
export const transportExplainers: Explainers<TransportReason> = {
  ConnectFailed: (e) => ({
    cause: `no connection: ${wireErrorHints[e.kind]}`,
    evidence: [`address: ${e.address}`, `kind: ${e.kind}`, ...causeOf(e.cause)],
    remedy: `It is dialled again in ${Millis.text(e.retryAfterMillis)}. If the address is one that this machine cannot reach, set brokerIP1 in the broker's configuration, or provide an AddressTranslator. ${DOCTOR}`
  }),
  TlsFailed: (e) => ({
    cause: "no TLS connection came about, and nothing was sent in plain text instead",
    evidence: [`address: ${e.address}`, `reason: ${e.reason}`, ...causeOf(e.cause)],
    remedy: `${capital(tlsHints[e.reason])}.`
  }),
  RpcHookFailed: (e) => ({
    cause: "the rpc hook, or the source of the credentials, failed",
    evidence: [`address: ${e.address}`, `request: ${requestCodeName(e.code)}`],
    remedy: "See the error's cause. Nothing was sent: a request never leaves without what the hook adds to it."
  }),
  ConnectionClosed: (e) => ({
    cause: "the connection ended before the answer came",
    evidence: [`address: ${e.address}`, sentFact(e.sent), ...causeOf(e.cause)],
    remedy: e.sent
      ? "The request may have been handled: mind the outcome before repeating it. See the server's log for why it closed."
      : "It is safe to repeat. See the server's log for why it closed."
  }),
  AnswersNotRead: (e) => ({
    cause: "the server sends requests and does not read the answers",
    evidence: [`address: ${e.address}`, `bytes of answers unread: ${e.unreadBytes}`],
    remedy: "Check who answers at the address, and look at the server's log; the next request opens a new connection."
  }),
  RequestTimeout: (e) => ({
    cause: e.sent ? "no answer came in time" : "there was no connection in time",
    evidence: [`address: ${e.address}`, `request: ${requestCodeName(e.code)}`, `time: ${e.time}`, sentFact(e.sent)],
    remedy: e.sent
      ? "The request may have been handled: mind the outcome before repeating it. Raise the timeout if the server is only slow."
      : `It is safe to repeat. ${DOCTOR}`
  }),
  TooManyRequests: (e) => ({
    cause: "too many requests are under way on the connection",
    evidence: [`address: ${e.address}`, `waited: ${Millis.text(e.leftMillis ?? e.timeoutMillis)}`],
    remedy: "Send less at once, or raise maxInFlightRequests or maxInFlightBytes."
  }),
  ClientClosed: (e) => ({
    cause: "the client was closed meanwhile",
    evidence: [`address: ${e.address}`, sentFact(e.sent)],
    remedy: "Keep the client's scope open until its calls have ended."
  }),
  WireError: (e) => ({
    cause: e.tls === undefined ? wireErrorHints[e.kind] : tlsHints[e.tls],
    evidence: [
      `address: ${e.address}`,
      `operation: ${e.operation}`,
      `kind: ${e.tls === undefined ? e.kind : `${e.kind}, ${e.tls}`}`,
      ...causeOf(e.cause)
    ],
    remedy:
      e.operation === "listen"
        ? "Choose another host or port; port 0 takes a free one."
        : `Check the address and what listens there. ${DOCTOR}`
  }),
  AddressError: (e) => ({
    cause: "the text is no address",
    evidence: [`address: ${e.address}`, e.detail],
    remedy: "Write it as host:port or [ipv6]:port."
  })
}
