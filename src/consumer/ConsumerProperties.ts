import { parseNamesrvAddr } from "../client/NameServerAddresses.ts"
import type { PushConsumerConfig } from "./ConsumerOptions.ts"
import * as AllocateStrategy from "./rebalance/AllocateStrategy.ts"

const MINUTE = 60_000

const two = (value: number) => String(value).padStart(2, "0")

/** `yyyyMMddHHmmss` in local time. Source: RocketMQ `UtilAll.timeMillisToHumanString3`. */
const timeText = (millis: number): string => {
  const at = new Date(millis)
  return [at.getFullYear(), at.getMonth() + 1, at.getDate(), at.getHours(), at.getMinutes(), at.getSeconds()]
    .map(two)
    .join("")
}

/** Java's name of a `ConsumeFromWhere`, as heartbeats carry it. */
export const consumeFromWhere = (from: PushConsumerConfig["consumeFromWhere"]): string =>
  from === "first"
    ? "CONSUME_FROM_FIRST_OFFSET"
    : from === undefined || from === "last"
      ? "CONSUME_FROM_LAST_OFFSET"
      : "CONSUME_FROM_TIMESTAMP"

/**
 * A consumer's configuration as Java's tools show it: Java's names and units. Named one by one, so that no credential and no
 * address of a proxy is among them by accident.
 *
 * Source: RocketMQ `MixAll.object2Properties` of `DefaultMQPushConsumer`.
 */
export const propertiesOf = (
  config: PushConsumerConfig,
  consumeMessageBatchMaxSize: number
): Readonly<Record<string, unknown>> => {
  const { consumeFromWhere: from, namesrvAddr } = config
  return {
    consumerGroup: config.consumerGroup,
    messageModel: config.messageModel,
    consumeFromWhere: consumeFromWhere(from),
    consumeTimestamp: typeof from === "object" ? timeText(from.timestamp.epochMilliseconds) : undefined,
    allocateMessageQueueStrategy: (config.allocateMessageQueueStrategy ?? AllocateStrategy.averagely).name,
    consumeThreadMin: config.consumeThreadMin,
    consumeThreadMax: config.consumeThreadMax,
    adjustThreadPoolNumsThreshold: config.adjustThreadPoolNumsThreshold,
    consumeConcurrentlyMaxSpan: config.consumeConcurrentlyMaxSpan,
    consumeMessageBatchMaxSize,
    consumeTimeout: config.consumeTimeout / MINUTE,
    maxReconsumeTimes: config.maxReconsumeTimes,
    suspendCurrentQueueTimeMillis: config.suspendCurrentQueueTimeMillis,
    pullBatchSize: config.pullBatchSize,
    pullBatchSizeInBytes: config.pullBatchSizeInBytes,
    pullInterval: config.pullInterval,
    pullTimeDelayMillsWhenException: config.pullTimeDelayMillsWhenException,
    postSubscriptionWhenPull: config.postSubscriptionWhenPull,
    pullThresholdForQueue: config.pullThresholdForQueue,
    pullThresholdSizeForQueue: config.pullThresholdSizeForQueue,
    pullThresholdForAll: config.pullThresholdForAll,
    pullThresholdSizeForAll: config.pullThresholdSizeForAll,
    awaitTerminationMillisWhenShutdown: config.drainTimeoutMillis,
    strictLast: config.strictLast,
    enableTrace: config.enableTrace,
    traceTopic: config.traceTopic,
    namesrvAddr: namesrvAddr === undefined ? undefined : parseNamesrvAddr(namesrvAddr).addresses.join(";"),
    namespace: config.namespace,
    instanceName: config.instanceName,
    unitName: config.unitName,
    unitMode: config.unitMode,
    useTLS: config.tls !== undefined,
    vipChannelEnabled: config.vipChannelEnabled,
    pollNameServerInterval: config.pollNameServerInterval,
    heartbeatBrokerInterval: config.heartbeatBrokerInterval,
    persistConsumerOffsetInterval: config.persistConsumerOffsetInterval,
    mqClientApiTimeout: config.mqClientApiTimeout
  }
}
