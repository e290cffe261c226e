import type { Fiber, Tracer } from "effect"
import * as TraceContext from "../../client/telemetry/TraceContext.ts"
import { DecodeError } from "../../protocol/DecodeError.ts"
import * as MessageCodec from "../../protocol/MessageCodec.ts"
import type { Outgoing } from "../send/Outgoing.ts"

/**
 * The W3C context of messages on their way. Each message of a batch has one in its own properties, as brokers from 5.0 on
 * keep those of the send to themselves.
 */

const partsOf = (outgoing: Outgoing): ReadonlyArray<MessageCodec.BatchPart> => {
  const parts = MessageCodec.decodeBatch(outgoing.body)
  return parts instanceof DecodeError ? [] : parts
}

/** The contexts that a message, or those of a batch, carry already, each once. */
export const contextsOf = (outgoing: Outgoing): ReadonlyArray<Tracer.ExternalSpan> => {
  const texts = new Set(
    outgoing.form === "BATCH"
      ? partsOf(outgoing).map(({ properties }) => TraceContext.contextIn(properties))
      : [TraceContext.contextIn(outgoing.properties)]
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
export const inject = (outgoing: Outgoing, span: Tracer.AnySpan, maxMessageSize: number): Outgoing => {
  const traceparent = TraceContext.traceparentOf(span)
  if (outgoing.form !== "BATCH") return { ...outgoing, properties: TraceContext.add(outgoing.properties, traceparent) }
  const parts = partsOf(outgoing).map((part) => ({
    ...part,
    properties: TraceContext.add(part.properties, traceparent)
  }))
  const body = MessageCodec.encodeBatch(parts)
  return parts.length === 0 || body.length > maxMessageSize ? outgoing : { ...outgoing, body }
}

/**
 * The message with the context of the fiber that sends it: for a send that leaves from a fiber of its own, which its span
 * then links.
 */
export const ofCaller = (outgoing: Outgoing, fiber: Fiber.Fiber<unknown, unknown>): Outgoing => {
  const { span } = fiber.cache
  return span !== undefined && TraceContext.isTraced(fiber) ? inject(outgoing, span, Infinity) : outgoing
}
