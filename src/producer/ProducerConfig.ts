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
import * as ClientConfig from "../client/ClientConfig.ts"
import { ConfigProblem } from "../client/ClientError.ts"

/**
 * What "started" means for a producer.
 *
 * - `lazy`: nothing was asked of any server (Java's way).
 * - `nameServer`: a name server has answered; the default.
 * - `routes`: the routes of {@link ProducerConfig.topics} are known as well.
 * - `registered`: every master on those routes has acknowledged a heartbeat as well.
 */
export type Readiness = "lazy" | "nameServer" | "routes" | "registered"

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
  enableTrace: false,
  traceTopic: RMQ_SYS_TRACE_TOPIC,
  drainTimeoutMillis: 3_000
}

/** What a user gives: the group, and any other option. */
export type ProducerOptions = { readonly [K in keyof ProducerConfig]?: ProducerConfig[K] | undefined } & {
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
  ["drainTimeoutMillis", 0]
]

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
