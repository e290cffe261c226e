import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { type QueueRange, type ReadMessage, readInOrder } from "../../admin/QueueReader.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as NameList from "../../message/NameList.ts"
import { compressionOf } from "../../protocol/Compression.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import { type Palette, palette, Screen } from "../Screen.ts"
import { count, excerpt, json, moment, printable } from "../Text.ts"

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

const selected = (queues: ReadonlyArray<MessageQueue>, wanted: string | undefined): ReadonlyArray<MessageQueue> => {
  if (wanted === undefined) return queues
  const colon = wanted.lastIndexOf(":")
  const id = Number(wanted.slice(colon + 1))
  const brokerName = colon < 0 ? undefined : wanted.slice(0, colon)
  return queues.filter((q) => q.queueId === id && (brokerName === undefined || q.brokerName === brokerName))
}

/** Reads messages as {@link run} does and hands them over one by one, each unpacked when its turn has come. */
export const read = Effect.fnUntraced(function* <E, R>(
  input: Pick<PeekInput, "topic" | "queue" | "offset" | "count">,
  emit: (peeked: ReadMessage) => Effect.Effect<void, E, R>
) {
  const admin = yield* MQAdmin
  const show = ({ message, queue }: ReadMessage) =>
    Effect.flatMap(admin.unpack(message), (unpacked) => emit({ queue, message: unpacked }))
  const all = yield* admin.fetchSubscribeMessageQueues(input.topic)
  const queues = selected(all, input.queue)
  if (queues.length === 0 && input.queue !== undefined) {
    yield* new UsageError({
      problem: `Topic "${input.topic}" has no readable queue ${input.queue}.`,
      remedy: `It has ${NameList.text(all.map((q) => `${q.brokerName}:${q.queueId}`))}.`
    })
  }
  const { offset } = input
  if (offset !== "latest") {
    const ranges = yield* Effect.forEach(
      queues,
      (queue) =>
        Effect.map(offset === "earliest" ? admin.minOffset(queue) : Effect.succeed(offset), (from): QueueRange => ({
          queue,
          from,
          to: Infinity
        })),
      { concurrency: 8 }
    )
    let shown = 0
    yield* readInOrder(admin, ranges, input.count, (peeked) => Effect.map(show(peeked), () => ++shown < input.count))
    return
  }
  // The newest of all queues are among the newest of each; what is older falls off the front.
  const ranges = yield* Effect.forEach(
    queues,
    (queue) =>
      Effect.map(Effect.all([admin.minOffset(queue), admin.maxOffset(queue)]), ([least, to]): QueueRange => ({
        queue,
        from: Math.max(least, to - input.count),
        to
      })),
    { concurrency: 8 }
  )
  const newest: Array<ReadMessage> = []
  yield* readInOrder(admin, ranges, input.count, (peeked) =>
    Effect.sync(() => {
      newest.push(peeked)
      if (newest.length > input.count) newest.shift()
      return true
    })
  )
  yield* Effect.forEach(newest, show, { discard: true })
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
export const toJson = ({ message, queue }: ReadMessage) => {
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
export const toLine = ({ message, queue }: ReadMessage, colors: Palette): string => {
  const { body, encoding } = bodyOf(message)
  const { keys, tags } = message
  const text = printable(encoding === "utf8" ? body.slice(0, SHOWN) : `base64 ${body.slice(0, SHOWN)}`)
  return [
    colors.accent(excerpt(`${queue.brokerName}:${message.queueId}:${message.queueOffset}`, SHOWN)),
    colors.dim(moment(message.bornTimestamp)),
    ...(tags === undefined ? [] : [colors.good(excerpt(tags, SHOWN))]),
    ...(keys.length === 0 ? [] : [colors.warn(excerpt(keys.join(" "), SHOWN))]),
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
    if (packed > 0)
      yield* Console.error(
        `${count(packed, "body")} shown packed: damaged or too large, or LZ4 without the package lz4-napi`
      )
    if (shown === 0) yield* Console.error(`no messages in topic ${input.topic}`)
  }).pipe(Effect.provide(adminLayer(input)), reporting({ namesrv: input.namesrv, topic: input.topic }))
