import { Clock, Effect } from "effect"
import { isIP } from "node:net"
import * as ForeignText from "../../message/ForeignText.ts"
import { explain } from "../../explain/Explain.ts"
import { type AccessDenied, accessDenied } from "../../client/AccessDenied.ts"
import type { AddressRefused } from "../../client/AddressRefused.ts"
import { routeRemedy } from "../../client/RouteProblem.ts"
import { HostLookup } from "../../client/HostLookup.ts"
import { problemOf } from "../../client/RouteQueues.ts"
import { MASTER_ID, PermName } from "../../message/MixAll.ts"
import type { ClusterInfo } from "../../protocol/ClusterInfo.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import type { Request } from "../../protocol/RemotingCommand.ts"
import * as GetBrokerClusterInfo from "../../protocol/request/GetBrokerClusterInfo.ts"
import * as GetAllTopicConfig from "../../protocol/request/GetAllTopicConfig.ts"
import * as GetBrokerConfig from "../../protocol/request/GetBrokerConfig.ts"
import * as GetBrokerRuntimeInfo from "../../protocol/request/GetBrokerRuntimeInfo.ts"
import * as GetRouteInfoByTopic from "../../protocol/request/GetRouteInfoByTopic.ts"
import * as GetTopicConfig from "../../protocol/request/GetTopicConfig.ts"
import * as HeartBeat from "../../protocol/request/HeartBeat.ts"
import * as UnregisterClient from "../../protocol/request/UnregisterClient.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { RequestCode, requestCodeName } from "../../protocol/RequestCode.ts"
import { ResponseCode, responseCodeName } from "../../protocol/ResponseCode.ts"
import type { BrokerData, TopicRouteData } from "../../protocol/TopicRouteData.ts"
import * as Address from "../../transport/Address.ts"
import type { RemotingClient } from "../../transport/RemotingClient.ts"
import { invoke } from "../../transport/Requests.ts"
import type { RemotingError } from "../../transport/RemotingError.ts"
import { type TlsOptions } from "../../transport/Tls.ts"
import { Wire } from "../../transport/Wire.ts"
import type { Finding } from "./DoctorReport.ts"
import * as Remedies from "./DoctorRemedies.ts"
import { ExitCode } from "../Failure.ts"
import { type Reached, toRun } from "../Printed.ts"
import { accessRemedy, NO_NAME_SERVER_THERE, tlsRemedy } from "../remedy/Advice.ts"
import { count, duration, number } from "../Text.ts"

/** How long one request of the doctor may take, in milliseconds. */
export const TIMEOUT_MILLIS = 3_000

/** With what servers are asked, and how commands that are printed name the cluster. */
export interface Asker {
  readonly remoting: RemotingClient
  readonly reached: Reached
}

const ok = (detail: string): Finding => ({ verdict: "ok", detail })
const warn = (detail: string, remedy: string): Finding => ({ verdict: "warn", detail, remedy })
const failed = (detail: string, remedy: string, exitCode: ExitCode): Finding => ({
  verdict: "failed",
  detail,
  remedy,
  exitCode
})

/** Whether a host has addresses here. */
export const resolves = (address: string): Effect.Effect<Finding> => {
  const parsed = Address.parse(address)
  if (parsed instanceof Address.AddressError) {
    return Effect.succeed(failed(parsed.message, "Write it as host:port or [ipv6]:port.", ExitCode.usage))
  }
  const { host } = parsed
  if (isIP(host) !== 0) return Effect.succeed(ok(`${host} is an address`))
  return Effect.flatMap(HostLookup, (lookup) => lookup(host)).pipe(
    Effect.timeout(TIMEOUT_MILLIS),
    Effect.match({
      onSuccess: (found) => ok(`${host} is ${listed(found)}`),
      onFailure: () =>
        failed(`${host} has no address`, Remedies.nameServerUnreachable(address, "dns"), ExitCode.cannotConnect)
    })
  )
}

/** Whether a connection to a name server can be opened, with TLS where that is wanted. */
export const connects = (address: string, tls: TlsOptions | undefined): Effect.Effect<Finding, never, Wire> =>
  Effect.gen(function* () {
    const wire = yield* Wire
    return yield* wire.connect(address, { connectTimeoutMillis: TIMEOUT_MILLIS, tls }).pipe(
      Effect.scoped,
      Effect.match({
        onSuccess: ({ localAddress }) =>
          ok(
            `${address} from ${localAddress}${tls === undefined ? "" : tls.insecure === true ? ", TLS, not verified" : ", TLS"}`
          ),
        onFailure: ({ kind, tls: reason }) =>
          reason === undefined
            ? failed(`${address}: ${kind}`, Remedies.nameServerUnreachable(address, kind), ExitCode.cannotConnect)
            : failed(`${address}: TLS, ${reason}`, tlsRemedy(reason), ExitCode.cannotConnect)
      })
    )
  })

/** What went wrong with a request, in a few words. */
const inShort = (error: RemotingError): string => {
  switch (error._tag) {
    case "ConnectFailed":
      return error.kind
    case "TlsFailed":
      return `TLS, ${error.reason}`
    case "ConnectionClosed":
      return "connected, and cut off without an answer"
    case "RequestTimeout":
      return `connected, and no answer within ${duration(TIMEOUT_MILLIS)}`
    default:
      return ForeignText.clean(error.message, 160)
  }
}

/** What to do about a request that got no answer, where the explanation of the error knows. */
const remedyOf = (error: RemotingError, otherwise: string): string =>
  error._tag === "TlsFailed"
    ? tlsRemedy(error.reason)
    : error._tag === "RpcHookFailed"
      ? explain(error).remedy
      : otherwise

/** What a refusal by access control comes to. */
const deniedFinding = (asker: Asker, denied: AccessDenied): Finding =>
  failed(
    `${denied.address} denied ${denied.request}${denied.user === undefined ? "" : ` to user ${denied.user}`} (${denied.problem}): ${denied.remark}`,
    accessRemedy(denied, asker.reached),
    ExitCode.refused
  )

/** Asks a server and says how it went in words; an error code is an answer too. */
const ask = <A>(
  asker: Asker,
  address: string,
  request: Request,
  decode: (response: Parameters<typeof GetBrokerClusterInfo.decodeResponse>[0]) => A | DecodeError
) =>
  invoke(asker.remoting, address, request, TIMEOUT_MILLIS).pipe(
    Effect.map((response) => {
      if (response.code !== ResponseCode.SUCCESS) {
        const remark = ForeignText.clean(response.remark, 120)
        return {
          code: response.code,
          version: response.version,
          problem: `${responseCodeName(response.code)} (${response.code}): ${remark}`,
          denied: accessDenied(
            address,
            requestCodeName(request.code),
            response.code,
            ForeignText.clean(response.remark)
          )
        }
      }
      const answer = decode(response)
      return answer instanceof DecodeError
        ? { code: 0, version: response.version, problem: answer.message }
        : { code: 0, version: response.version, answer }
    })
  )

/** Whether a name server answers as one, and what it knows of the cluster. */
export const nameServerAnswers = (
  asker: Asker,
  address: string
): Effect.Effect<Finding & { readonly info?: ClusterInfo }> =>
  ask(asker, address, GetBrokerClusterInfo.request(), GetBrokerClusterInfo.decodeResponse).pipe(
    Effect.match({
      onSuccess: ({ answer, code, denied, problem }) =>
        answer !== undefined
          ? { ...ok(address), info: answer }
          : denied !== undefined
            ? denied.problem === "permission"
              ? // A user that only sends need not have permission to see the whole cluster.
                ok(`${address}, which does not show this user the cluster`)
              : deniedFinding(asker, denied)
            : code === ResponseCode.REQUEST_CODE_NOT_SUPPORTED
              ? failed(`${address} is no name server: ${problem}`, NO_NAME_SERVER_THERE, ExitCode.refused)
              : failed(`${address} answered ${problem}`, "See the name server's log.", ExitCode.refused),
      onFailure: (error) =>
        failed(
          `${address}: ${inShort(error)}`,
          error._tag === "ConnectFailed"
            ? Remedies.nameServerUnreachable(address, error.kind)
            : remedyOf(error, Remedies.nameServerSilent(address)),
          ExitCode.cannotConnect
        )
    })
  )

/** How many brokers, queues or addresses a line names. */
const SHOWN = 16

/** The first of a list in one line, and how many more there are. */
const listed = (items: ReadonlyArray<string>, separator = ", "): string =>
  items.length <= SHOWN
    ? items.join(separator)
    : `${items.slice(0, SHOWN).join(separator)} and ${number(items.length - SHOWN)} more`

/** The brokers of a cluster, sorted: `broker-a (master 10.0.0.1:10911)`. */
const brokersOf = (info: ClusterInfo): ReadonlyArray<string> =>
  [...info.brokerAddrTable.values()]
    .map(({ brokerAddrs, brokerName }) => {
      const addresses = [...brokerAddrs].map(
        ([id, address]) => `${id === MASTER_ID ? "master" : `slave ${id}`} ${address}`
      )
      return `${brokerName} (${listed(addresses)})`
    })
    .toSorted()

/** Whether the cluster has brokers and masters, and whether the name servers agree on them. */
export const cluster = (infos: ReadonlyArray<ClusterInfo>): Finding => {
  const brokers = infos.map(brokersOf)
  const views = brokers.map((view) => listed(view, "; "))
  const [info] = infos
  if (info === undefined || info.brokerAddrTable.size === 0) {
    return failed("no broker is registered", Remedies.NO_BROKERS, ExitCode.cannotConnect)
  }
  const clusters = listed([...info.clusterAddrTable.keys()])
  const masterless = [...info.brokerAddrTable.values()].filter((broker) => !broker.brokerAddrs.has(MASTER_ID))
  if (masterless.length === info.brokerAddrTable.size) {
    return failed(
      `no master: ${views[0] ?? ""}`,
      "Start a master (broker id 0), or wait for the fail-over.",
      ExitCode.cannotConnect
    )
  }
  if (new Set(brokers.map((view) => view.join("; "))).size > 1) {
    return warn(
      `${clusters}: the name servers disagree (${views.join(" | ")})`,
      "Each broker must register with every name server: compare their namesrvAddr. After a restart it takes 30 s."
    )
  }
  return masterless.length > 0
    ? warn(`${clusters}: no master of ${listed(masterless.map((b) => b.brokerName))}`, "Start it.")
    : ok(`${clusters}: ${views[0] ?? ""}`)
}

/** A route, or why it could not be read; neither when there is none. */
export interface RouteFound {
  readonly route?: TopicRouteData | undefined
  readonly failure?: Finding | undefined
}

/** Reads a route. */
export const readRoute = (asker: Asker, address: string, topic: string): Effect.Effect<RouteFound> =>
  ask(
    asker,
    address,
    GetRouteInfoByTopic.request({ topic, acceptStandardJsonOnly: true }),
    GetRouteInfoByTopic.decodeResponse
  ).pipe(
    Effect.match({
      onSuccess: ({ answer, code, denied, problem }): RouteFound =>
        answer !== undefined || code === ResponseCode.TOPIC_NOT_EXIST
          ? { route: answer }
          : {
              failure:
                denied === undefined
                  ? failed(`${address} answered ${problem ?? ""}`, "See the name server's log.", ExitCode.refused)
                  : deniedFinding(asker, denied)
            },
      onFailure: (error): RouteFound => ({
        failure: failed(
          `${address}: ${inShort(error)}`,
          remedyOf(error, Remedies.nameServerSilent(address)),
          ExitCode.cannotConnect
        )
      })
    })
  )

const queuesOf = (route: TopicRouteData): string =>
  listed(
    route.queueDatas.map(({ brokerName, perm, writeQueueNums }) =>
      (perm & PermName.WRITE) === 0 ? `${brokerName} read-only` : `${count(writeQueueNums, "queue")} on ${brokerName}`
    )
  )

/** Whether sends may create topics. */
export const template = (name: string, route: TopicRouteData | undefined, reached: Reached): Finding =>
  route === undefined
    ? warn(
        `no broker has ${name}: topics must be created before a send`,
        `Create topics before they are sent to: ${toRun(reached)`topic create <topic>`} ; or set autoCreateTopicEnable=true in the brokers' configuration and restart them.`
      )
    : ok(`a send may create topics (${queuesOf(route)})`)

/** A master, and where this machine reaches it. */
export interface Master {
  readonly brokerName: string
  readonly address: string
}

/** A topic as a broker keeps it; undefined where the broker does not tell. */
const topicConfigOn = (asker: Asker, address: string, topic: string) =>
  // What every release tells: old brokers leave requests unanswered that they do not know.
  ask(asker, address, GetBrokerRuntimeInfo.request(), GetBrokerRuntimeInfo.decodeResponse).pipe(
    Effect.flatMap(({ version }) =>
      version >= MQVersion.V5_0_0
        ? Effect.map(
            ask(asker, address, GetTopicConfig.request({ topic, lo: true }), GetTopicConfig.decodeResponse),
            ({ answer }) => answer
          )
        : Effect.map(
            ask(asker, address, GetAllTopicConfig.request({}), GetAllTopicConfig.decodeResponse),
            ({ answer }) => answer?.topicConfigTable.get(topic)
          )
    ),
    Effect.orElseSucceed(() => undefined)
  )

/** The permission that a broker gives itself, bits of `PermName`; undefined where it does not tell. */
const brokerPermission = (asker: Asker, address: string) =>
  ask(asker, address, GetBrokerConfig.request(), GetBrokerConfig.decodeResponse).pipe(
    Effect.map(({ answer }) => Number(answer?.get("brokerPermission") ?? Number.NaN)),
    Effect.orElseSucceed(() => Number.NaN)
  )

/**
 * Why no queue of a topic may be written: the topic says so itself, as its brokers keep it, or a broker is closed, by
 * its own permission or at the name server (wipeWritePerm). Only the first is mended at the topic.
 */
const unwritable = Effect.fnUntraced(function* (
  asker: Asker,
  topic: string,
  route: TopicRouteData,
  masters: ReadonlyArray<Master>
) {
  const causes = yield* Effect.forEach(
    masters,
    Effect.fnUntraced(function* ({ address, brokerName }) {
      const config = yield* topicConfigOn(asker, address, topic)
      if (config === undefined) return { brokerName, cause: "unknown" } as const
      if ((config.perm & PermName.WRITE) === 0) return { brokerName, cause: "read-only" } as const
      if (config.writeQueueNums <= 0) return { brokerName, cause: "no-queues" } as const
      const permission = yield* brokerPermission(asker, address)
      return (permission & PermName.WRITE) === 0 && Number.isFinite(permission)
        ? ({ brokerName, cause: "broker-closed" } as const)
        : ({ brokerName, cause: "wiped" } as const)
    }),
    { concurrency: 8 }
  )
  const of = (cause: (typeof causes)[number]["cause"]) => causes.find((found) => found.cause === cause)
  const closed = of("broker-closed")
  const wiped = causes.filter(({ cause }) => cause === "wiped").map(({ brokerName }) => brokerName)
  const run = toRun(asker.reached)
  const remedy =
    of("read-only") !== undefined
      ? `If that is not meant: ${run`topic update --topic ${topic} --perm rw`}`
      : of("no-queues") !== undefined
        ? `If that is not meant: ${run`topic update --topic ${topic} --write-queues 4`}`
        : closed !== undefined
          ? `The topic allows writing; ${closed.brokerName} itself does not (brokerPermission): whoever closed it has to open it. Nothing at the topic helps.`
          : wiped.length > 0
            ? `The topic and ${listed(wiped)} allow writing; the name server was told not to send there (wipeWritePerm). Nothing at the topic helps; if that is not meant: ${listed(
                wiped.map((name) => run`cluster writable ${name}`),
                " && "
              )}`
            : `Ask who runs the brokers: the topic or the brokers are closed for writing.`
  return failed(`${topic} has no queue to write: ${queuesOf(route)}`, remedy, ExitCode.refused)
})

/** Whether a topic can be sent to; `mastersOf` gives the masters of a route as this machine reaches them. */
export const topicRoute = (
  asker: Asker,
  topic: string,
  route: TopicRouteData | undefined,
  mayCreate: boolean,
  mastersOf: (brokers: ReadonlyArray<BrokerData>) => Effect.Effect<ReadonlyArray<Master>>
): Effect.Effect<Finding> => {
  if (route === undefined) {
    return Effect.succeed(
      mayCreate
        ? warn(
            `${topic} does not exist; the first send creates it`,
            `Is it spelled right? This shows what there is: ${toRun(asker.reached)`topic list`}`
          )
        : failed(
            `${topic} does not exist, and a send may not create it`,
            `Check the name, or create it: ${toRun(asker.reached)`topic create --topic ${topic}`}`,
            ExitCode.refused
          )
    )
  }
  const problem = problemOf(route)
  switch (problem) {
    case "no-writable-queue":
      return Effect.flatMap(mastersOf(route.brokerDatas), (masters) => unwritable(asker, topic, route, masters))
    case "no-master":
      return Effect.succeed(
        failed(`no broker of ${topic} has a master`, "Start it, or wait for the fail-over.", ExitCode.cannotConnect)
      )
    case undefined:
      return Effect.succeed(ok(queuesOf(route)))
    default:
      return Effect.succeed(failed(`${topic}: ${problem}`, routeRemedy[problem], ExitCode.cannotConnect))
  }
}

/** The finding of a refusal by access control; undefined for any other answer. */
const refusal = (
  asker: Asker,
  address: string,
  request: number,
  { code, remark }: { readonly code: number; readonly remark: string | undefined }
): Finding | undefined => {
  const denied = accessDenied(address, requestCodeName(request), code, ForeignText.clean(remark))
  return denied === undefined ? undefined : deniedFinding(asker, denied)
}

/** A master whose address is not dialled. */
export const notDialled = (refused: AddressRefused): Finding =>
  failed(`${refused.evidence}.`, refused.remedy, ExitCode.cannotConnect)

/** Whether a master can be reached and acknowledges a heartbeat. */
export const master = (
  asker: Asker,
  address: string,
  client: { readonly clientID: string; readonly group: string }
): Effect.Effect<Finding> =>
  invoke(
    asker.remoting,
    address,
    HeartBeat.request({
      clientID: client.clientID,
      producerDataSet: [{ groupName: client.group }],
      consumerDataSet: [],
      heartbeatFingerprint: 0,
      withoutSub: false
    }),
    TIMEOUT_MILLIS
  ).pipe(
    Effect.tap(() =>
      Effect.ignore(
        invoke(
          asker.remoting,
          address,
          UnregisterClient.request({ clientID: client.clientID, producerGroup: client.group }),
          TIMEOUT_MILLIS
        )
      )
    ),
    Effect.match({
      onSuccess: (response) =>
        response.code === ResponseCode.SUCCESS
          ? ok(`${address} acknowledged a heartbeat`)
          : (refusal(asker, address, RequestCode.HEART_BEAT, response) ??
            failed(
              `${address} refused a heartbeat: ${responseCodeName(response.code)} (${response.code}) ${ForeignText.clean(response.remark, 120)}`,
              "See the broker's own words and its log; access control may want credentials.",
              ExitCode.refused
            )),
      onFailure: (error) =>
        failed(
          `${address}: ${inShort(error)}`,
          remedyOf(error, Remedies.brokerUnreachable(address, error)),
          ExitCode.cannotConnect
        )
    })
  )

/** More than this many milliseconds between two clocks are worth a warning. */
const SKEW_LIMIT_MILLIS = 5_000

/** Milliseconds out of `[ 0 days, 1 hours, 2 minutes, 3 seconds ]`. */
const runtimeMillis = (text: string | undefined): number | undefined => {
  const numbers = /(\d+) days, (\d+) hours, (\d+) minutes, (\d+) seconds/
    .exec(text ?? "")
    ?.slice(1)
    .map(Number)
  if (numbers === undefined) return undefined
  const [days = 0, hours = 0, minutes = 0, seconds = 0] = numbers
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1_000
}

/**
 * The broker's release, and how far its clock is from this one. A broker does not tell its time, but when it started
 * and for how many whole seconds it has been running.
 */
export const clock = (asker: Asker, address: string): Effect.Effect<Finding> =>
  Effect.gen(function* () {
    const here = yield* Clock.Clock
    const { answer, denied, problem } = yield* ask(
      asker,
      address,
      GetBrokerRuntimeInfo.request(),
      GetBrokerRuntimeInfo.decodeResponse
    )
    // Not to be an administrator is fine; to be nobody is not.
    if (denied !== undefined && denied.problem !== "permission") return deniedFinding(asker, denied)
    if (answer === undefined)
      return { verdict: "skipped", detail: `${address} does not tell: ${problem ?? ""}` } as const
    const release = (answer.table.get("brokerVersionDesc") ?? "unknown").replace(/^V/, "").replaceAll("_", ".")
    const boot = Number(answer.table.get("bootTimestamp"))
    const runtime = runtimeMillis(answer.table.get("runtime"))
    if (!Number.isFinite(boot) || runtime === undefined) return ok(`${address} is RocketMQ ${release}`)
    const difference = boot + runtime + 500 - here.currentTimeMillisUnsafe()
    return Math.abs(difference) > SKEW_LIMIT_MILLIS
      ? warn(
          `${address} is RocketMQ ${release}; its clock is ${duration(Math.abs(difference))} ${difference > 0 ? "ahead" : "behind"}`,
          Remedies.CLOCK
        )
      : ok(`${address} is RocketMQ ${release}; its clock agrees within ${duration(SKEW_LIMIT_MILLIS)}`)
  }).pipe(
    Effect.catch((error) =>
      Effect.succeed<Finding>({ verdict: "skipped", detail: ForeignText.clean(error.message, 120) })
    )
  )
