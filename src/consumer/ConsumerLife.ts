import { Clock, Deferred, Effect, Equal, Stream } from "effect"
import {
  type AccessDenied,
  ConfigProblem,
  type FilterRefused,
  type IllegalServiceState,
  InvalidConfig
} from "../client/ClientError.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import type { Resolution } from "../client/options/OptionTable.ts"
import * as ServiceLife from "../client/ServiceLife.ts"
import * as ForeignText from "../message/ForeignText.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import * as Namespace from "../message/Namespace.ts"
import type { Consumption } from "./consume/Consumption.ts"
import * as Counters from "./ConsumerCounters.ts"
import type { ConsumerFailed } from "./ConsumerFailed.ts"
import type { ConsumerKind } from "./ConsumerKind.ts"
import * as ConsumerOptions from "./ConsumerOptions.ts"
import type { DrainReport } from "./run/RunOptions.ts"
import type { DefaultMQPushConsumerShape } from "./ConsumerShape.ts"
import { type ConsumerState, viewsOf } from "./ConsumerState.ts"
import { acquire, type Running } from "./RunningConsumer.ts"
import type { Subscription } from "./subscription/Subscription.ts"

/** A consumer in CREATE_JUST, and what it holds while it runs. */
export interface ConsumerLife<C extends Consumption> {
  readonly consumer: DefaultMQPushConsumerShape
  /** Undefined unless it runs. */
  readonly running: () => Running<C> | undefined
  /** What it holds while it runs, fails when it does not; with `closing` also while it gives its queues up. */
  readonly parts: (action: string, closing?: "closing") => Effect.Effect<Running<C>, IllegalServiceState>
  /** A topic's name without the consumer's namespace. */
  readonly local: (topic: string) => string
  /** Reads exactly these topics from now on, or from the start on. */
  readonly replace: (
    action: string,
    subscriptions: () => ReadonlyArray<Subscription>
  ) => Effect.Effect<void, IllegalServiceState>
}

/** Makes a consumer of a kind, in CREATE_JUST. It acquires nothing. */
export const make = Effect.fnUntraced(function* <C extends Consumption>(
  given: Resolution<ConsumerOptions.PushConsumerConfig>,
  kind: ConsumerKind<C>
): Effect.fn.Return<ConsumerLife<C>, never, MQClientManager> {
  const manager = yield* MQClientManager
  const resolution = yield* ConsumerOptions.inEndpointNamespace(given)
  const { config } = resolution
  const { consumerGroup, namespace } = config
  const failed = yield* Deferred.make<never, ConsumerFailed>()
  const wanted = new Map((config.subscriptions ?? []).map((one) => [one.topic, one]))
  /** Topics, and queues as `topic@broker@id`. */
  const paused = new Set<string>()
  let suspended = false
  let lastDrain: DrainReport | undefined

  const life: ServiceLife.ServiceLife<Running<C>> = yield* ServiceLife.make<Running<C>>({
    subject: `consumer ${consumerGroup}`,
    number: "5",
    startTimeoutMillis: config.startTimeoutMillis,
    acquire: (lifeContext) =>
      acquire(
        {
          resolution,
          manager,
          failed,
          wanted,
          kind,
          isPaused: (queue) => paused.size > 0 && (paused.has(queue.topic) || paused.has(MessageQueue.key(queue))),
          isSuspended: () => suspended
        },
        lifeContext
      ),
    isStartableAfter: (reason) => reason._tag === "DuplicateConsumerGroup",
    drainTimeoutMillis: config.drainTimeoutMillis,
    work: "handler(s)",
    drains: ({ run }, bound) => [
      Effect.map(run.close(bound), (report) => {
        lastDrain = report
        return report.interrupted
      })
    ],
    flush: ({ telemetry }, left) => telemetry.traces?.flush(left) ?? Effect.void,
    annotations: ({ instance }) => ({ clientId: instance.clientId, group: consumerGroup }),
    spanAttributes: { "messaging.system": "rocketmq", "messaging.consumer.group.name": consumerGroup }
  })

  const state = Effect.gen(function* () {
    const serviceState = life.serviceStateNow()
    const parts = life.parts()
    const nowMillis = yield* Clock.currentTimeMillis
    const view: ConsumerState = {
      consumerGroup,
      serviceState,
      steps: life.steps(),
      members: parts?.run.members().map((member) => ForeignText.clean(member)) ?? [],
      lastRebalance: parts?.run.lastRebalance(),
      queues: parts === undefined ? [] : viewsOf(parts.run.owned(), parts.consumption.jobs(), parts.now(), nowMillis),
      running: parts?.consumption.running() ?? 0,
      concurrency: parts?.consumption.concurrency() ?? config.consumeThreadMin,
      suspended,
      counters: { ...(parts?.counters ?? Counters.make()) },
      hooks: { ...(parts?.telemetry.hooks ?? { failures: 0 }) },
      trace: parts?.telemetry.traces?.state(),
      problems: parts?.problems() ?? [],
      comparisonRefused: parts?.comparisonRefused(),
      lastDrain,
      instance: serviceState === "RUNNING" && parts !== undefined ? yield* parts.instance.state : undefined
    }
    return view
  })

  const assignment = Effect.sync(() => (life.parts()?.run.owned() ?? []).map(({ messageQueue }) => messageQueue))

  const setSuspended = (value: boolean) =>
    Effect.suspend(() => {
      suspended = value
      life.running()?.run.suspend(value)
      return life.notify
    })

  const setPaused = (which: ReadonlyArray<MessageQueue.MessageQueue | string>, value: boolean) =>
    Effect.suspend(() => {
      for (const one of which) {
        const key = typeof one === "string" ? Namespace.unwrap(namespace, one) : MessageQueue.key(one)
        if (value) paused.add(key)
        else paused.delete(key)
      }
      const parts = life.running()
      parts?.consumption.paused?.()
      parts?.run.lookForRoom()
      return life.notify
    })

  /** Changes what is wanted; it counts from the start on, or for what runs at once. */
  const change = <E = never>(action: string, write: Effect.Effect<void, E>) =>
    Effect.gen(function* () {
      const isNew = life.serviceStateNow() === "CREATE_JUST"
      const refusal = isNew ? undefined : life.refusal(action)
      if (refusal !== undefined) yield* refusal
      yield* write
      yield* life.running()?.resubscribe ?? Effect.void
    })

  const consumer: DefaultMQPushConsumerShape = {
    consumerGroup,
    serviceState: life.serviceState,
    serviceStateChanges: life.serviceStateChanges,
    start: Effect.asVoid(life.start),
    shutdown: life.shutdown,
    state,
    stateChanges: Stream.mapEffect(life.changes, () => state),
    assignment,
    assignments: Stream.changesWith(
      Stream.mapEffect(life.changes, () => assignment),
      (a, b) => Equal.equals(a.map(MessageQueue.key), b.map(MessageQueue.key))
    ),
    subscribe: (subscription) => {
      const one = { ...subscription, topic: Namespace.unwrap(namespace, subscription.topic) }
      return change(
        "subscribe",
        Effect.suspend((): Effect.Effect<void, InvalidConfig | FilterRefused | AccessDenied> => {
          const problem = ConsumerOptions.problemOf(one)
          if (problem !== undefined) {
            return Effect.fail(new InvalidConfig({ problems: [new ConfigProblem({ path: "subscriptions", problem })] }))
          }
          return Effect.andThen(
            life.running()?.checkFilter(one) ?? Effect.void,
            Effect.sync(() => {
              wanted.set(one.topic, one)
            })
          )
        })
      )
    },
    unsubscribe: (topic) =>
      change(
        "unsubscribe",
        Effect.sync(() => {
          wanted.delete(Namespace.unwrap(namespace, topic))
        })
      ),
    suspend: setSuspended(true),
    resume: setSuspended(false),
    pause: (...which) => setPaused(which, true),
    unpause: (...which) => setPaused(which, false),
    setConcurrency: (concurrency) =>
      Effect.suspend(() => {
        life.running()?.consumption.setConcurrency(Math.min(1_000, Math.max(1, Math.floor(concurrency) || 1)))
        return life.notify
      }),
    healthy: Effect.sync(() => life.running()?.problems().length === 0),
    caughtUp: (options) =>
      Effect.suspend((): ReturnType<DefaultMQPushConsumerShape["caughtUp"]> => {
        const refusal = life.refusal("wait until it has caught up")
        return refusal === undefined ? (life.running()?.caughtUp(options) ?? Effect.void) : Effect.fail(refusal)
      }),
    failed: Deferred.await(failed),
    lastDrain: Effect.sync(() => lastDrain)
  }
  return {
    consumer,
    running: life.running,
    parts: (action, closing) =>
      Effect.suspend(() => {
        const last = closing === undefined ? undefined : life.parts()
        const parts = life.running() ?? (last !== undefined && last.run.held().length > 0 ? last : undefined)
        return parts === undefined ? Effect.fail(life.illegal(action)) : Effect.succeed(parts)
      }),
    local: (topic) => Namespace.unwrap(namespace, topic),
    replace: (action, subscriptions) =>
      change(
        action,
        Effect.sync(() => {
          wanted.clear()
          for (const one of subscriptions()) wanted.set(one.topic, one)
        })
      )
  }
})

/** {@link make}, started for as long as the scope is open; closing it is the shutdown. */
export const started = Effect.fnUntraced(function* <C extends Consumption>(
  resolution: Resolution<ConsumerOptions.PushConsumerConfig>,
  kind: ConsumerKind<C>
) {
  const life = yield* make(resolution, kind)
  // Before the start: it does nothing where nothing runs.
  yield* Effect.addFinalizer(() => life.consumer.shutdown)
  yield* life.consumer.start
  return life
})
