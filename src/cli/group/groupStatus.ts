import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import type { MemberInfo } from "../../admin/Members.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { printTable, time } from "../Output.ts"
import { json, printable } from "../Text.ts"

/** What `group status` is asked. */
export interface GroupStatusInput extends Connection {
  readonly group: string
  /** The one member that is asked; all of them when undefined. */
  readonly client: string | undefined
  /** Whether stacks are wanted. */
  readonly jstack: boolean
  readonly json: boolean
}

const memberJson = ({ client, info }: MemberInfo) => ({
  clientId: client.clientId,
  language: client.language,
  version: client.version,
  answered: info !== undefined,
  subscriptions: (info?.subscriptionSet ?? []).map(({ expressionType, subString, topic }) => ({
    topic,
    subString,
    expressionType
  })),
  queues: (info?.mqTable ?? []).map(([{ brokerName, queueId, topic }, state]) => ({
    topic,
    brokerName,
    queueId,
    commitOffset: state.commitOffset,
    cachedMsgCount: state.cachedMsgCount,
    cachedMsgSizeInMiB: state.cachedMsgSizeInMiB,
    locked: state.locked,
    droped: state.droped,
    lastPullTimestamp: state.lastPullTimestamp,
    lastConsumeTimestamp: state.lastConsumeTimestamp
  })),
  topics: [...(info?.statusTable ?? [])].map(([topic, status]) => ({ topic, ...status })),
  properties: Object.fromEntries(info?.properties ?? []),
  jstack: info?.jstack ?? null
})

/** Characters of a member's stacks that are shown. */
const MAX_STACKS = 200_000

const stacksOf = Effect.fnUntraced(function* ({ client, info }: MemberInfo) {
  const stacks = info?.jstack ?? ""
  if (info !== undefined && stacks === "") {
    yield* Console.error(`${printable(client.clientId)} has no stacks to give: it is no JVM (${client.language})`)
    return
  }
  yield* Console.log(`\n${printable(client.clientId)}`)
  for (const line of stacks.slice(0, MAX_STACKS).split("\n")) yield* Console.log(printable(line))
})

const moment = (millis: number | bigint) => time(Number(millis))

/** `effect-rocketmq group status`: what each member does, as it says itself. */
export const run = (input: GroupStatusInput) =>
  Effect.gen(function* () {
    const { group, jstack } = input
    const admin = yield* MQAdmin
    const members = yield* admin.getConsumerRunningInfo(group, { clientId: input.client, jstack })
    if (input.json) {
      yield* Console.log(json({ group, members: members.map(memberJson) }))
      return
    }
    yield* printTable(
      ["CLIENT", "TOPIC", "BROKER", "QUEUE", "COMMITTED", "HELD", "LAST PULL", "LAST CONSUMED"],
      members.flatMap(({ client, info }) =>
        (info?.mqTable ?? [])
          .filter(([, { droped }]) => !droped)
          .map(([{ brokerName, queueId, topic }, state]) => [
            client.clientId,
            topic,
            brokerName,
            String(queueId),
            String(state.commitOffset),
            String(state.cachedMsgCount),
            moment(state.lastPullTimestamp),
            moment(state.lastConsumeTimestamp)
          ])
      ),
      [3, 4, 5]
    )
    yield* Console.log("")
    yield* printTable(
      ["CLIENT", "TOPIC", "SUBSCRIBES", "READ/S", "FAILED/S", "FAILED 1H", "HANDLER MS"],
      members.flatMap(({ client, info }) =>
        (info?.subscriptionSet ?? []).map(({ expressionType, subString, topic }) => {
          const status = info?.statusTable.get(topic)
          return [
            client.clientId,
            topic,
            `${expressionType} ${subString}`,
            (status?.consumeOKTPS ?? 0).toFixed(1),
            (status?.consumeFailedTPS ?? 0).toFixed(1),
            String(status?.consumeFailedMsgs ?? 0),
            (status?.consumeRT ?? 0).toFixed(1)
          ]
        })
      ),
      [3, 4, 5, 6]
    )
    const silent = members
      .filter(({ info }) => info === undefined)
      .map(({ client }) => ForeignText.clean(client.clientId))
    if (silent.length > 0) yield* Console.error(`no answer from ${silent.join(", ")}`)
    if (jstack) for (const member of members) yield* stacksOf(member)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
