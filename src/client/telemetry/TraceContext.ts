import { type Fiber, Tracer } from "effect"
import { MAX_PROPERTIES_LENGTH } from "../../message/MixAll.ts"
import * as MessageProperties from "../../protocol/MessageProperties.ts"

/** The W3C context that goes with a message, in a user property of its own. A context that is there already stays. */

/** The property that carries the context, as W3C Trace Context writes it. */
export const TRACEPARENT = "traceparent"

/**
 * Whether a fiber's spans go anywhere. Effect's own tracer keeps them in memory and shows them to nobody, so that a span
 * would be spent for nothing.
 */
export const isTraced = (fiber: Fiber.Fiber<unknown, unknown>): boolean => {
  const { tracer, tracerEnabled } = fiber.cache
  return tracer !== undefined && tracerEnabled && tracer !== Tracer.nativeTracer
}

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

/** What brokers add to a message's properties before they look at the limit (region, cluster, trace), generously. */
const BROKER_PROPERTIES = 512

/** The context in a property text; undefined when there is none. */
export const contextIn = (properties: string): string | undefined => MessageProperties.valueIn(properties, TRACEPARENT)

/** A property text with a context, unless it has one already or would become too long. */
export const add = (properties: string, traceparent: string): string => {
  if (contextIn(properties) !== undefined) return properties
  const added = MessageProperties.append(properties, TRACEPARENT, traceparent)
  return Buffer.byteLength(added) > MAX_PROPERTIES_LENGTH - BROKER_PROPERTIES ? properties : added
}
