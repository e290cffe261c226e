import type { Message } from "../../message/Message.ts"
import type { MessageQueue } from "../../message/MessageQueue.ts"
import * as KeyHash from "./KeyHash.ts"

/**
 * Chooses the queue of a message among those that can be written, which come sorted by broker name and queue id. Undefined
 * means that none suits. `chance` gives a number from 0 up to 1, from the `Random` service of the sender.
 *
 * Plain and synchronous, because it runs on the path of every ordered send.
 *
 * Source: RocketMQ `MessageQueueSelector`.
 */
export type QueueSelector = (
  queues: ReadonlyArray<MessageQueue>,
  message: Message,
  chance: () => number
) => MessageQueue | undefined

/** Options of {@link byKey}. */
export interface ByKeyOptions {
  /** Which client's choice to reproduce; default `java`. */
  readonly hash?: KeyHash.KeyHash | undefined
}

/**
 * All messages of one key go to one queue, as long as the topic's queues stay the same.
 *
 * Source: RocketMQ `SelectMessageQueueByHash`.
 */
export const byKey = (key: KeyHash.Key, options?: ByKeyOptions): QueueSelector => {
  const hash = options?.hash ?? "java"
  if (hash === "ali-ons") return byQueueId(key)
  return (queues) => (queues.length === 0 ? undefined : queues[KeyHash.indexOf(hash, key, queues.length)])
}

/** ali-ons hashes over the distinct queue ids in the order of the queues; the first queue with the id is taken. */
const byQueueId =
  (key: KeyHash.Key): QueueSelector =>
  (queues) => {
    const ids = [...new Set(queues.map((queue) => queue.queueId))]
    if (ids.length === 0) return undefined
    const id = ids[KeyHash.indexOf("ali-ons", key, ids.length)]
    return queues.find((queue) => queue.queueId === id)
  }

/** Your own choice; undefined means that no queue suits, and the send fails. */
export const make = (
  select: (queues: ReadonlyArray<MessageQueue>, message: Message) => MessageQueue | undefined
): QueueSelector => select

/** Any queue, each as likely as the others. Source: RocketMQ `SelectMessageQueueByRandom`. */
export const random: QueueSelector = (queues, _message, chance) => queues[Math.floor(chance() * queues.length)]
