import { type Duration, Effect } from "effect"
import * as ClientConfig from "../client/ClientConfig.ts"
import { ConfigProblem } from "../client/ClientError.ts"
import type { Resolved, TableOf } from "../client/options/Option.ts"
import * as Kinds from "../client/options/OptionKinds.ts"
import * as OptionTable from "../client/options/OptionTable.ts"
import * as TraceOptions from "../client/options/TraceOptions.ts"
import { checkTopic } from "../client/Names.ts"
import { withEndpointNamespace } from "../client/ResolveConfig.ts"
import type { Readiness } from "../client/Readiness.ts"
import { DEFAULT_CONSUMER_GROUP, GROUP_MAX_LENGTH } from "../message/MixAll.ts"
import * as Namespace from "../message/Namespace.ts"
import type { OffsetStore } from "./offset/OffsetStore.ts"
import type { ConsumeFromWhere } from "./offset/StartOffset.ts"
import type * as AllocateStrategy from "./rebalance/AllocateStrategy.ts"
import type { RebalanceListener } from "./rebalance/RebalanceListener.ts"
import type { OnProblem } from "./ConsumerProblems.ts"
import * as OwnKinds from "./ConsumerOptionKinds.ts"
import type * as ReconsumePolicy from "./ReconsumePolicy.ts"
import * as Subscription from "./subscription/Subscription.ts"

/**
 * The options of a push consumer beside those of the client instance under it, with Java's words and defaults. A time is any
 * `Duration.Input`; a bare number is in the unit of Java's word, which is milliseconds unless it is said.
 *
 * Source: RocketMQ `DefaultMQPushConsumer`.
 */
export interface ConsumerOnlyOptions extends TraceOptions.TraceOptions {
  /** The group that shares the messages, 1 to 120 letters, digits, `%`, `|`, `-` and `_`; required, `DEFAULT_CONSUMER` is refused. */
  readonly consumerGroup: string
  /** What is read: at least one topic, each with its filter; required. All members of a group must subscribe to the same. */
  readonly subscriptions: OwnKinds.Subscriptions
  /**
   * Who gets a message; default `CLUSTERING`: one member of the group. With `BROADCASTING` every member gets it, one that was
   * not consumed does not come again, and each member keeps offsets of its own (`offsetStore`). All members of a group must
   * have the same (Java `messageModel`).
   */
  readonly messageModel?: "CLUSTERING" | "BROADCASTING" | undefined
  /**
   * What the start waits for; default `assigned`: that the first round of rebalance is done, so that what is sent afterwards
   * is received. The others are what a producer can wait for.
   */
  readonly readiness?: Readiness | "assigned" | undefined
  /** How long the start may take in all; default 10 seconds. */
  readonly startTimeoutMillis?: Duration.Input | undefined
  /** Where the group begins in a queue for which it has no offset: `first`, `last` or `{ timestamp }`; default `last`, as in Java. */
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
  /**
   * Redeliveries until a message becomes a dead letter; default -1, the broker's own limit, which is 16, and no limit for what is
   * consumed in order (Java `maxReconsumeTimes`).
   */
  readonly maxReconsumeTimes?: number | undefined
  /**
   * How long a queue that is consumed in order rests before a message of it is tried again; default 1 second, 10 ms to 30 s
   * (Java `suspendCurrentQueueTimeMillis`).
   */
  readonly suspendCurrentQueueTimeMillis?: Duration.Input | undefined
  /**
   * How long a handler may take; then it is interrupted and its message comes again. Default 15 minutes (Java
   * `consumeTimeout`). Java counts minutes, so a bare number is refused in code; in a `Config` it is minutes.
   */
  readonly consumeTimeout?: Exclude<Duration.Input, number> | undefined
  /** Messages that one pull asks for at most; default 32, 1 to 1,024 (Java `pullBatchSize`). Brokers give 32 at most. */
  readonly pullBatchSize?: number | undefined
  /** Bytes that one pull asks for at most; default 256 KiB (Java `pullBatchSizeInBytes`). */
  readonly pullBatchSizeInBytes?: number | undefined
  /** Time between two pulls of a queue; default 0 millis, at most 65,535 ms (Java `pullInterval`). */
  readonly pullInterval?: Duration.Input | undefined
  /**
   * The pause after a pull that failed; it doubles with each that follows, up to 30 seconds. Default 1 second (Java
   * `pullTimeDelayMillsWhenException`, always the same there).
   */
  readonly pullTimeDelayMillsWhenException?: Duration.Input | undefined
  /**
   * Whether each pull carries its filter, so that brokers use it rather than the newest one of the group; default false (Java
   * `postSubscriptionWhenPull`). For a group whose members change their filters one after the other.
   */
  readonly postSubscriptionWhenPull?: boolean | undefined
  /** Messages of one queue that are cached at most; default 1,000, 1 to 65,535 (Java `pullThresholdForQueue`). */
  readonly pullThresholdForQueue?: number | undefined
  /** MiB of one queue that are cached at most; default 100, 1 to 1,024 (Java `pullThresholdSizeForQueue`). */
  readonly pullThresholdSizeForQueue?: number | undefined
  /** Messages of all queues of one topic that are cached at most; default -1, no limit (Java `pullThresholdForTopic`). */
  readonly pullThresholdForTopic?: number | undefined
  /** MiB of all queues of one topic that are cached at most; default -1, no limit (Java `pullThresholdSizeForTopic`). */
  readonly pullThresholdSizeForTopic?: number | undefined
  /** Messages of all queues together that are cached at most; default 10,000. Java's push consumer has no such limit. */
  readonly pullThresholdForAll?: number | undefined
  /** MiB of all queues together that are cached at most; default 256. */
  readonly pullThresholdSizeForAll?: number | undefined
  /** From the oldest message of a queue that is not finished to the newest, in offsets, at most; default 2,000 (Java `consumeConcurrentlyMaxSpan`). */
  readonly consumeConcurrentlyMaxSpan?: number | undefined
  /** How queues are shared out; by default as many neighbouring ones for each as possible (Java `AllocateMessageQueueAveragely`). */
  readonly allocateMessageQueueStrategy?: AllocateStrategy.AllocateStrategy | undefined
  /** Hears of queues that are taken and given up; default nobody (Java `MessageQueueListener`). */
  readonly rebalanceListener?: RebalanceListener | undefined
  /**
   * Where offsets are kept; by default on the brokers, and with `BROADCASTING` in memory: then each start begins where
   * `consumeFromWhere` says. `LocalOffsetStore.file` keeps them over restarts (Java `offsetStore`).
   */
  readonly offsetStore?: OffsetStore | undefined
  /**
   * Handlers that begin in a second at most, messages of a batch each by itself; by default there is no limit. They begin
   * evenly: none is saved up for later.
   */
  readonly ratePerSecond?: number | undefined
  /**
   * Called when something begins to keep the consumer from doing all it should: `fail` ends `failed`, and with it
   * `DefaultMQPushConsumer.run`; by default it goes on (`continue`).
   */
  readonly onProblem?: OnProblem | undefined
  /** How long a shutdown lets handlers go on; default 10 seconds (Java `awaitTerminationMillisWhenShutdown`, 0 there). */
  readonly drainTimeoutMillis?: Duration.Input | undefined
  /**
   * How long handlers of a queue that another member takes may go on; default 400 millis. Who takes a queue waits for so long
   * as well, and for the second before the other's round: members of a group should have the same.
   */
  readonly revokeDrain?: Duration.Input | undefined
}

/** What a user gives: the group, the subscriptions, and any other option of a consumer or of the client instance under it. */
export interface PushConsumerOptions<RL = never>
  extends Omit<ConsumerOnlyOptions, "rebalanceListener">, ClientConfig.ClientOptions {
  /** Hears of queues that are taken and given up; what it needs is taken when the layer is built (Java `MessageQueueListener`). */
  readonly rebalanceListener?: RebalanceListener<RL> | undefined
}

const isOptionalFunction = (value: unknown) => value === undefined || typeof value === "function"

const isListener = (value: unknown): value is RebalanceListener =>
  typeof value === "object" &&
  value !== null &&
  isOptionalFunction(Reflect.get(value, "assigned")) &&
  isOptionalFunction(Reflect.get(value, "revoked"))

const isStore = (value: unknown): value is OffsetStore =>
  typeof value === "object" &&
  value !== null &&
  typeof Reflect.get(value, "load") === "function" &&
  typeof Reflect.get(value, "persist") === "function"

const SAME = "the same"
const MAX_TIME = 65_535

/** The table of {@link ConsumerOnlyOptions}. */
export const ownTable = {
  consumerGroup: Kinds.text({
    name: "group",
    java: SAME,
    absent: "required",
    isRequired: true,
    default: DEFAULT_CONSUMER_GROUP
  }),
  subscriptions: OwnKinds.subscriptions,
  messageModel: Kinds.literal({
    name: "message-model",
    java: SAME,
    values: ["CLUSTERING", "BROADCASTING"],
    default: "CLUSTERING"
  }),
  readiness: Kinds.literal({
    name: "readiness",
    java: "none, see [startup.md](startup.md)",
    values: ["lazy", "nameServer", "routes", "registered", "assigned"],
    default: "assigned"
  }),
  startTimeoutMillis: Kinds.time({ name: "start-timeout", java: "none", default: 10_000, least: 1 }),
  consumeFromWhere: OwnKinds.consumeFromWhere,
  strictLast: Kinds.boolean({ name: "strict-last", java: "none, false", default: true }),
  concurrency: Kinds.whole({
    name: "concurrency",
    also: ["consume-thread-number"],
    java: "`consumeThreadNumber` of rocketmq-spring",
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
  reconsumePolicy: OwnKinds.reconsumePolicy,
  maxReconsumeTimes: Kinds.whole({ name: "max-reconsume-times", java: SAME, default: -1, least: -1, most: 1_000_000 }),
  suspendCurrentQueueTimeMillis: Kinds.time({
    name: "suspend-current-queue-time-millis",
    java: SAME,
    default: 1_000,
    least: 10,
    most: 30_000
  }),
  consumeTimeout: OwnKinds.consumeTimeout,
  pullBatchSize: Kinds.whole({ name: "pull-batch-size", java: SAME, default: 32, least: 1, most: 1_024 }),
  pullBatchSizeInBytes: Kinds.whole({
    name: "pull-batch-size-in-bytes",
    java: SAME,
    default: 262_144,
    least: 1,
    most: 2_147_483_647
  }),
  pullInterval: Kinds.time({ name: "pull-interval", java: SAME, default: 0, least: 0, most: MAX_TIME }),
  pullTimeDelayMillsWhenException: Kinds.time({
    name: "pull-time-delay-mills-when-exception",
    java: SAME,
    default: 1_000,
    least: 1
  }),
  postSubscriptionWhenPull: Kinds.boolean({ name: "post-subscription-when-pull", java: SAME, default: false }),
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
  pullThresholdForTopic: OwnKinds.limitOrNone({
    name: "pull-threshold-for-topic",
    java: SAME,
    most: 6_553_500
  }),
  pullThresholdSizeForTopic: OwnKinds.limitOrNone({
    name: "pull-threshold-size-for-topic",
    java: "the same, MiB",
    most: 102_400
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
  allocateMessageQueueStrategy: OwnKinds.allocateMessageQueueStrategy,
  rebalanceListener: Kinds.code<RebalanceListener>({
    java: "`messageQueueListener`",
    absent: "nobody",
    what: "a RebalanceListener",
    is: isListener
  }),
  offsetStore: Kinds.code<OffsetStore>({
    java: SAME,
    absent: "on the brokers; in memory with `BROADCASTING`",
    what: "an OffsetStore",
    is: isStore
  }),
  ratePerSecond: Kinds.whole({
    name: "rate-per-second",
    java: "none",
    absent: "no limit",
    default: undefined,
    least: 1,
    most: 1_000_000
  }),
  ...TraceOptions.table,
  onProblem: Kinds.callable<OnProblem>({ java: "none", absent: "it goes on" }),
  drainTimeoutMillis: Kinds.time({
    name: "drain-timeout",
    also: ["awaitTerminationMillisWhenShutdown"],
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

/** Any topic can be read. */
const NONE_RESERVED = { has: () => false, action: "reading" }

/** What is wrong with a subscription, as a sentence; undefined when it can be used. */
export const problemOf = (subscription: Subscription.Subscription): string | undefined => {
  const name = checkTopic(subscription.topic, NONE_RESERVED)
  return name === undefined ? Subscription.problemOf(subscription) : `names a topic that ${name}`
}

const problemsOf = (config: PushConsumerConfig): ReadonlyArray<ConfigProblem> => {
  const { consumeThreadMax, consumeThreadMin, consumerGroup, namespace, subscriptions = [] } = config
  const problems: Array<ConfigProblem> = []
  const note = (path: string, problem: string) => problems.push(new ConfigProblem({ path, problem }))
  const wrapped = namespace === undefined ? consumerGroup : Namespace.wrap(namespace, consumerGroup)
  if (namespace !== undefined && wrapped.length > GROUP_MAX_LENGTH) {
    note("namespace", `makes a group of ${wrapped.length} characters, at most ${GROUP_MAX_LENGTH} are allowed`)
  }
  for (const path of ["pullThresholdForTopic", "pullThresholdSizeForTopic"] as const) {
    if (config[path] === 0) note(path, "must be above 0, or -1 for no limit, is 0")
  }
  if (consumeThreadMin > consumeThreadMax) note("consumeThreadMin", `is above consumeThreadMax, ${consumeThreadMax}`)
  const topics = new Set<string>()
  subscriptions.forEach((subscription, index) => {
    const problem = topics.has(subscription.topic)
      ? `subscribes to topic ${subscription.topic} a second time`
      : problemOf(subscription)
    topics.add(subscription.topic)
    if (problem !== undefined) note(`subscriptions[${index}]`, problem)
  })
  return problems
}

/** Names without the namespace, and what is wrong with all options together. */
export const complete = ({
  config,
  problems
}: OptionTable.Resolution<PushConsumerConfig>): OptionTable.Resolution<PushConsumerConfig> => {
  const { concurrency, namespace } = config
  const local = (name: string) => Namespace.unwrap(namespace, name)
  const [first, ...others] = config.subscriptions ?? []
  const named = <S extends Subscription.Subscription>(one: S): S => ({ ...one, topic: local(one.topic) })
  const whole: PushConsumerConfig = {
    ...config,
    consumerGroup: local(config.consumerGroup),
    subscriptions: first === undefined ? undefined : [named(first), ...others.map(named)],
    consumeThreadMin: concurrency ?? config.consumeThreadMin,
    consumeThreadMax: concurrency ?? config.consumeThreadMax
  }
  const found = problemsOf(whole).filter(({ path, problem }) =>
    problems.every((one) => one.path !== path || one.problem !== problem)
  )
  return { config: whole, problems: [...problems, ...found] }
}

/** A configuration in the namespace that its name servers stand for, where they do and it has none. */
export const inEndpointNamespace = (
  resolution: OptionTable.Resolution<PushConsumerConfig>
): Effect.Effect<OptionTable.Resolution<PushConsumerConfig>> =>
  Effect.map(withEndpointNamespace(resolution.config), (config) =>
    config === resolution.config ? resolution : complete({ ...resolution, config })
  )

/** Fills options up with the defaults, and tells everything that cannot be used. */
export const resolve = (options: Partial<PushConsumerOptions>): OptionTable.Resolution<PushConsumerConfig> =>
  complete(OptionTable.resolve<PushConsumerConfig>(table, options))
