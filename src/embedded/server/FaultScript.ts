import type { Duration } from "effect"
import * as Millis from "../../message/Millis.ts"
import type { FaultAction } from "./FaultAction.ts"
export { lock, members, offset, pull, type ScriptedPosition, sendBack } from "./ConsumerAnswers.ts"

/** Which requests (or new connections) a rule is for. What is left out matches everything. */
export interface FaultMatch {
  /** Request codes; see `RequestCode`. */
  readonly code?: number | ReadonlyArray<number> | undefined
  /** The name of a broker (`broker-a`), or `namesrv` for any name server. */
  readonly broker?: string | undefined
  /** The `host:port` of a server of the cluster. */
  readonly address?: string | undefined
  /** The topic a request names. */
  readonly topic?: string | undefined
  /** Only the nth request that matches the rest, counted from 1. */
  readonly nth?: number | undefined
  /** Only every nth request that matches the rest: `2` is the second, the fourth, ... */
  readonly every?: number | undefined
  /** Only after this many requests that match the rest. */
  readonly after?: number | undefined
  /** Only with this probability, 0 to 1, drawn from the cluster's seed. */
  readonly probability?: number | undefined
}

/** What happens to a new connection: closed at once, or accepted and never read. */
export type ConnectionFault =
  /** Closes it at once. */
  | { readonly _tag: "RefuseConnection" }
  /** Accepts it and never reads from it. */
  | { readonly _tag: "IgnoreConnection" }

/**
 * One fault as plain data: what it is for and what then happens. A rule that has a connection action is about new
 * connections, any other about requests.
 */
export interface FaultRule {
  /** How the log of what fired calls the rule; `rule-<n>` by default. */
  readonly name?: string | undefined
  /** Which requests it concerns, or for connections which servers; all of them when absent. */
  readonly match?: FaultMatch | undefined
  /** What is done, in this order. */
  readonly actions: ReadonlyArray<FaultAction | ConnectionFault>
  /** How often the rule fires at most; unlimited by default. */
  readonly times?: number | undefined
}

/** Rules in the order they are asked; the actions of all rules that fire for a request are joined. */
export type FaultScript = ReadonlyArray<FaultRule>

/** One firing of a rule. */
export interface FiredFault {
  /** The rule's name. */
  readonly rule: string
  /** Milliseconds since the epoch on the cluster's clock. */
  readonly time: number
  /** The server's name. */
  readonly server: string
  /** The server's `host:port`. */
  readonly address: string
  /** The request code, or `undefined` for a connection. */
  readonly code: number | undefined
  /** The request's number on its connection; undefined for a connection. */
  readonly opaque: number | undefined
  /** The peer of the connection. */
  readonly remoteAddress: string
  /** The how-manyeth match of the rule it was. */
  readonly call: number
  /** What was done, in words. */
  readonly actions: ReadonlyArray<string>
}

/** Answers a request with a code and a remark instead of handling it. */
export const answer = (code: number, remark?: string): FaultAction => ({
  _tag: "Answer",
  response: remark === undefined ? { code } : { code, remark }
})
/** Handles and answers a request so much later; a bare number is milliseconds. */
export const delay = (time: Duration.Input): FaultAction => ({ _tag: "Delay", millis: Millis.pause(time) })
/** Ignores a request: it has no effect and gets no answer. */
export const dropRequest: FaultAction = { _tag: "DropRequest" }
/** Handles a request, and does not answer it. */
export const dropResponse: FaultAction = { _tag: "DropResponse" }
/** Answers a request twice. */
export const duplicateResponse: FaultAction = { _tag: "DuplicateResponse" }
/** Handles a request, and sends bytes that are no frame. */
export const corruptResponse: FaultAction = { _tag: "CorruptResponse" }
/** Cuts the connection before (the request has no effect) or after the request is handled, without an answer. */
export const cut = (when: "before" | "after"): FaultAction => ({ _tag: "Cut", when })
/** Closes a new connection at once. */
export const refuseConnection: ConnectionFault = { _tag: "RefuseConnection" }
/** Accepts a new connection and never reads from it, as a host that hangs. */
export const ignoreConnection: ConnectionFault = { _tag: "IgnoreConnection" }
