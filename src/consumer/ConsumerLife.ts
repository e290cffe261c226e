import { Clock, Deferred, Effect, Equal, type Scope, Stream } from "effect"
import { type AccessDenied, ConfigProblem, type FilterRefused, InvalidConfig } from "../client/ClientError.ts"
import { MQClientManager } from "../client/MQClientManager.ts"
import type { Resolution } from "../client/options/OptionTable.ts"
import * as ServiceLife from "../client/ServiceLife.ts"
import * as ForeignText from "../message/ForeignText.ts"
import * as MessageQueue from "../message/MessageQueue.ts"
import * as Namespace from "../message/Namespace.ts"
import type { Consumption, ConsumptionTools } from "./consume/Consumption.ts"
import type { Directly, DirectTools } from "./consume/Direct.ts"
import * as Counters from "./ConsumerCounters.ts"
import type { ConsumerFailed } from "./ConsumerFailed.ts"
import * as ConsumerOptions from "./ConsumerOptions.ts"
import type { DrainReport } from "./run/RunOptions.ts"
import type { DefaultMQPushConsumerShape } from "./ConsumerShape.ts"
import { type ConsumerState, viewsOf } from "./ConsumerState.ts"
import { acquire, type Running } from "./RunningConsumer.ts"

/** What makes a kind of consumer: what is done with messages that were pulled. */
export interface ConsumerKind<C extends Consumption> {
  /** Called when it runs. */
  readonly begin?: (parts: Running<C>) => void
  /** Messages that a handler gets at most, for those who ask for the consumer's properties. */
  readonly batchSize: number
  /** Whether queues are consumed in order, under a broker's lock. */
  readonly isOrderly?: boolean
  /** Makes what takes messages over, in the scope of a start. */
  readonly consumption: (tools: ConsumptionTools) => Effect.Effect<C, never, Scope.Scope>
  /** Makes what hands single messages to the listener; undefined for a kind without one. */
  readonly directly: ((tools: DirectTools) => Effect.Effect<Directly, never, Scope.Scope>) | undefined
}

/** A consumer in CREATE_JUST, and what it holds while it runs. */
export interface ConsumerLife<C extends Consumption> {
  readonly consumer: DefaultMQPushConsumerShape
  /** Undefined unless it runs. */
  readonly running: () => Running<C> | undefined
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
          batchSize: kind.batchSize,
          isOrderly: kind.isOrderly ?? false,
          consumption: kind.consumption,
          directly: kind.directly,
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
      life.running()?.run.lookForRoom()
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
  return { consumer, running: life.running }
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
  const parts = life.running()
  if (parts !== undefined) kind.begin?.(parts)
  return life
})
