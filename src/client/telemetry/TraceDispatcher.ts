import { Deferred, Effect, type Scope } from "effect"
import * as Message from "../../message/Message.ts"
import * as TraceData from "../../protocol/TraceData.ts"
import type { SendError } from "../send/SendError.ts"

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
  /** Records that found the buffer full, or were left when the producer ended. */
  readonly dropped: number
  /** Records whose trace message could not be sent. */
  readonly failed: number
}

/** Collects RocketMQ's message traces and sends them in the background. */
export interface TraceDispatcher {
  /** Takes a record, or drops it when too many wait. Never waits. */
  readonly append: (record: ProducerTrace) => void
  readonly state: () => TraceState
  /** Sends what waits, for so many milliseconds at most; what is left then is dropped. Nothing is taken afterwards. */
  readonly flush: (timeoutMillis: number) => Effect.Effect<void>
}

/** What a producer can tell. */
export type ProducerTrace = TraceData.TracePub | TraceData.TraceEndTransaction | TraceData.TraceRecall

/** Characters of keys beyond which a trace message takes no further record: properties end at 32,767 bytes. */
const MAX_KEYS_LENGTH = 8_000

/** A trace message that is ready, and how many records it holds. */
interface Packed {
  readonly message: Message.Message
  readonly count: number
}

const packOne = (topic: string, records: ReadonlyArray<ProducerTrace>): Packed => {
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

const keysLength = (record: ProducerTrace) =>
  record.msgId.length + (record.type === "Recall" ? 0 : (record.keys?.length ?? 0)) + 2

/** The trace messages of some records: each holds records of one topic, as many as fit. */
const pack = (topic: string, records: ReadonlyArray<ProducerTrace>): ReadonlyArray<Packed> => {
  const open = new Map<string, { records: Array<ProducerTrace>; text: number; keys: number }>()
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
export const make = Effect.fnUntraced(function* (options: {
  readonly topic: string
  readonly producerGroup: string
  readonly send: (message: Message.Message, timeoutMillis: number) => Effect.Effect<unknown, SendError>
}): Effect.fn.Return<TraceDispatcher, never, Scope.Scope> {
  const { producerGroup, send, topic } = options
  let buffer: Array<ProducerTrace> = []
  let sent = 0
  let dropped = 0
  let failed = 0
  let underWay = 0
  let closed = false
  let failing = false
  let onIdle: (() => void) | undefined
  /** Completed when there is something to send at all, and when there is a whole batch. */
  let some = Deferred.makeUnsafe<void>()
  let enough = Deferred.makeUnsafe<void>()

  const append: TraceDispatcher["append"] = (record) => {
    if (closed || buffer.length >= BUFFER_SIZE) {
      dropped++
      return
    }
    buffer.push(record)
    if (buffer.length === 1) Deferred.doneUnsafe(some, Effect.void)
    if (buffer.length === BATCH_SIZE) Deferred.doneUnsafe(enough, Effect.void)
  }

  const take = () => {
    const taken = buffer
    buffer = []
    some = Deferred.makeUnsafe()
    enough = Deferred.makeUnsafe()
    return taken
  }

  /** Once per change of state: a trace topic that stays away is no news. */
  const noteFailure = (error: SendError) =>
    Effect.suspend(() => {
      if (failing) return Effect.void
      failing = true
      return Effect.annotateLogs(
        Effect.logWarning(`message traces cannot be sent, the messages can: ${error.message}`),
        { group: producerGroup, topic }
      )
    })

  const noteSuccess = Effect.suspend(() => {
    if (!failing) return Effect.void
    failing = false
    return Effect.annotateLogs(Effect.logInfo("message traces can be sent again"), { group: producerGroup, topic })
  })

  const ended = (count: number) => {
    underWay -= count
    if (underWay === 0) onIdle?.()
  }

  const sendOne = ({ count, message }: Packed, timeoutMillis: number) =>
    Effect.matchEffect(send(message, timeoutMillis), {
      onSuccess: () => {
        sent += count
        ended(count)
        return noteSuccess
      },
      onFailure: (error) => {
        failed += count
        ended(count)
        return noteFailure(error)
      }
    })

  const sendAll = (timeoutMillis: number) =>
    Effect.suspend(() => {
      const records = take()
      underWay += records.length
      return Effect.forEach(pack(topic, records), (packed) => sendOne(packed, timeoutMillis), {
        concurrency: CONCURRENCY,
        discard: true
      })
    })

  // The yield: whoever appends the tenth record must not pack and send on its own stack.
  const once = Effect.suspend(() => Deferred.await(some)).pipe(
    Effect.andThen(Effect.suspend(() => Effect.timeoutOption(Deferred.await(enough), FLUSH_INTERVAL_MILLIS))),
    Effect.andThen(Effect.yieldNow),
    Effect.andThen(sendAll(SEND_TIMEOUT_MILLIS))
  )
  yield* Effect.forkScoped(Effect.forever(once), { startImmediately: true })

  const idle = Effect.callback<void>((resume) => {
    if (underWay === 0) return resume(Effect.void)
    onIdle = () => resume(Effect.void)
    return undefined
  })

  return {
    append,
    state: () => ({ topic, sent, buffered: buffer.length + underWay, dropped, failed }),
    flush: (timeoutMillis) =>
      Effect.andThen(
        timeoutMillis > 0
          ? Effect.timeoutOption(Effect.andThen(sendAll(timeoutMillis), idle), timeoutMillis)
          : Effect.void,
        Effect.sync(() => {
          closed = true
          dropped += buffer.length + underWay
          buffer = []
          underWay = 0
        })
      )
  }
})
