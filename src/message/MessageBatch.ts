import type { Message } from "./Message.ts"
import { isRetryTopic } from "./MixAll.ts"

/**
 * Several messages that leave in one send and are stored one behind the other in one queue.
 *
 * Source: RocketMQ `MessageBatch`, `MessageDecoder.encodeMessages`.
 */

/** Why messages cannot leave in one batch. */
export interface BatchProblem {
  /**
   * - `empty`: there are none
   * - `topic`: one is for another topic than the first
   * - `waitStoreMsgOK`: one waits for the store and another does not
   * - `delay`: one is delayed
   * - `retryTopic`: one is for a retry topic
   */
  readonly kind: "empty" | "topic" | "waitStoreMsgOK" | "delay" | "retryTopic"
  /** The first message that breaks the rule; -1 when there are none. */
  readonly index: number
  /** The rule, to stand behind "the batch" or as a sentence of its own. */
  readonly detail: string
}

const delayProperties = ["DELAY", "TIMER_DELAY_SEC", "TIMER_DELAY_MS", "TIMER_DELIVER_MS"] as const

const isDelayed = ({ delay, properties }: Message): boolean =>
  delay !== undefined || (properties !== undefined && delayProperties.some((name) => Object.hasOwn(properties, name)))

/**
 * Whether messages can leave in one batch: at least one, for one topic that is no retry topic, none delayed, and all or
 * none waiting for the store. Undefined when they can.
 *
 * Source: RocketMQ `MessageBatch.generateFromList`.
 */
export const check = (messages: ReadonlyArray<Message>): BatchProblem | undefined => {
  const [first] = messages
  if (first === undefined) return { kind: "empty", index: -1, detail: "has no messages" }
  for (const [index, message] of messages.entries()) {
    if (isDelayed(message)) return { kind: "delay", index, detail: `has a delayed message at index ${index}` }
    if (isRetryTopic(message.topic)) {
      return { kind: "retryTopic", index, detail: `has a message for a retry topic at index ${index}` }
    }
    if (message.topic !== first.topic) {
      return {
        kind: "topic",
        index,
        detail: `has messages for the topics "${first.topic}" and "${message.topic}" (index ${index})`
      }
    }
    if ((message.waitStoreMsgOK ?? true) !== (first.waitStoreMsgOK ?? true)) {
      return { kind: "waitStoreMsgOK", index, detail: `has messages of both values of waitStoreMsgOK (index ${index})` }
    }
  }
  return undefined
}

/** What a send adds to a message, as far as it takes room. */
export interface PartOptions {
  /** Characters of a unique id: 32 on a machine with an IPv4 address, 56 with IPv6; default 56, the larger one. */
  readonly uniqueIdLength?: number | undefined
  /** Bytes of the text of further properties that a send adds to each message; default 0. */
  readonly extraPropertyBytes?: number | undefined
}

/** size, magic, CRC, flag, body length (32 bits each) and the 16 bits of the properties' length. */
const PART_FIXED_LENGTH = 22
const WAIT_LENGTH = "WAIT".length + 2
const UNIQ_KEY_LENGTH = "UNIQ_KEY".length + 2
const TAGS_LENGTH = "TAGS".length + 2
const KEYS_LENGTH = "KEYS".length + 2
/** `true` against `false`. */
const boolLength = (value: boolean): number => (value ? 4 : 5)

/**
 * Bytes that a message takes in the body of a batch, with its unique id and `WAIT`.
 *
 * @internal
 */
export const partLength = (message: Message, options?: PartOptions): number => {
  const { keys, properties, tags } = message
  let length =
    PART_FIXED_LENGTH +
    message.body.length +
    UNIQ_KEY_LENGTH +
    (options?.uniqueIdLength ?? 56) +
    WAIT_LENGTH +
    boolLength(message.waitStoreMsgOK ?? true) +
    (options?.extraPropertyBytes ?? 0)
  if (tags !== undefined) length += TAGS_LENGTH + Buffer.byteLength(tags)
  if (keys !== undefined && keys.length > 0) length += KEYS_LENGTH + Buffer.byteLength(keys.join(" "))
  if (properties !== undefined) {
    for (const name of Object.keys(properties)) {
      length += Buffer.byteLength(name) + 2 + Buffer.byteLength(properties[name] ?? "")
    }
  }
  return length
}

/** Bytes of the body of a batch of these messages. */
export const encodedLength = (messages: ReadonlyArray<Message>, options?: PartOptions): number => {
  let length = 0
  for (const message of messages) length += partLength(message, options)
  return length
}

/** A message that no batch within the limit can hold. */
export interface OversizedMessage<A> {
  /** The message as it was given. */
  readonly message: A
  /** Where it stood in what was split. */
  readonly index: number
  /** Bytes that it takes in a batch. */
  readonly length: number
}

/** What {@link split} made of some messages. */
export interface SplitMessages<A> {
  /** In the order given; none is empty, and each fits. */
  readonly batches: ReadonlyArray<ReadonlyArray<A>>
  /** In the order given; they are in no batch. */
  readonly oversized: ReadonlyArray<OversizedMessage<A>>
}

/**
 * Cuts a list of messages into batches that take `maxBytes` at most (a producer's `maxMessageSize`), as few as their order
 * allows. Whether the messages may be in one batch at all, {@link check} says.
 */
export const split = <A extends Message>(
  messages: ReadonlyArray<A>,
  maxBytes: number,
  options?: PartOptions
): SplitMessages<A> => {
  const batches: Array<Array<A>> = []
  const oversized: Array<OversizedMessage<A>> = []
  let batch: Array<A> | undefined
  let bytes = 0
  for (const [index, message] of messages.entries()) {
    const length = partLength(message, options)
    if (length > maxBytes) {
      oversized.push({ message, index, length })
    } else if (batch === undefined || bytes + length > maxBytes) {
      batch = [message]
      bytes = length
      batches.push(batch)
    } else {
      batch.push(message)
      bytes += length
    }
  }
  return { batches, oversized }
}
