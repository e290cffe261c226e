import { Effect, Option, Queue, type Scope } from "effect"
import * as Message from "../../message/Message.ts"
import * as TraceData from "../../protocol/TraceData.ts"
import * as Drain from "../Drain.ts"

/** Records that wait to be sent; those beyond are dropped and counted. Source: RocketMQ `AsyncTraceDispatcher.queueSize`. */
export const BUFFER_SIZE = 2_048

/** Records that one trace message holds. Source: RocketMQ `AsyncTraceDispatcher.batchNum`. */
export const BATCH_SIZE = 10

/** Milliseconds after which records leave however few they are. Source: RocketMQ `AsyncTraceDispatcher.waitTimeThresholdMil`. */
export const FLUSH_INTERVAL_MILLIS = 5_000

/** Characters beyond which a trace message takes no further record. Source: RocketMQ `AsyncTraceDispatcher.maxMsgSize`. */
export const MAX_TEXT_LENGTH = 128_000

/** Milliseconds that the send of a trace message may take. Source: RocketMQ `AsyncTraceDispatcher`. */
export const SEND_TIMEOUT_MILLIS = 5_000

/** Trace messages under way at once. Source: RocketMQ `AsyncTraceDispatcher`'s pool. */
const CONCURRENCY = 4

/** What became of the message traces, for the observable state. */
export interface TraceState {
  /** The topic that they go to. */
  readonly topic: string
  /** Records that were stored. */
  readonly sent: number
  /** Records that wait. */
  readonly buffered: number
  /** Records that found the buffer full, or were left when their client ended. */
  readonly dropped: number
  /** Records whose trace message could not be sent. */
  readonly failed: number
}

/** A record, and the topic of the message that it tells of. What consumers tell holds no topic by itself. */
export type TopicRecord = TraceData.TraceRecord & { readonly topic: string }

/** Collects RocketMQ's message traces and sends them in the background. */
export interface TraceDispatcher<R extends TopicRecord> {
  /** Takes a record, or drops it when too many wait. Never waits. */
  readonly append: (record: R) => void
  /** What became of the records so far. */
  readonly state: () => TraceState
  /** Sends what waits, for so many milliseconds at most; what is left then is dropped. Nothing is taken afterwards. */
  readonly flush: (timeoutMillis: number) => Effect.Effect<void>
}

/** Characters of keys beyond which a trace message takes no further record: properties end at 32,767 bytes. */
const MAX_KEYS_LENGTH = 8_000

/** A trace message that is ready, and how many records it holds. */
interface Packed {
  readonly message: Message.Message
  readonly count: number
}

const packOne = (topic: string, records: ReadonlyArray<TopicRecord>): Packed => {
  const keys: Array<string> = []
  let length = 0
  for (const key of TraceData.keysOf(records)) {
    length += key.length + 1
    // A huge batch: its last messages cannot be found by id then, but the trace is stored.
    if (length > MAX_KEYS_LENGTH) break
    keys.push(key)
  }
  const body = records.map(TraceData.encode).join("")
  return { message: Message.make({ topic, body, keys }), count: records.length }
}

const keysLength = (record: TopicRecord) =>
  record.msgId.length + (record.type === "Recall" ? 0 : (record.keys?.length ?? 0)) + 2

/** The trace messages of some records: each holds records of one topic, as many as fit. */
const pack = (topic: string, records: ReadonlyArray<TopicRecord>): ReadonlyArray<Packed> => {
  const open = new Map<string, { records: Array<TopicRecord>; text: number; keys: number }>()
  const packed: Array<Packed> = []
  for (const record of records) {
    const text = TraceData.encode(record).length
    const keys = keysLength(record)
    let group = open.get(record.topic)
    const full =
      group !== undefined &&
      (group.records.length >= BATCH_SIZE || group.text + text > MAX_TEXT_LENGTH || group.keys + keys > MAX_KEYS_LENGTH)
    if (group === undefined || full) {
      if (group !== undefined) packed.push(packOne(topic, group.records))
      group = { records: [], text: 0, keys: 0 }
      open.set(record.topic, group)
    }
    group.records.push(record)
    group.text += text
    group.keys += keys
  }
  for (const group of open.values()) packed.push(packOne(topic, group.records))
  return packed
}

/**
 * Makes a dispatcher in the current scope. It sleeps until something waits, then until ten records wait or five seconds
 * have gone by, and sends them through `send`; nobody waits for it.
 *
 * Source: RocketMQ `AsyncTraceDispatcher`.
 */
export const make = Effect.fnUntraced(function* <R extends TopicRecord>(options: {
  /** The topic that the traces go to. */
  readonly topic: string
  /** Whose traces they are, in the log. */
  readonly group: string
  readonly send: (message: Message.Message, timeoutMillis: number) => Effect.Effect<unknown, Error>
}): Effect.fn.Return<TraceDispatcher<R>, never, Scope.Scope> {
  const { group, send, topic } = options
  const queue = yield* Queue.dropping<R>(BUFFER_SIZE)
  const messages = Drain.make()
  /** Records of the messages under way. */
  let underWay = 0
  let sent = 0
  let dropped = 0
  let failed = 0
  let failing = false
  const tell = Effect.annotateLogs({ group, topic })

  /** Once per change of state: a trace topic that stays away is no news. */
  const noteFailure = (error: Error) =>
    Effect.suspend(() => {
      if (failing) return Effect.void
      failing = true
      return tell(Effect.logWarning(`message traces cannot be sent, the messages can: ${error.message}`))
    })

  const noteSuccess = Effect.suspend(() => {
    if (!failing) return Effect.void
    failing = false
    return tell(Effect.logInfo("message traces can be sent again"))
  })

  const sendOne = ({ count, message }: Packed, timeoutMillis: number) =>
    Effect.matchEffect(send(message, timeoutMillis), {
      onSuccess: () => {
        underWay -= count
        sent += count
        return noteSuccess
      },
      onFailure: (error) => {
        underWay -= count
        failed += count
        return noteFailure(error)
      }
    })

  const sendAll = (records: ReadonlyArray<R>, timeoutMillis: number) =>
    Effect.suspend(() => {
      underWay += records.length
      return Effect.forEach(pack(topic, records), (packed) => sendOne(packed, timeoutMillis), {
        concurrency: CONCURRENCY,
        discard: true
      })
    }).pipe(messages.track)

  /** A batch, or what there is five seconds after something came. */
  const batch = Queue.peek(queue).pipe(
    Effect.andThen(Effect.timeoutOption(Queue.takeBetween(queue, BATCH_SIZE, BUFFER_SIZE), FLUSH_INTERVAL_MILLIS)),
    Effect.flatMap(Option.match({ onNone: () => Queue.clear(queue), onSome: Effect.succeed }))
  )
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(batch, (records) => sendAll(records, SEND_TIMEOUT_MILLIS))), {
    startImmediately: true
  })

  const flushed = (timeoutMillis: number) =>
    Queue.clear(queue).pipe(
      Effect.flatMap((records) => sendAll(records, timeoutMillis)),
      Effect.andThen(messages.drain(timeoutMillis)),
      Effect.timeoutOption(timeoutMillis)
    )

  return {
    append: (record) => {
      if (!Queue.offerUnsafe(queue, record)) dropped++
    },
    state: () => ({ topic, sent, buffered: Queue.sizeUnsafe(queue) + underWay, dropped, failed }),
    flush: (timeoutMillis) =>
      Effect.andThen(
        timeoutMillis > 0 ? flushed(timeoutMillis) : Effect.void,
        Effect.suspend(() => {
          dropped += Queue.sizeUnsafe(queue) + underWay
          underWay = 0
          return Queue.shutdown(queue)
        })
      )
  }
})
