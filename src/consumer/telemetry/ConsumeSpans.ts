import { Cause, type Clock, Context, Effect, Exit, Option, Tracer } from "effect"
import { typeOf } from "../../client/telemetry/MessageType.ts"
import { propertyAttributes, serverAttributes } from "../../client/telemetry/SpanAttributes.ts"
import * as TraceContext from "../../client/telemetry/TraceContext.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { DeliverySpan, Settlement } from "./ConsumerObserver.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"

/**
 * The consumer spans of OpenTelemetry's messaging conventions: `process {topic}` around a handler, `receive {topic}` for a
 * pull that brought something, `settle {topic}` for a commit or a send-back.
 */

/** Whose spans they are. */
export interface SpanSource {
  readonly clientId: string
  readonly consumerGroup: string
  /** Whether every member of the group gets every message. */
  readonly broadcasts: boolean
  /** The namespace of the topics; the empty text when there is none. */
  readonly namespace: string
  readonly tracer: Tracer.Tracer
  readonly clock: Clock.Clock
  /** The address of a broker's master. */
  readonly addressOf: (brokerName: string) => string | undefined
}

/** Links of one span at most. */
const MAX_LINKS = 128

const attributesOf = (source: SpanSource, name: string, queue: MessageQueue, topic: string) => ({
  "messaging.system": "rocketmq",
  "messaging.operation.name": name,
  "messaging.operation.type": name,
  "messaging.destination.name": topic,
  "messaging.destination.partition.id": String(queue.queueId),
  "messaging.rocketmq.namespace": source.namespace,
  "messaging.rocketmq.consumption_model": source.broadcasts ? "broadcasting" : "clustering",
  "messaging.consumer.group.name": source.consumerGroup,
  "messaging.client.id": source.clientId
})

const contextOf = (properties: Readonly<Record<string, string>>): Tracer.ExternalSpan | undefined => {
  const text = properties[TraceContext.TRACEPARENT]
  return text === undefined ? undefined : TraceContext.parseTraceparent(text)
}

/** Links to the senders' spans of some messages, each once. */
const linksTo = (messages: ReadonlyArray<{ readonly properties: Readonly<Record<string, string>> }>) => {
  const links = new Map<string, Tracer.SpanLink>()
  for (const { properties } of messages) {
    if (links.size >= MAX_LINKS) break
    const span = contextOf(properties)
    if (span !== undefined) links.set(`${span.traceId}-${span.spanId}`, { span, attributes: {} })
  }
  return [...links.values()]
}

const messageAttributes = ({ attempt, keys, msgId, properties, tags }: ReceivedMessage): Record<string, unknown> => {
  const attributes: Record<string, unknown> = {
    "messaging.message.id": msgId,
    "messaging.rocketmq.message.type": typeOf(properties),
    "messaging.rocketmq.consume.attempt": attempt
  }
  if (tags !== undefined) attributes["messaging.rocketmq.message.tag"] = tags
  if (keys.length > 0) attributes["messaging.rocketmq.message.keys"] = keys
  return Object.assign(attributes, propertyAttributes(properties))
}

/** What went wrong in a handler, in one word. */
const errorOf = (cause: Cause.Cause<unknown>): string =>
  cause.reasons.some(({ _tag }) => _tag === "Fail")
    ? "failure"
    : Cause.hasInterruptsOnly(cause)
      ? "interrupted"
      : "defect"

type Messages = readonly [ReceivedMessage, ...ReadonlyArray<ReceivedMessage>]

/** What a span `process {topic}` says of its messages. */
const processAttributes = (source: SpanSource, messages: Messages): Record<string, unknown> => {
  const [first] = messages
  return {
    ...attributesOf(source, "process", first.queue, first.topic),
    ...serverAttributes(source.addressOf(first.brokerName)),
    ...(messages.length === 1 ? messageAttributes(first) : { "messaging.batch.message_count": messages.length })
  }
}

/**
 * Runs a handler in a span `process {topic}`, which is the parent of whatever the handler opens. Its own parent is the span in
 * which the message was sent; those of a batch are linked, since they may be of many.
 */
export const process = <A, E, R>(
  source: SpanSource,
  messages: Messages,
  handler: Effect.Effect<A, E, R>
): Effect.Effect<A, E, R> => {
  const [first] = messages
  const parent = messages.length === 1 ? contextOf(first.properties) : undefined
  return Effect.useSpan(
    `process ${first.topic}`,
    {
      kind: "consumer",
      ...(parent === undefined ? { root: true } : { parent }),
      links: messages.length === 1 ? [] : linksTo(messages),
      attributes: processAttributes(source, messages)
    },
    (span) =>
      Effect.onExitPrimitive(Effect.withParentSpan(handler, span, { captureStackTrace: false }), (exit) => {
        if (exit._tag === "Failure") span.attribute("error.type", errorOf(exit.cause))
        return undefined
      })
  )
}

/** Opens a span `process {topic}` around a delivery of a stream, below the span in which the message was sent. */
export const delivery = (source: SpanSource, message: ReceivedMessage): DeliverySpan => {
  const parent = Option.fromUndefinedOr(contextOf(message.properties))
  const span = source.tracer.span({
    name: `process ${message.topic}`,
    parent,
    annotations: Context.empty(),
    links: [],
    startTime: source.clock.currentTimeNanosUnsafe(),
    kind: "consumer",
    root: Option.isNone(parent),
    sampled: Option.isNone(parent) || parent.value.sampled
  })
  const attributes = processAttributes(source, [message])
  for (const key of Object.keys(attributes)) span.attribute(key, attributes[key])
  return {
    span,
    end: (error) => {
      if (error !== undefined) span.attribute("error.type", error)
      span.end(source.clock.currentTimeNanosUnsafe(), Exit.void)
    }
  }
}

/** A span of something that has ended, after so many milliseconds. */
const record = (
  { clock, tracer }: SpanSource,
  name: string,
  links: Array<Tracer.SpanLink>,
  attributes: Record<string, unknown>,
  millis: number,
  error: { readonly type: string; readonly exit: Exit.Exit<never, Error> } | undefined
) => {
  const end = clock.currentTimeNanosUnsafe()
  const span = tracer.span({
    name,
    parent: Option.none(),
    annotations: Context.empty(),
    links,
    startTime: end - BigInt(Math.round(millis * 1e6)),
    kind: "client",
    root: true,
    sampled: true
  })
  for (const key of Object.keys(attributes)) span.attribute(key, attributes[key])
  if (error !== undefined) span.attribute("error.type", error.type)
  span.end(end, error?.exit ?? Exit.void)
}

/** A span `receive {topic}`, linked to the spans in which the messages were sent. */
export const received = (
  source: SpanSource,
  queue: MessageQueue,
  address: string,
  millis: number,
  messages: ReadonlyArray<{ readonly properties: Readonly<Record<string, string>> }>
): void =>
  record(
    source,
    `receive ${queue.topic}`,
    linksTo(messages),
    {
      ...attributesOf(source, "receive", queue, queue.topic),
      ...serverAttributes(address),
      "messaging.batch.message_count": messages.length
    },
    millis,
    undefined
  )

/** A span `settle {topic}`, of a send-back linked to the span in which the message was sent; `error` is what went wrong. */
export const settled = (
  source: SpanSource,
  what: Settlement,
  queue: MessageQueue,
  millis: number,
  error: { readonly type: string; readonly exit: Exit.Exit<never, Error> } | undefined,
  message: ReceivedMessage | undefined
): void =>
  record(
    source,
    `settle ${queue.topic}`,
    message === undefined ? [] : linksTo([message]),
    {
      ...attributesOf(source, "settle", queue, queue.topic),
      ...serverAttributes(source.addressOf(queue.brokerName)),
      ...(message === undefined ? {} : { "messaging.message.id": message.msgId }),
      "messaging.rocketmq.settlement": what
    },
    millis,
    error
  )
