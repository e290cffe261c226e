import { type Duration, Effect } from "effect"
import * as ClientConfig from "../client/ClientConfig.ts"
import { type ApiError, ConfigProblem } from "../client/ClientError.ts"
import type { Resolved, TableOf } from "../client/options/Option.ts"
import type { Readiness } from "../client/Readiness.ts"
import { withEndpointNamespace } from "../client/ResolveConfig.ts"
import * as Kinds from "../client/options/OptionKinds.ts"
import * as OptionTable from "../client/options/OptionTable.ts"
import * as TraceOptions from "../client/options/TraceOptions.ts"
import { LEVELS, MAX_TIMER_DELAY_MILLIS } from "../message/MessageDelay.ts"
import {
  DEFAULT_PRODUCER_GROUP,
  DEFAULT_TOPIC_QUEUE_NUMS,
  GROUP_MAX_LENGTH,
  MAX_MESSAGE_SIZE
} from "../message/MixAll.ts"
import * as Namespace from "../message/Namespace.ts"
import type { CompressionType } from "../protocol/Compression.ts"
import type { KeyHash } from "./queue/KeyHash.ts"

/**
 * What to do after an attempt that failed.
 *
 * - `busy`: the broker is overloaded; wait a little and send again, for as long as the deadline allows.
 * - `busy-once`: the same, but one more busy answer ends the send.
 * - `retry`: send again, to another broker where there is one.
 * - `refresh`: the same, after the route was read anew.
 * - `fail`: sending again would fail the same way.
 */
export type RetryDecision = "busy" | "busy-once" | "retry" | "refresh" | "fail"

/**
 * The options of a producer beside those of the client instance under it, with Java's words and defaults. A time is any
 * `Duration.Input`; a bare number is milliseconds.
 *
 * Source: RocketMQ `DefaultMQProducer`.
 */
export interface ProducerOnlyOptions extends TraceOptions.TraceOptions {
  /** The group under which brokers know the producer, 1 to 120 letters, digits, `%`, `|`, `-` and `_`; required, `DEFAULT_PRODUCER` is refused. */
  readonly producerGroup: string
  /** What the start waits for; default `nameServer`. */
  readonly readiness?: Readiness | undefined
  /** Topics that the start resolves, for `routes` and `registered`; by default none (the template topic stands in). */
  readonly topics?: ReadonlyArray<string> | undefined
  /** How long the start may take in all; default 10 seconds. */
  readonly startTimeoutMillis?: Duration.Input | undefined
  /** How long a send may take, all attempts and waits together; default 3 seconds (Java `sendMsgTimeout`). */
  readonly sendMsgTimeout?: Duration.Input | undefined
  /**
   * How long one attempt may take (Java `sendMsgMaxTimeoutPerRequest`). By default the time left is divided by the
   * attempts left where the topic has more than one broker, so that a silent one cannot use up the whole; with one broker
   * an attempt may take all of it.
   */
  readonly sendMsgMaxTimeoutPerRequest?: Duration.Input | undefined
  /** Attempts after the first that failed; default 2 (Java `retryTimesWhenSendFailed`). "Busy" answers do not count. */
  readonly retryTimesWhenSendFailed?: number | undefined
  /** Whether to send again when a broker stored the message but not as durably as asked; default false; may duplicate. */
  readonly retryAnotherBrokerWhenNotStoreOK?: boolean | undefined
  /** The largest body in bytes; default 4 MiB (Java `maxMessageSize`). */
  readonly maxMessageSize?: number | undefined
  /** Queues on each broker for a topic that a send creates; default 4 (Java `defaultTopicQueueNums`). */
  readonly defaultTopicQueueNums?: number | undefined
  /** Whether a topic that nobody has may be sent through the template topic; default true. */
  readonly borrowRoute?: boolean | undefined
  /** Which client's choice of queue an `orderingKey` reproduces; default `java`. */
  readonly orderingHash?: KeyHash | undefined
  /** Bodies of so many bytes or more leave packed; default 4,096 (Java `compressMsgBodyOverHowmuch`), `Infinity` for never. */
  readonly compressMsgBodyOverHowmuch?: number | undefined
  /** How bodies are packed; default `ZLIB` (Java `compressType`). `LZ4` needs the package `lz4-napi`. */
  readonly compressType?: CompressionType | undefined
  /** How hard bodies are packed, 0 to 22; default 5 (Java `compressLevel`). ZLIB ends at 9, LZ4 has no levels. */
  readonly compressLevel?: number | undefined
  /** How far ahead a message may be timed; default 3 days (the brokers' `timerMaxDelaySec`). */
  readonly timerMaxDelayMillis?: Duration.Input | undefined
  /** The highest delay level; default 18 (the brokers' `messageDelayLevel`). */
  readonly maxDelayLevel?: number | undefined
  /** Whether sends that come at about the same time leave together; default false (Java `autoBatch`). */
  readonly autoBatch?: boolean | undefined
  /** How long a message waits for others at most, in whole milliseconds from 1 to 30,000; default 10 millis (Java `batchMaxDelayMs`). */
  readonly batchMaxDelayMs?: Duration.Input | undefined
  /** Bytes of a batch at most; default 32 KiB, up to 2 MiB (Java `batchMaxBytes`). */
  readonly batchMaxBytes?: number | undefined
  /** Bytes of all batches that wait or are under way; beyond it sends go by themselves; default 32 MiB (Java `totalBatchMaxBytes`). */
  readonly totalBatchMaxBytes?: number | undefined
  /** Messages that `sendQueued` has accepted and no broker acknowledged; beyond it callers wait; default 1,024. */
  readonly maxQueuedSends?: number | undefined
  /**
   * Sends in flight; beyond it senders wait, within their deadline; default 10,000 (Java `backPressureForAsyncSendNum`,
   * there 1,024 and off unless asked).
   */
  readonly backPressureForAsyncSendNum?: number | undefined
  /** Bytes of the bodies in flight; beyond it senders wait; default 100 MiB (Java `backPressureForAsyncSendSize`). */
  readonly backPressureForAsyncSendSize?: number | undefined
  /** Whether brokers that were slow or failed are passed over for a while; default false (Java `sendLatencyEnable`). */
  readonly sendLatencyEnable?: boolean | undefined
  /** Whether a broker that failed comes back only when a probe reached it; default false (Java `startDetectorEnable`). */
  readonly startDetectorEnable?: boolean | undefined
  /** Time between two probes of a broker; default 2 seconds (Java `detectInterval`). */
  readonly detectInterval?: Duration.Input | undefined
  /** How long a probe may take; default 200 millis (Java `detectTimeout`). */
  readonly detectTimeout?: Duration.Input | undefined
  /** What to do after an attempt that failed; by default what the table in docs/errors.md says. */
  readonly retryPolicy?: ((error: ApiError) => RetryDecision) | undefined
  /** How long a shutdown waits for sends under way; default 3 seconds. */
  readonly drainTimeoutMillis?: Duration.Input | undefined
}

/** What a user gives: the group, and any other option of a producer or of the client instance under it. */
export interface ProducerOptions extends ProducerOnlyOptions, ClientConfig.ClientOptions {}

const SAME = "the same"

/** The table of {@link ProducerOnlyOptions}. */
export const ownTable = {
  producerGroup: Kinds.text({
    name: "group",
    java: SAME,
    absent: "required",
    default: DEFAULT_PRODUCER_GROUP,
    isRequired: true
  }),
  readiness: Kinds.literal({
    name: "readiness",
    java: "none, see [startup.md](startup.md)",
    values: ["lazy", "nameServer", "routes", "registered"],
    default: "nameServer"
  }),
  topics: Kinds.list({ name: "topics", java: SAME, absent: "none", default: [], check: TraceOptions.problemOfTopic }),
  startTimeoutMillis: Kinds.time({ name: "start-timeout", java: "none", default: 10_000, least: 1 }),
  sendMsgTimeout: Kinds.time({
    name: "send-message-timeout",
    java: "the same; here over all attempts and waits",
    default: 3_000,
    least: 1
  }),
  sendMsgMaxTimeoutPerRequest: Kinds.time({
    name: "send-message-max-timeout-per-request",
    java: "the same, off by default",
    absent: "the time left, divided by the attempts left where there are several brokers",
    default: undefined,
    least: 1
  }),
  retryTimesWhenSendFailed: Kinds.whole({
    name: "retry-times-when-send-failed",
    java: `the same; "busy" answers do not count`,
    default: 2,
    least: 0
  }),
  retryAnotherBrokerWhenNotStoreOK: Kinds.boolean({ name: "retry-next-server", java: SAME, default: false }),
  maxMessageSize: Kinds.whole({ name: "max-message-size", java: SAME, default: MAX_MESSAGE_SIZE, least: 1 }),
  defaultTopicQueueNums: Kinds.whole({
    name: "default-topic-queue-nums",
    java: SAME,
    default: DEFAULT_TOPIC_QUEUE_NUMS,
    least: 1
  }),
  borrowRoute: Kinds.boolean({ name: "borrow-route", java: "none", default: true }),
  orderingHash: Kinds.literal({
    name: "ordering-hash",
    java: "none",
    values: ["java", "go", "ali-ons", "siphash", "proxy"],
    default: "java"
  }),
  compressMsgBodyOverHowmuch: Kinds.whole({
    name: "compress-message-body-threshold",
    java: SAME,
    default: 4_096,
    least: 0,
    most: Infinity
  }),
  compressType: Kinds.literal({ name: "compress-type", java: SAME, values: ["ZLIB", "LZ4", "ZSTD"], default: "ZLIB" }),
  compressLevel: Kinds.whole({ name: "compress-level", java: SAME, default: 5, least: 0, most: 22 }),
  timerMaxDelayMillis: Kinds.time({
    name: "timer-max-delay",
    java: "the brokers' `timerMaxDelaySec`",
    default: MAX_TIMER_DELAY_MILLIS,
    least: 0
  }),
  maxDelayLevel: Kinds.whole({
    name: "max-delay-level",
    java: "the brokers' `messageDelayLevel`",
    default: LEVELS.length,
    least: 1,
    most: 1_000
  }),
  autoBatch: Kinds.boolean({ name: "auto-batch", java: SAME, default: false }),
  batchMaxDelayMs: Kinds.time({ name: "batch-max-delay", java: SAME, default: 10, least: 1, most: 30_000 }),
  batchMaxBytes: Kinds.whole({ name: "batch-max-bytes", java: SAME, default: 32_768, least: 1, most: 2_097_152 }),
  totalBatchMaxBytes: Kinds.whole({ name: "total-batch-max-bytes", java: SAME, default: 33_554_432, least: 1 }),
  maxQueuedSends: Kinds.whole({ name: "max-queued-sends", java: "none", default: 1_024, least: 1, most: 1_000_000 }),
  backPressureForAsyncSendNum: Kinds.whole({
    name: "back-pressure-for-async-send-num",
    java: "the same (1024, off unless asked)",
    default: 10_000,
    least: 1
  }),
  backPressureForAsyncSendSize: Kinds.whole({
    name: "back-pressure-for-async-send-size",
    java: SAME,
    default: 104_857_600,
    least: 1
  }),
  sendLatencyEnable: Kinds.boolean({ name: "send-latency-enable", java: SAME, default: false }),
  startDetectorEnable: Kinds.boolean({ name: "start-detector-enable", java: SAME, default: false }),
  detectInterval: Kinds.time({ name: "detect-interval", java: SAME, default: 2_000, least: 1 }),
  detectTimeout: Kinds.time({ name: "detect-timeout", java: SAME, default: 200, least: 1 }),
  retryPolicy: Kinds.callable<(error: ApiError) => RetryDecision>({
    java: "`retryResponseCodes`",
    absent: "the table in [errors.md](errors.md)"
  }),
  ...TraceOptions.table,
  drainTimeoutMillis: Kinds.time({ name: "drain-timeout", java: "none", default: 3_000, least: 0 })
} satisfies TableOf<ProducerOnlyOptions>

/** The table of {@link ProducerOptions}. */
export const table = { ...ClientConfig.table, ...ownTable }

/** {@link ProducerOptions} with a value for each of them, times in milliseconds. */
export interface ProducerConfig extends ClientConfig.ClientConfig, Resolved<typeof ownTable> {}

/** The defaults of {@link ProducerConfig}. */
export const defaults: ProducerConfig = OptionTable.defaultsOf<ProducerConfig>(table)

/** The configuration with group and topics named as users name them, should they have been given with the namespace. */
const withoutNamespace = <C extends ProducerConfig>(config: C): C =>
  config.namespace === undefined
    ? config
    : {
        ...config,
        producerGroup: Namespace.unwrap(config.namespace, config.producerGroup),
        topics: config.topics.map((topic) => Namespace.unwrap(config.namespace, topic))
      }

/** What the checks of single options come to, and what two of them make together. */
export const complete = <C extends ProducerConfig>(single: OptionTable.Resolution<C>): OptionTable.Resolution<C> => {
  const config = withoutNamespace(single.config)
  const { namespace, producerGroup } = config
  const wrapped = namespace === undefined ? producerGroup : Namespace.wrap(namespace, producerGroup)
  if (namespace === undefined || wrapped.length <= GROUP_MAX_LENGTH) return { config, problems: single.problems }
  const problem = `makes a group of ${wrapped.length} characters, at most ${GROUP_MAX_LENGTH} are allowed`
  return { config, problems: [...single.problems, new ConfigProblem({ path: "namespace", problem })] }
}

/** A configuration in the namespace that its name servers stand for, where they do and it has none. */
export const inEndpointNamespace = <C extends ProducerConfig>(
  resolution: OptionTable.Resolution<C>
): Effect.Effect<OptionTable.Resolution<C>> =>
  Effect.map(withEndpointNamespace(resolution.config), (config) =>
    config === resolution.config ? resolution : complete({ ...resolution, config })
  )

/** Fills options up with the defaults, and tells everything that cannot be used. */
export const resolve = (options: Partial<ProducerOptions>): OptionTable.Resolution<ProducerConfig> =>
  complete(OptionTable.resolve<ProducerConfig>(table, options))
