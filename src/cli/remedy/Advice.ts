import type { AdminReason } from "../../admin/AdminError.ts"
import type { AccessDenied } from "../../client/AccessDenied.ts"
import type { BrokerRejected, NameServerTry, StartReason } from "../../client/ClientError.ts"
import type { RouteProblem } from "../../client/RouteProblem.ts"
import type { SendReason } from "../../producer/send/SendError.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import { type TlsReason, tlsHints } from "../../transport/Tls.ts"
import type { WireError } from "../../transport/Wire.ts"
import { type Reached, toRun } from "../Printed.ts"

/** What remedies mention. */
export interface Hints extends Reached {
  readonly topic?: string | undefined
  /** Whether it was a send that failed. */
  readonly sending?: boolean | undefined
  /** Whether it is the doctor who says it, who sends nobody to the doctor. */
  readonly diagnosing?: boolean | undefined
}

/** How a command ends, by the name of its exit code, and what to do where the command line knows better than the error. */
export interface Advice {
  readonly exit: "failed" | "usage" | "cannotConnect" | "refused"
  readonly remedy?: string | undefined
}

/** What the library fails with. */
export type Reason = StartReason | SendReason | AdminReason | WireError

const NO_BROKER_REMEDY =
  "Start a broker that registers with these name servers (mqbroker -n <host:port>); it is known within 30 s of its start."

/** What to do where no name server was named. */
export const NO_NAME_SERVER = "Pass --namesrv host:9876, or set NAMESRV_ADDR."

const NO_MASTER = "Start the broker's master, or wait for the fail-over."

const says = (exit: Advice["exit"], remedy?: string): Advice => ({ exit, remedy })

const ofTls: { readonly [K in TlsReason]: string } = {
  expired: "Have the server's certificate renewed, or set this machine's clock right.",
  "not-yet-valid": "Set the clocks of this machine and of the server right.",
  "self-signed":
    "Have one authority sign the certificates of all servers (tls.server.certPath there, and tls.test.mode.enable=false), and pass the authority's as --tls-ca <file>, or ROCKETMQ_TLS_CA_FILE. For a trial, --tls-insecure takes any.",
  untrusted: "Pass the certificate of the authority that signed it as --tls-ca <file>, or ROCKETMQ_TLS_CA_FILE.",
  "wrong-host":
    "Name the server in --namesrv as its certificate does, or pass the name in the certificate as --tls-servername.",
  "plain-server":
    "Leave out the --tls flags and unset ROCKETMQ_TLS_ENABLE (--no-tls), or enable TLS on the server (tls.server.mode).",
  "client-cert": "Pass a certificate that the server trusts as --tls-cert <file>, and its key as --tls-key <file>.",
  protocol: "Enable TLS 1.2 or later on the server; if it wants a client certificate, pass --tls-cert and --tls-key.",
  options:
    "Check the files of --tls-ca, --tls-cert and --tls-key: each is PEM, the key fits the certificate, and ROCKETMQ_TLS_PASSPHRASE opens it.",
  "no-tls-here": `${tlsHints["no-tls-here"]}.`,
  other: "See the server's log about the handshake, and compare its certificate with the files of the --tls flags."
}

/** What to do about TLS, in the words of the flags. */
export const tlsRemedy = (reason: TlsReason): string => ofTls[reason]

/** The one thing that was wrong with TLS at every name server; undefined where it was something else. */
const tlsOf = (tries: ReadonlyArray<NameServerTry>): TlsReason | undefined => {
  const [first] = tries
  return tries.every(({ tls }) => tls === first?.tls) ? first?.tls : undefined
}

/** The same cluster, to be asked by somebody else. */
const byOthers = ({ access, namesrv }: Hints): Reached => {
  if (access === undefined) return { namesrv }
  const { accessKey: _, ...others } = access
  return { namesrv, access: others }
}

/** What to do about a refusal by access control, in the words of the flags. */
export const accessRemedy = ({ problem, user }: AccessDenied, hints: Hints): string => {
  const asAdmin = toRun(byOthers(hints))
  switch (problem) {
    case "signature":
      return "Check the secret key, ROCKETMQ_SECRET_KEY or --secret-key: the server computes another signature."
    case "unknown-user":
      return "Check the access key, ROCKETMQ_ACCESS_KEY or --access-key: the server knows no such user."
    case "no-credentials":
      return "Set ROCKETMQ_ACCESS_KEY and ROCKETMQ_SECRET_KEY, or pass --access-key and --secret-key."
    case "user-disabled":
      return user === undefined
        ? "Have the user enabled by an administrator."
        : `Have an administrator enable the user: ${asAdmin`user update ${user} --status enable`}`
    case "permission":
      return user === undefined
        ? "Have an administrator grant it, or ask as another user. On 4.x conf/plain_acl.yml of the broker says who may do what."
        : `Have an administrator grant it (acl create), or ask as another user. An administrator sees what this one may do: ${asAdmin`acl list --user ${user}`}`
    case "clock":
      return "Set the clocks of this machine and of the server right."
    default:
      return "See the server's own words above."
  }
}

const doctor = (hints: Hints) => {
  const { topic } = hints
  return toRun(hints)`doctor ${topic === undefined ? [] : ["--topic", topic]}`
}

/** Where to look next. */
const seeWhere = (hints: Hints): string =>
  hints.diagnosing === true
    ? "The steps before this one passed: the servers may only be slow or restart, so look once more; else see their logs."
    : `See where it ends: ${doctor(hints)}`

const ofRoute = (problem: RouteProblem, topic: string, tries: ReadonlyArray<NameServerTry>, hints: Hints): Advice => {
  const run = toRun(hints)
  switch (problem) {
    case "no-name-server-address":
      return says("usage", NO_NAME_SERVER)
    case "no-broker":
      return says("cannotConnect", NO_BROKER_REMEDY)
    case "topic-absent":
      return says("refused", `Check the name, or create it: ${run`topic create ${topic}`}`)
    case "no-writable-queue":
      return says(
        "refused",
        `If the topic lacks write permission: ${run`topic update ${topic} --perm rw`} ; its brokers may be closed instead, and the doctor tells which: ${doctor({ ...hints, topic })}`
      )
    case "name-server-rejected":
      return says("refused", `See the name server's own words above. ${seeWhere(hints)}`)
    case "no-master":
      return says("cannotConnect", NO_MASTER)
    case "too-many-queues":
    case "address-not-allowed":
    case "address-unreadable":
      return says("cannotConnect")
    default: {
      const tls = tlsOf(tries)
      return says("cannotConnect", tls === undefined ? seeWhere(hints) : tlsRemedy(tls))
    }
  }
}

/** What only name servers know; a broker answers that it does not. */
const ofNameServers: ReadonlySet<string> = new Set(["GET_BROKER_CLUSTER_INFO", "GET_ROUTEINFO_BY_TOPIC"])

/** What to do where a broker was named as name server. */
export const NO_NAME_SERVER_THERE =
  "That is how a broker answers. Pass the name server's address as --namesrv, by default port 9876."

const ofCode = ({ code, request }: BrokerRejected, hints: Hints): Advice => {
  const { topic } = hints
  switch (code) {
    case ResponseCode.TOPIC_NOT_EXIST:
      return topic === undefined
        ? says("refused")
        : says("refused", `Check the name, or create it: ${toRun(hints)`topic create ${topic}`}`)
    case ResponseCode.SYSTEM_BUSY:
    case ResponseCode.FLOW_CONTROL:
      return says(
        "refused",
        hints.sending === true
          ? "Send less at once (--concurrency, --rate), or raise --timeout: busy answers are waited out within it. Look at the broker's disk."
          : undefined
      )
    case ResponseCode.REQUEST_CODE_NOT_SUPPORTED:
      return says("refused", ofNameServers.has(request) ? NO_NAME_SERVER_THERE : undefined)
    case ResponseCode.NO_PERMISSION:
      return request.startsWith("SEND_") && hints.diagnosing !== true
        ? says("refused", `See whether the topic or its broker is closed: ${doctor(hints)}`)
        : says("refused")
    default:
      return says("refused")
  }
}

/** What to do about a failure of the library. */
export const ofReason = (reason: Reason, hints: Hints): Advice => {
  const run = toRun(hints)
  switch (reason._tag) {
    case "GroupNotFound":
      return says("refused", `Check the name: ${run`group list`} ; or create it: ${run`group create ${reason.group}`}`)
    case "NoNameServer":
      return says("usage", NO_NAME_SERVER)
    case "InvalidConfig":
      return reason.problems.every(({ path }) => /^(?:namesrvAddr|NAMESRV_ADDR)/.test(path))
        ? says("usage", "Write addresses as host:port;host:port.")
        : reason.problems.every(({ path }) => /^tls\b/.test(path))
          ? says("usage", ofTls.options)
          : says("usage")
    case "InvalidGroup":
      return says("usage", "Choose another --group.")
    case "InvalidMessage":
      return says("usage", "Change that part of the message.")
    case "InvalidText":
      return says("usage", "Correct the text.")
    case "InvalidMessageId":
      return says("usage", "Pass an offsetMsgId, not a msgId.")
    case "UnknownCluster":
      return reason.clusters.length === 0
        ? says("cannotConnect", NO_BROKER_REMEDY)
        : // One that has to be named is missing; one that was named is not there.
          says(reason.clusterName === undefined ? "usage" : "refused", "Pass one of them as --cluster.")
    case "UnknownBroker":
      return reason.brokers.length === 0
        ? says("cannotConnect", NO_BROKER_REMEDY)
        : says("refused", `Name one of them; this shows what there is: ${run`cluster list`}`)
    case "RouteUnavailable":
      return ofRoute(reason.problem, reason.topic, reason.tries, hints)
    case "BrokerNotRegistered":
      return ofReason(reason.cause, hints)
    case "BrokerRejected":
      return ofCode(reason, hints)
    case "AccessDenied":
      return says("refused", accessRemedy(reason, hints))
    case "TopicNotFound":
      return says("refused", `Check the name, or create it: ${run`topic create ${reason.topic}`}`)
    case "FilterRefused":
      return reason.problem === "unsupported"
        ? says(
            "refused",
            `Filter by tags, or let every broker of the topic filter by properties: ${run`broker config update ${reason.address} --set enablePropertyFilter=true --yes`}`
          )
        : says("refused")
    case "UnknownSetting":
      return says(
        "refused",
        `Check the spelling: ${reason.server.startsWith("Broker ") ? run`broker config ${reason.server.slice("Broker ".length)}` : run`namesrv config`}`
      )
    case "InvalidOrderConf":
      return says(
        "refused",
        `Name brokers of the topic, and of each no more queues than can be written: ${run`topic config ${reason.topic}`}`
      )
    case "MessageNotFound":
    case "ConsumerNotOnline":
    case "SendForbidden":
    case "NoAccessControl":
      return says("refused")
    case "TopicAlreadyExists":
      return says(
        "refused",
        `Pass --if-not-exists to leave it as it is, --replace to set it anew, or let topic update change what you name and nothing else. This shows how it is: ${run`topic config ${reason.topic}`}`
      )
    case "GroupAlreadyExists":
      return says(
        "refused",
        `Pass --if-not-exists to leave it as it is, --replace to set it anew, or let group update change what you name and nothing else. This shows how it is: ${run`group list`}`
      )
    case "TlsFailed":
      return says("cannotConnect", tlsRemedy(reason.reason))
    case "NameServerUnavailable": {
      const tls = tlsOf(reason.tries)
      return says("cannotConnect", tls === undefined ? seeWhere(hints) : tlsRemedy(tls))
    }
    case "AddressServerFailed":
    case "NameServerResolveError":
    case "StartTimeout":
    case "ConnectFailed":
    case "ConnectionClosed":
    case "UnreadableAnswer":
      return says("cannotConnect", seeWhere(hints))
    case "AddressRefused":
    case "TooManyBrokers":
    case "TooMuchAnswered":
      return says("cannotConnect")
    case "BrokerNotExist":
      return says("cannotConnect", reason.refused?.remedy ?? NO_MASTER)
    case "NoMaster":
      return says("cannotConnect", NO_MASTER)
    case "WireError":
      return reason.operation === "listen"
        ? says(
            "failed",
            reason.kind === "in-use"
              ? "Choose another --port; --port 0 takes free ones."
              : "Choose another --host or --port."
          )
        : says("cannotConnect", seeWhere(hints))
    case "RequestTimeout":
    case "SendTimeout":
    case "TooManyRequests":
      // Only a command that sends has these flags.
      return says("failed", hints.sending === true ? "Raise --timeout, or lower --concurrency." : seeWhere(hints))
    default:
      return says("failed")
  }
}
