import type { Duration, Effect } from "effect"
import type { Message } from "../message/Message.ts"
import type { SendResult } from "../message/SendResult.ts"

/** What a send's error has to say; the producer's `SendError` does. */
export interface FailedSend {
  /** What is known of the message. */
  readonly outcome: "not-sent" | "rejected" | "unknown"
  /** Every attempt, with what it failed with: for an answer of a broker its code. */
  readonly attempts: ReadonlyArray<{ readonly cause: { readonly _tag: string; readonly code?: number } }>
}

/** What the ledger is to know of a send besides. */
export interface RecordOptions {
  /** How long the send may take; checked when given. A bare number is milliseconds. */
  readonly timeoutMillis?: Duration.Input | undefined
  /** Messages of one key are sent one after the other, and must lie in that order. */
  readonly orderingKey?: string | undefined
}

/** Where sends are written down with what became of them; a ledger is one. */
export interface Recorder {
  /** Runs a send and writes down what became of it; what it gives and fails with stays as it is. */
  readonly record: <E extends FailedSend, R>(
    message: Message,
    send: Effect.Effect<SendResult, E, R>,
    options?: RecordOptions
  ) => Effect.Effect<SendResult, E, R>
  /** The same for a batch. */
  readonly recordBatch: <A extends { readonly results: ReadonlyArray<SendResult> }, E extends FailedSend, R>(
    messages: ReadonlyArray<Message>,
    send: Effect.Effect<A, E, R>,
    options?: RecordOptions
  ) => Effect.Effect<A, E, R>
  /** The same for a message that nobody acknowledges: it is stored at most once. */
  readonly recordOneway: <E extends FailedSend, R>(
    message: Message,
    send: Effect.Effect<void, E, R>,
    options?: RecordOptions
  ) => Effect.Effect<void, E, R>
}

/** What the ledger looks at of a send's options. */
export interface SendOptions {
  /** How long the send may take; a bare number is milliseconds. */
  readonly timeoutMillis?: Duration.Input | undefined
  /** Messages of one key lie in the order of their sends; no order when absent. */
  readonly orderingKey?: string | number | bigint | undefined
}

/** The ways of sending that can be watched; a producer has them. */
export interface Sends<O extends SendOptions, E extends FailedSend> {
  /** Sends a message and waits for its acknowledgement. */
  readonly send: (message: Message, options?: O) => Effect.Effect<SendResult, E>
  /** Sends a message that nobody acknowledges. */
  readonly sendOneway: (message: Message, options?: O) => Effect.Effect<void, E>
  /** Sends messages together, with a result for each. */
  readonly sendBatch: (
    messages: ReadonlyArray<Message>,
    options?: O
  ) => Effect.Effect<{ readonly results: ReadonlyArray<SendResult> }, E>
}

/** Options of {@link watch}. */
export interface WatchOptions {
  /**
   * How long a send may take which has no `timeoutMillis` of its own: `sendMsgTimeout`; a bare number is milliseconds. Not
   * checked without it.
   */
  readonly timeoutMillis?: Duration.Input | undefined
}

/** Puts a ledger between a producer and its user. */
export type Watch = <P, O extends SendOptions, E extends FailedSend>(
  producer: P & Sends<O, E>,
  options?: WatchOptions
) => P

/**
 * A producer like the given one whose `send`, `sendBatch` and `sendOneway` are written into a ledger, for services that
 * get their producer from outside. What is sent in other ways (`sendQueued`, `sendAll`, `sendTo`, transactions) the
 * ledger does not see; record these where they are made.
 */
export const watch =
  (recorder: Recorder): Watch =>
  <P, O extends SendOptions, E extends FailedSend>(producer: P & Sends<O, E>, { timeoutMillis }: WatchOptions = {}) => {
    const { send, sendBatch, sendOneway }: Sends<O, E> = producer
    const known = (options?: O) => ({
      timeoutMillis: options?.timeoutMillis ?? timeoutMillis,
      orderingKey: options?.orderingKey === undefined ? undefined : String(options.orderingKey)
    })
    const watched: Sends<O, E> = {
      send: (message, options) => recorder.record(message, send(message, options), known(options)),
      sendOneway: (message, options) => recorder.recordOneway(message, sendOneway(message, options), known(options)),
      sendBatch: (messages, options) => recorder.recordBatch(messages, sendBatch(messages, options), known(options))
    }
    return { ...producer, ...watched }
  }
