import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { DLQ_GROUP_TOPIC_PREFIX, dlqTopic, PermName } from "../../message/MixAll.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { printTable, time } from "../Output.ts"
import { count, json, number } from "../Text.ts"
import { hasDeadLetters } from "./dlqAccess.ts"

/** What `dlq list` is asked. */
export interface DlqListInput extends Connection {
  /** The one group; all that have dead letters when undefined. */
  readonly group: string | undefined
  readonly json: boolean
}

/** Topics that are asked for at once. */
const TOPICS_AT_ONCE = 8

/** `effect-rocketmq dlq list`: the groups that have dead letters. */
export const run = (input: DlqListInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const named = input.group
    const groups =
      named === undefined
        ? (yield* admin.fetchAllTopicList)
            .filter((topic) => topic.startsWith(DLQ_GROUP_TOPIC_PREFIX))
            .map((topic) => topic.slice(DLQ_GROUP_TOPIC_PREFIX.length))
        : (yield* hasDeadLetters(named))
          ? [named]
          : []
    const found = yield* Effect.forEach(
      groups,
      Effect.fnUntraced(function* (group) {
        const topic = dlqTopic(group)
        const stats = yield* admin.examineTopicStats(topic)
        const { queueDatas } = yield* admin.examineTopicRouteInfo(topic)
        let messages = 0
        let lastTimestamp = 0
        for (const { lastUpdateTimestamp, maxOffset, minOffset } of stats) {
          messages += maxOffset - minOffset
          lastTimestamp = Math.max(lastTimestamp, lastUpdateTimestamp)
        }
        return {
          group,
          topic,
          messages,
          lastTimestamp,
          readable: queueDatas.every(({ perm }) => (perm & PermName.READ) !== 0)
        }
      }),
      { concurrency: TOPICS_AT_ONCE }
    )
    if (input.json) {
      yield* Console.log(json({ groups: found }))
      return
    }
    if (found.length === 0) {
      yield* Console.error(named === undefined ? "no group has dead letters" : `group ${named} has no dead letters`)
      return
    }
    yield* printTable(
      ["GROUP", "DEAD LETTERS", "LAST", "READABLE"],
      found.map(({ group, lastTimestamp, messages, readable }) => [
        group,
        number(messages),
        time(lastTimestamp),
        readable ? "yes" : "no, see --grant-read"
      ]),
      [1]
    )
    yield* Console.error(
      count(
        found.reduce((sum, { messages }) => sum + messages, 0),
        "dead letter"
      )
    )
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
