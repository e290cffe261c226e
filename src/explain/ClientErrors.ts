import { ResponseCode } from "../protocol/ResponseCode.ts"
import type { AccessDenied } from "../client/AccessDenied.ts"
import type {
  ApiError,
  BrokerNotExist,
  BrokerRejected,
  NameServerTry,
  StartError,
  StartReason,
  UnreadableAnswer
} from "../client/ClientError.ts"
import type { RouteProblem } from "../client/RouteProblem.ts"
import type { CredentialsUnavailable } from "../client/SessionCredentials.ts"
import { causeOf, DOCTOR, explainBy, type Explainers, type Surroundings } from "./Explanation.ts"
import { tlsHints } from "../transport/Tls.ts"
import { capital, transportExplainers } from "./TransportErrors.ts"

/** What one client, its name servers and its brokers can fail with. */
export type ClientReason =
  StartReason | AccessDenied | BrokerNotExist | BrokerRejected | UnreadableAnswer | CredentialsUnavailable

const triesOf = (tries: ReadonlyArray<NameServerTry>): ReadonlyArray<string> =>
  tries.map((one) => `name server ${one.address}: ${one.problem} (${one.detail})`)

/** What to do where the same was wrong with TLS at every name server; undefined where it was something else. */
const tlsOf = (tries: ReadonlyArray<NameServerTry>): string | undefined => {
  const [first] = tries
  return first?.tls !== undefined && tries.every(({ tls }) => tls === first.tls)
    ? `${capital(tlsHints[first.tls])}.`
    : undefined
}

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
  "too-many-queues": "the route has more queues than a topic can have",
  "address-not-allowed": "the route names addresses that this client may not dial",
  "address-unreadable": "the addresses that the route names are no host:port",
  "no-broker": "the name server knows no broker",
  "topic-absent": "no broker has the topic",
  "no-writable-queue": "the topic exists, but no queue of it may be written",
  "no-master": "the topic's brokers have no master at present"
}

/** What a server's code asks for. */
const ofCode = (code: number, request: string): readonly [cause: string, remedy: string] => {
  switch (code) {
    case ResponseCode.SYSTEM_ERROR:
      return ["the server failed on the request", "See its own words, and its log."]
    case ResponseCode.SYSTEM_BUSY:
    case ResponseCode.FLOW_CONTROL:
      return [
        "the server has more to do than it can",
        request.startsWith("SEND_")
          ? "Send less, or raise sendMsgTimeout: busy answers are waited out within it. Look at the broker's disk."
          : "Ask again a little later, and look at the server's load and disk."
      ]
    case ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
      return [
        "the server does not know this request",
        "It is older than the feature, or not the kind of server that the address was taken for: a broker knows no routes, and a name server (port 9876 by default) no messages."
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
      if (request.startsWith("AUTH_")) {
        return [
          "the broker does not do that to its users or rights",
          "See its own words: what it has, and what it lacks."
        ]
      }
      if (request.endsWith("_CONFIG")) {
        return [
          "the server does not change that while it runs",
          "Change it in the server's configuration file, and restart it; its configBlackList says which settings those are."
        ]
      }
      return [
        "the broker or the topic does not allow it",
        "Check the topic's and the broker's permission, and that the topic is no reserved one."
      ]
    case ResponseCode.SUBSCRIPTION_PARSE_FAILED:
    case ResponseCode.FILTER_DATA_NOT_EXIST:
      return ["the broker cannot read the subscription's filter", "Correct the filter."]
    case ResponseCode.TOPIC_NOT_EXIST:
      return [
        "the broker does not have the topic",
        "Create it (`effect-rocketmq topic create <topic>`), or allow the brokers to create topics."
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

/** How a server's refusal or unreadable answer is explained. */
const answerExplainers: Explainers<AccessDenied | BrokerRejected | UnreadableAnswer> = {
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
  BrokerRejected: (e) => {
    const [cause, remedy] = ofCode(e.code, e.request)
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
  UnreadableAnswer: (e) => ({
    cause: "the server's answer cannot be read",
    evidence: [`address: ${e.address}`, `request: ${e.request}`, e.detail],
    remedy: "Check that a RocketMQ server of version 4.9 or 5 listens there."
  })
}

/** What a request to a server can fail with, as the cause of another error. */
const apiExplainers: Explainers<ApiError> = { ...transportExplainers, ...answerExplainers }

/** How the errors of `client/` are explained. */
export const clientExplainers: Explainers<ClientReason> = {
  ...answerExplainers,
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
    remedy: "Correct them; docs/configuration.md lists every option with its default."
  }),
  NoNameServer: (e) => ({
    cause: "no name server address is known",
    evidence: e.looked.map((place) => `looked at ${place}`),
    remedy: "Set namesrvAddr (`host:9876`), NAMESRV_ADDR, a NameServerResolver, or namesrvDomain."
  }),
  NameServerUnavailable: (e) => ({
    cause: "no name server answered",
    evidence: triesOf(e.tries),
    remedy: tlsOf(e.tries) ?? `Check the addresses and that they can be reached from this machine. ${DOCTOR}`
  }),
  AddressServerFailed: (e) => ({
    cause: "the address server gave no usable list of name servers",
    evidence: [`url: ${e.url}`, `problem: ${e.problem}`, e.detail],
    remedy: "Check namesrvDomain and its subgroup; the last good list, if any, stays in use."
  }),
  NameServerResolveError: (e) => ({
    cause: `the name server resolver "${e.resolver}" failed`,
    evidence: causeOf(e.cause),
    remedy: "Fix the resolver; the last good list, if any, stays in use."
  }),
  DuplicateProducerGroup: (e) => ({
    cause: "the group is registered in the same client instance already",
    evidence: [`group: ${e.group}`, `client: ${e.clientId}`],
    remedy: "Use that producer, another group, or another instanceName."
  }),
  DuplicateConsumerGroup: (e) => ({
    cause: "the consumer group is registered in the same client instance already",
    evidence: [`group: ${e.group}`, `client: ${e.clientId}`],
    remedy: "Use that consumer, another group, or another instanceName."
  }),
  FilterRefused: (e) => ({
    cause:
      e.problem === "unsupported"
        ? "the broker filters by tags only"
        : e.problem === "unreadable"
          ? "the broker cannot read the filter"
          : "the broker refused the filter",
    evidence: [
      `topic: ${e.topic}`,
      `filter: ${e.expression}`,
      `address: ${e.address}`,
      `code: ${e.codeName} (${e.code})`,
      ...(e.remark === "" ? [] : [`the broker says: ${e.remark}`])
    ],
    remedy: e.remedy
  }),
  RouteUnavailable: (e) => ({
    cause: routeCause[e.problem],
    evidence: [`topic: ${e.topic}`, `problem: ${e.problem}`, ...triesOf(e.tries), ...e.evidence],
    remedy: tlsOf(e.tries) ?? e.remedy
  }),
  BrokerNotRegistered: (e) => {
    const inner = explainBy(apiExplainers, e.cause._tag, e.cause)
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
    cause: `the caller that began the start of ${e.subject} was interrupted`,
    evidence: ["everything that it had acquired was released"],
    remedy: "Make a new one."
  }),
  BrokerNotExist: (e) => ({
    cause:
      e.refused === undefined
        ? "the chosen queue's broker has no master that the route names"
        : "the master of the chosen queue's broker may not be dialled",
    evidence: [
      `topic: ${e.topic}`,
      `broker: ${e.brokerName}`,
      ...(e.refused === undefined ? [] : [e.refused.evidence])
    ],
    remedy: e.refused?.remedy ?? "Check that it runs, or choose a queue of another broker."
  }),
  CredentialsUnavailable: (e) => ({
    cause: "the credentials cannot be had at present",
    evidence: [e.detail],
    remedy: "Fix the source of the credentials. Nothing is sent without them, and the next request asks for them again."
  })
}

/** What a failed start adds to its reason. */
export const startSurroundings: Surroundings<StartError> = {
  StartError: (e, evidence) => [`start-up step ${e.step}: ${e.name}`, ...evidence]
}
