import { Effect, type Exit } from "effect"
import { propertyAttributes, serverAttributes } from "../../client/telemetry/SpanAttributes.ts"
import type { SendResult } from "../../message/SendResult.ts"
import type { PreparedMessage } from "../send/PreparedMessage.ts"
import type { SendError } from "../send/SendError.ts"
import type { ObservedSend } from "../send/SendObserver.ts"
import { errorType, type MessageFacts } from "./TelemetryFacts.ts"
import * as ContextPropagation from "./ContextPropagation.ts"

/**
 * The send spans of OpenTelemetry's messaging conventions.
 */

/** Whose spans they are. */
export interface SpanSource {
  readonly clientId: string
  readonly producerGroup: string
  /** The namespace of the topics; the empty text when there is none. */
  readonly namespace: string
  /** Bytes that the body of a batch may take. */
  readonly maxMessageSize: number
  /** The address of a broker's master. */
  readonly addressOf: (brokerName: string) => string | undefined
}

/** What is known when the span starts, for samplers to decide by. */
const startAttributes = (source: SpanSource, send: ObservedSend, facts: MessageFacts): Record<string, unknown> => {
  const attributes: Record<string, unknown> = {
    "messaging.system": "rocketmq",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "messaging.destination.name": send.prepared.topic,
    "messaging.rocketmq.namespace": source.namespace,
    "messaging.rocketmq.message.type": facts.type,
    "messaging.client.id": source.clientId
  }
  if (facts.count > 1) attributes["messaging.batch.message_count"] = facts.count
  else attributes["messaging.message.id"] = send.prepared.msgId
  if (facts.tags !== undefined) attributes["messaging.rocketmq.message.tag"] = facts.tags
  if (facts.keys.length > 0) attributes["messaging.rocketmq.message.keys"] = facts.keys
  Object.assign(attributes, propertyAttributes(facts.properties))
  if (send.queue !== undefined) {
    attributes["messaging.destination.partition.id"] = String(send.queue.queueId)
    Object.assign(attributes, serverAttributes(source.addressOf(send.queue.brokerName)))
  }
  return attributes
}

/** What the end tells: the last broker that was tried, and what became of it. */
const endAttributes = (source: SpanSource, exit: Exit.Exit<SendResult | void, SendError>): Record<string, unknown> => {
  if (exit._tag === "Success") {
    if (typeof exit.value !== "object") return {}
    const { attempts, queue } = exit.value
    return {
      "messaging.destination.partition.id": String(queue.queueId),
      ...serverAttributes(source.addressOf(queue.brokerName)),
      ...(attempts > 1 ? { "messaging.rocketmq.send.attempts": attempts } : {})
    }
  }
  const failure = exit.cause.reasons.find((reason) => reason._tag === "Fail")?.error
  const last = failure?.attempts.at(-1)
  return {
    "error.type": errorType(exit.cause),
    ...(failure === undefined ? {} : { "messaging.rocketmq.send.outcome": failure.outcome }),
    ...(last === undefined ? {} : { "messaging.destination.partition.id": String(last.queueId) }),
    ...serverAttributes(last?.address)
  }
}

/**
 * Runs a send in a span `send {topic}`, the parent of whatever hooks open within. The message, or each of a batch, leaves
 * with the span's context unless it carries one already; those are linked.
 */
export const around = <A extends SendResult | void>(
  source: SpanSource,
  send: ObservedSend,
  facts: MessageFacts,
  run: (prepared: PreparedMessage) => Effect.Effect<A, SendError>
): Effect.Effect<A, SendError> =>
  Effect.useSpan(
    `send ${send.prepared.topic}`,
    {
      kind: facts.count > 1 ? "client" : "producer",
      attributes: startAttributes(source, send, facts),
      links: ContextPropagation.contextsOf(send.prepared).map((span) => ({ span, attributes: {} }))
    },
    (span) =>
      Effect.onExitPrimitive(
        Effect.withParentSpan(run(ContextPropagation.inject(send.prepared, span, source.maxMessageSize)), span, {
          captureStackTrace: false
        }),
        (exit) => {
          const attributes = endAttributes(source, exit)
          for (const name of Object.keys(attributes)) span.attribute(name, attributes[name])
          return undefined
        }
      )
  )
