import { Console, Effect } from "effect"
import { MQAdmin, type MQAdminShape } from "../../admin/MQAdmin.ts"
import type { AdminError } from "../../admin/AdminError.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import { compressionOf } from "../../protocol/Compression.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import { type Palette, palette, Screen } from "../Screen.ts"
import { count, json, printable } from "../Text.ts"

/** Where to begin in each queue: at the oldest message, at an offset, or so that the newest messages come. */
export type PeekFrom = "earliest" | "latest" | number

/** What `peek` is asked. */
export interface PeekInput extends Connection {
  readonly topic: string
  /** `3` on every broker, or `broker-a:3`; every queue when absent. */
  readonly queue: string | undefined
  readonly offset: PeekFrom
  /** How many messages at most, all queues together. */
  readonly count: number
  readonly json: boolean
}

/** A message and the queue it was read from. */
export interface Peeked {
  readonly queue: MessageQueue
  readonly message: MessageExt
}

/** Brokers give 32 messages to a pull at most. */
const PULL_SIZE = 32

/** A part of a queue: from an offset up to, not including, another. */
interface Range {
  readonly queue: MessageQueue
  readonly from: number
  readonly to: number
}

/** Reads a part of one queue in order, a pull at a time. */
const reader = (admin: MQAdminShape, { from, queue, to }: Range) => {
  let offset = from
  let ended = from >= to
  let buffer: ReadonlyArray<MessageExt> = []
  const fill: Effect.Effect<void, AdminError> = Effect.suspend(() =>
    buffer.length > 0 || ended
      ? Effect.void
      : Effect.flatMap(admin.pull(queue, offset, PULL_SIZE), (answer) => {
          // An answer that leads nowhere ends the queue, or this would never end.
          ended = answer.messages.length === 0 && (answer.status === "NO_NEW_MSG" || answer.nextBeginOffset <= offset)
          offset = Math.max(answer.nextBeginOffset, offset)
          ended ||= offset >= to
          buffer = answer.messages.filter((message) => message.queueOffset < to)
          return fill
        })
  )
  return {
    fill,
    /** The message next in turn, after `fill`; undefined at the end of the queue. */
    head: (): MessageExt | undefined => buffer[0],
    take: (): void => {
      buffer = buffer.slice(1)
    },
    queue
  }
}

/** Whether `a` comes before `b`: by the broker's time, then by queue. */
const before = (a: MessageExt, b: MessageExt) => a.storeTimestamp < b.storeTimestamp

/**
 * Reads queues side by side in the order in which their messages were stored, and hands over up to `limit` of them. Only
 * one pull of each queue is held at a time.
 */
const merged = Effect.fnUntraced(function* <E, R>(
  admin: MQAdminShape,
  ranges: ReadonlyArray<Range>,
  limit: number,
  emit: (peeked: Peeked) => Effect.Effect<void, E, R>
) {
  const readers = ranges.map((range) => reader(admin, range))
  yield* Effect.forEach(readers, (r) => r.fill, { concurrency: 8, discard: true })
  for (let n = 0; n < limit; n++) {
    let next: (typeof readers)[number] | undefined
    for (const candidate of readers) {
      const head = candidate.head()
      const best = next?.head()
      if (head !== undefined && (best === undefined || before(head, best))) next = candidate
    }
    const message = next?.head()
    if (next === undefined || message === undefined) return
    next.take()
    yield* emit({ queue: next.queue, message })
    yield* next.fill
  }
})

const selected = (queues: ReadonlyArray<MessageQueue>, wanted: string | undefined): ReadonlyArray<MessageQueue> => {
  if (wanted === undefined) return queues
  const colon = wanted.lastIndexOf(":")
  const id = Number(wanted.slice(colon + 1))
  const brokerName = colon < 0 ? undefined : wanted.slice(0, colon)
  return queues.filter((q) => q.queueId === id && (brokerName === undefined || q.brokerName === brokerName))
}

/** Reads messages as {@link run} does and hands them over one by one. */
export const read = Effect.fnUntraced(function* <E, R>(
  input: Pick<PeekInput, "topic" | "queue" | "offset" | "count">,
  emit: (peeked: Peeked) => Effect.Effect<void, E, R>
) {
  const admin = yield* MQAdmin
  const all = yield* admin.fetchSubscribeMessageQueues(input.topic)
  const queues = selected(all, input.queue)
  if (queues.length === 0 && input.queue !== undefined) {
    yield* new UsageError({
      problem: `Topic "${input.topic}" has no readable queue ${input.queue}.`,
      remedy: `It has ${all.map((q) => `${q.brokerName}:${q.queueId}`).join(", ")}.`
    })
  }
  const { offset } = input
  if (offset !== "latest") {
    const ranges = yield* Effect.forEach(
      queues,
      (queue) =>
        Effect.map(offset === "earliest" ? admin.minOffset(queue) : Effect.succeed(offset), (from): Range => ({
          queue,
          from,
          to: Infinity
        })),
      { concurrency: 8 }
    )
    yield* merged(admin, ranges, input.count, emit)
    return
  }
  // The newest of all queues are among the newest of each; what is older falls off the front.
  const ranges = yield* Effect.forEach(
    queues,
    (queue) =>
      Effect.map(Effect.all([admin.minOffset(queue), admin.maxOffset(queue)]), ([least, to]): Range => ({
        queue,
        from: Math.max(least, to - input.count),
        to
      })),
    { concurrency: 8 }
  )
  const newest: Array<Peeked> = []
  yield* merged(admin, ranges, Infinity, (peeked) =>
    Effect.sync(() => {
      newest.push(peeked)
      if (newest.length > input.count) newest.shift()
    })
  )
  yield* Effect.forEach(newest, emit, { discard: true })
})

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true })

const bodyOf = ({ body, sysFlag }: MessageExt): { readonly body: string; readonly encoding: "utf8" | "base64" } => {
  if (compressionOf(sysFlag) === undefined) {
    try {
      return { body: utf8.decode(body), encoding: "utf8" }
    } catch {
      // Not text: shown as base64.
    }
  }
  return { body: Buffer.from(body).toString("base64"), encoding: "base64" }
}

/** A message as `peek --json` prints it; the shape is frozen. */
export const toJson = ({ message, queue }: Peeked) => {
  const { properties } = message
  return {
    topic: message.topic,
    brokerName: queue.brokerName,
    queueId: message.queueId,
    queueOffset: message.queueOffset,
    /** The sender's id; the broker's where the sender gave none, as in Java. */
    msgId: message.msgId,
    offsetMsgId: message.offsetMsgId,
    /** Separated by spaces, as they are stored. */
    keys: properties[MessageConst.KEYS] ?? null,
    tags: message.tags ?? null,
    properties,
    bornTimestamp: message.bornTimestamp,
    ...bodyOf(message)
  }
}

const SHOWN = 160

/** A message as one line for people. */
export const toLine = ({ message, queue }: Peeked, colors: Palette): string => {
  const { body, encoding } = bodyOf(message)
  const { keys, tags } = message
  const text = printable(encoding === "utf8" ? body.slice(0, SHOWN) : `base64 ${body.slice(0, SHOWN)}`)
  return [
    colors.accent(printable(`${queue.brokerName}:${message.queueId}:${message.queueOffset}`)),
    colors.dim(new Date(message.bornTimestamp).toISOString()),
    ...(tags === undefined ? [] : [colors.good(printable(tags))]),
    ...(keys.length === 0 ? [] : [colors.warn(printable(keys.join(" ")))]),
    `${text}${body.length > SHOWN ? colors.dim(` ... (${count(message.body.length, "byte")})`) : ""}`
  ].join("  ")
}

/** `effect-rocketmq peek`: reads messages without consuming them; no group's progress changes. */
export const run = (input: PeekInput) =>
  Effect.gen(function* () {
    const colors = palette((yield* Screen).stdout)
    let shown = 0
    let packed = 0
    yield* read(input, (peeked) => {
      shown++
      if (compressionOf(peeked.message.sysFlag) !== undefined) packed++
      return Console.log(input.json ? json(toJson(peeked)) : toLine(peeked, colors))
    })
    if (packed > 0) yield* Console.error(`${count(packed, "body")} shown packed: Node has no codec for LZ4`)
    if (shown === 0) yield* Console.error(`no messages in topic ${input.topic}`)
  }).pipe(Effect.provide(adminLayer(input)), reporting({ namesrv: input.namesrv, topic: input.topic }))
