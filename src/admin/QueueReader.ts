import { Effect } from "effect"
import { UnreadableAnswer } from "../client/ClientError.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import * as MessageQueues from "../message/MessageQueue.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import { RequestCode, requestCodeName } from "../protocol/RequestCode.ts"
import { failing } from "./AdminContext.ts"
import type { AdminError } from "./AdminError.ts"
import type { Messages } from "./Messages.ts"

/** A part of a queue: from an offset up to, not including, another. */
export interface QueueRange {
  readonly queue: MessageQueue
  readonly from: number
  readonly to: number
}

/** A message as it is stored, and the queue that it was read from. */
export interface ReadMessage {
  readonly queue: MessageQueue
  readonly message: MessageExt
}

/** Brokers give 32 messages to a pull at most. */
const MAX_PULL_SIZE = 32
/** Queues that are read from at once. */
const QUEUES_AT_ONCE = 8
/** A broker that has no message where it led to itself, so often in a row, leads nowhere. */
const MAX_EMPTY_ANSWERS = 100

/** Reads a part of one queue in order, a pull at a time. */
const reader = (pull: Messages["pull"], { from, queue, to }: QueueRange, pullSize: number) => {
  let offset = from
  let ended = from >= to
  let empty = 0
  let buffer: ReadonlyArray<MessageExt> = []
  let next = 0
  const lost = Effect.suspend(() =>
    Effect.fail(
      new UnreadableAnswer({
        address: queue.brokerName,
        request: requestCodeName(RequestCode.PULL_MESSAGE),
        detail: `${MAX_EMPTY_ANSWERS} answers in a row had no message and led on, the last to offset ${offset}`
      })
    ).pipe(failing(`read ${MessageQueues.key(queue)}`))
  )
  const fill: Effect.Effect<void, AdminError> = Effect.suspend(() =>
    next < buffer.length || ended
      ? Effect.void
      : Effect.flatMap(pull(queue, offset, pullSize, { bodies: "stored" }), (answer) => {
          const { length } = answer.messages
          empty = length > 0 ? 0 : empty + 1
          // An answer that leads nowhere ends the queue, or this would never end.
          ended = answer.nextBeginOffset <= offset || (length === 0 && answer.status === "NO_NEW_MSG")
          offset = Math.max(answer.nextBeginOffset, offset)
          ended ||= offset >= to
          buffer = answer.messages.filter((message) => message.queueOffset < to)
          next = 0
          return empty < MAX_EMPTY_ANSWERS || ended ? fill : lost
        })
  )
  return {
    queue,
    fill,
    /** The message next in turn, after `fill`; undefined at the end of the queue. */
    head: (): MessageExt | undefined => buffer[next],
    take: (): void => {
      next++
    }
  }
}

/**
 * Reads parts of queues side by side in the order in which their messages were stored, and hands them over as they are
 * stored, until `emit` gives false. One pull of each queue is held at a time; it is the smaller the more queues share what
 * is `wanted`.
 */
export const readInOrder = Effect.fnUntraced(function* <E, R>(
  messages: Pick<Messages, "pull">,
  ranges: ReadonlyArray<QueueRange>,
  wanted: number,
  emit: (read: ReadMessage) => Effect.Effect<boolean, E, R>
) {
  const fairShare = Math.ceil((2 * wanted) / Math.max(1, ranges.length))
  const pullSize = Math.max(1, Math.min(MAX_PULL_SIZE, fairShare))
  const readers = ranges.map((range) => reader(messages.pull, range, pullSize))
  yield* Effect.forEach(readers, (r) => r.fill, { concurrency: QUEUES_AT_ONCE, discard: true })
  for (;;) {
    let next: (typeof readers)[number] | undefined
    for (const candidate of readers) {
      const head = candidate.head()
      const best = next?.head()
      if (head !== undefined && (best === undefined || head.storeTimestamp < best.storeTimestamp)) next = candidate
    }
    const message = next?.head()
    if (next === undefined || message === undefined) return
    next.take()
    if (!(yield* emit({ queue: next.queue, message }))) return
    yield* next.fill
  }
})
