import { type Cause, Clock, type Context, Effect, Schedule, type Scope } from "effect"
import type { StartError, StartReason } from "../client/ClientError.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import type { MQClientManager } from "../client/MQClientManager.ts"
import { checkGroup } from "../client/Names.ts"
import { accept, type Checked, type Resolution } from "../client/options/OptionTable.ts"
import { awaitReadiness } from "../client/Readiness.ts"
import type { LifeContext } from "../client/ServiceLife.ts"
import * as ForeignText from "../message/ForeignText.ts"
import { RESERVED_CONSUMER_GROUPS, RETRY_GROUP_TOPIC_PREFIX } from "../message/MixAll.ts"
import type { SubscriptionData } from "../protocol/HeartbeatData.ts"
import * as Consumptions from "./consume/Consumption.ts"
import * as Resend from "./consume/Resend.ts"
import * as SendBacks from "./consume/SendBack.ts"
import * as Counters from "./ConsumerCounters.ts"
import type { PushConsumerConfig } from "./ConsumerOptions.ts"
import { consumeFromWhere, propertiesOf } from "./ConsumerProperties.ts"
import * as Runs from "./ConsumerRun.ts"
import type { ConsumerProblem } from "./ConsumerState.ts"
import type { MessageListener } from "./MessageListener.ts"
import * as RemoteOffsetStore from "./offset/RemoteOffsetStore.ts"
import * as AllocateStrategy from "./rebalance/AllocateStrategy.ts"
import * as ReconsumePolicy from "./ReconsumePolicy.ts"
import * as Subscription from "./subscription/Subscription.ts"
import * as RunningInfo from "./telemetry/RunningInfo.ts"

/** What a consumer holds while it runs. */
export interface Running {
  readonly instance: MQClientInstanceShape
  readonly run: Runs.ConsumerRun
  readonly consumption: Consumptions.Consumption
  readonly counters: Readonly<Counters.ConsumerCounters>
  /** What is wrong now. */
  readonly problems: () => ReadonlyArray<ConsumerProblem>
  /** How many messages are being given back. */
  readonly sendingBack: () => number
}

/** What a consumer is made of before it has acquired anything. */
export interface ConsumerParts<E, R> {
  readonly resolution: Resolution<PushConsumerConfig>
  readonly manager: MQClientManager["Service"]
  readonly listener: MessageListener<E, R>
  readonly context: Context.Context<Exclude<R, Scope.Scope>>
}

const MIB = 1024 * 1024
/** A defect of a handler is told with its cause once in so many milliseconds. */
const TOLD_EVERY_MILLIS = 60_000
/** How many problems are kept; each is of a queue, a topic or the group. */
const MAX_PROBLEMS = 1_000

/** The first problem of the group's name, or every problem of the options at once. */
const check = (resolution: Resolution<PushConsumerConfig>) =>
  Effect.suspend((): Effect.Effect<Checked<PushConsumerConfig>, StartReason> => {
    const { config, problems } = resolution
    const isNoName = problems.some(({ path }) => path === "consumerGroup")
    const group = isNoName ? undefined : checkGroup(config.consumerGroup, RESERVED_CONSUMER_GROUPS)
    return group === undefined ? accept(resolution) : Effect.fail(group)
  })

/** Steps 5.2 to 5.7 of docs/startup.md; what they acquire is held by the scope. */
export const acquire = Effect.fnUntraced(function* <E, R>(
  parts: ConsumerParts<E, R>,
  { notify, step }: LifeContext
): Effect.fn.Return<Running, StartError, Scope.Scope> {
  const { context, listener, manager } = parts
  const config = yield* step("5.2", "check the configuration and the group", check(parts.resolution))
  const { consumerGroup: group } = config
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const nowMillis = () => clock.currentTimeMillisUnsafe()
  const startedAt = nowMillis()
  const retryTopic = RETRY_GROUP_TOPIC_PREFIX + group

  const subscriptions = yield* step(
    "5.3",
    "copy the subscriptions, and add the group's retry topic",
    Effect.sync(() => {
      const subVersion = clock.currentTimeMillisUnsafe()
      const all = [...(config.subscriptions ?? []), Subscription.all(retryTopic)]
      return new Map<string, SubscriptionData>(all.map((one) => [one.topic, Subscription.dataOf(one, subVersion)]))
    })
  )
  const instance = yield* step("5.4", "get or create MQClientInstance", manager.getOrCreateMQClientInstance(config))

  const counters = Counters.make()
  const problems = new Map<string, ConsumerProblem>()
  const told = new Map<string, number>()

  const problem = (key: string, text: string | undefined) =>
    Effect.suspend(() => {
      const known = problems.get(key)
      if (text === undefined) {
        if (known === undefined) return Effect.void
        problems.delete(key)
        return Effect.andThen(Effect.logInfo(`group ${group}: ${key} is well again`), notify)
      }
      if (known?.text === text || (known === undefined && problems.size >= MAX_PROBLEMS)) return Effect.void
      problems.set(key, { key, text, since: known?.since ?? clock.currentTimeMillisUnsafe() })
      // One line when it begins, not one for every change of words.
      return known === undefined ? Effect.andThen(Effect.logWarning(`group ${group}: ${text}`), notify) : notify
    })

  const services = yield* Effect.context()
  const log = Effect.runForkWith(services)
  const tell = (kind: string, cause: Cause.Cause<E>, { message }: Consumptions.Received) => {
    const last = told.get(kind)
    if (last !== undefined && now() - last < TOLD_EVERY_MILLIS) return
    told.set(kind, now())
    log(
      Effect.annotateLogs(
        Effect.logWarning(
          `a handler of group ${group} ended with a ${kind}; message ${ForeignText.clean(message.msgId)} of topic ${message.topic} comes again`,
          cause
        ),
        { group, topic: message.topic }
      )
    )
  }

  const sendBack = yield* SendBacks.make({
    instance,
    group,
    maxReconsumeTimes: config.maxReconsumeTimes,
    counters,
    resend: yield* Resend.make(config, instance),
    tell: (error, { message }) =>
      problem("send back", `message ${ForeignText.clean(message.msgId)} could not be given back: ${error.message}`)
  })
  const consumption = yield* step(
    "5.5",
    "make the workers",
    Consumptions.make<E, R>({
      listener,
      concurrency: config.consumeThreadMin,
      consumeTimeoutMillis: config.consumeTimeout,
      reconsumePolicy: config.reconsumePolicy ?? ReconsumePolicy.broker,
      counters,
      giveBack: sendBack.giveBack,
      tell,
      context,
      now
    })
  )
  const run = yield* Runs.make({
    config: {
      group,
      strategy: config.allocateMessageQueueStrategy ?? AllocateStrategy.averagely,
      consumeFromWhere: config.consumeFromWhere ?? "last",
      pullBatchSize: config.pullBatchSize,
      pullBatchSizeInBytes: config.pullBatchSizeInBytes,
      pullIntervalMillis: config.pullInterval,
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
    store: config.offsetStore ?? RemoteOffsetStore.make(instance, !config.strictLast),
    consumption,
    counters,
    subscriptions: () => subscriptions,
    unreadable: (received, error) =>
      Effect.andThen(
        problem(
          "unreadable",
          `message ${ForeignText.clean(received.message.msgId)} cannot be unpacked: ${error.message}`
        ),
        Effect.sync(() => {
          counters.failures++
          counters.reconsumeLater++
          sendBack.giveBack(received, "broker")
        })
      ),
    problem,
    changed: notify
  })

  yield* step(
    "5.6",
    "register in the consumer table",
    instance.registerConsumer({
      consumerGroup: group,
      subscriptionTopics: () => subscriptions.keys(),
      updateTopicSubscribeInfo: () => {},
      heartbeatData: () => ({
        groupName: group,
        consumeType: "CONSUME_PASSIVELY",
        messageModel: "CLUSTERING",
        consumeFromWhere: consumeFromWhere(config.consumeFromWhere),
        unitMode: config.unitMode,
        subscriptionDataSet: [...subscriptions.values()]
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
      consumerRunningInfo: (jstack) =>
        RunningInfo.make(
          {
            properties: propertiesOf(config, listener._tag === "Batch" ? listener.options.maxSize : 1),
            startedAt,
            concurrency: consumption.concurrency(),
            subscriptions: subscriptions.values(),
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
  const topics = (config.subscriptions ?? []).map(({ topic }) => topic)
  yield* step(
    "5.7",
    `routes of the subscribed topics, ready: ${config.readiness}`,
    awaitReadiness(instance, {
      level: config.readiness === "assigned" ? "nameServer" : config.readiness,
      topics,
      borrow: undefined
    }).pipe(Effect.andThen(config.readiness === "lazy" ? Effect.void : lookUp(instance, topics)))
  )
  yield* step("5.8", "heartbeat to all brokers", greet(instance, retryTopic))
  yield* step(
    "5.9",
    config.readiness === "assigned" ? "the first round of rebalance" : "ask for a round of rebalance",
    config.readiness === "assigned" ? Effect.andThen(run.rebalance, run.awaitLocated) : instance.rebalanceService.wakeup
  )
  return {
    instance,
    run,
    consumption,
    counters,
    problems: () => [...problems.values()],
    sendingBack: sendBack.underWay
  }
})

/** Looks the routes of topics up; one that is not there yet is owned as soon as it is. */
const lookUp = (instance: MQClientInstanceShape, topics: ReadonlyArray<string>) =>
  Effect.forEach(
    topics,
    (topic) => Effect.ignore(instance.routes.updateTopicRouteInfoFromNameServer(topic, undefined)),
    { concurrency: 16, discard: true }
  )

/** The first heartbeat makes the group's retry topic, whose route is looked up right after the brokers' answer. */
const greet = Effect.fnUntraced(function* (instance: MQClientInstanceShape, retryTopic: string) {
  yield* instance.heartbeat.sendHeartbeatToAllBroker
  const look = instance.routes.updateTopicRouteInfoFromNameServer(retryTopic, undefined)
  // Some name servers learn of it some milliseconds later.
  yield* Effect.ignore(Effect.retry(look, { times: 1, schedule: Schedule.spaced(0) }))
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
