import type { Consumption } from "./consume/Consumption.ts"
import type { ConsumerKind } from "./ConsumerKind.ts"
import type { PushConsumerConfig } from "./ConsumerOptions.ts"
import * as AllocateStrategy from "./rebalance/AllocateStrategy.ts"
import type { RunConfig } from "./run/RunOptions.ts"

const MIB = 1024 * 1024

/** What of a consumer's configuration the run works with. */
export const runConfigOf = <C extends Consumption>(
  config: PushConsumerConfig,
  { active, isOrderly = false }: ConsumerKind<C>
): RunConfig => {
  const broadcasts = config.messageModel === "BROADCASTING"
  return {
    group: config.consumerGroup,
    // Nobody else reads the queues of a member that broadcasts.
    isOrderly: isOrderly && !broadcasts,
    broadcasts,
    offsetsOnBrokers: !broadcasts && config.offsetStore === undefined,
    strategy: config.allocateMessageQueueStrategy ?? AllocateStrategy.averagely,
    consumeFromWhere: config.consumeFromWhere ?? "last",
    pullBatchSize: config.pullBatchSize,
    pullBatchSizeInBytes: config.pullBatchSizeInBytes,
    pullIntervalMillis: config.pullInterval,
    pullFailurePauseMillis: config.pullTimeDelayMillsWhenException,
    postSubscriptionWhenPull: config.postSubscriptionWhenPull,
    pullThresholdForQueue: config.pullThresholdForQueue,
    pullThresholdBytesForQueue: config.pullThresholdSizeForQueue * MIB,
    pullThresholdForTopic: config.pullThresholdForTopic,
    pullThresholdBytesForTopic: config.pullThresholdSizeForTopic * MIB,
    pullThresholdForAll: config.pullThresholdForAll,
    pullThresholdBytesForAll: config.pullThresholdSizeForAll * MIB,
    consumeConcurrentlyMaxSpan: config.consumeConcurrentlyMaxSpan,
    revokeDrainMillis: config.revokeDrain,
    marksOnly: active !== undefined,
    litePull: active
  }
}
