import {
  DEFAULT_PRODUCER_GROUP,
  DEFAULT_TOPIC_QUEUE_NUMS,
  GROUP_MAX_LENGTH,
  isValidName,
  MAX_MESSAGE_SIZE,
  RMQ_SYS_TRACE_TOPIC,
  TOPIC_MAX_LENGTH,
  VALID_NAME_PATTERN
} from "../message/MixAll.ts"
import * as Namespace from "../message/Namespace.ts"
import { LEVELS, MAX_TIMER_DELAY_MILLIS } from "../message/MessageDelay.ts"
import type { CompressionType } from "../protocol/Compression.ts"
import type { KeyHash } from "./queue/KeyHash.ts"
import * as ClientConfig from "../client/ClientConfig.ts"
import { type ApiError, ConfigProblem } from "../client/ClientError.ts"
import type { Readiness } from "../client/Readiness.ts"

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
 * The options of a producer and of the client instance under it, with Java's words and defaults.
 *
 * Source: RocketMQ `DefaultMQProducer`, `ClientConfig`.
 */
export interface ProducerConfig extends ClientConfig.ClientConfig {
  /** The group under which brokers know the producer; required, `DEFAULT_PRODUCER` is refused. */
  readonly producerGroup: string
  /** What the start waits for; default `nameServer`. */
  readonly readiness: Readiness
  /** Topics that the start resolves, for `routes` and `registered`; default none (the template topic stands in). */
  readonly topics: ReadonlyArray<string>
  /** Milliseconds that the start may take in all; default 10,000. */
  readonly startTimeoutMillis: number
  /** Milliseconds that a send may take, all attempts and waits together; default 3,000 (Java `sendMsgTimeout`). */
  readonly sendMsgTimeout: number
  /**
   * Milliseconds that one attempt may take (Java `sendMsgMaxTimeoutPerRequest`). By default the time left is divided by
   * the attempts left where the topic has more than one broker, so that a silent one cannot use up the whole; with one
   * broker an attempt may take all of it.
   */
  readonly sendMsgMaxTimeoutPerRequest: number | undefined
  /** Attempts after the first that failed; default 2 (Java `retryTimesWhenSendFailed`). "Busy" answers do not count. */
  readonly retryTimesWhenSendFailed: number
  /** Whether to send again when a broker stored the message but not as durably as asked; default false; may duplicate. */
  readonly retryAnotherBrokerWhenNotStoreOK: boolean
  /** The largest body in bytes; default 4 MiB (Java `maxMessageSize`). */
  readonly maxMessageSize: number
  /** Queues on each broker for a topic that a send creates; default 4 (Java `defaultTopicQueueNums`). */
  readonly defaultTopicQueueNums: number
  /** Whether a topic that nobody has may be sent through the template topic; default true. */
  readonly borrowRoute: boolean
  /** Which client's choice of queue an `orderingKey` reproduces; default `java`. */
  readonly orderingHash: KeyHash
  /**
   * Bodies of so many bytes or more leave packed; default 4,096 (Java `compressMsgBodyOverHowmuch`), `Infinity` for never.
   */
  readonly compressMsgBodyOverHowmuch: number
  /** How they are packed; default `ZLIB` (Java `compressType`). `LZ4` needs the package `lz4-napi`. */
  readonly compressType: CompressionType
  /** How hard, 0 to 22; default 5 (Java `compressLevel`). ZLIB ends at 9, LZ4 has no levels. */
  readonly compressLevel: number
  /** How far ahead a message may be timed, in milliseconds; default 3 days (the brokers' `timerMaxDelaySec`). */
  readonly timerMaxDelayMillis: number
  /** The highest delay level; default 18 (the brokers' `messageDelayLevel`). */
  readonly maxDelayLevel: number
  /** Whether sends that come at about the same time leave together; default false (Java `autoBatch`). */
  readonly autoBatch: boolean
  /** Milliseconds that a message waits for others at most; default 10, 1 to 30,000 (Java `batchMaxDelayMs`). */
  readonly batchMaxDelayMs: number
  /** Bytes of a batch at most; default 32 KiB, up to 2 MiB (Java `batchMaxBytes`). */
  readonly batchMaxBytes: number
  /** Bytes of all batches that wait or are under way; beyond it sends go by themselves; default 32 MiB (Java `totalBatchMaxBytes`). */
  readonly totalBatchMaxBytes: number
  /** Messages that `sendQueued` has accepted and no broker acknowledged; beyond it callers wait; default 1,024. */
  readonly maxQueuedSends: number
  /**
   * Sends in flight; beyond it senders wait, within their deadline; default 10,000 (Java `backPressureForAsyncSendNum`,
   * there 1,024 and off unless asked).
   */
  readonly backPressureForAsyncSendNum: number
  /** Bytes of their bodies; beyond it senders wait; default 100 MiB (Java `backPressureForAsyncSendSize`). */
  readonly backPressureForAsyncSendSize: number
  /** Whether brokers that were slow or failed are passed over for a while; default false (Java `sendLatencyEnable`). */
  readonly sendLatencyEnable: boolean
  /** Whether a broker that failed comes back only when a probe reached it; default false (Java `startDetectorEnable`). */
  readonly startDetectorEnable: boolean
  /** Milliseconds between two probes of a broker; default 2,000 (Java `detectInterval`). */
  readonly detectInterval: number
  /** Milliseconds that a probe may take; default 200 (Java `detectTimeout`). */
  readonly detectTimeout: number
  /** What to do after an attempt that failed, in place of the table in docs/errors.md. */
  readonly retryPolicy: ((error: ApiError) => RetryDecision) | undefined
  /** Whether RocketMQ's message traces are sent for each acknowledged message; default false (Java `enableTrace`). */
  readonly enableTrace: boolean
  /** Where they go; default `RMQ_SYS_TRACE_TOPIC` (Java `traceTopic`). */
  readonly traceTopic: string
  /** Milliseconds that a shutdown waits for sends under way; default 3,000. */
  readonly drainTimeoutMillis: number
}

/** The defaults of {@link ProducerConfig}. */
export const defaults: ProducerConfig = {
  ...ClientConfig.defaults,
  producerGroup: DEFAULT_PRODUCER_GROUP,
  readiness: "nameServer",
  topics: [],
  startTimeoutMillis: 10_000,
  sendMsgTimeout: 3_000,
  sendMsgMaxTimeoutPerRequest: undefined,
  retryTimesWhenSendFailed: 2,
  retryAnotherBrokerWhenNotStoreOK: false,
  maxMessageSize: MAX_MESSAGE_SIZE,
  defaultTopicQueueNums: DEFAULT_TOPIC_QUEUE_NUMS,
  borrowRoute: true,
  orderingHash: "java",
  compressMsgBodyOverHowmuch: 4_096,
  compressType: "ZLIB",
  compressLevel: 5,
  timerMaxDelayMillis: MAX_TIMER_DELAY_MILLIS,
  maxDelayLevel: LEVELS.length,
  autoBatch: false,
  batchMaxDelayMs: 10,
  batchMaxBytes: 32_768,
  totalBatchMaxBytes: 33_554_432,
  maxQueuedSends: 1_024,
  backPressureForAsyncSendNum: 10_000,
  backPressureForAsyncSendSize: 104_857_600,
  sendLatencyEnable: false,
  startDetectorEnable: false,
  detectInterval: 2_000,
  detectTimeout: 200,
  retryPolicy: undefined,
  enableTrace: false,
  traceTopic: RMQ_SYS_TRACE_TOPIC,
  drainTimeoutMillis: 3_000
}

/** What a user gives: the group, and any other option. */
export type ProducerOptions = { readonly [K in keyof ProducerConfig]?: ProducerConfig[K] | undefined } & {
  /** The group, 1 to 120 letters, digits, `%`, `|`, `-` and `_`: what brokers know the producer by. */
  readonly producerGroup: string
}

/** The configuration with group and topics named as users name them, should they have been given with the namespace. */
export const withoutNamespace = (config: ProducerConfig): ProducerConfig =>
  config.namespace === undefined
    ? config
    : {
        ...config,
        producerGroup: Namespace.unwrap(config.namespace, config.producerGroup),
        topics: config.topics.map((topic) => Namespace.unwrap(config.namespace, topic))
      }

const atLeast: ReadonlyArray<readonly [keyof ProducerConfig, number]> = [
  ["startTimeoutMillis", 1],
  ["sendMsgTimeout", 1],
  ["retryTimesWhenSendFailed", 0],
  ["maxMessageSize", 1],
  ["defaultTopicQueueNums", 1],
  ["drainTimeoutMillis", 0],
  ["timerMaxDelayMillis", 0],
  ["totalBatchMaxBytes", 1],
  ["backPressureForAsyncSendNum", 1],
  ["backPressureForAsyncSendSize", 1],
  ["detectInterval", 1],
  ["detectTimeout", 1]
]

/** Whole numbers, from and to. */
const between: ReadonlyArray<readonly [keyof ProducerConfig, number, number]> = [
  ["compressLevel", 0, 22],
  ["maxDelayLevel", 1, 1_000],
  ["batchMaxDelayMs", 1, 30_000],
  ["batchMaxBytes", 1, 2_097_152],
  ["maxQueuedSends", 1, 1_000_000]
]

const orderingHashes: ReadonlyArray<string> = ["java", "go", "ali-ons", "siphash", "proxy"] satisfies Array<KeyHash>
const compressTypes: ReadonlyArray<string> = ["ZLIB", "LZ4", "ZSTD"] satisfies Array<CompressionType>

const readinessLevels: ReadonlyArray<string> = ["lazy", "nameServer", "routes", "registered"] satisfies Array<Readiness>

/** Every problem of a producer's configuration, the client's part included. */
export const problems = (config: ProducerConfig): ReadonlyArray<ConfigProblem> => {
  const found = [...ClientConfig.problems(config)]
  for (const [path, least] of atLeast) {
    const value = config[path]
    if (typeof value !== "number" || !Number.isFinite(value) || value < least) {
      found.push(
        new ConfigProblem({
          path,
          problem: `must be a number of at least ${least}, is ${JSON.stringify(value) ?? "undefined"}`
        })
      )
    }
  }
  if (config.namespace !== undefined) {
    const wrapped = Namespace.wrap(config.namespace, config.producerGroup)
    if (wrapped.length > GROUP_MAX_LENGTH) {
      const problem = `makes a group of ${wrapped.length} characters, at most ${GROUP_MAX_LENGTH} are allowed`
      found.push(new ConfigProblem({ path: "namespace", problem }))
    }
  }
  for (const [path, least, most] of between) {
    const value = config[path]
    if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
      const problem = `must be a whole number from ${least} to ${most}, is ${JSON.stringify(value) ?? "undefined"}`
      found.push(new ConfigProblem({ path, problem }))
    }
  }
  if (!(config.compressMsgBodyOverHowmuch >= 0)) {
    found.push(new ConfigProblem({ path: "compressMsgBodyOverHowmuch", problem: "must be a number of at least 0" }))
  }
  for (const [path, values] of [
    ["orderingHash", orderingHashes],
    ["compressType", compressTypes]
  ] as const) {
    if (!values.includes(config[path])) {
      found.push(new ConfigProblem({ path, problem: `must be one of ${values.join(", ")}, is ${config[path]}` }))
    }
  }
  const perRequest = config.sendMsgMaxTimeoutPerRequest
  if (perRequest !== undefined && !(perRequest > 0)) {
    found.push(new ConfigProblem({ path: "sendMsgMaxTimeoutPerRequest", problem: "must be above 0" }))
  }
  if (!readinessLevels.includes(config.readiness)) {
    const problem = `must be one of ${readinessLevels.join(", ")}, is ${config.readiness}`
    found.push(new ConfigProblem({ path: "readiness", problem }))
  }
  if (config.traceTopic.length > TOPIC_MAX_LENGTH || !isValidName(config.traceTopic)) {
    found.push(new ConfigProblem({ path: "traceTopic", problem: `"${config.traceTopic}" is no topic name` }))
  }
  config.topics.forEach((topic, index) => {
    if (topic.length > TOPIC_MAX_LENGTH || !isValidName(topic)) {
      const problem = `"${topic}" is no topic name (1 to ${TOPIC_MAX_LENGTH} characters, ${VALID_NAME_PATTERN})`
      found.push(new ConfigProblem({ path: `topics[${index}]`, problem }))
    }
  })
  return found
}
