import * as MixAll from "../../message/MixAll.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import { MAX_TOPICS } from "../server/Limits.ts"
import type { BrokerConfig } from "./BrokerConfig.ts"
import type { DataVersion, TopicConfig } from "../../protocol/TopicConfig.ts"

/** The topics of one broker. Source: RocketMQ `TopicConfigManager`. */
export interface TopicTable {
  readonly get: (topic: string) => TopicConfig | undefined
  readonly all: () => ReadonlyArray<TopicConfig>
  /** Creates or replaces a topic. */
  readonly put: (config: TopicConfig) => void
  readonly remove: (topic: string) => void
  /**
   * The topic a send names; a missing one is created by the rules of the template topic (TBW102), and `undefined` comes
   * back when they do not allow it, or when there are as many topics as a broker keeps.
   */
  readonly forSend: (send: SendTarget) => TopicConfig | undefined
  /** A topic of the system that a group needs (retry, dead letters), created when missing. */
  readonly ensure: (topic: string, queueNums: number, perm: number) => TopicConfig
  /** Changes on every change of the table; what a registration carries. */
  readonly dataVersion: () => DataVersion
  /** Counts a change that is not in the table. */
  readonly nextVersion: () => void
}

/** What a send says about a topic that may have to be created. */
export interface SendTarget {
  readonly topic: string
  /** The template to create it from. */
  readonly defaultTopic: string
  /** How many queues it shall have at most; without it, it is not created. */
  readonly defaultTopicQueueNums?: number | undefined
  readonly unitMode: boolean
}

/** Which topics a broker has from the start. */
export interface TopicTableOptions {
  readonly clusterName: string
  readonly brokerName: string
  /** Which topics of the system there are, and whether a send may create one. */
  readonly config: Pick<
    BrokerConfig,
    "autoCreateTopicEnable" | "defaultTopicQueueNums" | "traceTopicEnable" | "version"
  >
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** Told of every topic that was created or changed. */
  readonly onChange: (config: TopicConfig) => void
}

const READ_WRITE = MixAll.PermName.READ | MixAll.PermName.WRITE

/** Builds a {@link TopicConfig}; what is left out is as `updateTopic` of mqadmin makes it, but with 4 queues. */
export const topicConfig = (
  topicName: string,
  options?: {
    readonly readQueueNums?: number | undefined
    readonly writeQueueNums?: number | undefined
    readonly perm?: number | undefined
    readonly order?: boolean | undefined
    readonly topicSysFlag?: number | undefined
    readonly attributes?: Readonly<Record<string, string>> | undefined
  }
): TopicConfig => ({
  topicName,
  readQueueNums: options?.readQueueNums ?? MixAll.DEFAULT_TOPIC_QUEUE_NUMS,
  writeQueueNums: options?.writeQueueNums ?? MixAll.DEFAULT_TOPIC_QUEUE_NUMS,
  perm: options?.perm ?? READ_WRITE,
  topicFilterType: "SINGLE_TAG",
  topicSysFlag: options?.topicSysFlag ?? 0,
  order: options?.order ?? false,
  attributes: options?.attributes ?? {}
})

const same = (topicName: string, queueNums: number, perm: number): TopicConfig =>
  topicConfig(topicName, { readQueueNums: queueNums, writeQueueNums: queueNums, perm })

/** The topics every broker has. */
const systemTopics = (options: TopicTableOptions): ReadonlyArray<TopicConfig> => [
  ...(options.config.autoCreateTopicEnable
    ? [
        same(
          MixAll.AUTO_CREATE_TOPIC_KEY_TOPIC,
          options.config.defaultTopicQueueNums,
          READ_WRITE | MixAll.PermName.INHERIT
        )
      ]
    : []),
  same("SELF_TEST_TOPIC", 1, READ_WRITE),
  same("BenchmarkTest", 1024, READ_WRITE),
  same(options.clusterName, 16, READ_WRITE | MixAll.PermName.INHERIT),
  same(options.brokerName, 1, READ_WRITE | MixAll.PermName.INHERIT),
  same("OFFSET_MOVED_EVENT", 1, READ_WRITE),
  same("SCHEDULE_TOPIC_XXXX", 18, READ_WRITE),
  same(`${options.clusterName}_REPLY_TOPIC`, 1, READ_WRITE),
  same("RMQ_SYS_TRANS_HALF_TOPIC", 1, READ_WRITE),
  same("RMQ_SYS_TRANS_OP_HALF_TOPIC", 1, READ_WRITE),
  ...(options.config.traceTopicEnable ? [same("RMQ_SYS_TRACE_TOPIC", 1, READ_WRITE)] : []),
  // 4.x has no pop consumption, no controller and no timer wheel.
  ...(options.config.version < MQVersion.V5_0_0
    ? []
    : [
        same(`rmq_sys_REVIVE_LOG_${options.clusterName}`, 8, READ_WRITE),
        same(`rmq_sys_SYNC_BROKER_MEMBER_${options.brokerName}`, 1, MixAll.PermName.INHERIT),
        same("rmq_sys_wheel_timer", 1, READ_WRITE)
      ])
]

/** Builds the table with the topics of the system in it. */
export const make = (options: TopicTableOptions): TopicTable => {
  const table = new Map(systemTopics(options).map((config) => [config.topicName, config]))
  let counter = 0
  let timestamp = options.now()

  const nextVersion = (): void => {
    counter += 1
    timestamp = options.now()
  }

  const put = (config: TopicConfig): TopicConfig => {
    table.set(config.topicName, config)
    nextVersion()
    options.onChange(config)
    return config
  }

  /** The template topic; one that may no longer be one loses that permission for good. */
  const templateOf = ({ defaultTopic }: SendTarget): TopicConfig | undefined => {
    const template = table.get(defaultTopic)
    const isCommon = defaultTopic === MixAll.AUTO_CREATE_TOPIC_KEY_TOPIC
    if (template === undefined || !isCommon || options.config.autoCreateTopicEnable) return template
    const closed = { ...template, perm: READ_WRITE }
    table.set(defaultTopic, closed)
    return closed
  }

  return {
    get: (topic) => table.get(topic),
    all: () => [...table.values()],
    put: (config) => {
      put(config)
    },
    remove: (topic) => {
      if (table.delete(topic)) nextVersion()
    },
    forSend: (send) => {
      const existing = table.get(send.topic)
      if (existing !== undefined) return existing
      if (table.size >= MAX_TOPICS) return undefined
      if (MixAll.isRetryTopic(send.topic)) return put(same(send.topic, 1, READ_WRITE))
      const template = templateOf(send)
      const wanted = send.defaultTopicQueueNums
      if (template === undefined || wanted === undefined || (template.perm & MixAll.PermName.INHERIT) === 0) {
        return undefined
      }
      const queueNums = Math.max(0, Math.min(wanted, template.writeQueueNums))
      return put(
        topicConfig(send.topic, {
          readQueueNums: queueNums,
          writeQueueNums: queueNums,
          perm: template.perm & ~MixAll.PermName.INHERIT,
          topicSysFlag: send.unitMode ? 1 : 0
        })
      )
    },
    ensure: (topic, queueNums, perm) => table.get(topic) ?? put(same(topic, queueNums, perm)),
    nextVersion,
    dataVersion: () => ({ stateVersion: 0, timestamp, counter })
  }
}

/** A permission as the servers write it in remarks: `RW-`. Source: RocketMQ `PermName.perm2String`. */
export const permToString = (perm: number): string =>
  `${perm & MixAll.PermName.READ ? "R" : "-"}${perm & MixAll.PermName.WRITE ? "W" : "-"}${perm & MixAll.PermName.INHERIT ? "X" : "-"}`

/** A topic as the servers write it in remarks; `legacy` is before 5.0.0. Source: RocketMQ `TopicConfig.toString`. */
export const describe = (config: TopicConfig, legacy: boolean): string =>
  `TopicConfig [topicName=${config.topicName}, readQueueNums=${config.readQueueNums}, writeQueueNums=${config.writeQueueNums}, ` +
  `perm=${permToString(config.perm)}, topicFilterType=${config.topicFilterType}, topicSysFlag=${config.topicSysFlag}, ` +
  `order=${config.order}${legacy ? "" : `, attributes=${describeAttributes(config.attributes)}`}]`

const describeAttributes = (attributes: TopicConfig["attributes"]): string =>
  `{${Object.entries(attributes)
    .map(([name, value]) => `${name}=${value}`)
    .join(", ")}}`
