import type { TopicConfig } from "../../protocol/TopicConfig.ts"
import { MQVersion } from "../../protocol/MQVersion.ts"
import type { BrokerConfig } from "./BrokerConfig.ts"
import * as ConsumerOffsets from "./ConsumerOffsets.ts"
import * as DelayedMessages from "./DelayedMessages.ts"
import * as DelayLevels from "./DelayLevels.ts"
import * as HalfMessages from "./HalfMessages.ts"
import * as MessageStore from "./MessageStore.ts"
import * as OrderedPops from "./OrderedPops.ts"
import * as PopCheckpoints from "./PopCheckpoints.ts"
import * as RequestModes from "./RequestModes.ts"
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
  readonly delayed: DelayedMessages.DelayedMessages
  readonly popped: PopCheckpoints.PopCheckpoints
  readonly ordered: OrderedPops.OrderedPops
  readonly modes: RequestModes.RequestModes
  readonly halves: HalfMessages.HalfMessages
  /** The unique id (`UNIQ_KEY`) of a message that came without one. */
  readonly uniqueId: () => string
  /** Has a listener told when something may be due earlier than before; returns the way to stop that. */
  readonly onDueChange: (listener: () => void) => () => void
}

/** Builds the state of a broker that never ran. `onTopicChange` is told of every topic it creates or changes. */
export const make = (options: {
  readonly clusterName: string
  readonly brokerName: string
  readonly config: BrokerConfig
  /** Milliseconds since the epoch. */
  readonly now: () => number
  /** A unique id of this process. */
  readonly uniqueId: () => string
  readonly onTopicChange: (config: TopicConfig) => void
}): BrokerState => {
  const { brokerName, clusterName, config, now, uniqueId } = options
  const listeners = new Set<() => void>()
  const changed = (): void => {
    for (const listener of listeners) listener()
  }
  const store = MessageStore.make({ maxBytes: config.maxStoreBytes })
  const topics = TopicTable.make({
    clusterName,
    brokerName,
    config,
    now,
    onChange: options.onTopicChange
  })
  const delayed = DelayedMessages.make({
    store,
    levels: DelayLevels.parse(config.messageDelayLevel),
    timers: config.version >= MQVersion.V5_0_0,
    config,
    now,
    onWaiting: changed
  })
  const groups = SubscriptionGroups.make({ config, now })
  const offsets = ConsumerOffsets.make()
  return {
    clusterName,
    brokerName,
    store,
    topics,
    groups,
    offsets,
    delayed,
    popped: PopCheckpoints.make({
      brokerName,
      config,
      store,
      topics,
      groups,
      offsets,
      delayed,
      now,
      onWaiting: changed
    }),
    ordered: OrderedPops.make({ now }),
    modes: RequestModes.make(),
    uniqueId,
    halves: HalfMessages.make({ config, store, topics, delayed, now, uniqueId, onPending: changed }),
    onDueChange: (listener) => {
      listeners.add(listener)
      return () => {
        listeners.delete(listener)
      }
    }
  }
}
