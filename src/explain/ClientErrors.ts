import * as Millis from "../message/Millis.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import { requestCodeName } from "../protocol/RequestCode.ts"
import type { AddressError } from "../transport/Address.ts"
import { tlsHints } from "../transport/Tls.ts"
import { type WireError, wireErrorHints } from "../transport/Wire.ts"
import type { AccessDenied } from "../client/AccessDenied.ts"
import type { ApiError, NameServerTry, StartReason } from "../client/ClientError.ts"
import { type RouteProblem, routeRemedy } from "../client/RouteProblem.ts"

/** An error taken apart for a person: what happened, what says so, and what to do about it. */
export interface Explanation {
  /** The tag of the innermost reason, which docs/errors.md lists. */
  readonly tag: string
  /** What happened, as one sentence. */
  readonly cause: string
  /** The facts that say so: addresses, codes, the server's own words, each attempt. */
  readonly evidence: ReadonlyArray<string>
  /** What to do, as one or two sentences. */
  readonly remedy: string
}

/** The members of a union of errors by their tags. */
export type ByTag<E extends { readonly _tag: string }> = {
  readonly [K in E["_tag"]]: Extract<E, { readonly _tag: K }>
}

/** How each error is explained: a tag without an entry does not compile. */
export type Explainers<M extends object> = {
  readonly [K in keyof M]: (error: M[K]) => Omit<Explanation, "tag">
}

/** Every error that the client itself, or what lies below it, can give a user. */
export type ClientReason = StartReason | ApiError | AccessDenied | WireError | AddressError

/** Explains an error by the entry of its tag. */
export const explainBy = <M extends object, K extends keyof M & string>(
  entries: Explainers<M>,
  tag: K,
  error: M[K]
): Explanation => ({ tag, ...(tag in entries ? entries[tag](error) : unknown(error)) })

/** An error from another version of this library: its message is all that there is. */
const unknown = (error: unknown): Omit<Explanation, "tag"> => ({
  cause: error instanceof Error ? error.message : "something unknown went wrong",
  evidence: [],
  remedy: "See the message."
})

const DOCTOR = "`effect-rocketmq doctor` walks through it and says where it ends."

/** What a platform reported, as one line; never more than is fit for a log. */
const causeOf = (cause: unknown): ReadonlyArray<string> => {
  // Nothing is turned into text that may fail at it.
  const text = cause instanceof Error ? cause.message : typeof cause === "string" ? cause : ""
  return text === "" ? [] : [`reported: ${text.replaceAll(/\s+/g, " ").slice(0, 200)}`]
}

const triesOf = (tries: ReadonlyArray<NameServerTry>): ReadonlyArray<string> =>
  tries.map((one) => `name server ${one.address}: ${one.problem} (${one.detail})`)

const routeCause: { readonly [K in RouteProblem]: string } = {
  "no-name-server-address": "no name server address is known",
  "name-not-resolved": "the name servers' host names have no address here",
  "name-server-refused": "nothing listens at the name servers' addresses",
  "name-server-silent": "the name servers took the request and did not answer",
  "name-server-rejected": "the name server answered with an error",
  "name-server-unreadable": "what answers at the name server's address is no RocketMQ server",
  "name-server-tls": "no TLS connection to a name server came about",
  "request-not-signed": "the request could not be signed",
  "client-exhausted": "this process has no file descriptors or memory left for a connection",
  "address-not-allowed": "the route names addresses that the option allowAddress does not let this client talk to",
  "topic-absent": "no broker has the topic, and a send may not create it",
  "no-writable-queue": "the topic exists, but no queue of it may be written",
  "no-master": "the topic's brokers have no master at present"
}

/** What a server's code asks for. */
const ofCode = (code: number): readonly [cause: string, remedy: string] => {
  switch (code) {
    case ResponseCode.SYSTEM_ERROR:
      return ["the server failed on the request", "See the server's log; the send was tried at other brokers already."]
    case ResponseCode.SYSTEM_BUSY:
    case ResponseCode.FLOW_CONTROL:
      return [
        "the server has more to do than it can",
        "Send less, or raise sendMsgTimeout: busy answers are waited out within it. Look at the broker's disk."
      ]
    case ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
      return [
        "the server does not know this request",
        "It is older than the feature, or not the kind of server that the address was taken for."
      ]
    case ResponseCode.MESSAGE_ILLEGAL:
      return [
        "the broker does not accept such a message",
        "See its own words: size of body or properties, a delay beyond its maximum, or a kind that the topic does not take."
      ]
    case ResponseCode.SERVICE_NOT_AVAILABLE:
      return [
        "the broker does not serve at present",
        "It is starting, shutting down, a slave, or its disk is full; see its log."
      ]
    case ResponseCode.NO_PERMISSION:
      return [
        "the broker or the topic does not allow it",
        "Check the topic's and the broker's permission, and that the topic is no reserved one."
      ]
    case ResponseCode.TOPIC_NOT_EXIST:
      return [
        "the broker does not have the topic",
        "Create it (`effect-rocketmq topic create`), or allow the brokers to create topics."
      ]
    default:
      return ["the server refused the request", "See its own words, and its log."]
  }
}

const accessRemedy: { readonly [K in AccessDenied["problem"]]: string } = {
  signature: "Check the secret key: the server computes another signature.",
  "unknown-user": "Check the access key: the server knows no such user.",
  "user-disabled": "Have the user enabled on the server.",
  "no-credentials": "Set the credentials: the server wants to know who asks.",
  permission: "Grant the user the permission on the server, or use another user.",
  clock: "Set the clocks of this machine and of the server right.",
  other: "See the server's own words."
}

const sentFact = (sent: boolean) => (sent ? "the request had been sent" : "the request had not been sent")

/** How the errors of the client are explained. */
export const clientExplainers: Explainers<ByTag<ClientReason>> = {
  IllegalServiceState: (e) => ({
    cause: `${e.subject} cannot ${e.action} in its state`,
    evidence: [`state: ${e.actual}`, `needed: ${e.expected}`],
    remedy:
      e.actual === "CREATE_JUST"
        ? "Start it first, or use the layer, which gives a started one."
        : e.actual === "RUNNING"
          ? "Use the running one."
          : "It stays as it is; make a new one."
  }),
  InvalidGroup: (e) => ({
    cause: "the group's name is not one that RocketMQ allows",
    evidence: [`group: ${e.group}`, `problem: ${e.problem}`, e.detail],
    remedy: "Choose another name."
  }),
  InvalidConfig: (e) => ({
    cause: "options have no usable value",
    evidence: e.problems.map(({ path, problem }) => `${path}: ${problem}`),
    remedy: "Mend them; docs/configuration.md has every option with its default."
  }),
  NoNameServer: (e) => ({
    cause: "no name server address is known",
    evidence: e.looked.map((place) => `looked at ${place}`),
    remedy: "Set namesrvAddr (`host:9876`), NAMESRV_ADDR, a NameServerResolver, or namesrvDomain."
  }),
  NameServerUnavailable: (e) => ({
    cause: "no name server answered",
    evidence: triesOf(e.tries),
    remedy: `Check the addresses and that they can be reached from this machine. ${DOCTOR}`
  }),
  AddressServerFailed: (e) => ({
    cause: "the address server gave no usable list of name servers",
    evidence: [`url: ${e.url}`, `problem: ${e.problem}`, e.detail],
    remedy: "Check namesrvDomain and its subgroup; the last good list, if any, stays in use."
  }),
  NameServerResolveError: (e) => ({
    cause: `the name server resolver "${e.resolver}" failed`,
    evidence: causeOf(e.cause),
    remedy: "Mend the resolver; the last good list, if any, stays in use."
  }),
  DuplicateProducerGroup: (e) => ({
    cause: "the group is registered in the same client instance already",
    evidence: [`group: ${e.group}`, `client: ${e.clientId}`],
    remedy: "Use that producer, another group, or another instanceName."
  }),
  RouteUnavailable: (e) => ({
    cause: routeCause[e.problem],
    evidence: [
      `topic: ${e.topic}`,
      `problem: ${e.problem}`,
      ...triesOf(e.tries),
      ...(e.refused ?? []).map((address) => `not allowed: ${address}`)
    ],
    remedy: routeRemedy[e.problem]
  }),
  BrokerNotRegistered: (e) => {
    const inner = explainBy(clientExplainers, e.cause._tag, e.cause)
    return {
      cause: `the broker did not acknowledge the heartbeat: ${inner.cause}`,
      evidence: [`broker: ${e.brokerName} at ${e.address}`, ...inner.evidence],
      remedy: `${inner.remedy} If the address is one of a container or of another network, set brokerIP1 in the broker's configuration, or provide an AddressTranslator.`
    }
  },
  StartTimeout: (e) => ({
    cause: "the start did not finish in time",
    evidence: [`startTimeoutMillis: ${e.timeoutMillis}`, `it was at: ${e.during}`],
    remedy: `Raise startTimeoutMillis if the servers are only slow. ${DOCTOR}`
  }),
  StartInterrupted: (e) => ({
    cause: `whoever had begun the start of ${e.subject} was interrupted`,
    evidence: ["everything that it had acquired was released"],
    remedy: "Make a new one."
  }),
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
  RequestTimeout: (e) => ({
    cause: e.sent ? "no answer came in time" : "there was no connection in time",
    evidence: [
      `address: ${e.address}`,
      `request: ${requestCodeName(e.code)}`,
      `time: ${Millis.text(e.timeoutMillis)}`,
      sentFact(e.sent)
    ],
    remedy: e.sent
      ? "The request may have been handled: mind the outcome before repeating it. Raise the timeout if the server is only slow."
      : `It is safe to repeat. ${DOCTOR}`
  }),
  TooManyRequests: (e) => ({
    cause: "too many requests are under way on the connection",
    evidence: [`address: ${e.address}`, `waited: ${Millis.text(e.timeoutMillis)}`],
    remedy: "Send less at once, or raise maxInFlightRequests or maxInFlightBytes."
  }),
  ClientClosed: (e) => ({
    cause: "the client was closed meanwhile",
    evidence: [`address: ${e.address}`, sentFact(e.sent)],
    remedy: "Keep the client's scope open until the sends have ended."
  }),
  BrokerRejected: (e) => {
    const [cause, remedy] = ofCode(e.code)
    return {
      cause,
      evidence: [
        `address: ${e.address}`,
        `request: ${e.request}`,
        `code: ${e.codeName} (${e.code})`,
        ...(e.remark === "" ? [] : [`the server says: ${e.remark}`])
      ],
      remedy
    }
  },
  AccessDenied: (e) => ({
    cause: "the server's access control refused the request",
    evidence: [
      `address: ${e.address}`,
      `request: ${e.request}`,
      `problem: ${e.problem}`,
      ...(e.user === undefined ? [] : [`user: ${e.user}`]),
      `the server says: ${e.remark}`
    ],
    remedy: accessRemedy[e.problem]
  }),
  UnreadableAnswer: (e) => ({
    cause: "the server's answer cannot be read",
    evidence: [`address: ${e.address}`, `request: ${e.request}`, e.detail],
    remedy: "Check that a RocketMQ server of version 4.9 or 5 listens there."
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

const capital = (text: string) => text.slice(0, 1).toUpperCase() + text.slice(1)
