import { Effect } from "effect"
import type { MQAdminShape } from "../../admin/MQAdmin.ts"
import type { MessageExt } from "../../message/MessageExt.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"

/** A message that was sent, with what the broker answered. */
export interface SentMessage {
  readonly body: Uint8Array
  readonly result: SendResult
}

/** What became of the messages of one queue. */
export interface QueueComparison {
  readonly queue: MessageQueue
  readonly minOffset: number
  /** The offset behind the last message. */
  readonly maxOffset: number
  readonly read: number
  readonly equal: number
  /** Copies that a repeated send left behind; they are no fault, a consumer knows them by their unique id. */
  readonly duplicates: number
  /** What is wrong, in words. */
  readonly problems: ReadonlyArray<string>
}

const key = (queue: MessageQueue, offset: number) => `${queue.brokerName}:${queue.queueId}:${offset}`

const difference = (message: MessageExt, sent: SentMessage): string | undefined => {
  const { result } = sent
  if (message.msgId !== result.msgId) return `has the id ${message.msgId}, sent was ${result.msgId}`
  if (message.offsetMsgId !== result.offsetMsgId) {
    return `has the offset id ${message.offsetMsgId}, answered was ${result.offsetMsgId}`
  }
  return Buffer.compare(message.body, sent.body) === 0 ? undefined : "has another body"
}

/** Reads a queue from end to end and compares each message with what was sent to its place. */
const compareQueue = Effect.fnUntraced(function* (
  admin: MQAdminShape,
  queue: MessageQueue,
  sent: ReadonlyMap<string, SentMessage>,
  ids: ReadonlySet<string>,
  onRead: (messages: number) => void
) {
  const minOffset = yield* admin.minOffset(queue)
  const maxOffset = yield* admin.maxOffset(queue)
  const problems: Array<string> = []
  let equal = 0
  let duplicates = 0
  let next = minOffset
  while (next < maxOffset) {
    const { messages, status } = yield* admin.pull(queue, next, 32)
    if (messages.length === 0) {
      problems.push(`${key(queue, next)} cannot be read: ${status}`)
      break
    }
    for (const message of messages) {
      const place = key(queue, message.queueOffset)
      if (message.queueOffset !== next) problems.push(`${place} follows ${key(queue, next - 1)}`)
      next = message.queueOffset + 1
      const expected = sent.get(place)
      if (expected !== undefined) {
        const found = difference(message, expected)
        if (found === undefined) equal++
        else problems.push(`${place} ${found}`)
      } else if (ids.has(message.msgId)) {
        duplicates++
      } else {
        problems.push(`${place} was never sent`)
      }
    }
    onRead(messages.length)
  }
  const comparison: QueueComparison = {
    queue,
    minOffset,
    maxOffset,
    read: next - minOffset,
    equal,
    duplicates,
    problems
  }
  return comparison
})

/**
 * Reads a topic that held nothing before back from its queues, and compares bodies, ids and offsets with what was sent.
 */
export const compare = Effect.fnUntraced(function* (
  admin: MQAdminShape,
  topic: string,
  sent: ReadonlyArray<SentMessage>,
  onRead: (messages: number) => void
) {
  const byPlace = new Map(sent.map((message) => [key(message.result.queue, message.result.queueOffset), message]))
  const ids = new Set(sent.map(({ result }) => result.msgId))
  const queues = yield* admin.fetchSubscribeMessageQueues(topic)
  return yield* Effect.forEach(queues, (queue) => compareQueue(admin, queue, byPlace, ids, onRead), { concurrency: 4 })
})
