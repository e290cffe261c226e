import { Effect } from "effect"
import { RMQ_SYS_TRACE_TOPIC } from "../message/MixAll.ts"
import * as TraceData from "../protocol/TraceData.ts"
import type { AdminError } from "./AdminError.ts"
import type { FoundMessage, Queries } from "./Queries.ts"

/** Where to look for the traces of a message, and how many. */
export interface TraceQueryOptions {
  /** The topic that traces go to; default `RMQ_SYS_TRACE_TOPIC`. */
  readonly traceTopic?: string | undefined
  /** Milliseconds since the epoch; default everything. */
  readonly begin?: number | undefined
  /** Milliseconds since the epoch, included; default everything. */
  readonly end?: number | undefined
  /** How many trace messages at most; default 64 of each broker (mqadmin's `-c`). */
  readonly maxNum?: number | undefined
}

/**
 * How something ended that a trace tells of: `success` or `failed`; of a consumption also `exception` (the handler failed,
 * died or was interrupted), `time-out` and `null` (a Java listener returned nothing), or `not-ended` while nothing is told of
 * its end; of a transaction `commit`, `rollback` or `unknown`.
 */
export type TraceStatus =
  "success" | "failed" | "exception" | "time-out" | "null" | "not-ended" | "commit" | "rollback" | "unknown"

/** One thing that was done with a message, as the client told it that did it. */
export interface TraceEntry {
  /** It was sent, given to a handler, its half message was ended, or it was taken back before its time. */
  readonly kind: "send" | "consume" | "end-transaction" | "recall"
  /** The producer or consumer group. */
  readonly group: string
  /** `ip:port` of the client as the broker saw it. */
  readonly clientHost: string
  /** When it began, in milliseconds since the epoch by the client's clock; undefined when nothing is told of its begin. */
  readonly time: number | undefined
  /** Milliseconds that it took; undefined when that is not told. */
  readonly costTime: number | undefined
  /** How it ended. */
  readonly status: TraceStatus
  /** Which delivery to the group it was, 1 for the first; undefined but for consumptions. */
  readonly attempt: number | undefined
  /** The topic, as the client names it; undefined for consumptions, which do not tell it. */
  readonly topic: string | undefined
  /** `host:port` of the broker as a sender knew it; undefined where that is not told. */
  readonly storeHost: string | undefined
}

/** The calls that read what clients tell of messages. */
export interface Traces {
  /**
   * What producers and consumers with `enableTrace` have told of a message, by the sender's id: the sends, the ends of its
   * transaction, and each delivery, in one list, oldest first. Clients tell it up to five seconds late, and drop what is too
   * much for them, so that nothing told does not mean nothing done. At most 1,000 entries.
   *
   * Source: RocketMQ `QueryMsgTraceByIdSubCommand`, `TraceView`.
   */
  readonly queryMessageTrace: (
    msgId: string,
    options?: TraceQueryOptions
  ) => Effect.Effect<ReadonlyArray<TraceEntry>, AdminError>
}

/** Entries of one answer: anybody may write to the trace topic. */
const MAX_ENTRIES = 1_000

const ends: Readonly<Record<number, TraceStatus>> = {
  [TraceData.TraceContextCode.TIME_OUT]: "time-out",
  [TraceData.TraceContextCode.EXCEPTION]: "exception",
  [TraceData.TraceContextCode.RETURNNULL]: "null"
}

const transactionEnds = { COMMIT_MESSAGE: "commit", ROLLBACK_MESSAGE: "rollback", UNKNOW: "unknown" } as const

const isOf = (record: TraceData.TraceRecord, msgId: string) => record.msgId.split(",").includes(msgId)

/** What the trace messages tell of a message; of a consumption begin and end, which may lie in two of them, are one entry. */
export const entriesOf = (
  msgId: string,
  messages: ReadonlyArray<Pick<FoundMessage, "body" | "bornHost">>
): ReadonlyArray<TraceEntry> => {
  const entries: Array<TraceEntry> = []
  const consumed = new Map<string, TraceEntry>()
  const nothing = { attempt: undefined, costTime: undefined, storeHost: undefined, topic: undefined }
  const entryOf = (record: TraceData.TraceRecord, clientHost: string): void => {
    switch (record.type) {
      case "SubBefore": {
        const { groupName: group, requestId, retryTimes, timeStamp: time } = record
        const end = consumed.get(requestId) ?? { ...nothing, status: "not-ended" as const }
        consumed.set(requestId, { ...end, kind: "consume", group, clientHost, time, attempt: retryTimes + 1 })
        return
      }
      case "SubAfter": {
        const { contextCode = 0, costTime, isSuccess, requestId } = record
        const begin = consumed.get(requestId) ?? {
          ...nothing,
          group: record.groupName ?? "",
          clientHost,
          time: undefined
        }
        const status = isSuccess ? "success" : (ends[contextCode] ?? "failed")
        consumed.set(requestId, { ...begin, kind: "consume", costTime, status })
        return
      }
      case "Pub": {
        const { clientHost: told, costTime, groupName: group, isSuccess, storeHost, timeStamp: time, topic } = record
        const status = isSuccess ? "success" : "failed"
        const from = told ?? clientHost
        entries.push({ ...nothing, kind: "send", group, clientHost: from, time, costTime, status, topic, storeHost })
        return
      }
      case "EndTransaction": {
        const { groupName: group, storeHost, timeStamp: time, topic } = record
        const status = transactionEnds[record.transactionState]
        entries.push({ ...nothing, kind: "end-transaction", group, clientHost, time, status, topic, storeHost })
        return
      }
      default: {
        const { groupName: group, isSuccess, timeStamp: time, topic } = record
        entries.push({
          ...nothing,
          kind: "recall",
          group,
          clientHost,
          time,
          status: isSuccess ? "success" : "failed",
          topic
        })
      }
    }
  }
  for (const { body, bornHost } of messages) {
    for (const record of TraceData.decode(body).records) {
      if (entries.length + consumed.size >= MAX_ENTRIES) break
      if (isOf(record, msgId)) entryOf(record, bornHost)
    }
  }
  return [...entries, ...consumed.values()].toSorted((a, b) => (a.time ?? 0) - (b.time ?? 0))
}

/** Makes the calls that read traces. */
export const make = ({ queryMessageByKey }: Pick<Queries, "queryMessageByKey">): Traces => ({
  queryMessageTrace: (msgId, { traceTopic = RMQ_SYS_TRACE_TOPIC, ...options } = {}) =>
    Effect.map(queryMessageByKey(traceTopic, msgId, options), (found) => entriesOf(msgId, found))
})
