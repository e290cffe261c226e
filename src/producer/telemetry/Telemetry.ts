import { Clock, Effect, type Scope } from "effect"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import * as ObservedMetrics from "../../client/telemetry/ObservedMetrics.ts"
import { isTraced } from "../../client/telemetry/TraceContext.ts"
import type * as TraceDispatcher from "../../client/telemetry/TraceDispatcher.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { UniqueIds } from "../../message/MessageId.ts"
import {
  type TraceEndTransaction,
  TraceMessageType,
  type TracePub,
  type TraceRecall
} from "../../protocol/TraceData.ts"
import type { PreparedMessage } from "../send/PreparedMessage.ts"
import * as Hooks from "./Hooks.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import type * as SendEngine from "../send/SendEngine.ts"
import type { SendError } from "../send/SendError.ts"
import type { SendObserver } from "../send/SendObserver.ts"
import * as SendMetrics from "./SendMetrics.ts"
import { factsOf, type MessageFacts } from "./TelemetryFacts.ts"
import * as TelemetrySpans from "./TelemetrySpans.ts"
import * as TraceSends from "./TraceSends.ts"
import type { TopicPublishInfoTable } from "../queue/TopicPublishInfo.ts"

/** What a producer tells in message traces. */
export type ProducerTraces = TraceDispatcher.TraceDispatcher<TracePub | TraceEndTransaction | TraceRecall>

/** What watches a producer that runs. */
export interface Telemetry {
  readonly observer: SendObserver
  /** Message traces; undefined unless `enableTrace` is set. */
  readonly trace: ProducerTraces | undefined
  readonly hooks: Readonly<Hooks.HookCounters>
  /** Shows the counters of the sends as metrics for as long as the scope is open. */
  readonly watch: (engine: SendEngine.SendEngine) => Effect.Effect<void, never, Scope.Scope>
}

/** How a trace tells kinds of messages; Java never says "order" either. */
const traceTypes = {
  normal: TraceMessageType.NORMAL,
  fifo: TraceMessageType.NORMAL,
  transaction: TraceMessageType.TRANS_HALF,
  delay: TraceMessageType.DELAY
} as const

/**
 * Makes what watches a producer: spans when somebody listens to them, hooks when there are any, message traces when
 * they are switched on, metrics unless they are switched off. What is off is not there, so that it costs nothing.
 */
export const make = Effect.fnUntraced(function* (
  config: ProducerConfig,
  instance: MQClientInstanceShape,
  table: TopicPublishInfoTable,
  uniqueIds: UniqueIds
): Effect.fn.Return<Telemetry, never, Scope.Scope> {
  const { producerGroup } = config
  const context = yield* Effect.context()
  const clock = yield* Clock.Clock
  const nowMillis = () => clock.currentTimeMillisUnsafe()
  const addressOf = instance.routes.findBrokerAddressInPublish
  const source: TelemetrySpans.SpanSource = {
    clientId: instance.clientId,
    producerGroup,
    namespace: config.namespace ?? config.namespaceV2 ?? "",
    maxMessageSize: config.maxMessageSize,
    addressOf
  }
  const hooks = yield* Hooks.make(producerGroup)
  const trace: ProducerTraces | undefined = config.enableTrace
    ? yield* TraceSends.make(
        { ...config, producerGroup: TraceSends.traceGroup(producerGroup, "PRODUCE") },
        instance,
        table,
        uniqueIds,
        { topic: config.traceTopic, group: producerGroup }
      )
    : undefined

  /** Records the trace of a send that a broker answered. */
  const traced = <A extends SendResult | void>(
    prepared: PreparedMessage,
    facts: MessageFacts,
    dispatcher: ProducerTraces,
    run: Effect.Effect<A, SendError>
  ) =>
    Effect.suspend(() => {
      const begin = nowMillis()
      return Effect.map(run, (result) => {
        if (typeof result === "object" && result.traceOn && !prepared.topic.startsWith(config.traceTopic)) {
          dispatcher.append({
            type: "Pub",
            timeStamp: begin,
            regionId: result.regionId,
            groupName: producerGroup,
            topic: prepared.topic,
            msgId: result.msgId,
            tags: facts.tags,
            keys: facts.keys.length === 0 ? undefined : facts.keys.join(" "),
            storeHost: addressOf(result.queue.brokerName) ?? "",
            bodyLength: prepared.body.length,
            costTime: nowMillis() - begin,
            msgType: traceTypes[facts.type],
            offsetMsgId: result.offsetMsgId,
            isSuccess: result.status === "SEND_OK"
          })
        }
        return result
      })
    })

  const observer: SendObserver = {
    active: hooks === undefined && trace === undefined ? isTraced : () => true,
    around: (send, run) => {
      const facts = factsOf(send.prepared)
      const inner = <A extends SendResult | void>(
        sendIt: (prepared: PreparedMessage) => Effect.Effect<A, SendError>
      ) =>
        trace === undefined ? sendIt : (prepared: PreparedMessage) => traced(prepared, facts, trace, sendIt(prepared))
      const hooked = (prepared: PreparedMessage) =>
        hooks === undefined ? inner(run)(prepared) : hooks.around({ ...send, prepared }, facts, inner(run))
      return isTraced(send.fiber) ? TelemetrySpans.around(source, send, facts, hooked) : hooked(send.prepared)
    },
    recorder: config.metrics ? SendMetrics.make(context) : undefined
  }
  const hookCounters = hooks?.counters ?? { failures: 0, refused: 0 }

  const watch: Telemetry["watch"] = (engine) => {
    if (!config.metrics) return Effect.void
    return ObservedMetrics.observe(
      {
        "messaging.system": "rocketmq",
        "messaging.client.id": instance.clientId,
        "messaging.rocketmq.producer.group": producerGroup
      },
      producerSeries(engine, hookCounters, trace)
    )
  }
  return { observer, trace, hooks: hookCounters, watch }
})

/** The series of a producer, read from what it counts anyway. */
const producerSeries = (
  engine: SendEngine.SendEngine,
  hooks: Readonly<Hooks.HookCounters>,
  trace: ProducerTraces | undefined
): ReadonlyArray<ObservedMetrics.ObservedSeries> => [
  {
    kind: "gauge",
    name: "rocketmq.client.sends",
    description: "Sends under way",
    unit: "{send}",
    read: engine.inFlight
  },
  {
    kind: "counter",
    name: "rocketmq.client.retries",
    description: "Attempts of sends beyond the first",
    unit: "{attempt}",
    read: () => engine.counters.retries
  },
  {
    kind: "counter",
    name: "rocketmq.client.send.unknown_outcome",
    description: "Sends that failed and whose message may be stored all the same",
    unit: "{send}",
    read: () => engine.counters.unknown
  },
  {
    kind: "counter",
    name: "rocketmq.client.hook.failures",
    description: "Runs of hooks that failed",
    unit: "{run}",
    read: () => hooks.failures
  },
  ...(trace === undefined
    ? []
    : [
        {
          kind: "counter",
          name: "rocketmq.client.trace.dropped",
          description: "Message traces that found the buffer full",
          unit: "{record}",
          read: () => trace.state().dropped
        } as const
      ])
]
