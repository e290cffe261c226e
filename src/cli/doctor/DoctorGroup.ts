import { Effect } from "effect"
import type { AdminError } from "../../admin/AdminError.ts"
import type { ConsumerConnections } from "../../admin/Clients.ts"
import type { MQAdminShape } from "../../admin/MQAdmin.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import { dlqTopic, isRetryTopic } from "../../message/MixAll.ts"
import * as Namespace from "../../message/Namespace.ts"
import * as NameList from "../../message/NameList.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import * as GetConsumerRunningInfo from "../../protocol/push/GetConsumerRunningInfo.ts"
import * as SubscriptionGroup from "../../protocol/request/SubscriptionGroup.ts"
import { ResponseCode } from "../../protocol/ResponseCode.ts"
import type { RemotingClient } from "../../transport/RemotingClient.ts"
import { invoke } from "../../transport/Requests.ts"
import { ExitCode, explain } from "../Failure.ts"
import { type Reached, toRun } from "../Printed.ts"
import { count } from "../Text.ts"
import { type Finding, type Report, skipped } from "./DoctorReport.ts"

/** What the walk through a group works with. */
export interface GroupTask {
  readonly report: Report
  readonly admin: MQAdminShape
  readonly remoting: RemotingClient
  /** Brokers that were reached, as this machine dials them. */
  readonly brokers: ReadonlyArray<string>
  readonly group: string
  readonly topic: string | undefined
  /** The cluster, as printed commands name it. */
  readonly reached: Reached
  readonly namespace: string | undefined
}

/** How long a member may take to answer, its broker in between, in milliseconds. */
const MEMBER_TIMEOUT_MILLIS = 6_000
/** How long a broker may take to list its groups, in milliseconds. */
const SETTINGS_TIMEOUT_MILLIS = 5_000
/** Members that are asked; of a larger group the first ones. */
const MAX_MEMBERS = 64
/** Brokers over which a member is asked, one after the other. */
const BROKERS_A_MEMBER = 2

const ok = (detail: string): Finding => ({ verdict: "ok", detail })
const warn = (detail: string, remedy: string): Finding => ({ verdict: "warn", detail, remedy })

const byError = (task: GroupTask) => (error: AdminError) => {
  const { exitCode, message, remedy } = explain(error, { ...task.reached, topic: task.topic, diagnosing: true })
  return Effect.succeed<Finding>({ verdict: "failed", detail: message, remedy, exitCode })
}

/** What a member says of itself. */
interface Member {
  readonly clientId: string
  /** Its filters by topic, without the retry topic, which everybody reads. */
  readonly filters: ReadonlyMap<string, string>
  readonly queues: ReadonlyArray<MessageQueue.MessageQueue>
}

/** Asks a member, over the brokers, what it subscribes to and owns; undefined where it does not say. */
const askMember = Effect.fnUntraced(function* ({ brokers, group, namespace, remoting }: GroupTask, clientId: string) {
  const request = GetConsumerRunningInfo.request({ consumerGroup: group, clientId })
  const local = (topic: string) => Namespace.unwrap(namespace, topic)
  for (const address of brokers.slice(0, BROKERS_A_MEMBER)) {
    const answer = yield* Effect.option(invoke(remoting, address, request, MEMBER_TIMEOUT_MILLIS))
    if (answer._tag === "None" || answer.value.code !== ResponseCode.SUCCESS) continue
    const info = GetConsumerRunningInfo.decodeResponse(answer.value)
    if (info instanceof DecodeError) continue
    const subscriptions = info.subscriptionSet.map((one) => ({ ...one, topic: local(one.topic) }))
    const member: Member = {
      clientId,
      filters: new Map(
        subscriptions
          .filter(({ topic }) => !isRetryTopic(topic))
          .map(({ expressionType, subString, topic }) => [topic, `${expressionType} ${subString}`])
      ),
      queues: info.mqTable.flatMap(([queue, { droped }]) => (droped ? [] : [{ ...queue, topic: local(queue.topic) }]))
    }
    return member
  }
  return undefined
})

/** What the brokers keep as the group's settings: whether it may consume at all. Asked for one group, a broker would make it. */
const settings = Effect.fnUntraced(function* ({ brokers, group, namespace, reached, remoting }: GroupTask) {
  const name = namespace === undefined ? group : Namespace.wrap(namespace, group)
  const answers = yield* Effect.forEach(
    brokers,
    (address) =>
      Effect.map(
        Effect.option(
          invoke(remoting, address, SubscriptionGroup.request({ operation: "list" }), SETTINGS_TIMEOUT_MILLIS)
        ),
        (answer) => {
          const list =
            answer._tag === "Some" && answer.value.code === ResponseCode.SUCCESS
              ? SubscriptionGroup.decodeListResponse(answer.value)
              : undefined
          return list === undefined || list instanceof DecodeError
            ? undefined
            : { address, config: list.subscriptionGroupTable.get(name) }
        }
      ),
    { concurrency: 8 }
  )
  const found = answers.flatMap((one) => (one === undefined ? [] : [one]))
  if (found.length === 0) return skipped("no broker shows it to this user")
  const kept = found.flatMap(({ address, config }) => (config === undefined ? [] : [{ address, config }]))
  const [first] = kept
  if (first === undefined) {
    const unknown: Finding = {
      verdict: "failed",
      detail: `no broker has group ${group}`,
      remedy: `Check the name: ${toRun(reached)`group list`} ; or start its first member, which makes it where autoCreateSubscriptionGroup is true; or create it: ${toRun(reached)`group create ${group}`}`,
      exitCode: ExitCode.refused
    }
    return unknown
  }
  const closed = kept.filter(({ config }) => !config.consumeEnable).map(({ address }) => address)
  if (closed.length === 0) {
    return ok(`consumeEnable true, retryMaxTimes ${first.config.retryMaxTimes}, on ${count(kept.length, "broker")}`)
  }
  const closing: Finding = {
    verdict: "failed",
    detail: `consumeEnable is false on ${NameList.text(closed)}: pulls of group ${group} are refused there (NO_PERMISSION)`,
    remedy: `Let it consume again, and change nothing else of it: ${toRun(reached)`group update ${group} --consume`}`,
    exitCode: ExitCode.refused
  }
  return closing
})

/** Who is online, and what of the topic that was named. */
const membersFinding = ({ group, reached, topic }: GroupTask, online: ConsumerConnections): Finding => {
  const { connections, messageModel, subscriptions } = online
  if (connections.length === 0) {
    return warn(
      `nobody of group ${group} is online`,
      `Start a member; a broker knows it from its first heartbeat on, and this shows it: ${toRun(reached)`group clients ${group}`}`
    )
  }
  const named = NameList.text(connections.map(({ clientId, language }) => `${clientId} (${language})`))
  const found = `${count(connections.length, "member")}, ${messageModel ?? "?"}: ${named}`
  if (topic === undefined || subscriptions.some((one) => one.topic === topic)) return ok(found)
  return warn(
    `${found}; none of them subscribes to ${topic}`,
    `Subscribe to it, in all members. They read ${NameList.text(subscriptions.map((one) => one.topic).filter((one) => !isRetryTopic(one)))}.`
  )
}

/** Whether all members want the same: a broker filters for all of them by the newest subscription. */
const agree = ({ group }: GroupTask, members: ReadonlyArray<Member>): Finding => {
  const [first, ...others] = members
  if (first === undefined) return skipped("no member says what it subscribes to")
  for (const other of others) {
    for (const topic of new Set([...first.filters.keys(), ...other.filters.keys()])) {
      const [a, b] = [first.filters.get(topic), other.filters.get(topic)]
      if (a === b) continue
      return {
        verdict: "failed",
        detail: `members of ${group} differ about ${topic}: ${first.clientId} reads ${a ?? "it not at all"}, ${other.clientId} ${b ?? "not at all"}`,
        remedy:
          "Brokers filter for the whole group by the newest subscription, and what does not pass is lost to it: let all members subscribe to the same, or give them groups of their own.",
        exitCode: ExitCode.failed
      }
    }
  }
  return ok([...first.filters].map(([topic, filter]) => `${topic} (${filter})`).join(", "))
}

/** Which queues have no owner, and which have two. */
const ownership = Effect.fnUntraced(function* (task: GroupTask, members: ReadonlyArray<Member>, isWhole: boolean) {
  const [first] = members
  if (first === undefined) return skipped("no member says what it owns")
  const owners = new Map<string, Array<string>>()
  for (const { clientId, queues } of members) {
    for (const queue of queues) {
      const key = MessageQueue.key(queue)
      owners.set(key, [...(owners.get(key) ?? []), clientId])
    }
  }
  const twice = [...owners]
    .filter(([, some]) => some.length > 1)
    .map(([key, some]) => `${key} by ${some.join(" and ")}`)
  if (twice.length > 0) {
    return warn(
      `owned twice: ${NameList.text(twice)}`,
      "Right after a member came that is normal, for a second. If it stays, the members share the queues out differently: give all the same allocateMessageQueueStrategy, and one client id each."
    )
  }
  const all = yield* Effect.forEach(first.filters.keys(), (topic) => task.admin.fetchSubscribeMessageQueues(topic), {
    concurrency: 4
  })
  const orphans = all
    .flat()
    .map(MessageQueue.key)
    .filter((key) => !owners.has(key))
  if (orphans.length > 0 && isWhole) {
    return warn(
      `owned by nobody: ${NameList.text(orphans)}`,
      "Members share queues out anew within 20 s. If it stays, they do it differently: give all the same allocateMessageQueueStrategy, and see whether a member is stuck."
    )
  }
  return ok(members.map(({ clientId, queues }) => `${clientId} ${count(queues.length, "queue")}`).join(", "))
})

const progress = Effect.fnUntraced(function* ({ admin, group, topic }: GroupTask, isOnline: boolean) {
  const { consumeTps, lag, queues } = yield* admin.examineConsumeStats(group, topic)
  if (queues.length === 0) {
    return ok(`nothing is committed yet: it begins where its members say (consumeFromWhere)`)
  }
  const behind = queues.filter((one) => one.lag > 0).toSorted((a, b) => b.lag - a.lag)
  const text = `${count(lag, "message")} behind, ${consumeTps.toFixed(1)} read per second`
  const worst = NameList.text(behind.map((one) => `${MessageQueue.key(one.queue)} ${one.lag}`))
  return lag > 0 && !isOnline
    ? warn(`${text}, and nobody reads: ${worst}`, `Start a member of group ${group}.`)
    : ok(behind.length === 0 ? text : `${text}: ${worst}`)
})

/** What the group has given up. */
const deadLetters = Effect.fnUntraced(function* ({ admin, group, reached }: GroupTask) {
  const topic = dlqTopic(group)
  const stats = yield* Effect.option(admin.examineTopicStats(topic))
  const messages =
    stats._tag === "None" ? 0 : stats.value.reduce((sum, { maxOffset, minOffset }) => sum + (maxOffset - minOffset), 0)
  return messages === 0
    ? ok("no dead letters")
    : warn(
        `${count(messages, "message")} in ${topic}: tried as often as the group allows, or given up by a handler`,
        `See them: ${toRun(reached)`dlq peek ${group}`}`
      )
})

/**
 * Steps 12 to 17: a group's health. It does not join the group: that would take queues from the members. A member's own words
 * (307) say what it subscribes to and owns; what the brokers keep for the group is only the newest subscription of all.
 */
export const walk = Effect.fnUntraced(function* (task: GroupTask) {
  const { admin, group, report } = task
  const failing = byError(task)
  yield* report.check(12, "group settings", settings(task))
  const online = yield* Effect.result(admin.examineConsumerConnectionInfo(group))
  const first = yield* report.check(
    13,
    "group members",
    online._tag === "Failure" ? failing(online.failure) : Effect.succeed(membersFinding(task, online.success))
  )
  if (online._tag === "Failure" || first.verdict === "failed") return
  const { connections, messageModel } = online.success
  const broadcasts = messageModel === "BROADCASTING"
  const asked = connections.slice(0, MAX_MEMBERS)
  const answers = yield* Effect.forEach(asked, ({ clientId }) => askMember(task, clientId), { concurrency: 8 })
  const members = answers.flatMap((member) => (member === undefined ? [] : [member]))
  const silent = asked.filter((_, index) => answers[index] === undefined).map(({ clientId }) => clientId)
  yield* report.check(14, "subscriptions agree", Effect.succeed(withSilent(agree(task, members), silent)))
  const isWhole = silent.length === 0 && asked.length === connections.length
  yield* report.check(
    15,
    "queues owned once",
    broadcasts
      ? Effect.succeed(skipped("every member of a broadcasting group reads every queue"))
      : ownership(task, members, isWhole).pipe(Effect.catch(failing))
  )
  yield* report.check(
    16,
    "progress",
    broadcasts
      ? Effect.succeed(skipped("the members of a broadcasting group keep their offsets themselves"))
      : progress(task, connections.length > 0).pipe(Effect.catch(failing))
  )
  yield* report.check(
    17,
    "dead letters",
    broadcasts ? Effect.succeed(skipped("in a broadcasting group no message is given back or up")) : deadLetters(task)
  )
})

/** Members that do not say anything of themselves are named with what the others say. */
const withSilent = (finding: Finding, silent: ReadonlyArray<string>): Finding =>
  silent.length === 0 || finding.verdict === "failed"
    ? finding
    : {
        ...finding,
        detail: `${finding.detail}; not asked or no answer: ${NameList.text(silent.map((id) => ForeignText.clean(id)))}`
      }
