import { type Duration, Effect } from "effect"
import * as ClientConfig from "../client/ClientConfig.ts"
import { ConfigProblem } from "../client/ClientError.ts"
import type { Option, Resolved, TableOf } from "../client/options/Option.ts"
import * as Kinds from "../client/options/OptionKinds.ts"
import * as OptionTable from "../client/options/OptionTable.ts"
import type { Readiness } from "../client/Readiness.ts"
import { DEFAULT_CONSUMER_GROUP, GROUP_MAX_LENGTH } from "../message/MixAll.ts"
import * as Namespace from "../message/Namespace.ts"
import type { OffsetStore } from "./offset/OffsetStore.ts"
import type { ConsumeFromWhere } from "./offset/StartOffset.ts"
import * as AllocateStrategy from "./rebalance/AllocateStrategy.ts"
import * as ReconsumePolicy from "./ReconsumePolicy.ts"
import * as Subscription from "./subscription/Subscription.ts"

/**
 * The options of a push consumer beside those of the client instance under it, with Java's words and defaults. A time is any
 * `Duration.Input`; a bare number is in the unit of Java's word, which is milliseconds unless it is said.
 *
 * Source: RocketMQ `DefaultMQPushConsumer`.
 */
export interface ConsumerOnlyOptions {
  /** The group that shares the messages, 1 to 120 letters, digits, `%`, `|`, `-` and `_`; required, `DEFAULT_CONSUMER` is refused. */
  readonly consumerGroup: string
  /** What is read: at least one topic, each with its filter. All members of a group must subscribe to the same. */
  readonly subscriptions: readonly [Subscription.Subscription, ...ReadonlyArray<Subscription.Subscription>]
  /**
   * What the start waits for: `assigned`, the default, that the first round of rebalance is done, so that what is sent
   * afterwards is received; or what a producer can wait for.
   */
  readonly readiness?: Readiness | "assigned" | undefined
  /** How long the start may take in all; default 10 seconds. */
  readonly startTimeoutMillis?: Duration.Input | undefined
  /** Where the group begins in a queue for which it has no offset; default `last`, as in Java (`consumeFromWhere`). */
  readonly consumeFromWhere?: ConsumeFromWhere | undefined
  /**
   * Whether `last` means last on brokers of 5.x also for queues so young that their first message is still in memory;
   * default true. Java, and brokers of 4.x in any case, begin those at their first message.
   */
  readonly strictLast?: boolean | undefined
  /** How many handlers run at once; default 20. Sets both of the following. */
  readonly concurrency?: number | undefined
  /** How many handlers run at once at least; default 20, 1 to 1,000 (Java `consumeThreadMin`). */
  readonly consumeThreadMin?: number | undefined
  /** How many handlers run at once at most; default 20, 1 to 1,000 (Java `consumeThreadMax`). */
  readonly consumeThreadMax?: number | undefined
  /** Messages of backlog from which timer 5 raises the number of handlers; default 100,000 (Java `adjustThreadPoolNumsThreshold`). */
  readonly adjustThreadPoolNumsThreshold?: number | undefined
  /** When a message that failed comes again; by default as the broker's table says (10 s, 30 s, 1 min, ... 2 h). */
  readonly reconsumePolicy?: ReconsumePolicy.ReconsumePolicy | undefined
  /** Redeliveries until a message becomes a dead letter; default -1, the broker's own limit, which is 16 (Java `maxReconsumeTimes`). */
  readonly maxReconsumeTimes?: number | undefined
  /**
   * How long a handler may take; then it is interrupted and its message comes again. Default 15 minutes (Java
   * `consumeTimeout`). Java counts minutes, so a bare number is refused in code; in a `Config` it is minutes.
   */
  readonly consumeTimeout?: Exclude<Duration.Input, number> | undefined
  /** Messages that one pull asks for at most; default 32, 1 to 1,024 (Java `pullBatchSize`). Brokers give 32 at most. */
  readonly pullBatchSize?: number | undefined
  /** Bytes that one pull asks for at most; default 256 KiB (Java `pullBatchSizeInBytes`). */
  readonly pullBatchSizeInBytes?: number | undefined
  /** Time between two pulls of a queue; default 0, at most 65,535 ms (Java `pullInterval`). */
  readonly pullInterval?: Duration.Input | undefined
  /** Messages of one queue that are cached at most; default 1,000, 1 to 65,535 (Java `pullThresholdForQueue`). */
  readonly pullThresholdForQueue?: number | undefined
  /** MiB of one queue that are cached at most; default 100, 1 to 1,024 (Java `pullThresholdSizeForQueue`). */
  readonly pullThresholdSizeForQueue?: number | undefined
  /** Messages of all queues together that are cached at most; default 10,000. Java's push consumer has no such limit. */
  readonly pullThresholdForAll?: number | undefined
  /** MiB of all queues together that are cached at most; default 256. */
  readonly pullThresholdSizeForAll?: number | undefined
  /** From the oldest message of a queue that is not finished to the newest, in offsets, at most; default 2,000 (Java `consumeConcurrentlyMaxSpan`). */
  readonly consumeConcurrentlyMaxSpan?: number | undefined
  /** How queues are shared out; by default as many neighbouring ones for each as possible (Java `AllocateMessageQueueAveragely`). */
  readonly allocateMessageQueueStrategy?: AllocateStrategy.AllocateStrategy | undefined
  /** Where the group's offsets are kept; by default on the brokers (Java `offsetStore`). */
  readonly offsetStore?: OffsetStore | undefined
  /** How long a shutdown lets handlers go on; default 10 seconds (Java `awaitTerminationMillisWhenShutdown`, 0 there). */
  readonly drainTimeoutMillis?: Duration.Input | undefined
  /** How long handlers of a queue that another member takes may go on; default 400 ms, below the 500 ms that it waits. */
  readonly revokeDrain?: Duration.Input | undefined
}

/** What a user gives: the group, the subscriptions, and any other option of a consumer or of the client instance under it. */
export interface PushConsumerOptions extends ConsumerOnlyOptions, ClientConfig.ClientOptions {}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === "object" && value !== null

const isSubscriptions = (value: unknown): value is ConsumerOnlyOptions["subscriptions"] =>
  Array.isArray(value) && value.length > 0 && value.every((one) => isRecord(one) && typeof one["topic"] === "string")

const isFrom = (value: unknown): value is ConsumeFromWhere =>
  value === "first" ||
  value === "last" ||
  (isRecord(value) && typeof value["timestampMillis"] === "number" && value["timestampMillis"] >= 0)

const isPolicy = (value: unknown): value is ReconsumePolicy.ReconsumePolicy =>
  isRecord(value) && typeof value["delay"] === "function"

const isStrategy = (value: unknown): value is AllocateStrategy.AllocateStrategy =>
  isRecord(value) && typeof value["allocate"] === "function" && typeof value["name"] === "string"

const isStore = (value: unknown): value is OffsetStore =>
  isRecord(value) && typeof value["load"] === "function" && typeof value["persist"] === "function"

const SAME = "the same"
const MINUTE = 60_000
const MAX_TIME = 65_535

const minutes = Kinds.time({
  name: "consume-timeout",
  java: "the same, in minutes",
  default: 15 * MINUTE,
  least: 1,
  unit: MINUTE
})

/** In code a bare number is refused: Java means minutes by it, and everything else here milliseconds. */
const consumeTimeout: Option<number, Exclude<Duration.Input, number>> = {
  default: minutes.default,
  entries: minutes.entries,
  check: (given, report) => {
    if (typeof given !== "number") return minutes.check(given, report)
    report(`must say its unit, such as "15 minutes", is ${given}`)
    return undefined
  },
  read: (find) => Effect.map(minutes.read(find), (time) => (typeof time === "number" ? { milliseconds: time } : time))
}

/** The table of {@link ConsumerOnlyOptions}. */
export const ownTable = {
  consumerGroup: {
    ...Kinds.text({ name: "group", java: SAME, absent: "required", default: DEFAULT_CONSUMER_GROUP }),
    isRequired: true
  },
  subscriptions: {
    ...Kinds.code<ConsumerOnlyOptions["subscriptions"]>({
      java: "`subscribe`",
      absent: "required",
      what: "a list of at least one subscription (Subscription.all, .tags, .expression)",
      is: isSubscriptions
    }),
    isRequired: true
  },
  readiness: Kinds.literal({
    name: "readiness",
    java: "none, see [startup.md](startup.md)",
    values: ["lazy", "nameServer", "routes", "registered", "assigned"],
    default: "assigned"
  }),
  startTimeoutMillis: Kinds.time({ name: "start-timeout", java: "none", default: 10_000, least: 1 }),
  consumeFromWhere: Kinds.code<ConsumeFromWhere>({
    java: SAME,
    absent: "`last`",
    what: `"first", "last" or { timestampMillis }`,
    is: isFrom
  }),
  strictLast: Kinds.boolean({ name: "strict-last", java: "none, false", default: true }),
  concurrency: Kinds.whole({
    name: "concurrency",
    java: "none",
    absent: "`consumeThreadMin`",
    default: undefined,
    least: 1,
    most: 1_000
  }),
  consumeThreadMin: Kinds.whole({ name: "consume-thread-min", java: SAME, default: 20, least: 1, most: 1_000 }),
  consumeThreadMax: Kinds.whole({ name: "consume-thread-max", java: SAME, default: 20, least: 1, most: 1_000 }),
  adjustThreadPoolNumsThreshold: Kinds.whole({
    name: "adjust-thread-pool-nums-threshold",
    java: SAME,
    default: 100_000,
    least: 1
  }),
  reconsumePolicy: Kinds.code<ReconsumePolicy.ReconsumePolicy>({
    java: "`delayLevelWhenNextConsume`",
    absent: "the broker's table",
    what: "a ReconsumePolicy",
    is: isPolicy
  }),
  maxReconsumeTimes: Kinds.whole({ name: "max-reconsume-times", java: SAME, default: -1, least: -1, most: 1_000_000 }),
  consumeTimeout,
  pullBatchSize: Kinds.whole({ name: "pull-batch-size", java: SAME, default: 32, least: 1, most: 1_024 }),
  pullBatchSizeInBytes: Kinds.whole({
    name: "pull-batch-size-in-bytes",
    java: SAME,
    default: 262_144,
    least: 1,
    most: 2_147_483_647
  }),
  pullInterval: Kinds.time({ name: "pull-interval", java: SAME, default: 0, least: 0, most: MAX_TIME }),
  pullThresholdForQueue: Kinds.whole({
    name: "pull-threshold-for-queue",
    java: SAME,
    default: 1_000,
    least: 1,
    most: MAX_TIME
  }),
  pullThresholdSizeForQueue: Kinds.whole({
    name: "pull-threshold-size-for-queue",
    java: "the same, MiB",
    default: 100,
    least: 1,
    most: 1_024
  }),
  pullThresholdForAll: Kinds.whole({
    name: "pull-threshold-for-all",
    java: "of `DefaultLitePullConsumer`",
    default: 10_000,
    least: 1,
    most: 10_000_000
  }),
  pullThresholdSizeForAll: Kinds.whole({
    name: "pull-threshold-size-for-all",
    java: "none, MiB",
    default: 256,
    least: 1,
    most: 65_536
  }),
  consumeConcurrentlyMaxSpan: Kinds.whole({
    name: "consume-concurrently-max-span",
    java: SAME,
    default: 2_000,
    least: 1,
    most: MAX_TIME
  }),
  allocateMessageQueueStrategy: Kinds.code<AllocateStrategy.AllocateStrategy>({
    java: SAME,
    absent: "averagely",
    what: "an AllocateStrategy",
    is: isStrategy
  }),
  offsetStore: Kinds.code<OffsetStore>({ java: SAME, absent: "on the brokers", what: "an OffsetStore", is: isStore }),
  drainTimeoutMillis: Kinds.time({
    name: "drain-timeout",
    java: "`awaitTerminationMillisWhenShutdown`, 0",
    default: 10_000,
    least: 0
  }),
  revokeDrain: Kinds.time({ name: "revoke-drain", java: "none", default: 400, least: 0 })
} satisfies TableOf<ConsumerOnlyOptions>

/** The table of {@link PushConsumerOptions}. */
export const table = { ...ClientConfig.table, ...ownTable }

/** {@link PushConsumerOptions} with a value for each of them, times in milliseconds. */
export interface PushConsumerConfig extends ClientConfig.ClientConfig, Resolved<typeof ownTable> {}

const problemsOf = (config: PushConsumerConfig): ReadonlyArray<ConfigProblem> => {
  const { consumeThreadMax, consumeThreadMin, consumerGroup, namespace, subscriptions = [] } = config
  const problems: Array<ConfigProblem> = []
  const note = (path: string, problem: string) => problems.push(new ConfigProblem({ path, problem }))
  const wrapped = namespace === undefined ? consumerGroup : Namespace.wrap(namespace, consumerGroup)
  if (namespace !== undefined && wrapped.length > GROUP_MAX_LENGTH) {
    note("namespace", `makes a group of ${wrapped.length} characters, at most ${GROUP_MAX_LENGTH} are allowed`)
  }
  if (consumeThreadMin > consumeThreadMax) note("consumeThreadMin", `is above consumeThreadMax, ${consumeThreadMax}`)
  const topics = new Set<string>()
  subscriptions.forEach((subscription, index) => {
    const problem = topics.has(subscription.topic)
      ? `subscribes to topic ${subscription.topic} a second time`
      : Subscription.problemOf(subscription)
    topics.add(subscription.topic)
    if (problem !== undefined) note(`subscriptions[${index}]`, problem)
  })
  return problems
}

/** Fills options up with the defaults, and tells everything that cannot be used. */
export const resolve = (options: PushConsumerOptions): OptionTable.Resolution<PushConsumerConfig> => {
  const { config, problems } = OptionTable.resolve<PushConsumerConfig>(table, options)
  const { concurrency, namespace } = config
  const local = (name: string) => Namespace.unwrap(namespace, name)
  const [first, ...others] = config.subscriptions ?? []
  const named = <S extends Subscription.Subscription>(one: S): S => ({ ...one, topic: local(one.topic) })
  const whole: PushConsumerConfig = {
    ...config,
    consumerGroup: local(config.consumerGroup),
    subscriptions: first === undefined ? undefined : [named(first), ...others.map(named)],
    consumeThreadMin: concurrency ?? config.consumeThreadMin,
    consumeThreadMax: concurrency ?? Math.max(config.consumeThreadMax, options.consumeThreadMax ?? 0)
  }
  return { config: whole, problems: [...problems, ...problemsOf(whole)] }
}
