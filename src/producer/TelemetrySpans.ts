import { Effect, type Exit, type Fiber, Tracer } from "effect"
import { MAX_PROPERTIES_LENGTH } from "../message/MixAll.ts"
import type { SendResult } from "../message/SendResult.ts"
import { MessageConst } from "../protocol/MessageProperties.ts"
import * as Address from "../transport/Address.ts"
import type { Outgoing } from "./Outgoing.ts"
import type { SendError } from "./SendError.ts"
import type { ObservedSend } from "./SendObserver.ts"
import { errorType, type MessageFacts } from "./TelemetryFacts.ts"

/**
 * The send spans of OpenTelemetry's messaging conventions, and the W3C context that goes into the message.
 */

/** Whose spans they are. */
export interface SpanSource {
  readonly clientId: string
  readonly producerGroup: string
  /** The namespace of the topics; the empty text when there is none. */
  readonly namespace: string
  /** The address of a broker's master. */
  readonly addressOf: (brokerName: string) => string | undefined
}

/**
 * Whether a fiber's spans go anywhere. Effect's own tracer keeps them in memory and shows them to nobody, so that a span
 * would be spent for nothing.
 */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean => {
  const { tracer, tracerEnabled } = fiber.cache
  return tracer !== undefined && tracerEnabled && tracer !== Tracer.nativeTracer
}

/** The property that carries the context of the send, as W3C Trace Context writes it. */
export const TRACEPARENT = "traceparent"

const NAME = "\u0001"
const END = "\u0002"

/** The value of `traceparent` for a span. */
export const traceparentOf = (span: Tracer.AnySpan): string =>
  `00-${span.traceId.padStart(32, "0")}-${span.spanId.padStart(16, "0")}-${span.sampled ? "01" : "00"}`

const w3c = /^00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})$/

/** Reads a `traceparent`; undefined when it is none. */
export const parseTraceparent = (text: string): Tracer.ExternalSpan | undefined => {
  const [, traceId, spanId, flags] = w3c.exec(text) ?? []
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined
  if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return undefined
  return Tracer.externalSpan({ traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 })
}

/** Whether a message, or one of a batch, carries a context of its own. */
const hasContext = (outgoing: Outgoing, facts: MessageFacts): boolean =>
  facts.properties[TRACEPARENT] !== undefined ||
  (outgoing.form === "BATCH" &&
    Buffer.from(outgoing.body.buffer, outgoing.body.byteOffset, outgoing.body.byteLength).includes(
      `${TRACEPARENT}${NAME}`
    ))

/** What brokers add to a message's properties before they look at the limit (region, cluster, trace), generously. */
const BROKER_PROPERTIES = 512

/** The message with the span's context, unless it has one already or the properties would become too long. */
const inject = (outgoing: Outgoing, facts: MessageFacts, span: Tracer.AnySpan): Outgoing => {
  if (hasContext(outgoing, facts)) return outgoing
  const entry = `${TRACEPARENT}${NAME}${traceparentOf(span)}${END}`
  const { legacyProperties, properties } = outgoing
  const longest = Math.max(Buffer.byteLength(properties), Buffer.byteLength(legacyProperties ?? ""))
  if (longest + entry.length > MAX_PROPERTIES_LENGTH - BROKER_PROPERTIES) return outgoing
  return {
    ...outgoing,
    properties: append(properties, entry),
    ...(legacyProperties === undefined ? {} : { legacyProperties: append(legacyProperties, entry) })
  }
}

const append = (properties: string, entry: string): string =>
  `${properties}${properties === "" || properties.endsWith(END) ? "" : END}${entry}`

const numbers = (text: string | undefined): number | undefined =>
  text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined

/** What is known when the span starts, for samplers to decide by. */
const startAttributes = (source: SpanSource, send: ObservedSend, facts: MessageFacts): Record<string, unknown> => {
  const attributes: Record<string, unknown> = {
    "messaging.system": "rocketmq",
    "messaging.operation.name": "send",
    "messaging.operation.type": "send",
    "messaging.destination.name": send.outgoing.topic,
    "messaging.rocketmq.namespace": source.namespace,
    "messaging.rocketmq.message.type": facts.type,
    "messaging.client.id": source.clientId
  }
  if (facts.count > 1) attributes["messaging.batch.message_count"] = facts.count
  else attributes["messaging.message.id"] = send.outgoing.msgId
  if (facts.tags !== undefined) attributes["messaging.rocketmq.message.tag"] = facts.tags
  if (facts.keys.length > 0) attributes["messaging.rocketmq.message.keys"] = facts.keys
  const group = facts.properties[MessageConst.SHARDING_KEY]
  if (group !== undefined) attributes["messaging.rocketmq.message.group"] = group
  const level = numbers(facts.properties[MessageConst.DELAY_TIME_LEVEL])
  if (level !== undefined) attributes["messaging.rocketmq.message.delay_time_level"] = level
  const deliverAt = numbers(facts.properties[MessageConst.TIMER_DELIVER_MS])
  if (deliverAt !== undefined) attributes["messaging.rocketmq.message.delivery_timestamp"] = deliverAt
  const correlation = facts.properties[MessageConst.CORRELATION_ID]
  if (correlation !== undefined) attributes["messaging.message.conversation_id"] = correlation
  if (send.queue !== undefined) {
    attributes["messaging.destination.partition.id"] = String(send.queue.queueId)
    Object.assign(attributes, serverAttributes(source.addressOf(send.queue.brokerName)))
  }
  return attributes
}

const serverAttributes = (address: string | undefined): Record<string, unknown> => {
  const parsed = address === undefined ? undefined : Address.parse(address)
  return parsed === undefined || "_tag" in parsed ? {} : { "server.address": parsed.host, "server.port": parsed.port }
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
    "error.type": errorType(exit),
    ...(failure === undefined ? {} : { "messaging.rocketmq.send.outcome": failure.outcome }),
    ...(last === undefined ? {} : { "messaging.destination.partition.id": String(last.queueId) }),
    ...serverAttributes(last?.address)
  }
}

/**
 * Runs a send in a span `send {topic}`, the parent of whatever hooks open within. The message leaves with the span's
 * context unless it carries one already; that one is linked.
 */
export const around = <A extends SendResult | void>(
  source: SpanSource,
  send: ObservedSend,
  facts: MessageFacts,
  run: (outgoing: Outgoing) => Effect.Effect<A, SendError>
): Effect.Effect<A, SendError> => {
  const own = facts.properties[TRACEPARENT]
  const creation = own === undefined ? undefined : parseTraceparent(own)
  return Effect.useSpan(
    `send ${send.outgoing.topic}`,
    {
      kind: facts.count > 1 ? "client" : "producer",
      attributes: startAttributes(source, send, facts),
      ...(creation === undefined ? {} : { links: [{ span: creation, attributes: {} }] })
    },
    (span) =>
      Effect.onExitPrimitive(
        Effect.withParentSpan(run(inject(send.outgoing, facts, span)), span, { captureStackTrace: false }),
        (exit) => {
          const attributes = endAttributes(source, exit)
          for (const name of Object.keys(attributes)) span.attribute(name, attributes[name])
          return undefined
        }
      )
  )
}
