import type { Duration } from "effect"
import * as ClientConfig from "../../client/ClientConfig.ts"
import type { Resolved, TableOf } from "../../client/options/Option.ts"
import * as Kinds from "../../client/options/OptionKinds.ts"
import * as OptionTable from "../../client/options/OptionTable.ts"
import * as TraceOptions from "../../client/options/TraceOptions.ts"
import { MAX_POPPED } from "../../client/PopCalls.ts"
import type { Readiness } from "../../client/Readiness.ts"
import * as ConsumerOptions from "../ConsumerOptions.ts"
import { consumeFromWhere } from "../ConsumerProperties.ts"
import { LEAST_INVISIBLE_MILLIS, MOST_INVISIBLE_MILLIS } from "./Lease.ts"

/** The options that a push consumer has as well, with the same meaning and default. */
type Shared = Pick<ConsumerOptions.ConsumerOnlyOptions, "consumerGroup" | "drainTimeoutMillis" | "startTimeoutMillis">

/**
 * The options of a simple consumer beside those of the client instance under it. Words are those of Java's pop consumer and of
 * the gRPC clients' `SimpleConsumer`. A time is any `Duration.Input`, a bare number milliseconds.
 *
 * Source: apache/rocketmq-clients `SimpleConsumerBuilder`; RocketMQ `DefaultMQPushConsumer`.
 */
export interface SimpleConsumerOnlyOptions extends Shared, TraceOptions.TraceOptions {
  /** What is read from the start on; default nothing, until `subscribe`. */
  readonly subscriptions?: ConsumerOptions.ConsumerOnlyOptions["subscriptions"] | undefined
  /** What the start waits for; default `nameServer`: that a name server has answered. */
  readonly readiness?: Readiness | undefined
  /** Where the group begins in a topic that it never read: `first` or `last`; default `last`. */
  readonly consumeFromWhere?: "first" | "last" | undefined
  /** For how long `receive` hides messages unless it is told; default 1 minute, 1 second to 12 hours (Java `popInvisibleTime`). */
  readonly popInvisibleTime?: Duration.Input | undefined
  /** Messages that `receive` gives at most unless it is told; default 32, 1 to 32 (Java `popBatchNums`). */
  readonly popBatchNums?: number | undefined
  /** How long `receive` waits for its first message unless it is told; default 15 seconds (gRPC `awaitDuration`). */
  readonly awaitDuration?: Duration.Input | undefined
}

/** What a user gives: the group, and any other option of a simple consumer or of the client instance under it. */
export interface SimpleConsumerOptions extends SimpleConsumerOnlyOptions, ClientConfig.ClientOptions {}

const SAME = "the same"
const shared = ConsumerOptions.ownTable

/** The table of {@link SimpleConsumerOnlyOptions}. */
export const ownTable = {
  consumerGroup: shared.consumerGroup,
  subscriptions: { ...shared.subscriptions, isRequired: false },
  readiness: Kinds.literal({
    name: "readiness",
    java: "none, see [startup.md](startup.md)",
    values: ["lazy", "nameServer", "routes", "registered"],
    default: "nameServer"
  }),
  startTimeoutMillis: shared.startTimeoutMillis,
  consumeFromWhere: Kinds.literal({
    name: "consume-from-where",
    java: SAME,
    values: ["first", "last"],
    default: "last"
  }),
  popInvisibleTime: Kinds.time({
    name: "pop-invisible-time",
    java: SAME,
    default: 60_000,
    least: LEAST_INVISIBLE_MILLIS,
    most: MOST_INVISIBLE_MILLIS
  }),
  popBatchNums: Kinds.whole({ name: "pop-batch-nums", java: SAME, default: MAX_POPPED, least: 1, most: MAX_POPPED }),
  awaitDuration: Kinds.time({
    name: "await-duration",
    java: "`setAwaitDuration` of the gRPC client's `SimpleConsumerBuilder`",
    default: 15_000,
    least: 0
  }),
  drainTimeoutMillis: shared.drainTimeoutMillis,
  ...TraceOptions.table
} satisfies TableOf<SimpleConsumerOnlyOptions>

/** The table of {@link SimpleConsumerOptions}. */
export const table = { ...ClientConfig.table, ...ownTable }

/** {@link SimpleConsumerOptions} with a value for each of them, times in milliseconds. */
export interface SimpleConsumerConfig extends ClientConfig.ClientConfig, Resolved<typeof ownTable> {}

/** The same in the words of every consumer, names without the namespace. */
export const forConsumer = ({
  config,
  problems
}: OptionTable.Resolution<SimpleConsumerConfig>): OptionTable.Resolution<ConsumerOptions.PushConsumerConfig> =>
  ConsumerOptions.complete({
    config: { ...OptionTable.defaultsOf<ConsumerOptions.PushConsumerConfig>(ConsumerOptions.table), ...config },
    problems
  })

/** Fills options up with the defaults, and tells everything that cannot be used. */
export const resolve = (options: Partial<SimpleConsumerOptions>): OptionTable.Resolution<SimpleConsumerConfig> => {
  const resolution = OptionTable.resolve<SimpleConsumerConfig>(table, options)
  return { config: resolution.config, problems: forConsumer(resolution).problems }
}

/**
 * The properties by which Java's tools show a simple consumer: named one by one, so that no credential is among them by
 * accident.
 */
export const propertiesOf = (config: SimpleConsumerConfig): Readonly<Record<string, unknown>> => ({
  consumerGroup: config.consumerGroup,
  messageModel: "CLUSTERING",
  consumeFromWhere: consumeFromWhere(config.consumeFromWhere),
  popInvisibleTime: config.popInvisibleTime,
  popBatchNums: config.popBatchNums,
  awaitDuration: config.awaitDuration,
  enableTrace: config.enableTrace,
  traceTopic: config.traceTopic,
  namespace: config.namespace,
  instanceName: config.instanceName,
  unitName: config.unitName,
  unitMode: config.unitMode,
  useTLS: config.tls !== undefined,
  vipChannelEnabled: config.vipChannelEnabled,
  pollNameServerInterval: config.pollNameServerInterval,
  heartbeatBrokerInterval: config.heartbeatBrokerInterval,
  mqClientApiTimeout: config.mqClientApiTimeout
})
