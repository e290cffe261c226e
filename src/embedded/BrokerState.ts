import type { TopicConfig } from "../protocol/TopicConfig.ts"
import type { BrokerConfig } from "./BrokerConfig.ts"
import * as ConsumerOffsets from "./ConsumerOffsets.ts"
import * as MessageStore from "./MessageStore.ts"
import * as SubscriptionGroups from "./SubscriptionGroups.ts"
import * as TopicTable from "./TopicTable.ts"

/**
 * What a broker keeps on its disk: it outlives a stop and a start, and a master shares it with its slaves, so that these
 * are never behind.
 */
export interface BrokerState {
  readonly clusterName: string
  readonly brokerName: string
  readonly store: MessageStore.MessageStore
  readonly topics: TopicTable.TopicTable
  readonly groups: SubscriptionGroups.SubscriptionGroups
  readonly offsets: ConsumerOffsets.ConsumerOffsets
}

/** Builds the state of a broker that never ran. `onTopicChange` is told of every topic it creates or changes. */
export const make = (options: {
  readonly clusterName: string
  readonly brokerName: string
  readonly config: BrokerConfig
  readonly now: () => number
  readonly onTopicChange: (config: TopicConfig) => void
}): BrokerState => ({
  clusterName: options.clusterName,
  brokerName: options.brokerName,
  store: MessageStore.make({ maxBytes: options.config.maxStoreBytes }),
  topics: TopicTable.make({
    clusterName: options.clusterName,
    brokerName: options.brokerName,
    version: options.config.version,
    autoCreateTopicEnable: options.config.autoCreateTopicEnable,
    defaultTopicQueueNums: options.config.defaultTopicQueueNums,
    now: options.now,
    onChange: options.onTopicChange
  }),
  groups: SubscriptionGroups.make({ autoCreate: options.config.autoCreateSubscriptionGroup, now: options.now }),
  offsets: ConsumerOffsets.make()
})
