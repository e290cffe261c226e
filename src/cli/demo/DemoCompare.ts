import type { ReceivedMessage } from "../../consumer/ReceivedMessage.ts"
import * as MessageQueue from "../../message/MessageQueue.ts"
import type { SendResult } from "../../message/SendResult.ts"

/** A message that was sent, with what the broker answered. */
export interface SentMessage {
  readonly body: Uint8Array
  readonly result: SendResult
}

/** A message that a member of the group has consumed. */
export interface ConsumedMessage {
  /** The member's number, 1 or 2. */
  readonly member: number
  readonly message: ReceivedMessage
}

/** What became of the messages that were sent to one queue. */
export interface QueueComparison {
  readonly queue: MessageQueue.MessageQueue
  readonly sent: number
  readonly minOffset: number
  /** The offset of the last message. */
  readonly maxOffset: number
  readonly equal: number
  /** How many each member has consumed, by its number. */
  readonly byMember: ReadonlyMap<number, number>
}

type Tally = { -readonly [K in keyof Omit<QueueComparison, "byMember">]: QueueComparison[K] } & {
  readonly byMember: Map<number, number>
}

/** What was consumed against what was sent. */
export interface Comparison {
  readonly queues: ReadonlyArray<QueueComparison>
  readonly equal: number
  /** Consumed once more, or copies of a repeated send: a group may see a message twice, and knows it by its unique id. */
  readonly duplicates: number
  /** What is wrong, in words. */
  readonly problems: ReadonlyArray<string>
}

const place = ({ brokerName, queueId }: MessageQueue.MessageQueue, offset: number) =>
  `${brokerName}:${queueId}:${offset}`

/** How a message differs from what was sent; one that came again lies in the retry queue and has another offset. */
const difference = (message: ReceivedMessage, { body, result }: SentMessage): string | undefined => {
  if (message.attempt === 1 && message.offsetMsgId !== result.offsetMsgId) {
    return `has the offset id ${message.offsetMsgId}, answered was ${result.offsetMsgId}`
  }
  return Buffer.compare(message.body, body) === 0 ? undefined : "has another body"
}

/** Whether a send that was repeated left it behind: the answer names another place. */
const isCopy = (message: ReceivedMessage, { result }: SentMessage): boolean =>
  message.attempt === 1 &&
  (message.queueOffset !== result.queueOffset || !MessageQueue.equals(message.queue, result.queue))

/** Compares bodies, ids and offsets of what was consumed with what was sent. */
export const compare = (
  sent: ReadonlyArray<SentMessage>,
  consumed: ReadonlyArray<ConsumedMessage>,
  topic: string
): Comparison => {
  const byId = new Map(sent.map((message) => [message.result.msgId, message]))
  const problems: Array<string> = []
  const done = new Set<string>()
  const queues = new Map<string, Tally>()
  for (const { result } of sent) {
    const key = MessageQueue.key(result.queue)
    const known = queues.get(key)
    if (known === undefined) {
      const { queue, queueOffset } = result
      queues.set(key, { queue, sent: 1, minOffset: queueOffset, maxOffset: queueOffset, equal: 0, byMember: new Map() })
    } else {
      known.sent++
      known.minOffset = Math.min(known.minOffset, result.queueOffset)
      known.maxOffset = Math.max(known.maxOffset, result.queueOffset)
    }
  }
  let equal = 0
  let duplicates = 0
  for (const { member, message } of consumed) {
    const expected = byId.get(message.msgId)
    const where = place(message.queue, message.queueOffset)
    if (expected === undefined || message.topic !== topic) {
      problems.push(`${where} was never sent`)
      continue
    }
    if (done.has(message.msgId) || isCopy(message, expected)) {
      duplicates++
      continue
    }
    const found = difference(message, expected)
    if (found !== undefined) {
      problems.push(`${where} ${found}`)
      continue
    }
    done.add(message.msgId)
    equal++
    const queue = queues.get(MessageQueue.key(expected.result.queue))
    if (queue === undefined) continue
    queue.equal++
    queue.byMember.set(member, (queue.byMember.get(member) ?? 0) + 1)
  }
  return {
    queues: [...queues.values()].toSorted((a, b) => MessageQueue.compare(a.queue, b.queue)),
    equal,
    duplicates,
    problems
  }
}
