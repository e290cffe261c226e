import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { DLQ_GROUP_TOPIC_PREFIX, isRetryTopic, isSystemTopic } from "../../message/MixAll.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { NO_BROKER, reporting } from "../Failure.ts"
import { count, json, table } from "../Text.ts"

/** What `topic list` is asked. */
export interface TopicListInput extends Connection {
  /** Whether the topics of the system are listed too. */
  readonly all: boolean
  readonly json: boolean
}

// Brokers register topics of the system that carry their own names and the cluster's.
const isOfSystem = (topic: string, names: ReadonlySet<string>) =>
  isSystemTopic(topic) ||
  isRetryTopic(topic) ||
  topic.startsWith(DLQ_GROUP_TOPIC_PREFIX) ||
  names.has(topic.replace(/_REPLY_TOPIC$/, ""))

/** `effect-rocketmq topic list`: the names of the topics, one a line. */
export const run = (input: TopicListInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const { brokerAddrTable, clusterAddrTable } = yield* admin.examineBrokerClusterInfo
    const names = new Set([...brokerAddrTable.keys(), ...clusterAddrTable.keys()])
    const every = yield* admin.fetchAllTopicList
    const topics = input.all ? every : every.filter((topic) => !isOfSystem(topic, names))
    if (input.json) {
      yield* Console.log(json({ topics }))
      return
    }
    for (const line of table(topics.map((topic) => [topic]))) yield* Console.log(line)
    if (brokerAddrTable.size === 0) yield* Console.error(NO_BROKER)
    const hidden = every.length - topics.length
    if (hidden > 0) yield* Console.error(`${count(hidden, "topic")} of the system not shown (--all shows them)`)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
