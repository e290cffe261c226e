import type { MessageDelay } from "./MessageDelay.ts"

/**
 * A message as an application hands it to a producer. The producer never changes it: what a send adds (the unique id,
 * for instance) goes into the frame, not into this value.
 *
 * Source: RocketMQ `Message`.
 */
export interface Message {
  /** The topic: at most 127 letters, digits, `%`, `|`, `-` and `_`. */
  readonly topic: string
  /**
   * What is sent, 1 byte to 4 MiB (`maxMessageSize`). The bytes must not change until the send has ended, and those of 16 KiB
   * and more, which are not copied, not at all when it ended without an answer (a timeout, an interruption): they may still
   * be on their way. A one-way send is over with them when it ends.
   */
  readonly body: Uint8Array
  /** The tag, by which consumers filter; none when absent. */
  readonly tags?: string | undefined
  /** Business keys, by which the message can be queried; no key may contain a space. */
  readonly keys?: ReadonlyArray<string> | undefined
  /** User properties. Names that RocketMQ reserves and the characters U+0001 and U+0002 are refused by the send. */
  readonly properties?: Readonly<Record<string, string>> | undefined
  /** A 32-bit int that RocketMQ carries and does not read; default 0. */
  readonly flag?: number | undefined
  /** Whether the broker answers only when the message is stored as its flush policy says; default true. */
  readonly waitStoreMsgOK?: boolean | undefined
  /** When the message is to be delivered, if not at once; batches and transactions take none. */
  readonly delay?: MessageDelay | undefined
}

/** What {@link make} accepts: a {@link Message} whose body may be text (sent as UTF-8) and whose keys may be one text. */
export interface MessageInput extends Omit<Message, "body" | "keys"> {
  /** The bytes, or a text that is sent as UTF-8. */
  readonly body: Uint8Array | string
  /** One business key or several; none when absent. */
  readonly keys?: string | ReadonlyArray<string> | undefined
}

const encoder = new TextEncoder()

/** Bodies that are not the text that they were made of. */
const altered = new WeakSet<Uint8Array>()
let isAnyAltered = false

/** The UTF-8 of a text; half of a surrogate pair in it becomes U+FFFD, which {@link isAltered} then knows. */
const bodyOf = (text: string): Uint8Array => {
  const body = encoder.encode(text)
  if (!text.isWellFormed()) {
    isAnyAltered = true
    altered.add(body)
  }
  return body
}

/** Whether a body was made, by {@link make}, of a text that UTF-8 cannot carry. A send refuses it. */
export const isAltered = (body: Uint8Array): boolean => isAnyAltered && altered.has(body)

/**
 * Builds a {@link Message}. Nothing is checked here; a send checks everything before it sends and fails with a typed
 * reason.
 *
 * @example
 * ```ts
 * import { Message } from "effect-rocketmq"
 *
 * const created = Message.make({ topic: "orders", body: JSON.stringify({ id: 7 }), tags: "created", keys: "order-7" })
 * ```
 */
export const make = (input: MessageInput): Message => {
  const { body, keys, ...rest } = input
  return {
    ...rest,
    body: typeof body === "string" ? bodyOf(body) : body,
    ...(keys === undefined ? {} : { keys: typeof keys === "string" ? [keys] : keys })
  }
}
