import { Schema } from "effect"
import * as ForeignText from "../message/ForeignText.ts"
import * as Millis from "../message/Millis.ts"
import { RemotingError } from "../transport/RemotingError.ts"
import { TlsReason } from "../transport/Tls.ts"
import { AccessDenied } from "./AccessDenied.ts"
import { AddressRefused } from "./AddressRefused.ts"
import { MAX_QUEUES } from "./RouteQueues.ts"
import { InvalidConfig } from "./options/InvalidConfig.ts"
import { RouteProblem, routeRemedy } from "./RouteProblem.ts"
import { ServiceState } from "./ServiceState.ts"

export { AccessDenied, AccessProblem } from "./AccessDenied.ts"
export { AddressProblem, AddressRefused } from "./AddressRefused.ts"
export { ConfigProblem, InvalidConfig } from "./options/InvalidConfig.ts"
export { RouteProblem } from "./RouteProblem.ts"

/** A call that the service state does not allow: a second start, a send before the start or after the shutdown. */
export class IllegalServiceState extends Schema.TaggedError<IllegalServiceState>()("IllegalServiceState", {
  /** What was asked: `producer orders-pg`, `client instance 10.0.0.1@7#1`. */
  subject: Schema.String,
  /** What was asked: `start`, `send`. */
  action: Schema.String,
  /** The state in which it can be done. */
  expected: ServiceState,
  /** The state at the time of the call. */
  actual: ServiceState
}) {
  override get message() {
    const hint =
      this.actual === "CREATE_JUST"
        ? "Start it first, or use the layer, which gives a started one."
        : this.actual === "SHUTDOWN_ALREADY"
          ? "It was shut down and stays so; make a new one."
          : this.actual === "RUNNING"
            ? "It was started already; use the running one."
            : "Its start is under way or failed; make a new one after a failure."
    return `${this.subject}: cannot ${this.action} in state ${this.actual} (needs ${this.expected}). ${hint}`
  }
}

/** A producer or consumer group whose name RocketMQ does not allow. Source: RocketMQ `Validators.checkGroup`. */
export class InvalidGroup extends Schema.TaggedError<InvalidGroup>()("InvalidGroup", {
  /** The name that was given. */
  group: Schema.String,
  /**
   * Which rule it breaks: nothing in it, more than 120 characters, one besides letters, digits, `%`, `|`, `-` and `_`,
   * or a name that RocketMQ keeps for itself.
   */
  problem: Schema.Literals(["blank", "too-long", "illegal-characters", "reserved"]),
  /** The rule in words. */
  detail: Schema.String
}) {
  override get message() {
    return `The group "${this.group}" is not usable: ${this.detail}.`
  }
}

/** No name server address is known. Source: RocketMQ client code 10004. */
export class NoNameServer extends Schema.TaggedError<NoNameServer>()("NoNameServer", {
  /** Where an address was looked for, each with what was found there. */
  looked: Schema.Array(Schema.String)
}) {
  override get message() {
    return `No name server address is known. Looked at: ${this.looked.join("; ")}. Set namesrvAddr ("host:9876"), the environment variable NAMESRV_ADDR, a NameServerResolver, or namesrvDomain.`
  }
}

/** What one name server did with a request. */
export class NameServerTry extends Schema.Class<NameServerTry>("NameServerTry")({
  /** `host:port` that was tried. */
  address: Schema.String,
  /**
   * What it did: no address for its name, nobody listens, no answer, connection ended, no frame of RocketMQ, not ready
   * yet, an error, no TLS; or that nothing was sent, unsigned or for want of file descriptors.
   */
  problem: Schema.Literals([
    "name-not-resolved",
    "refused",
    "silent",
    "closed",
    "unreadable",
    "not-ready",
    "rejected",
    "tls-failed",
    "not-signed",
    "exhausted"
  ]),
  /** For `tls-failed`: what was wrong. */
  tls: Schema.optional(TlsReason),
  /** The same with particulars: a code, a time, what the platform reported. */
  detail: Schema.String
}) {}

const describeTries = (tries: ReadonlyArray<NameServerTry>) =>
  tries.map((t) => `${t.address}: ${t.problem} (${t.detail})`).join("; ")

/** None of the name servers answered. */
export class NameServerUnavailable extends Schema.TaggedError<NameServerUnavailable>()("NameServerUnavailable", {
  /** What each of them did, in the order in which they were tried. */
  tries: Schema.Array(NameServerTry)
}) {
  override get message() {
    // What is wrong with TLS says itself what to do.
    const advice = this.tries.every(({ tls }) => tls !== undefined)
      ? ""
      : " Check that the addresses are right and reachable from this machine; `effect-rocketmq doctor --namesrv ...` walks through it."
    return `No name server answered. ${describeTries(this.tries)}.${advice}`
  }
}

/** How many addresses an error's message names. */
const SHOWN_ADDRESSES = 8

/** The causes that stay until somebody changes something. */
const needsChange: ReadonlySet<RouteProblem> = new Set<RouteProblem>([
  "no-name-server-address",
  "topic-absent",
  "too-many-queues",
  "address-not-allowed",
  "address-unreadable"
])

/** A topic without a route: which of its causes it is, and what each name server said. Source: RocketMQ client code 10005. */
export class RouteUnavailable extends Schema.TaggedError<RouteUnavailable>()("RouteUnavailable", {
  /** The topic. */
  topic: Schema.String,
  /** Which of the causes it is. */
  problem: RouteProblem,
  /** What each name server did; empty where none was asked. */
  tries: Schema.Array(NameServerTry),
  /** For `address-not-allowed` and `address-unreadable`: the addresses that are not dialled and why, the first 100. */
  refused: Schema.optional(Schema.Array(AddressRefused)),
  /** For `too-many-queues`: how many the route has, at least. */
  queues: Schema.optional(Schema.Number)
}) {
  override get message() {
    const answers = this.tries.length === 0 ? "" : ` ${describeTries(this.tries)}.`
    const evidence = this.evidence.map((sentence) => ` ${sentence}.`).join("")
    return `No route to topic "${this.topic}": ${this.problem}.${answers}${evidence} ${this.remedy}`
  }
  /** What is wrong with the route itself, as sentences without their full stops. */
  get evidence(): ReadonlyArray<string> {
    if (this.queues !== undefined) {
      return [`The route has ${this.queues} queues or more, and at most ${MAX_QUEUES} are taken`]
    }
    const refused = this.refused ?? []
    const more = refused.length - SHOWN_ADDRESSES
    const shown = refused.slice(0, SHOWN_ADDRESSES).map(({ evidence }) => evidence)
    return more > 0 ? [...shown, `So it is with ${more} more`] : shown
  }
  /** What to do about it. */
  get remedy(): string {
    return this.refused?.[0]?.remedy ?? routeRemedy[this.problem]
  }
  /** Whether asking again may help without a change by somebody. */
  get retryable() {
    return !needsChange.has(this.problem)
  }
}

/** The chosen queue's broker is in no route that this client can read. Source: RocketMQ client code 10003. */
export class BrokerNotExist extends Schema.TaggedError<BrokerNotExist>()("BrokerNotExist", {
  /** The topic whose route was looked at. */
  topic: Schema.String,
  /** The broker that the queue lies on. */
  brokerName: Schema.String,
  /** The master's address, where there is one that is not dialled, and why. */
  refused: Schema.optional(AddressRefused)
}) {
  override get message() {
    return this.refused === undefined
      ? `The broker "${this.brokerName}" has no master that the route of topic "${this.topic}" names. Check that it runs, or choose a queue of another broker.`
      : `The master of the broker of topic "${this.topic}" is not dialled. ${this.refused.message}`
  }
}

/** A broker or name server answered with a code that is not a success. Source: RocketMQ `MQBrokerException`. */
export class BrokerRejected extends Schema.TaggedError<BrokerRejected>()("BrokerRejected", {
  /** `host:port` of the server. */
  address: Schema.String,
  /** The request that was refused, by name. */
  request: Schema.String,
  /** The response code. */
  code: Schema.Int,
  /** Its name in RocketMQ, `SYSTEM_BUSY` for instance. */
  codeName: Schema.String,
  /** The server's own words, shortened, and without characters that a terminal acts on or an eye is deceived by. */
  remark: Schema.String
}) {
  override get message() {
    return `${this.address} refused ${this.request} with ${this.codeName} (${this.code})${this.remark === "" ? "" : `: ${this.remark.replace(/\.$/, "")}`}.`
  }
}

/** A server's answer that cannot be read. */
export class UnreadableAnswer extends Schema.TaggedError<UnreadableAnswer>()("UnreadableAnswer", {
  /** `host:port` of the server. */
  address: Schema.String,
  /** The request that was answered, by name. */
  request: Schema.String,
  /** Which field or part cannot be read, and why. */
  detail: Schema.String
}) {
  override get message() {
    return `The answer of ${this.address} to ${this.request} cannot be read: ${this.detail}. Is it a RocketMQ server of version 4.9 or 5?`
  }
}

/** What a request to a server can fail with. */
export const ApiError = Schema.Union([...RemotingError.members, AccessDenied, BrokerRejected, UnreadableAnswer])
/** What a request to a server can fail with. */
export type ApiError = typeof ApiError.Type

/** A producer group that is registered in this client instance already. */
export class DuplicateProducerGroup extends Schema.TaggedError<DuplicateProducerGroup>()("DuplicateProducerGroup", {
  /** The group that two producers want. */
  group: Schema.String,
  /** The client in which one has it. */
  clientId: Schema.String
}) {
  override get message() {
    return `The producer group "${this.group}" is registered in client ${this.clientId} already. Use that producer, another group, or another instanceName.`
  }
}

/** A consumer group that is registered in this client instance already. */
export class DuplicateConsumerGroup extends Schema.TaggedError<DuplicateConsumerGroup>()("DuplicateConsumerGroup", {
  /** The group. */
  group: Schema.String,
  /** The client that has it: `10.0.0.1@7#1`. */
  clientId: Schema.String
}) {
  override get message() {
    return `The consumer group "${this.group}" is registered in client ${this.clientId} already. Use that consumer, another group, or another instanceName.`
  }
}

const filterRemedy: { readonly [K in "unsupported" | "unreadable" | "other"]: string } = {
  unsupported:
    "Let all brokers of the topic filter by properties (`effect-rocketmq broker config update <broker> --set enablePropertyFilter=true --yes`), or filter by tags.",
  unreadable: "Correct the filter; docs/consuming.md has what it may hold.",
  other: "See the broker's log."
}

/**
 * A broker of the topic was asked whether it can serve the filter of a subscription, and refused it. Nothing was subscribed.
 *
 * Source: RocketMQ `MQClientAPIImpl.checkClientInBroker`.
 */
export class FilterRefused extends Schema.TaggedError<FilterRefused>()("FilterRefused", {
  /** The topic. */
  topic: Schema.String,
  /** The filter, shortened. */
  expression: Schema.String,
  /** `host:port` of the broker. */
  address: Schema.String,
  /** `unsupported`: it filters by tags only. `unreadable`: it cannot read this filter. */
  problem: Schema.Literals(["unsupported", "unreadable", "other"]),
  /** The response code. */
  code: Schema.Int,
  /** Its name in RocketMQ, `SUBSCRIPTION_PARSE_FAILED` for instance. */
  codeName: Schema.String,
  /** The broker's own words, shortened, and without characters that a terminal acts on or an eye is deceived by. */
  remark: Schema.String
}) {
  override get message() {
    return `Broker ${this.address} refused the filter "${this.expression}" of topic "${this.topic}" with ${this.codeName} (${this.code})${this.remark === "" ? "" : `: ${this.remark.replace(/\.$/, "")}`}. ${this.remedy}`
  }
  /** What to do about it. */
  get remedy() {
    return filterRemedy[this.problem]
  }
}

/** A broker that did not acknowledge the heartbeat that the readiness `registered` waits for. */
export class BrokerNotRegistered extends Schema.TaggedError<BrokerNotRegistered>()("BrokerNotRegistered", {
  /** The broker's name. */
  brokerName: Schema.String,
  /** `host:port` at which it was asked. */
  address: Schema.String,
  /** Why the heartbeat was not acknowledged. */
  cause: ApiError
}) {
  override get message() {
    return `Broker ${this.brokerName} at ${this.address} did not acknowledge this client's heartbeat: ${this.cause.message} If the address is one of a container or a private network, provide an AddressTranslator.`
  }
}

/** The address server over HTTP gave no usable list. */
export class AddressServerFailed extends Schema.TaggedError<AddressServerFailed>()("AddressServerFailed", {
  /** What was fetched. */
  url: Schema.String,
  /**
   * What came of it: no answer, a status other than 200, a redirect that is not followed, nothing, an answer without an end,
   * or a text that is no list of addresses.
   */
  problem: Schema.Literals(["unreachable", "status", "redirect", "empty", "too-large", "not-a-list"]),
  /** The same with particulars: the status, the text, what the platform reported. */
  detail: Schema.String
}) {
  override get message() {
    return `The name server addresses cannot be read from ${this.url}: ${this.detail}. The last good list, if any, stays in use.`
  }
}

/** A {@link NameServerResolver} that failed. */
export class NameServerResolveError extends Schema.TaggedError<NameServerResolveError>()("NameServerResolveError", {
  /** The resolver's name. */
  resolver: Schema.String,
  /** What it failed or died with. */
  cause: Schema.Defect()
}) {
  override get message() {
    return `The name server resolver "${this.resolver}" failed: ${ForeignText.ofThrownWithName(this.cause)}. The last good list, if any, stays in use.`
  }
}

/** The start did not finish within its deadline. */
export class StartTimeout extends Schema.TaggedError<StartTimeout>()("StartTimeout", {
  /** Milliseconds that the start had: `startTimeoutMillis`. */
  timeoutMillis: Schema.Number,
  /** What was under way. */
  during: Schema.String
}) {
  override get message() {
    return `The start did not finish within ${Millis.text(this.timeoutMillis)}; it was at "${this.during}". Check that the servers are reachable, or raise startTimeoutMillis.`
  }
}

/** The start that this caller waited for was interrupted by the one who began it. */
export class StartInterrupted extends Schema.TaggedError<StartInterrupted>()("StartInterrupted", {
  /** What was being started: `producer orders-pg`. */
  subject: Schema.String
}) {
  override get message() {
    return `The start of ${this.subject} was interrupted; everything it had acquired was released. Make a new one.`
  }
}

/** Everything that can keep a start from succeeding. */
export const StartReason = Schema.Union([
  IllegalServiceState,
  InvalidGroup,
  InvalidConfig,
  NoNameServer,
  NameServerUnavailable,
  AddressServerFailed,
  NameServerResolveError,
  DuplicateProducerGroup,
  DuplicateConsumerGroup,
  RouteUnavailable,
  AccessDenied,
  FilterRefused,
  BrokerNotRegistered,
  StartTimeout,
  StartInterrupted
])
/** What can keep a start from succeeding. */
export type StartReason = typeof StartReason.Type

/** A start that failed: at which step of docs/startup.md, and why. Everything acquired up to there has been released. */
export class StartError extends Schema.TaggedError<StartError>()("StartError", {
  /** The number of the step, as in docs/startup.md. */
  step: Schema.String,
  /** The step's name. */
  name: Schema.String,
  /** Why; take it apart with `Effect.catchReason`. */
  reason: StartReason
}) {
  override get message() {
    return `Start failed at step ${this.step} (${this.name}): ${this.reason.message}`
  }
  /** Whether the same start may succeed later without a change of the configuration. */
  get retryable() {
    switch (this.reason._tag) {
      case "NameServerUnavailable":
      case "AddressServerFailed":
      case "NameServerResolveError":
      case "BrokerNotRegistered":
      case "StartTimeout":
      case "StartInterrupted":
        return true
      case "RouteUnavailable":
        return this.reason.retryable
      default:
        return false
    }
  }
}
