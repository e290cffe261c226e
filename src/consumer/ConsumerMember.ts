import { Effect } from "effect"
import type { MQConsumerInner } from "../client/ClientMembers.ts"
import * as RouteQueues from "../client/RouteQueues.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import { RETRY_GROUP_TOPIC_PREFIX } from "../message/MixAll.ts"
import type { SubscriptionData } from "../protocol/HeartbeatData.ts"
import type { Consumption } from "./consume/Consumption.ts"
import type { Directly } from "./consume/Direct.ts"
import type { ConsumerKind } from "./ConsumerKind.ts"
import type { PushConsumerConfig } from "./ConsumerOptions.ts"
import { consumeFromWhere, propertiesOf } from "./ConsumerProperties.ts"
import type { ConsumerRun } from "./ConsumerRun.ts"
import type { Newcomers } from "./offset/Newcomers.ts"
import { asReceived } from "./ReceivedMessage.ts"
import type { MessageTraces } from "./telemetry/MessageTraces.ts"
import * as RunningInfo from "./telemetry/RunningInfo.ts"

/** What a consumer that runs is made of, as far as its client instance asks. */
export interface MemberParts<C extends Consumption> {
  readonly config: PushConsumerConfig
  readonly kind: ConsumerKind<C>
  readonly run: ConsumerRun
  readonly consumption: C
  /** What is read, by topic. */
  readonly subscriptions: () => ReadonlyMap<string, SubscriptionData>
  /** What of it the rest of the group is to have as well. */
  readonly announced: () => Iterable<SubscriptionData>
  readonly traces: MessageTraces | undefined
  readonly directly: Directly | undefined
  readonly seen: Newcomers["seen"]
  /** Has the queues shared out soon. */
  readonly wake: () => void
  /** Milliseconds since the epoch at which it was started. */
  readonly startedAt: number
  /** The monotonic clock, and the time since the epoch, in milliseconds. */
  readonly now: () => number
  readonly nowMillis: () => number
}

/** A consumer as its client instance knows it: what heartbeats, timers, routes and servers ask of it. */
export const make = <C extends Consumption>(parts: MemberParts<C>): MQConsumerInner => {
  const { announced, config, consumption, directly, kind, now, nowMillis, run, subscriptions, traces } = parts
  const { consumerGroup } = config
  const retryTopic = RETRY_GROUP_TOPIC_PREFIX + consumerGroup
  /** By topic, the queues that its last route had. */
  const queuesOf = new Map<string, string>()
  return {
    consumerGroup,
    subscriptionTopics: () => [...subscriptions().keys(), ...(traces?.topics() ?? [])],
    updateTopicSubscribeInfo: (route) => {
      const { borrowed, data, topic } = route
      traces?.updateRoute(route)
      const readable = borrowed ? [] : RouteQueues.readable(topic, data)
      parts.seen(topic, readable)
      const queues = readable.map(MessageQueue.key).toSorted().join()
      const before = queuesOf.get(topic) ?? ""
      queuesOf.set(topic, queues)
      // Queues that came or went are shared out soon, not in the next of the rounds that come anyway.
      if (queues !== before && subscriptions().has(topic)) parts.wake()
    },
    heartbeatData: () => ({
      groupName: consumerGroup,
      consumeType: kind.active === undefined ? "CONSUME_PASSIVELY" : "CONSUME_ACTIVELY",
      messageModel: config.messageModel,
      consumeFromWhere: consumeFromWhere(config.consumeFromWhere),
      unitMode: config.unitMode,
      subscriptionDataSet: [...announced()]
    }),
    doRebalance: run.rebalance,
    persistConsumerOffset: run.persist,
    adjustThreadPool: Effect.sync(() => {
      const backlog = run.owned().reduce((sum, queue) => sum + (queue.lag ?? 0), 0)
      consumption.setConcurrency(
        concurrencyFor(
          backlog,
          config,
          consumption.concurrency(),
          consumption.running() > 0 || consumption.waiting() > 0
        )
      )
    }),
    resetOffset: run.reset,
    consumerStatus: (topic) =>
      run
        .owned()
        .flatMap(({ consumeOffset, messageQueue }) =>
          messageQueue.topic === topic && consumeOffset !== undefined ? [[messageQueue, consumeOffset]] : []
        ),
    consumeMessageDirectly:
      directly === undefined
        ? undefined
        : (message, brokerName) =>
            directly(asReceived(message, { topic: message.topic, brokerName, queueId: message.queueId }, retryTopic)),
    consumerRunningInfo: (jstack) =>
      RunningInfo.make(
        {
          properties: { ...propertiesOf(config, kind.batchSize), ...kind.active?.properties },
          isOrderly: kind.isOrderly ?? false,
          startedAt: parts.startedAt,
          concurrency: consumption.concurrency(),
          subscriptions: announced(),
          queues: run.owned(),
          status: (topic) => run.stats(topic).status(now()),
          handlers: consumption.jobs,
          now,
          nowMillis
        },
        jstack
      )
  }
}

/** One step of timer 5: up by one above the threshold, down by one below 8 tenths of it, as Java once did. */
const concurrencyFor = (
  backlog: number,
  { adjustThreadPoolNumsThreshold: threshold, consumeThreadMax, consumeThreadMin }: PushConsumerConfig,
  present: number,
  busy: boolean
): number => {
  if (backlog >= threshold && busy) return Math.min(consumeThreadMax, present + 1)
  return backlog < threshold * 0.8 ? Math.max(consumeThreadMin, present - 1) : present
}
