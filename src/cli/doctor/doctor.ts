import { Console, Duration, Effect } from "effect"
import { make as makeAdmin } from "../../admin/MQAdmin.ts"
import * as AddressPolicies from "../../client/AddressPolicy.ts"
import { AddressTranslator } from "../../client/AddressTranslator.ts"
import { boundedBrokers } from "../../client/RouteBounds.ts"
import * as ClientConfig from "../../client/ClientConfig.ts"
import { parseNamesrvAddr } from "../../client/NameServerAddresses.ts"
import { HostInfo } from "../../client/ClientId.ts"
import * as InstanceRemoting from "../../client/InstanceRemoting.ts"
import { MQClientManager } from "../../client/MQClientManager.ts"
import { withEndpointNamespace } from "../../client/ResolveConfig.ts"
import * as Message from "../../message/Message.ts"
import { AUTO_CREATE_TOPIC_KEY_TOPIC, MASTER_ID } from "../../message/MixAll.ts"
import { DefaultMQProducer } from "../../producer/DefaultMQProducer.ts"
import type { ClusterInfo } from "../../protocol/ClusterInfo.ts"
import type { BrokerData } from "../../protocol/TopicRouteData.ts"
import type * as Remoting from "../../transport/RemotingClient.ts"
import type { TlsOptions } from "../../transport/Tls.ts"
import { accessOptions } from "../Connection.ts"
import * as Checks from "./DoctorChecks.ts"
import * as Group from "./DoctorGroup.ts"
import * as Reports from "./DoctorReport.ts"
import { type Finding, MAX_DETAIL, type Report, skipped } from "./DoctorReport.ts"
import { CommandFailed, ExitCode, explain, reporting } from "../Failure.ts"
import type { Access } from "../ConnectionFlags.ts"
import { NO_NAME_SERVER } from "../remedy/Advice.ts"
import { palette, Screen } from "../Screen.ts"
import { excerpt, json, printable } from "../Text.ts"

/** What `doctor` is asked. */
export interface DoctorInput {
  /** Absent when neither `--namesrv` nor a variable for it is set: that is the first thing the doctor finds. */
  readonly namesrv: string | undefined
  readonly access: Access
  readonly topic: string | undefined
  /** The consumer group whose health is looked at as well. */
  readonly group: string | undefined
  /** Whether to send one message to the topic; it never sends otherwise. */
  readonly send: boolean
  readonly json: boolean
}

/** The producer group under which the doctor shows up at the brokers while it looks. */
const GROUP = "effect-rocketmq-doctor"

/**
 * Makes one check for several addresses at once; gives those that passed. One that fails beside others that pass is a
 * warning only.
 */
const each = Effect.fnUntraced(function* <F extends Finding, R>(
  report: Report,
  step: number,
  name: string,
  addresses: ReadonlyArray<string>,
  check: (address: string) => Effect.Effect<F, never, R>
) {
  const found = yield* Effect.forEach(
    addresses,
    (address) =>
      Effect.map(Effect.timed(check(address)), ([took, finding]) => ({
        address,
        finding: { ...finding, millis: Duration.toMillis(took) }
      })),
    { concurrency: 8 }
  )
  const passed = found.filter(({ finding }) => finding.verdict !== "failed")
  for (const { finding } of found) {
    const verdict = finding.verdict === "failed" && passed.length > 0 ? "warn" : finding.verdict
    yield* report.check(step, name, Effect.succeed({ ...finding, verdict }))
  }
  return passed
})

/** Steps 1 to 4: from the configuration to the name servers that answer, and what those know. */
const nameServers = Effect.fnUntraced(function* (
  report: Report,
  asker: Checks.Asker,
  namesrv: string | undefined,
  tls: TlsOptions | undefined
) {
  const { addresses, problems } = parseNamesrvAddr(namesrv ?? "")
  const [problem] = problems
  yield* report.check(
    1,
    "addresses known",
    Effect.succeed<Finding>(
      problem !== undefined
        ? { verdict: "failed", detail: problem.problem, remedy: "Write them as host:port;host:port.", exitCode: 2 }
        : addresses.length === 0
          ? {
              verdict: "failed",
              detail: "no --namesrv was passed, and NAMESRV_ADDR is not set",
              remedy: NO_NAME_SERVER,
              exitCode: ExitCode.usage
            }
          : { verdict: "ok", detail: addresses.join(", ") }
    )
  )
  if (problem !== undefined || addresses.length === 0) return []
  const resolved = yield* each(report, 2, "name server resolves", addresses, Checks.resolves)
  const connected = yield* each(
    report,
    3,
    "name server connects",
    resolved.map(({ address }) => address),
    (address) => Checks.connects(address, tls)
  )
  return yield* each(
    report,
    4,
    "name server answers",
    connected.map(({ address }) => address),
    (address) => Checks.nameServerAnswers(asker, address)
  )
})

/** Steps 5 to 9: the cluster, the routes, and its masters as this machine reaches them. */
const brokers = Effect.fnUntraced(function* (
  report: Report,
  asker: Checks.Asker,
  nameServer: string,
  infos: ReadonlyArray<ClusterInfo>,
  topic: string | undefined
) {
  const policy = AddressPolicies.make({ allowAddress: undefined, ...(yield* AddressTranslator) })
  /** The masters, with their addresses as this machine reaches them, or why it does not dial them. */
  const resolved = (named: Iterable<BrokerData>) =>
    Effect.forEach(
      boundedBrokers(named).brokers.flatMap(({ brokerAddrs, brokerName }) => {
        const address = brokerAddrs.get(MASTER_ID)
        return address === undefined ? [] : [{ brokerName, brokerId: MASTER_ID, address }]
      }),
      (broker) => Effect.map(policy.resolve(broker), (address) => ({ brokerName: broker.brokerName, address }))
    )
  const mastersOf = (named: ReadonlyArray<BrokerData>) =>
    Effect.map(resolved(named), (found) =>
      found.flatMap(({ address, brokerName }) => (typeof address === "string" ? [{ address, brokerName }] : []))
    )
  const cluster = yield* report.check(
    5,
    "cluster",
    Effect.sync(() => (infos.length === 0 ? skipped("this user may not see it") : Checks.cluster(infos)))
  )
  if (cluster.verdict === "failed") return []
  const template = AUTO_CREATE_TOPIC_KEY_TOPIC
  const mayCreate = yield* report.check(
    6,
    `template topic ${template}`,
    Effect.map(
      Checks.readRoute(asker, nameServer, template),
      ({ failure, route }) => failure ?? Checks.template(template, route, asker.reached)
    )
  )
  const { route } = yield* report.check(
    7,
    "topic route",
    topic === undefined
      ? Effect.succeed({ ...skipped("no --topic was passed"), route: undefined })
      : Effect.flatMap(Checks.readRoute(asker, nameServer, topic), ({ failure, route: found }) =>
          Effect.map(
            failure === undefined
              ? Checks.topicRoute(asker, topic, found, mayCreate.verdict === "ok", mastersOf)
              : Effect.succeed(failure),
            (finding) => ({ ...finding, route: found })
          )
        )
  )
  const masters = yield* resolved(route?.brokerDatas ?? infos[0]?.brokerAddrTable.values() ?? [])
  const refused = new Map(
    masters.flatMap(({ address }) =>
      typeof address === "string" ? [] : [[address.address, Checks.notDialled(address)] as const]
    )
  )
  if (masters.length === 0) {
    yield* report.check(8, "master reachable", Effect.succeed(skipped("none is known; pass a --topic")))
  }
  const { ip, pid } = yield* HostInfo
  const addresses = masters.map(({ address }) => (typeof address === "string" ? address : address.address))
  const reached = yield* each(report, 8, "master reachable", addresses, (address) => {
    const finding = refused.get(address)
    return finding === undefined
      ? Checks.master(asker, address, { clientID: `${ip}@${pid}#doctor`, group: GROUP })
      : Effect.succeed(finding)
  })
  yield* each(
    report,
    9,
    "release and clock",
    reached.map(({ address }) => address),
    (address) => Checks.clock(asker, address)
  )
  return reached.map(({ address }) => address)
})

/** Steps 12 to 17: the health of a consumer group. */
const consumerGroup = Effect.fnUntraced(function* (
  report: Report,
  remoting: Remoting.RemotingClient,
  reached: ReadonlyArray<string>,
  input: DoctorInput,
  options: ClientConfig.ClientOptions
) {
  const { group, namesrv, topic } = input
  if (group === undefined) return
  const admin = yield* makeAdmin({ ...options, namesrvAddr: namesrv })
  const { namespace } = options
  yield* Group.walk({ report, admin, remoting, brokers: reached, group, topic, reached: input, namespace })
})

/** Steps 10 and 11: the producer as an application starts it, and a message if that was asked for. */
const producer = Effect.fnUntraced(function* (report: Report, input: DoctorInput, options: ClientConfig.ClientOptions) {
  const { namesrv, topic } = input
  const hints = { ...input, diagnosing: true }
  const made = yield* DefaultMQProducer.make({
    ...options,
    producerGroup: GROUP,
    namesrvAddr: namesrv,
    readiness: "registered",
    topics: topic === undefined ? [] : [topic]
  })
  yield* Effect.addFinalizer(() => made.shutdown)
  const started = yield* report.check(
    10,
    "producer start",
    made.start.pipe(
      Effect.andThen(made.state),
      Effect.match({
        onSuccess: ({ steps }): Finding => ({ verdict: "ok", detail: `RUNNING after ${steps.length} steps` }),
        onFailure: (error): Finding => {
          const { exitCode, message, remedy } = explain(error, hints)
          return { verdict: "failed", detail: message, remedy, exitCode }
        }
      })
    )
  )
  if (!input.send || topic === undefined || started.verdict === "failed") {
    const why = !input.send ? "not asked for (--send)" : topic === undefined ? "--send needs --topic" : "not reached"
    yield* report.check(11, "send a message", Effect.succeed(skipped(why)))
    return
  }
  yield* report.check(
    11,
    "send a message",
    made.send(Message.make({ topic, body: "effect-rocketmq doctor" })).pipe(
      Effect.match({
        onSuccess: ({ offsetMsgId, queue, queueOffset, status }): Finding => ({
          verdict: "ok",
          detail: `${status} at ${queue.brokerName}:${queue.queueId}:${queueOffset}, ${offsetMsgId}`
        }),
        onFailure: (error): Finding => {
          const { exitCode, message, remedy } = explain(error, hints)
          return { verdict: "failed", detail: message, remedy, exitCode }
        }
      })
    )
  )
})

/** The first of the steps that are about a consumer group. */
const FIRST_OF_GROUP = 12

/** Says at the end what is wrong first, and what to do. */
const conclude = Effect.fnUntraced(function* (report: Report, { group, json: asJson }: DoctorInput) {
  const failure = report.failure()
  const warnings = report.steps.filter((step) => step.verdict === "warn" && step.remedy !== undefined)
  if (asJson) {
    const steps = report.steps.map(({ detail, millis, name, remedy, step, verdict }) => ({
      step,
      name,
      verdict,
      millis: Math.round(millis * 1_000) / 1_000,
      detail,
      remedy: remedy ?? null
    }))
    const found = steps.find((step) => step.verdict === "failed")
    yield* Console.log(json({ ok: failure === undefined, steps, failure: found ?? null }))
  } else {
    const colors = palette((yield* Screen).stdout)
    const isWell = warnings.every(({ step }) => step < FIRST_OF_GROUP)
    const ofGroup =
      group === undefined
        ? ""
        : isWell
          ? `, and nothing is wrong with group ${printable(group)}`
          : `; group ${printable(group)} is worth a look`
    yield* Console.log("")
    for (const { detail, remedy, step } of warnings) {
      yield* Console.log(`${colors.warn("look at")} step ${step}: ${excerpt(detail, MAX_DETAIL)}`)
      yield* Console.log(`  ${excerpt(remedy ?? "", MAX_DETAIL)}`)
    }
    if (failure === undefined) {
      yield* Console.log(
        `${colors.good("healthy")}: a producer on this machine can start and reach every master${ofGroup}`
      )
    } else {
      yield* Console.log(`${colors.bad("first failure")} at step ${failure.step}, ${failure.name}`)
      yield* Console.log(`  evidence  ${excerpt(failure.detail, MAX_DETAIL)}`)
      yield* Console.log(`  remedy    ${excerpt(failure.remedy ?? "", MAX_DETAIL)}`)
    }
  }
  if (failure !== undefined) {
    yield* new CommandFailed({ exitCode: failure.exitCode ?? ExitCode.failed, summary: failure.detail })
  }
})

/**
 * `effect-rocketmq doctor`: walks from the configuration to a started producer, and through a consumer group where one is
 * named; names the first thing that does not work, and says what to do about it.
 */
export const run = Effect.fnUntraced(function* (input: DoctorInput) {
  const report = yield* Reports.make({ quiet: input.json })
  yield* Effect.gen(function* () {
    // As the producer of step 10 would: an instance's endpoint stands for a namespace.
    const options = yield* withEndpointNamespace({
      ...(yield* accessOptions(input.access)),
      namesrvAddr: input.namesrv
    })
    const remoting = yield* InstanceRemoting.make(
      ClientConfig.resolve({
        ...options,
        remoting: { ...options.remoting, connectTimeoutMillis: Checks.TIMEOUT_MILLIS }
      }).config,
      () => true,
      parseNamesrvAddr(input.namesrv ?? "").addresses
    )
    const asker = { remoting, reached: input }
    const answering = yield* nameServers(report, asker, input.namesrv, options.tls)
    const infos = answering.flatMap(({ finding }) => (finding.info === undefined ? [] : [finding.info]))
    const [first] = answering
    if (first === undefined) return
    const reached = yield* brokers(report, asker, first.address, infos, input.topic)
    if (report.failure() === undefined) yield* producer(report, input, options)
    if (report.failure() === undefined) yield* consumerGroup(report, remoting, reached, input, options)
  }).pipe(Effect.scoped, Effect.provide(MQClientManager.layer), reporting())
  yield* conclude(report, input)
})
