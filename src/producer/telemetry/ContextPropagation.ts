import type { Fiber, Tracer } from "effect"
import * as TraceContext from "../../client/telemetry/TraceContext.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import * as MessageCodec from "../../protocol/MessageCodec.ts"
import type { PreparedMessage } from "../send/PreparedMessage.ts"

/**
 * The W3C context of messages on their way. Each message of a batch has one in its own properties, as brokers from 5.0 on
 * keep those of the send to themselves.
 */

const partsOf = (prepared: PreparedMessage): ReadonlyArray<MessageCodec.BatchPart> => {
  const parts = MessageCodec.decodeBatch(prepared.body)
  return parts instanceof DecodeError ? [] : parts
}

/** The contexts that a message, or those of a batch, carry already, each once. */
export const contextsOf = (prepared: PreparedMessage): ReadonlyArray<Tracer.ExternalSpan> => {
  const texts = new Set(
    prepared.form === "BATCH"
      ? partsOf(prepared).map(({ properties }) => TraceContext.contextIn(properties))
      : [TraceContext.contextIn(prepared.properties)]
  )
  return [...texts].flatMap((text) => {
    const span = text === undefined ? undefined : TraceContext.parseTraceparent(text)
    return span === undefined ? [] : [span]
  })
}

/**
 * The message, or each of a batch, with the span's context, unless it has one already or would become too long:
 * `maxMessageSize` is the limit of a batch's body.
 */
export const inject = (prepared: PreparedMessage, span: Tracer.AnySpan, maxMessageSize: number): PreparedMessage => {
  const traceparent = TraceContext.traceparentOf(span)
  if (prepared.form !== "BATCH") return { ...prepared, properties: TraceContext.add(prepared.properties, traceparent) }
  const parts = partsOf(prepared).map((part) => ({
    ...part,
    properties: TraceContext.add(part.properties, traceparent)
  }))
  const body = MessageCodec.encodeBatch(parts)
  return parts.length === 0 || body.length > maxMessageSize ? prepared : { ...prepared, body }
}

/**
 * The message with the context of the fiber that sends it: for a send that leaves from a fiber of its own, which its span
 * then links.
 */
export const ofCaller = (prepared: PreparedMessage, fiber: Fiber.Fiber<unknown, unknown>): PreparedMessage => {
  const { span } = fiber.cache
  return span !== undefined && TraceContext.isTraced(fiber) ? inject(prepared, span, Infinity) : prepared
}
