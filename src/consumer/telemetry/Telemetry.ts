import { Clock, Context, Effect, Exit, Metric, References, type Scope, Tracer } from "effect"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import * as ObservedMetrics from "../../client/telemetry/ObservedMetrics.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import { RETRY_GROUP_TOPIC_PREFIX } from "../../message/MixAll.ts"
import { type ConsumerObserver, nobody, type Settlement } from "./ConsumerObserver.ts"
import type { ProcessQueue } from "../queue/ProcessQueue.ts"
import { asReceived, type ReceivedMessage } from "../ReceivedMessage.ts"
import * as ConsumeMetrics from "./ConsumeMetrics.ts"
import * as ConsumeSpans from "./ConsumeSpans.ts"
import * as ConsumeWatch from "./ConsumeWatch.ts"
import * as Hooks from "./Hooks.ts"
import * as MessageTraces from "./MessageTraces.ts"

/** Queues that have series of their own; those beyond are in the sums only. */
const MAX_QUEUES = 1_000

/** What watches a consumer that runs. */
export interface Telemetry {
  readonly observer: ConsumerObserver
  /** What became of the runs of hooks. */
  readonly hooks: Readonly<Hooks.ConsumeHookCounters>
  /** Message traces; undefined unless `enableTrace` is set. */
  readonly traces: MessageTraces.MessageTraces | undefined
  /** Tells the hooks of a dead letter; undefined when there are none. */
  readonly deadLettered: Hooks.ConsumeHooks["deadLettered"]
  /** Lets the hooks choose among the messages of an answer; undefined when there are none. */
  readonly filter:
    ((queue: MessageQueue, messages: ReadonlyArray<MessageExt>) => Effect.Effect<ReadonlyArray<MessageExt>>) | undefined
  /** Shows the counters of the consumer as metrics for as long as the scope is open. */
  readonly watch: (sources: ConsumeMetrics.ConsumerSources) => Effect.Effect<void, never, Scope.Scope>
  /** A queue was taken: its lag is shown. */
  readonly taken: (queue: ProcessQueue<ReceivedMessage>) => void
  /** A queue was given up. */
  readonly left: (queue: ProcessQueue<ReceivedMessage>) => void
}

/** What went wrong, in one word of a small set. */
const errorType = (error: Error): string => {
  const source = "cause" in error && error.cause instanceof Error ? error.cause : error
  if ("codeName" in source && typeof source.codeName === "string") return source.codeName
  return "_tag" in source && typeof source._tag === "string" ? source._tag : "_OTHER"
}

/**
 * Makes what watches a consumer: metrics unless they are switched off, message traces when they are switched on, hooks when
 * there are any, and spans where a tracer is set when it is started. Effect's own tracer shows spans to nobody, and makes
 * none here. What is off is not there, so that it costs nothing.
 */
export const make = Effect.fnUntraced(function* (
  config: {
    readonly consumerGroup: string
    readonly messageModel: "CLUSTERING" | "BROADCASTING"
    readonly consumeTimeout: number
    readonly enableTrace: boolean
    readonly metrics: boolean
    readonly namespace: string | undefined
    readonly namespaceV2: string | undefined
    readonly traceTopic: string
  },
  instance: MQClientInstanceShape
): Effect.fn.Return<Telemetry, never, Scope.Scope> {
  const { consumerGroup } = config
  const context = yield* Effect.context()
  const clock = yield* Clock.Clock
  const now = () => Number(clock.monotonicTimeNanosUnsafe()) / 1e6
  const tracer = Context.get(context, Tracer.Tracer)
  const source: ConsumeSpans.SpanSource | undefined =
    tracer === Tracer.nativeTracer || !Context.get(context, References.TracerEnabled)
      ? undefined
      : {
          clientId: instance.clientId,
          consumerGroup,
          broadcasts: config.messageModel === "BROADCASTING",
          namespace: config.namespace ?? config.namespaceV2 ?? "",
          tracer,
          clock,
          addressOf: instance.routes.findBrokerAddressInPublish
        }
  const recorders = config.metrics ? ConsumeMetrics.make(context, consumerGroup) : undefined
  const hooks = yield* Hooks.make(consumerGroup)
  const traces = config.enableTrace ? yield* MessageTraces.make(config, instance) : undefined
  const watch = ConsumeWatch.make({ consumerGroup, hooks, traces, consumeTimeoutMillis: config.consumeTimeout, now })

  const settle: ConsumerObserver["settle"] = (what: Settlement, queue: MessageQueue, self, message) =>
    Effect.suspend(() => {
      const begin = now()
      return Effect.onExit(self, (exit) =>
        Effect.sync(() => {
          const millis = now() - begin
          const failure =
            exit._tag === "Failure" ? exit.cause.reasons.find((reason) => reason._tag === "Fail") : undefined
          // Interrupted, it was for nobody any more.
          if (exit._tag === "Failure" && failure === undefined) return
          const type = failure === undefined ? undefined : errorType(failure.error)
          if (type === undefined) recorders?.settle.succeeded(queue.topic, millis, 0)
          else recorders?.settle.failed(queue.topic, type, millis, 0)
          if (source === undefined) return
          const error =
            failure === undefined || type === undefined ? undefined : { type, exit: Exit.fail(failure.error) }
          ConsumeSpans.settled(source, what, queue, millis, error, message)
        })
      )
    })

  /** Within the span, so that it is the parent of whatever hooks open. */
  const process: ConsumerObserver["process"] =
    source === undefined
      ? watch?.around
      : (messages, handler, said) =>
          ConsumeSpans.process(source, messages, watch === undefined ? handler : watch.around(messages, handler, said))

  const observer: ConsumerObserver =
    source === undefined && recorders === undefined && watch === undefined
      ? nobody
      : {
          process,
          delivery: source === undefined ? undefined : (message) => ConsumeSpans.delivery(source, message),
          handedOut: watch === undefined ? undefined : (message) => watch.begin([message]),
          delivered:
            recorders === undefined
              ? undefined
              : ({ storeTimestamp, topic }) =>
                  // Clocks differ: nothing arrives before it was stored.
                  recorders.delivery.succeeded(topic, Math.max(0, clock.currentTimeMillisUnsafe() - storeTimestamp), 1),
          processed:
            recorders === undefined
              ? undefined
              : (topic, millis, succeeded, failed, error) => {
                  if (succeeded > 0) recorders.process.succeeded(topic, millis, succeeded)
                  if (failed > 0) recorders.process.failed(topic, error, millis, failed)
                },
          received: (queue, address, millis, messages) => {
            recorders?.receive.succeeded(queue.topic, millis, 0)
            if (source !== undefined) ConsumeSpans.received(source, queue, address, millis, messages)
          },
          notReceived: (queue, millis, error) => recorders?.receive.failed(queue.topic, errorType(error), millis, 0),
          settle
        }

  const shown = {
    "messaging.system": "rocketmq",
    "messaging.client.id": instance.clientId,
    "messaging.consumer.group.name": consumerGroup
  }
  const queues = new Map<ProcessQueue<ReceivedMessage>, { readonly remove: () => void }>()

  const { filter } = hooks
  const retryTopic = RETRY_GROUP_TOPIC_PREFIX + consumerGroup

  return {
    observer,
    hooks: hooks.counters,
    traces,
    deadLettered: hooks.deadLettered,
    filter:
      filter === undefined
        ? undefined
        : (queue, pulled) =>
            Effect.suspend(() => {
              const offered = new Map(pulled.map((message) => [asReceived(message, queue, retryTopic), message]))
              return Effect.map(filter({ consumerGroup, queue, messages: [...offered.keys()] }), (passed) =>
                passed.flatMap((message) => offered.get(message) ?? [])
              )
            }),
    watch: (sources) =>
      config.metrics
        ? Effect.andThen(
            ObservedMetrics.observe(shown, [
              ...ConsumeMetrics.consumerSeries(sources),
              ...ConsumeMetrics.watcherSeries(hooks.counters, traces)
            ]),
            Effect.asVoid(
              Effect.acquireRelease(Effect.void, () =>
                Effect.sync(() => {
                  for (const series of queues.values()) series.remove()
                  queues.clear()
                })
              )
            )
          )
        : Effect.void,
    taken: (queue) => {
      if (!config.metrics || queues.size >= MAX_QUEUES) return
      const { brokerName, queueId, topic } = queue.messageQueue
      const lag = Metric.gauge("rocketmq.consumer.queue.lag", {
        description: "Messages of a queue that are not finished",
        attributes: {
          ...shown,
          "messaging.destination.name": topic,
          "messaging.destination.partition.id": String(queueId),
          "rocketmq.broker.name": brokerName,
          unit: "{message}"
        }
      })
      queues.set(
        queue,
        Metric.registerUnsafe(lag, context, {
          get: () => ({ value: queue.lag ?? 0 }),
          update: () => {},
          modify: () => {}
        })
      )
    },
    left: (queue) => {
      queues.get(queue)?.remove()
      queues.delete(queue)
    }
  }
})
