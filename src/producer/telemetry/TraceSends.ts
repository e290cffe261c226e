import { Effect } from "effect"
import type { MQClientInstanceShape } from "../../client/MQClientInstance.ts"
import * as TraceDispatcher from "../../client/telemetry/TraceDispatcher.ts"
import type { UniqueIds } from "../../message/MessageId.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import type { TopicPublishInfoTable } from "../queue/TopicPublishInfo.ts"
import * as SendEngine from "../send/SendEngine.ts"

/** The group in whose name traces are sent, of a producer's or a consumer's group. Source: RocketMQ `AsyncTraceDispatcher`. */
export const traceGroup = (group: string, of: "PRODUCE" | "CONSUME"): string => `_INNER_TRACE_PRODUCER-${group}-${of}-0`

/**
 * The dispatcher of a client's message traces and the sends that it has for itself: on the same instance and routes, but
 * neither counted nor watched, because they are not sends of the application. `producerGroup` is their own.
 */
export const make = Effect.fnUntraced(function* <R extends TraceDispatcher.TopicRecord>(
  config: ProducerConfig,
  instance: MQClientInstanceShape,
  table: TopicPublishInfoTable,
  uniqueIds: UniqueIds,
  traces: { readonly topic: string; readonly group: string }
) {
  const engine = yield* SendEngine.make(config, instance, table, uniqueIds)
  return yield* TraceDispatcher.make<R>({
    ...traces,
    send: (message, timeoutMillis) => engine.send(message, { timeoutMillis })
  })
})
