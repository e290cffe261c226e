import type { Duration } from "effect"
import * as ClientConfig from "../../client/ClientConfig.ts"
import type { Resolved, TableOf } from "../../client/options/Option.ts"
import * as Kinds from "../../client/options/OptionKinds.ts"
import * as OptionTable from "../../client/options/OptionTable.ts"
import * as TraceOptions from "../../client/options/TraceOptions.ts"
import { ConfigProblem } from "../../client/ClientError.ts"
import * as Millis from "../../message/Millis.ts"
import * as ConsumerOptions from "../ConsumerOptions.ts"
import type { RebalanceListener } from "../rebalance/RebalanceListener.ts"

/** The options that a push consumer has as well, with the same meaning and default. */
type Shared = Pick<
  ConsumerOptions.ConsumerOnlyOptions,
  | "allocateMessageQueueStrategy"
  | "consumeFromWhere"
  | "consumerGroup"
  | "messageModel"
  | "offsetStore"
  | "onProblem"
  | "pullThresholdForAll"
  | "pullThresholdForQueue"
  | "pullThresholdSizeForAll"
  | "pullThresholdSizeForQueue"
  | "pullTimeDelayMillsWhenException"
  | "readiness"
  | "rebalanceListener"
  | "revokeDrain"
  | "startTimeoutMillis"
  | "strictLast"
>

/**
 * The options of a lite pull consumer beside those of the client instance under it, with Java's words and defaults.
 *
 * Source: RocketMQ `DefaultLitePullConsumer`.
 */
export interface LitePullOnlyOptions extends Shared, TraceOptions.TraceOptions {
  /** What is read from the start on; default nothing, until `subscribe` or `assign`. */
  readonly subscriptions?: ConsumerOptions.ConsumerOnlyOptions["subscriptions"] | undefined
  /**
   * Whether each poll commits what the polls before it gave; default true. Without it nothing is committed but by `commit`
   * (Java `autoCommit`).
   */
  readonly autoCommit?: boolean | undefined
  /** How often a poll begins to write what is to be committed; default 5 seconds, at least 1 second (Java `autoCommitIntervalMillis`). */
  readonly autoCommitIntervalMillis?: Duration.Input | undefined
  /** Messages that one pull asks for, and one poll gives, at most; default 10, 1 to 1,024 (Java `pullBatchSize`). */
  readonly pullBatchSize?: number | undefined
  /** How long a poll waits for its first message; default 5 seconds (Java `pollTimeoutMillis`). */
  readonly pollTimeoutMillis?: Duration.Input | undefined
  /** How long a broker may hold a pull while there is nothing; default 20 seconds (Java `brokerSuspendMaxTimeMillis`). */
  readonly brokerSuspendMaxTimeMillis?: Duration.Input | undefined
  /**
   * How long such a pull may take in all; default 30 seconds, and no less than `brokerSuspendMaxTimeMillis` (Java
   * `consumerTimeoutMillisWhenSuspend`).
   */
  readonly consumerTimeoutMillisWhenSuspend?: Duration.Input | undefined
  /** From the oldest cached message of a queue to the newest, in offsets, at most; default 2,000 (Java `consumeMaxSpan`). */
  readonly consumeMaxSpan?: number | undefined
  /**
   * How often `topicMessageQueueChanges` looks which queues a topic has; default 30 seconds (Java
   * `topicMetadataCheckIntervalMillis`).
   */
  readonly topicMetadataCheckIntervalMillis?: Duration.Input | undefined
}

/** What a user gives: the group, and any other option of a lite pull consumer or of the client instance under it. */
export interface LitePullOptions<RL = never>
  extends Omit<LitePullOnlyOptions, "rebalanceListener">, ClientConfig.ClientOptions {
  /** Hears of queues that are taken and given up; what it needs is taken when the layer is built (Java `MessageQueueListener`). */
  readonly rebalanceListener?: RebalanceListener<RL> | undefined
}

const SAME = "the same"
const shared = ConsumerOptions.ownTable

/** The table of {@link LitePullOnlyOptions}. */
export const ownTable = {
  consumerGroup: shared.consumerGroup,
  subscriptions: { ...shared.subscriptions, isRequired: false },
  messageModel: shared.messageModel,
  readiness: shared.readiness,
  startTimeoutMillis: shared.startTimeoutMillis,
  consumeFromWhere: shared.consumeFromWhere,
  strictLast: shared.strictLast,
  autoCommit: Kinds.boolean({ name: "auto-commit", java: SAME, default: true }),
  autoCommitIntervalMillis: Kinds.time({
    name: "auto-commit-interval-millis",
    java: SAME,
    default: 5_000,
    least: 1_000
  }),
  pullBatchSize: Kinds.whole({ name: "pull-batch-size", java: SAME, default: 10, least: 1, most: 1_024 }),
  pollTimeoutMillis: Kinds.time({ name: "poll-timeout-millis", java: SAME, default: 5_000, least: 0 }),
  brokerSuspendMaxTimeMillis: Kinds.time({
    name: "broker-suspend-max-time-millis",
    java: SAME,
    default: 20_000,
    least: 1
  }),
  consumerTimeoutMillisWhenSuspend: Kinds.time({
    name: "consumer-timeout-millis-when-suspend",
    java: SAME,
    default: 30_000,
    least: 1
  }),
  pullTimeDelayMillsWhenException: shared.pullTimeDelayMillsWhenException,
  pullThresholdForQueue: shared.pullThresholdForQueue,
  pullThresholdSizeForQueue: shared.pullThresholdSizeForQueue,
  pullThresholdForAll: shared.pullThresholdForAll,
  pullThresholdSizeForAll: shared.pullThresholdSizeForAll,
  consumeMaxSpan: Kinds.whole({ name: "consume-max-span", java: SAME, default: 2_000, least: 1, most: 65_535 }),
  topicMetadataCheckIntervalMillis: Kinds.time({
    name: "topic-metadata-check-interval-millis",
    java: SAME,
    default: 30_000,
    least: 1_000
  }),
  allocateMessageQueueStrategy: shared.allocateMessageQueueStrategy,
  rebalanceListener: shared.rebalanceListener,
  offsetStore: shared.offsetStore,
  onProblem: shared.onProblem,
  revokeDrain: shared.revokeDrain,
  ...TraceOptions.table
} satisfies TableOf<LitePullOnlyOptions>

/** The table of {@link LitePullOptions}. */
export const table = { ...ClientConfig.table, ...ownTable }

/** {@link LitePullOptions} with a value for each of them, times in milliseconds. */
export interface LitePullConfig extends ClientConfig.ClientConfig, Resolved<typeof ownTable> {}

/** Bytes that a pull asks for at most, as Java does: brokers have a limit of their own. */
const MOST_BYTES = 2_147_483_647

/** The same in the words of every consumer. */
const consumerConfigOf = (config: LitePullConfig): ConsumerOptions.PushConsumerConfig => ({
  ...OptionTable.defaultsOf<ConsumerOptions.PushConsumerConfig>(ConsumerOptions.table),
  ...config,
  consumeConcurrentlyMaxSpan: config.consumeMaxSpan,
  pullBatchSizeInBytes: MOST_BYTES
})

/** What the options come to in the words of every consumer, names without the namespace. */
export const forConsumer = ({
  config,
  problems
}: OptionTable.Resolution<LitePullConfig>): OptionTable.Resolution<ConsumerOptions.PushConsumerConfig> =>
  ConsumerOptions.complete({ config: consumerConfigOf(config), problems })

/** Fills options up with the defaults, and tells everything that cannot be used. */
export const resolve = (options: Partial<LitePullOptions>): OptionTable.Resolution<LitePullConfig> => {
  const { config, problems } = OptionTable.resolve<LitePullConfig>(table, options)
  const { brokerSuspendMaxTimeMillis: held, consumerTimeoutMillisWhenSuspend: most } = config
  const tooShort =
    most >= held
      ? []
      : [
          new ConfigProblem({
            path: "consumerTimeoutMillisWhenSuspend",
            problem: `must not be below brokerSuspendMaxTimeMillis, ${Millis.text(held)}, is ${Millis.text(most)}`
          })
        ]
  return { config, problems: forConsumer({ config, problems: [...problems, ...tooShort] }).problems }
}

/**
 * The properties by which Java's tools show a lite pull consumer. Source: RocketMQ `MixAll.object2Properties` of
 * `DefaultLitePullConsumer`.
 */
export const propertiesOf = (config: LitePullConfig): Readonly<Record<string, unknown>> => ({
  autoCommit: config.autoCommit,
  autoCommitIntervalMillis: config.autoCommitIntervalMillis,
  pollTimeoutMillis: config.pollTimeoutMillis,
  brokerSuspendMaxTimeMillis: config.brokerSuspendMaxTimeMillis,
  consumerTimeoutMillisWhenSuspend: config.consumerTimeoutMillisWhenSuspend,
  consumeMaxSpan: config.consumeMaxSpan,
  topicMetadataCheckIntervalMillis: config.topicMetadataCheckIntervalMillis,
  // What only a consumer with handlers has.
  adjustThreadPoolNumsThreshold: undefined,
  awaitTerminationMillisWhenShutdown: undefined,
  consumeConcurrentlyMaxSpan: undefined,
  consumeMessageBatchMaxSize: undefined,
  consumeThreadMax: undefined,
  consumeThreadMin: undefined,
  consumeTimeout: undefined,
  maxReconsumeTimes: undefined,
  postSubscriptionWhenPull: undefined,
  pullBatchSizeInBytes: undefined,
  pullInterval: undefined,
  suspendCurrentQueueTimeMillis: undefined
})
