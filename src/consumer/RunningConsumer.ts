import { type Cause, Clock, type Deferred, Effect, type Scope } from "effect"
import type { AccessDenied, FilterRefused, StartError, StartReason } from "../client/ClientError.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import type { MQClientManager } from "../client/MQClientManager.ts"
import { checkGroup } from "../client/Names.ts"
import { accept, type Checked, type Resolution } from "../client/options/OptionTable.ts"
import { awaitReadiness } from "../client/Readiness.ts"
import * as RouteQueues from "../client/RouteQueues.ts"
import type { LifeContext } from "../client/ServiceLife.ts"
import { outlivesStep } from "../client/StartStep.ts"
import * as ForeignText from "../message/ForeignText.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import { RESERVED_CONSUMER_GROUPS, RETRY_GROUP_TOPIC_PREFIX } from "../message/MixAll.ts"
import type { Consumption, ConsumptionTools } from "./consume/Consumption.ts"
import type { Directly, DirectTools } from "./consume/Direct.ts"
import type { Received } from "./consume/Settle.ts"
import { Redeliveries } from "./consume/Redeliveries.ts"
import * as Resend from "./consume/Resend.ts"
import * as SendBacks from "./consume/SendBack.ts"
import * as Counters from "./ConsumerCounters.ts"
import type { ConsumerFailed } from "./ConsumerFailed.ts"
import type { PushConsumerConfig } from "./ConsumerOptions.ts"
import { consumeFromWhere, propertiesOf } from "./ConsumerProperties.ts"
import * as Problems from "./ConsumerProblems.ts"
import * as Runs from "./ConsumerRun.ts"
import type { ConsumerProblem } from "./ConsumerState.ts"
import * as LocalOffsetStore from "./offset/LocalOffsetStore.ts"
import * as Newcomers from "./offset/Newcomers.ts"
import * as RemoteOffsetStore from "./offset/RemoteOffsetStore.ts"
import { addressesOf } from "./rebalance/Members.ts"
import * as AllocateStrategy from "./rebalance/AllocateStrategy.ts"
import { asReceived } from "./ReceivedMessage.ts"
import * as ReconsumePolicy from "./ReconsumePolicy.ts"
import * as FilterCheck from "./subscription/FilterCheck.ts"
import * as Subscribed from "./subscription/Subscribed.ts"
import * as Subscription from "./subscription/Subscription.ts"
import * as SubscriptionCheck from "./subscription/SubscriptionCheck.ts"
import * as TopicRoutes from "./run/TopicRoutes.ts"
import * as RunningInfo from "./telemetry/RunningInfo.ts"
import * as Telemetry from "./telemetry/Telemetry.ts"

/** What a consumer holds while it runs. */
export interface Running<out C extends Consumption = Consumption> {
  readonly instance: MQClientInstanceShape
  readonly run: Runs.ConsumerRun
  readonly consumption: C
  readonly counters: Readonly<Counters.ConsumerCounters>
  readonly telemetry: Pick<Telemetry.Telemetry, "hooks" | "traces">
  /** The monotonic clock, in milliseconds. */
  readonly now: () => number
  /** What is wrong now. */
  readonly problems: () => ReadonlyArray<ConsumerProblem>
  /** Asks a broker of the topic whether it can serve the filter; see `FilterCheck`. */
  readonly checkFilter: (subscription: Subscription.Subscription) => Effect.Effect<void, FilterRefused | AccessDenied>
  /** Takes over what is wanted now: tells the brokers, and shares the queues out again. */
  readonly resubscribe: Effect.Effect<void>
  /** Waits until the queues owned now have been processed up to where they end now, those of topics that came up included. */
  readonly caughtUp: Runs.ConsumerRun["caughtUp"]
  /** How many messages are being given back. */
  readonly sendingBack: () => number
  /** Why the members' subscriptions are not compared; undefined when they are. */
  readonly comparisonRefused: () => string | undefined
}

/** What a consumer is made of before it has acquired anything. */
export interface ConsumerParts<C extends Consumption> {
  readonly resolution: Resolution<PushConsumerConfig>
  readonly manager: MQClientManager["Service"]
  /** Failed by a problem that is to end the program. */
  readonly failed: Deferred.Deferred<never, ConsumerFailed>
  /** What is to be read, by topic; it may change. */
  readonly wanted: ReadonlyMap<string, Subscription.Subscription>
  /** Messages that a handler gets at most. */
  readonly batchSize: number
  /** Whether queues are consumed in order, under a broker's lock. */
  readonly isOrderly: boolean
  readonly consumption: (tools: ConsumptionTools) => Effect.Effect<C, never, Scope.Scope>
  /** What hands single messages to the listener; undefined where there is none. */
  readonly directly: ((tools: DirectTools) => Effect.Effect<Directly, never, Scope.Scope>) | undefined
  readonly isPaused: (queue: MessageQueue.MessageQueue) => boolean
  readonly isSuspended: () => boolean
}

const MIB = 1024 * 1024
/** A defect of a handler is told with its cause once in so many milliseconds. */
const TOLD_EVERY_MILLIS = 60_000

/** The first problem of the group's name, or every problem of the options at once. */
const check = (resolution: Resolution<PushConsumerConfig>) =>
  Effect.suspend((): Effect.Effect<Checked<PushConsumerConfig>, StartReason> => {
    const { config, problems } = resolution
    const isNoName = problems.some(({ path }) => path === "consumerGroup")
    const group = isNoName ? undefined : checkGroup(config.consumerGroup, RESERVED_CONSUMER_GROUPS)
    return group === undefined ? accept(resolution) : Effect.fail(group)
  })

/** Steps 5.2 to 5.10 of docs/startup.md; what they acquire is held by the scope. */
export const acquire = Effect.fnUntraced(function* <C extends Consumption>(
  parts: ConsumerParts<C>,
  { notify, step }: LifeContext
): Effect.fn.Return<Running<C>, StartError, Scope.Scope> {
  const { manager, wanted } = parts
  const config = yield* step("5.2", "check the configuration and the group", check(parts.resolution))
  const { consumerGroup: group } = config
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const nowMillis = () => clock.currentTimeMillisUnsafe()
  const startedAt = nowMillis()
  const retryTopic = RETRY_GROUP_TOPIC_PREFIX + group
  const broadcasts = config.messageModel === "BROADCASTING"

  const subscribed = yield* step(
    "5.3",
    broadcasts ? "copy the subscriptions" : "copy the subscriptions, and add the group's retry topic",
    Effect.sync(() => {
      const own = broadcasts ? [] : [Subscription.all(retryTopic)]
      return Subscribed.make(() => [...wanted.values(), ...own], nowMillis)
    })
  )
  const newcomers = Newcomers.make(nowMillis)
  const instance = yield* step("5.4", "get or create MQClientInstance", manager.getOrCreateMQClientInstance(config))

  const counters = Counters.make()
  const told = new Map<string, number>()
  /** By topic, the queues that its last route had. */
  const queuesOf = new Map<string, string>()
  const { onProblem } = config
  const problems = yield* Problems.make({ group, nowMillis, changed: notify, onProblem, failed: parts.failed })
  const problem = problems.note

  const services = yield* Effect.context()
  const log = Effect.runForkWith(services)
  const tell = (kind: string, cause: Cause.Cause<unknown>, { message }: Received) => {
    const last = told.get(kind)
    if (last !== undefined && now() - last < TOLD_EVERY_MILLIS) return
    told.set(kind, now())
    log(
      Effect.annotateLogs(
        Effect.logWarning(
          `a handler of group ${group} ended with a ${kind}; message ${ForeignText.clean(message.msgId)} of topic ${message.topic} ${broadcasts ? "does not come" : "comes"} again`,
          cause
        ),
        { group, topic: message.topic }
      )
    )
  }

  const telemetry = yield* Telemetry.make(config, instance)
  const { observer } = telemetry
  const redeliveries = new Redeliveries()
  const sendBack = yield* SendBacks.make({
    observer,
    deadLettered: telemetry.deadLettered,
    instance,
    group,
    maxReconsumeTimes: config.maxReconsumeTimes,
    counters,
    copies: parts.isOrderly,
    resend: yield* Resend.make(config, instance),
    tell: (error, { message }) =>
      problem("send back", `message ${ForeignText.clean(message.msgId)} could not be given back: ${error.message}`),
    taken: (message, brokerName) => redeliveries.add(message, brokerName),
    well: problem("send back", undefined),
    broadcasts
  })
  const consumption = yield* step(
    "5.5",
    "make the workers",
    parts.consumption({
      group,
      observer,
      concurrency: config.consumeThreadMin,
      ratePerSecond: config.ratePerSecond,
      consumeTimeoutMillis: config.consumeTimeout,
      maxReconsumeTimes: config.maxReconsumeTimes,
      suspendMillis: config.suspendCurrentQueueTimeMillis,
      reconsumePolicy: config.reconsumePolicy ?? ReconsumePolicy.broker,
      counters,
      giveBack: sendBack.giveBack,
      tell,
      now
    })
  )
  const directly = yield* (
    parts.directly?.({ group, observer, consumeTimeoutMillis: config.consumeTimeout, now }) ?? Effect.undefined
  )
  const brokersOf = (topic: string) => {
    const route = instance.routes.topicRouteTable.get(topic)
    return route === undefined ? [] : addressesOf(instance, route.data)
  }
  const comparison = yield* SubscriptionCheck.make({
    instance,
    group,
    subscriptions: () => subscribed.present().values(),
    members: () => run.members(),
    brokers: () => [...new Set([...subscribed.present().keys()].flatMap(brokersOf))],
    tell: (text) => problem("subscriptions", text)
  })
  const run: Runs.ConsumerRun = yield* Runs.make({
    config: {
      group,
      // Nobody else reads this member's queues.
      isOrderly: parts.isOrderly && !broadcasts,
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
      revokeDrainMillis: config.revokeDrain
    },
    instance,
    store:
      config.offsetStore ??
      (broadcasts ? LocalOffsetStore.memory() : RemoteOffsetStore.make(instance, !config.strictLast)),
    consumption,
    counters,
    observer,
    cameUpSince: newcomers.since,
    taken: (queue) => {
      telemetry.taken(queue)
      consumption.taken?.(queue)
    },
    left: telemetry.left,
    filter: telemetry.filter,
    subscriptions: subscribed.present,
    isPaused: parts.isPaused,
    unreadable: (received, error) =>
      Effect.andThen(
        problems.happened(
          `unreadable ${received.queue.name}`,
          `message ${ForeignText.clean(received.message.msgId)} cannot be unpacked: ${error.message}`
        ),
        Effect.sync(() => {
          counters.failures++
          counters.reconsumeLater++
          // In order it would hold its queue up for good.
          sendBack.giveBack(received, parts.isOrderly ? "dead-letter" : "broker")
        })
      ),
    listener: config.rebalanceListener,
    happened: problems.happened,
    redeliveries,
    givenBack: sendBack.awaitIdle,
    problem,
    membersChanged: comparison.membersChanged,
    changed: notify
  })
  if (parts.isSuspended()) run.suspend(true)
  yield* telemetry.watch({
    counters,
    queues: run.owned,
    cached: () => run.totals,
    running: consumption.running,
    concurrency: consumption.concurrency,
    problems: (key) => problems.all().filter((one) => key === undefined || one.key === key).length,
    now
  })

  yield* step(
    "5.6",
    "register in the consumer table",
    instance.registerConsumer({
      consumerGroup: group,
      subscriptionTopics: () => [...subscribed.present().keys(), ...(telemetry.traces?.topics() ?? [])],
      updateTopicSubscribeInfo: (route) => {
        const { borrowed, data, topic } = route
        telemetry.traces?.updateRoute(route)
        const readable = borrowed ? [] : RouteQueues.readable(topic, data)
        newcomers.seen(topic, readable)
        const queues = readable.map(MessageQueue.key).toSorted().join()
        const before = queuesOf.get(topic) ?? ""
        queuesOf.set(topic, queues)
        // Queues that came or went are shared out soon, not in the next of the rounds that come anyway.
        if (queues !== before && subscribed.present().has(topic)) log(instance.rebalanceService.wakeup)
      },
      heartbeatData: () => ({
        groupName: group,
        consumeType: "CONSUME_PASSIVELY",
        messageModel: config.messageModel,
        consumeFromWhere: consumeFromWhere(config.consumeFromWhere),
        unitMode: config.unitMode,
        subscriptionDataSet: [...subscribed.present().values()]
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
            properties: propertiesOf(config, parts.batchSize),
            isOrderly: parts.isOrderly,
            startedAt,
            concurrency: consumption.concurrency(),
            subscriptions: subscribed.present().values(),
            queues: run.owned(),
            status: (topic) => run.stats(topic).status(now()),
            handlers: consumption.jobs,
            now,
            nowMillis
          },
          jstack
        )
    })
  )
  // A start that fails or is interrupted now gives its queues up as a shutdown does: handlers may have run.
  yield* Effect.addFinalizer(() => run.close(config.drainTimeoutMillis))
  const topics = [...wanted.keys()]
  yield* step(
    "5.7",
    `routes of the subscribed topics, ready: ${config.readiness}`,
    awaitReadiness(instance, {
      level: config.readiness === "assigned" ? "nameServer" : config.readiness,
      topics,
      borrow: undefined
    }).pipe(Effect.andThen(config.readiness === "lazy" ? Effect.void : TopicRoutes.lookUp(instance, newcomers, topics)))
  )
  yield* step(
    "5.8",
    "ask a broker of each topic about its filter",
    // A lazy start needs no server.
    config.readiness === "lazy"
      ? Effect.void
      : FilterCheck.check(instance, group, subscribed.present().values(), brokersOf)
  )
  if (broadcasts) {
    yield* step("5.9", "heartbeat to all brokers", instance.heartbeat.sendHeartbeatToAllBroker)
    if (config.offsetStore === undefined) {
      yield* Effect.logInfo(
        `group ${group} broadcasts and keeps its offsets in memory: after a restart it begins where consumeFromWhere says. LocalOffsetStore.file keeps them`
      )
    }
  } else {
    yield* step("5.9", "heartbeat to all brokers", TopicRoutes.greet(instance, retryTopic))
    yield* Effect.forkScoped(outlivesStep(TopicRoutes.awaitRoute(instance, retryTopic)), { startImmediately: true })
  }
  yield* step(
    "5.10",
    config.readiness === "assigned" ? "the first round of rebalance" : "ask for a round of rebalance",
    config.readiness === "assigned" ? Effect.andThen(run.rebalance, run.awaitLocated) : instance.rebalanceService.wakeup
  )
  return {
    instance,
    run,
    consumption,
    counters,
    telemetry,
    now,
    problems: problems.all,
    caughtUp: (options) =>
      Effect.suspend(() => {
        const without = [...wanted.keys()].filter((topic) => TopicRoutes.isWithoutRoute(instance, topic))
        // What the first message has just made is read as well, and not only after the next poll.
        const look =
          without.length === 0
            ? Effect.void
            : Effect.andThen(
                TopicRoutes.lookUp(instance, newcomers, without),
                Effect.andThen(run.rebalance, run.awaitLocated)
              )
        return Effect.andThen(look, run.caughtUp(options))
      }),
    checkFilter: (subscription) =>
      subscription.type === "TAG"
        ? Effect.void
        : Effect.andThen(
            TopicRoutes.lookUp(instance, newcomers, [subscription.topic]),
            FilterCheck.check(instance, group, [Subscription.dataOf(subscription, nowMillis())], brokersOf)
          ),
    resubscribe: Effect.suspend(() => {
      const { added, changed } = subscribed.update()
      return TopicRoutes.lookUp(instance, newcomers, added).pipe(
        Effect.andThen(run.repull(changed, instance.heartbeat.sendHeartbeatToAllBroker)),
        Effect.andThen(run.rebalance),
        Effect.andThen(notify)
      )
    }),
    sendingBack: sendBack.underWay,
    comparisonRefused: comparison.refused
  }
})

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
