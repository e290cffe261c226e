import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { type QueueRange, type ReadMessage, readInOrder } from "../../admin/QueueReader.ts"
import * as NameList from "../../message/NameList.ts"
import { compressionOf } from "../../protocol/Compression.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting, UsageError } from "../Failure.ts"
import { toJson, toLine } from "../MessageText.ts"
import { selected } from "../QueueName.ts"
import { palette, Screen } from "../Screen.ts"
import { count, json } from "../Text.ts"

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
