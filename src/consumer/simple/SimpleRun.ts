import { Deferred, Duration, Effect, Option, Stream } from "effect"
import {
  type AccessDenied,
  ConfigProblem,
  type FilterRefused,
  type IllegalServiceState,
  InvalidConfig
} from "../../client/ClientError.ts"
import { MQClientManager } from "../../client/MQClientManager.ts"
import { MAX_POPPED } from "../../client/PopCalls.ts"
import { show } from "../../client/options/Option.ts"
import type { Resolution } from "../../client/options/OptionTable.ts"
import * as ServiceLife from "../../client/ServiceLife.ts"
import * as Namespace from "../../message/Namespace.ts"
import * as ConsumerOptions from "../ConsumerOptions.ts"
import type { Subscription } from "../subscription/Subscription.ts"
import type { Wanted } from "./Receiving.ts"
import { acquire, NO_COUNTS, type RunningSimple } from "./RunningSimple.ts"
import { invalidInvisible, invisibleMillisOf } from "./Settling.ts"
import { ReceiveError } from "./SimpleError.ts"
import { forConsumer, type SimpleConsumerConfig } from "./SimpleOptions.ts"
import type { ReceiveOptions, SimpleConsumerShape, SimpleConsumerState } from "./SimpleShape.ts"

const invalid = (path: string, problem: string) =>
  new InvalidConfig({ problems: [new ConfigProblem({ path, problem })] })

/** What a call asks for, or what of it cannot be used. */
const wantedOf = (
  { awaitDuration, popBatchNums, popInvisibleTime }: SimpleConsumerConfig,
  { invisible, max = popBatchNums, wait }: ReceiveOptions
): Wanted | InvalidConfig => {
  if (!Number.isInteger(max) || max < 1 || max > MAX_POPPED) {
    return invalid("max", `must be a whole number from 1 to ${MAX_POPPED}, is ${show(max)}`)
  }
  const invisibleMillis = invisible === undefined ? popInvisibleTime : invisibleMillisOf(invisible)
  if (invisibleMillis === undefined) return invalidInvisible(invisible)
  if (wait === undefined) return { max, invisibleMillis, waitMillis: awaitDuration }
  const found = Duration.fromInput(wait)
  const waitMillis = Option.isSome(found) ? Duration.toMillis(found.value) : Number.NaN
  return waitMillis >= 0 ? { max, invisibleMillis, waitMillis } : invalid("wait", `must be a time, is ${show(wait)}`)
}

/** The configuration in the namespace that its name servers stand for, names without it. */
const inNamespace = (resolution: Resolution<SimpleConsumerConfig>): Effect.Effect<Resolution<SimpleConsumerConfig>> =>
  Effect.map(ConsumerOptions.inEndpointNamespace(forConsumer(resolution)), ({ config, problems }) => {
    const { consumerGroup, namespace, namespaceV2, subscriptions } = config
    return { config: { ...resolution.config, consumerGroup, namespace, namespaceV2, subscriptions }, problems }
  })

/**
 * Makes a simple consumer in CREATE_JUST. It acquires nothing.
 *
 * Source: apache/rocketmq-clients `SimpleConsumerImpl`.
 */
export const make = Effect.fnUntraced(function* (
  given: Resolution<SimpleConsumerConfig>
): Effect.fn.Return<SimpleConsumerShape, never, MQClientManager> {
  const manager = yield* MQClientManager
  const resolution = yield* inNamespace(given)
  const { config } = resolution
  const { consumerGroup: group, namespace } = config
  const wanted = new Map((config.subscriptions ?? []).map((one) => [one.topic, one]))

  const life: ServiceLife.ServiceLife<RunningSimple> = yield* ServiceLife.make<RunningSimple>({
    subject: `consumer ${group}`,
    number: "5",
    startTimeoutMillis: config.startTimeoutMillis,
    acquire: (context) => acquire({ resolution, manager, wanted }, context),
    isStartableAfter: (reason) => reason._tag === "DuplicateConsumerGroup",
    drainTimeoutMillis: config.drainTimeoutMillis,
    work: "message(s)",
    drains: ({ closing, receiving, running }, bound) => [
      Effect.andThen(Deferred.succeed(closing, undefined), receiving.drain(bound)),
      running.drain(bound)
    ],
    flush: ({ telemetry }, left) => telemetry.traces?.flush(left) ?? Effect.void,
    annotations: ({ instance }) => ({ clientId: instance.clientId, group }),
    spanAttributes: { "messaging.system": "rocketmq", "messaging.consumer.group.name": group }
  })

  const state = Effect.gen(function* () {
    const serviceState = life.serviceStateNow()
    const parts = life.parts()
    const view: SimpleConsumerState = {
      consumerGroup: group,
      serviceState,
      steps: life.steps(),
      subscriptions: [...wanted.values()],
      receiving: parts?.receiving.count() ?? 0,
      running: parts?.running.count() ?? 0,
      counters: { ...(parts?.counters ?? NO_COUNTS) },
      hooks: { ...(parts?.telemetry.hooks ?? { failures: 0 }) },
      trace: parts?.telemetry.traces?.state(),
      problems: parts?.problems() ?? [],
      instance: serviceState === "RUNNING" && parts !== undefined ? yield* parts.instance.state : undefined
    }
    return view
  })

  /** Changes what is wanted; it counts from the start on, or for what runs at once. */
  const change = <E>(action: string, write: Effect.Effect<void, E>) =>
    Effect.suspend((): Effect.Effect<void, E | IllegalServiceState> => {
      const refusal = life.serviceStateNow() === "CREATE_JUST" ? undefined : life.refusal(action)
      if (refusal !== undefined) return Effect.fail(refusal)
      return Effect.andThen(
        write,
        Effect.suspend(() => life.running()?.resubscribe ?? Effect.void)
      )
    })

  const subscribeTo = (one: Subscription) =>
    Effect.suspend((): Effect.Effect<void, InvalidConfig | FilterRefused | AccessDenied> => {
      const problem = ConsumerOptions.problemOf(one)
      return problem === undefined
        ? (life.running()?.checkFilter(one) ?? Effect.void)
        : Effect.fail(invalid("subscriptions", problem))
    })

  const receive: SimpleConsumerShape["receive"] = (options = {}) =>
    Effect.suspend((): ReturnType<SimpleConsumerShape["receive"]> => {
      const parts = life.running()
      if (parts === undefined) return Effect.fail(new ReceiveError({ group, reason: life.illegal("receive") }))
      const asked = wantedOf(config, options)
      return asked instanceof InvalidConfig
        ? Effect.fail(new ReceiveError({ group, reason: asked }))
        : parts.receiving.track(parts.receive(asked))
    })

  return {
    consumerGroup: group,
    serviceState: life.serviceState,
    serviceStateChanges: life.serviceStateChanges,
    start: Effect.asVoid(life.start),
    shutdown: life.shutdown,
    state,
    stateChanges: Stream.mapEffect(life.changes, () => state),
    healthy: Effect.sync(() => life.running()?.problems().length === 0),
    subscribe: (...subscriptions) => {
      const all = subscriptions.map((one) => ({ ...one, topic: Namespace.unwrap(namespace, one.topic) }))
      return change(
        "subscribe",
        Effect.andThen(
          Effect.forEach(all, subscribeTo, { discard: true }),
          Effect.sync(() => {
            for (const one of all) wanted.set(one.topic, one)
          })
        )
      )
    },
    unsubscribe: (topic): Effect.Effect<void, IllegalServiceState> =>
      change(
        "unsubscribe",
        Effect.sync(() => {
          wanted.delete(Namespace.unwrap(namespace, topic))
        })
      ),
    receive
  }
})
