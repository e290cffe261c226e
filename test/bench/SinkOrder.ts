import { Schema } from "effect"

/** What the sink is told: how to serve from now on. It answers with what it counted since it was last told. */
const Order = Schema.Struct({
  brokers: Schema.Number,
  /** Milliseconds between a request and its answer. */
  delayMillis: Schema.Number
})
export type Order = typeof Order.Type

/** What the sink counted. */
export interface Counts {
  /** Messages it was sent, whether alone or in batches. */
  messages: number
  connections: number
  /** By request code. */
  requests: Record<number, number>
  /** The round trip in which the first message came: 1 when no answer went before it. */
  firstSendDepth?: number
  cpuSeconds: number
}

const Report = Schema.Struct({
  address: Schema.String,
  counts: Schema.Struct({
    messages: Schema.Number,
    connections: Schema.Number,
    requests: Schema.Record(Schema.String, Schema.Number),
    firstSendDepth: Schema.optionalKey(Schema.Number),
    cpuSeconds: Schema.Number
  })
})

/** What the sink says: where it is, and what it counted. */
export type Report = typeof Report.Type

export const noCounts = (): Counts => ({ messages: 0, connections: 0, requests: {}, cpuSeconds: 0 })

export const readOrder = Schema.decodeUnknownSync(Order)
export const readReport = Schema.decodeUnknownSync(Report)
