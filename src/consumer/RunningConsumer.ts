import { type Cause, Clock, type Deferred, Effect, type Scope } from "effect"
import type { AccessDenied, FilterRefused, StartError, StartReason } from "../client/ClientError.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import type { MQClientManager } from "../client/MQClientManager.ts"
import { checkGroup } from "../client/Names.ts"
import { accept, type Checked, type Resolution } from "../client/options/OptionTable.ts"
import { awaitReadiness } from "../client/Readiness.ts"
import type { LifeContext } from "../client/ServiceLife.ts"
import { outlivesStep } from "../client/StartStep.ts"
import * as ForeignText from "../message/ForeignText.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import { RESERVED_CONSUMER_GROUPS, RETRY_GROUP_TOPIC_PREFIX } from "../message/MixAll.ts"
import type { Consumption } from "./consume/Consumption.ts"
import type { Received } from "./consume/Settle.ts"
import { Redeliveries } from "./consume/Redeliveries.ts"
import * as Resend from "./consume/Resend.ts"
import * as SendBacks from "./consume/SendBack.ts"
import * as Counters from "./ConsumerCounters.ts"
import type { ConsumerFailed } from "./ConsumerFailed.ts"
import type { ConsumerKind } from "./ConsumerKind.ts"
import * as Members from "./ConsumerMember.ts"
import type { PushConsumerConfig } from "./ConsumerOptions.ts"
import * as Problems from "./ConsumerProblems.ts"
import * as Runs from "./ConsumerRun.ts"
import { runConfigOf } from "./ConsumerRunConfig.ts"
import type { ConsumerProblem } from "./ConsumerState.ts"
import * as LocalOffsetStore from "./offset/LocalOffsetStore.ts"
import type { OffsetStore } from "./offset/OffsetStore.ts"
import * as Newcomers from "./offset/Newcomers.ts"
import * as RemoteOffsetStore from "./offset/RemoteOffsetStore.ts"
import { addressesOf } from "./rebalance/Members.ts"
import * as ReconsumePolicy from "./ReconsumePolicy.ts"
import * as FilterCheck from "./subscription/FilterCheck.ts"
import * as Subscribed from "./subscription/Subscribed.ts"
import * as Subscription from "./subscription/Subscription.ts"
import * as SubscriptionCheck from "./subscription/SubscriptionCheck.ts"
import * as TopicRoutes from "./run/TopicRoutes.ts"
import * as Telemetry from "./telemetry/Telemetry.ts"

/** What a consumer holds while it runs. */
export interface Running<out C extends Consumption = Consumption> {
  readonly instance: MQClientInstanceShape
  readonly run: Runs.ConsumerRun
  readonly consumption: C
  /** Where the group's offsets are kept. */
  readonly store: OffsetStore
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
  readonly kind: ConsumerKind<C>
  readonly isPaused: (queue: MessageQueue.MessageQueue) => boolean
  readonly isSuspended: () => boolean
}

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
  const { kind, manager, wanted } = parts
  const config = yield* step("5.2", "check the configuration and the group", check(parts.resolution))
  const { consumerGroup: group } = config
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const nowMillis = () => clock.currentTimeMillisUnsafe()
  const startedAt = nowMillis()
  const retryTopic = RETRY_GROUP_TOPIC_PREFIX + group
  const broadcasts = config.messageModel === "BROADCASTING"
  const { active, isOrderly = false } = kind
  // What broadcasts, and what is asked for messages, gives none back.
  const retries = !broadcasts && active === undefined

  const subscribed = yield* step(
    "5.3",
    retries ? "copy the subscriptions, and add the group's retry topic" : "copy the subscriptions",
    Effect.sync(() => {
      const own = retries ? [Subscription.all(retryTopic)] : []
      return Subscribed.make(() => [...wanted.values(), ...own], nowMillis)
    })
  )
  /** Of queues that the program chose itself, members of the group need not have the same. */
  const announced = () => (active?.assigned() === undefined ? subscribed.present().values() : [])
  const newcomers = Newcomers.make(nowMillis)
  const instance = yield* step("5.4", "get or create MQClientInstance", manager.getOrCreateMQClientInstance(config))

  const counters = Counters.make()
  const told = new Map<string, number>()
  const { onProblem } = config
  const problems = yield* Problems.make({ group, nowMillis, changed: notify, onProblem, failed: parts.failed })
  const problem = problems.note

  const services = yield* Effect.context()
  const log = Effect.runForkWith(services)
  const tell = (ending: string, cause: Cause.Cause<unknown>, { message }: Received) => {
    const last = told.get(ending)
    if (last !== undefined && now() - last < TOLD_EVERY_MILLIS) return
    told.set(ending, now())
    log(
      Effect.annotateLogs(
        Effect.logWarning(
          `a handler of group ${group} ended with a ${ending}; message ${ForeignText.clean(message.msgId)} of topic ${message.topic} ${broadcasts ? "does not come" : "comes"} again`,
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
    copies: isOrderly,
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
    kind.consumption({
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
      isPaused: parts.isPaused,
      tell,
      now
    })
  )
  const directly = yield* (
    kind.directly?.({ group, observer, consumeTimeoutMillis: config.consumeTimeout, now }) ?? Effect.undefined
  )
  const brokersOf = (topic: string) => {
    const route = instance.routes.topicRouteTable.get(topic)
    return route === undefined ? [] : addressesOf(instance, route.data)
  }
  const comparison = yield* SubscriptionCheck.make({
    instance,
    group,
    subscriptions: announced,
    members: () => run.members(),
    brokers: () => [...new Set([...subscribed.present().keys()].flatMap(brokersOf))],
    tell: (text) => problem("subscriptions", text)
  })
  const store =
    config.offsetStore ??
    (broadcasts ? LocalOffsetStore.memory() : RemoteOffsetStore.make(instance, !config.strictLast))
  const run: Runs.ConsumerRun = yield* Runs.make({
    config: runConfigOf(config, kind),
    instance,
    store,
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
    assigned: active?.assigned,
    isPaused: parts.isPaused,
    unreadable: (received, error) =>
      Effect.andThen(
        problems.happened(
          `unreadable ${received.queue.name}`,
          `message ${ForeignText.clean(received.message.msgId)} cannot be unpacked: ${error.message}`
        ),
        Effect.sync(() => {
          // Whoever asks for messages gets it as it is.
          if (active !== undefined) return consumption.offer(received.queue, [received])
          counters.failures++
          counters.reconsumeLater++
          // In order it would hold its queue up for good.
          sendBack.giveBack(received, isOrderly ? "dead-letter" : "broker")
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
    instance.registerConsumer(
      Members.make({
        config,
        kind,
        run,
        consumption,
        subscriptions: subscribed.present,
        announced,
        traces: telemetry.traces,
        directly,
        seen: newcomers.seen,
        wake: () => log(instance.rebalanceService.wakeup),
        startedAt,
        now,
        nowMillis
      })
    )
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
  if (!retries) {
    yield* step("5.9", "heartbeat to all brokers", instance.heartbeat.sendHeartbeatToAllBroker)
    if (broadcasts && config.offsetStore === undefined) {
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
    store,
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
