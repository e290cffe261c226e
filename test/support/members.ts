import { Effect } from "effect"
import type { MQConsumerInner, MQProducerInner } from "../../src/client/ClientMembers.ts"

/** A consumer that does nothing, as a client instance sees it. */
export const consumer = (over: Partial<MQConsumerInner> = {}): MQConsumerInner => {
  const consumerGroup = over.consumerGroup ?? "cg"
  return {
    consumerGroup,
    subscriptionTopics: () => ["orders"],
    updateTopicSubscribeInfo: () => {},
    heartbeatData: () => ({
      groupName: consumerGroup,
      consumeType: "CONSUME_PASSIVELY",
      messageModel: "CLUSTERING",
      consumeFromWhere: "CONSUME_FROM_LAST_OFFSET",
      unitMode: false,
      subscriptionDataSet: []
    }),
    doRebalance: Effect.void,
    persistConsumerOffset: Effect.void,
    adjustThreadPool: Effect.void,
    consumerRunningInfo: () => ({
      properties: new Map([["consumerGroup", consumerGroup]]),
      subscriptionSet: [],
      mqTable: [],
      mqPopTable: [],
      statusTable: new Map(),
      userConsumerInfo: new Map()
    }),
    consumerStatus: () => [],
    resetOffset: () => Effect.void,
    consumeMessageDirectly: undefined,
    ...over
  }
}

/** A producer that does nothing, as a client instance sees it. */
export const producer = (producerGroup: string): MQProducerInner => ({
  producerGroup,
  publishTopicList: () => [],
  updateTopicPublishInfo: () => {}
})
