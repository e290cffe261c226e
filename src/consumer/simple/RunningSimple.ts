import { Clock, Deferred, Effect, FiberSet, type Scope } from "effect"
import type { AccessDenied, FilterRefused, StartError, StartReason } from "../../client/ClientError.ts"
import * as Drains from "../../client/Drain.ts"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import type { MQClientManager } from "../../client/MQClientManager.ts"
import { checkGroup } from "../../client/Names.ts"
import { accept, type Checked, type Resolution } from "../../client/options/OptionTable.ts"
import * as PopCalls from "../../client/PopCalls.ts"
import { awaitReadiness } from "../../client/Readiness.ts"
import type { LifeContext } from "../../client/ServiceLife.ts"
import * as ObservedMetrics from "../../client/telemetry/ObservedMetrics.ts"
import { RESERVED_CONSUMER_GROUPS } from "../../message/MixAll.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"
import type { ConsumerFailed } from "../ConsumerFailed.ts"
import * as Problems from "../ConsumerProblems.ts"
import { consumeFromWhere } from "../ConsumerProperties.ts"
import { addressesOf } from "../rebalance/Members.ts"
import * as FilterCheck from "../subscription/FilterCheck.ts"
import * as Subscribed from "../subscription/Subscribed.ts"
import * as Subscription from "../subscription/Subscription.ts"
import * as ConsumeMetrics from "../telemetry/ConsumeMetrics.ts"
import * as RunningInfo from "../telemetry/RunningInfo.ts"
import * as Telemetry from "../telemetry/Telemetry.ts"
import * as Arrivals from "./Arrivals.ts"
import * as Receiving from "./Receiving.ts"
import * as Settlings from "./Settling.ts"
import { propertiesOf, type SimpleConsumerConfig } from "./SimpleOptions.ts"
import type { SimpleConsumerCounters } from "./SimpleShape.ts"

/** What a simple consumer holds while it runs. */
export interface RunningSimple {
  readonly instance: MQClientInstanceShape
  readonly receive: (wanted: Receiving.Wanted) => ReturnType<ReturnType<typeof Receiving.make>>
  readonly telemetry: Pick<Telemetry.Telemetry, "hooks" | "observer" | "traces">
  readonly counters: SimpleConsumerCounters
  readonly problems: Problems.ConsumerProblems["all"]
  /** Calls of `receive`, and what else a shutdown waits for. */
  readonly receiving: Drains.Drain
  readonly running: Drains.Drain
  /** Done when a shutdown has begun. */
  readonly closing: Deferred.Deferred<void>
  /** Asks a broker of the topic whether it can serve the filter; see `FilterCheck`. */
  readonly checkFilter: (subscription: Subscription.Subscription) => Effect.Effect<void, FilterRefused | AccessDenied>
  /** Takes over what is wanted now, and tells the brokers. */
  readonly resubscribe: Effect.Effect<void>
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
}

/** What is counted before anything has happened. */
export const NO_COUNTS: SimpleConsumerCounters = {
  received: 0,
  redelivered: 0,
  acked: 0,
  extended: 0,
  expired: 0,
  settleFailures: 0,
  filtered: 0,
  withoutHandle: 0
}

/** What it is made of before it has acquired anything. */
export interface SimpleParts {
  readonly resolution: Resolution<SimpleConsumerConfig>
  readonly manager: MQClientManager["Service"]
  /** What is to be read, by topic; it may change. */
  readonly wanted: ReadonlyMap<string, Subscription.Subscription>
}

/** The first problem of the group's name, or every problem of the options at once. */
const check = (resolution: Resolution<SimpleConsumerConfig>) =>
  Effect.suspend((): Effect.Effect<Checked<SimpleConsumerConfig>, StartReason> => {
    const { config, problems } = resolution
    const isNoName = problems.some(({ path }) => path === "consumerGroup")
    const group = isNoName ? undefined : checkGroup(config.consumerGroup, RESERVED_CONSUMER_GROUPS)
    return group === undefined ? accept(resolution) : Effect.fail(group)
  })

/** Nobody consumes a topic here but by asking. */
const NO_STATUS = { pullRT: 0, pullTPS: 0, consumeRT: 0, consumeOKTPS: 0, consumeFailedTPS: 0, consumeFailedMsgs: 0 }

const counter = (name: string, unit: string, description: string, read: () => number) => ({
  kind: "counter" as const,
  name: `rocketmq.consumer.${name}`,
  description,
  unit,
  read
})

/** The steps of a consumer's start in docs/startup.md; what they acquire is held by the scope. */
export const acquire = Effect.fnUntraced(function* (
  { manager, resolution, wanted }: SimpleParts,
  { illegal, notify, serviceStateNow, step }: LifeContext
): Effect.fn.Return<RunningSimple, StartError, Scope.Scope> {
  const config = yield* step("5.2", "check the configuration and the group", check(resolution))
  const { consumerGroup: group } = config
  const clock = yield* Clock.Clock
  const now = monotonicMillis(clock)
  const nowMillis = () => clock.currentTimeMillisUnsafe()
  const startedAt = nowMillis()
  const subscribed = yield* step(
    "5.3",
    "copy the subscriptions",
    Effect.sync(() => Subscribed.make(() => [...wanted.values()], nowMillis))
  )
  const instance = yield* step("5.4", "get or create MQClientInstance", manager.getOrCreateMQClientInstance(config))

  const counters = { ...NO_COUNTS }
  const problems = yield* Problems.make({
    group,
    nowMillis,
    changed: notify,
    onProblem: undefined,
    failed: yield* Deferred.make<never, ConsumerFailed>()
  })
  const telemetry = yield* Telemetry.make(
    // Nothing here takes too long: a message's time is over, or is extended.
    { ...config, messageModel: "CLUSTERING", consumeTimeout: Infinity },
    instance
  )
  const { traces } = telemetry
  const calls = yield* PopCalls.make(instance)
  const receiving = Drains.make()
  const running = Drains.make()
  const closing = yield* Deferred.make<void>()
  const settling = Settlings.make({
    group,
    calls,
    instance,
    observer: telemetry.observer,
    counters,
    timeoutMillis: config.mqClientApiTimeout,
    // While it shuts down, who has a message may still say so.
    refusal: (action) => (serviceStateNow() === "RUNNING" ? undefined : illegal(action)),
    track: running.track,
    now,
    nowMillis
  })
  const receive = Receiving.make({
    group,
    calls,
    instance,
    arrivals: yield* Arrivals.make(calls, now),
    settling,
    telemetry,
    problems,
    counters,
    subscriptions: subscribed.present,
    consumeFromWhere: config.consumeFromWhere,
    closing,
    run: yield* FiberSet.makeRuntime(),
    now
  })
  if (config.metrics) {
    yield* ObservedMetrics.observe(
      {
        "messaging.system": "rocketmq",
        "messaging.client.id": instance.clientId,
        "messaging.consumer.group.name": group
      },
      [
        counter(
          "redelivered",
          "{message}",
          "Messages that the group had been given before",
          () => counters.redelivered
        ),
        counter("extensions", "{extension}", "Messages whose invisible time was extended", () => counters.extended),
        counter(
          "late",
          "{message}",
          "Acknowledgements and extensions after the invisible time",
          () => counters.expired
        ),
        counter("settle_failures", "{settlement}", "Those that failed", () => counters.settleFailures),
        counter(
          "filtered",
          "{message}",
          "Messages that passed the broker's filter and not the one here",
          () => counters.filtered
        ),
        ...ConsumeMetrics.watcherSeries(telemetry.hooks, traces)
      ]
    )
  }

  yield* step(
    "5.6",
    "register in the consumer table",
    instance.registerConsumer({
      consumerGroup: group,
      subscriptionTopics: () => [...subscribed.present().keys(), ...(traces?.topics() ?? [])],
      updateTopicSubscribeInfo: (route) => traces?.updateRoute(route),
      heartbeatData: () => ({
        groupName: group,
        consumeType: "CONSUME_ACTIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: consumeFromWhere(config.consumeFromWhere),
        unitMode: config.unitMode,
        subscriptionDataSet: [...subscribed.present().values()]
      }),
      doRebalance: Effect.void,
      persistConsumerOffset: Effect.void,
      adjustThreadPool: Effect.void,
      resetOffset: () => Effect.void,
      consumerStatus: () => [],
      consumeMessageDirectly: undefined,
      consumerRunningInfo: (jstack) =>
        RunningInfo.make(
          {
            properties: propertiesOf(config),
            isOrderly: false,
            startedAt,
            concurrency: 0,
            subscriptions: subscribed.present().values(),
            queues: [],
            status: () => NO_STATUS,
            handlers: () => [],
            now,
            nowMillis
          },
          jstack
        )
    })
  )
  const { routes } = instance
  const brokersOf = (topic: string) => {
    const route = routes.topicRouteTable.get(topic)
    return route === undefined ? [] : addressesOf(instance, route.data)
  }
  /** A topic that is not there yet is popped as soon as it is. */
  const lookUp = (topics: Iterable<string>) =>
    Effect.forEach(topics, (topic) => Effect.ignore(routes.updateTopicRouteInfoFromNameServer(topic, undefined)), {
      concurrency: 16,
      discard: true
    })
  const isLazy = config.readiness === "lazy"
  const topics = [...wanted.keys()]
  yield* step(
    "5.7",
    `routes of the subscribed topics, ready: ${config.readiness}`,
    Effect.andThen(
      awaitReadiness(instance, { level: config.readiness, topics, borrow: undefined }),
      isLazy ? Effect.void : lookUp(topics)
    )
  )
  yield* step(
    "5.8",
    "ask a broker of each topic about its filter",
    isLazy ? Effect.void : FilterCheck.check(instance, group, subscribed.present().values(), brokersOf)
  )
  yield* step("5.9", "heartbeat to all brokers", instance.heartbeat.sendHeartbeatToAllBroker)

  return {
    instance,
    receive,
    telemetry,
    counters,
    problems: problems.all,
    receiving,
    running,
    closing,
    now,
    checkFilter: (subscription) =>
      subscription.type === "TAG"
        ? Effect.void
        : Effect.andThen(
            lookUp([subscription.topic]),
            FilterCheck.check(instance, group, [Subscription.dataOf(subscription, nowMillis())], brokersOf)
          ),
    resubscribe: Effect.suspend(() =>
      Effect.andThen(lookUp(subscribed.update().added), instance.heartbeat.sendHeartbeatToAllBroker)
    )
  }
})
