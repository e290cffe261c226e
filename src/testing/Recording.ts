import type { Effect } from "effect"
import type { Message } from "../message/Message.ts"
import type { SendResult } from "../message/SendResult.ts"
import type { FailedSend, Ledger } from "./Ledger.ts"

/** What the ledger looks at of a send's options. */
export interface SendOptions {
  readonly timeoutMillis?: number | undefined
  readonly orderingKey?: string | number | bigint | undefined
}

/** The ways of sending that can be watched; a producer has them. */
export interface Sends<O extends SendOptions, E extends FailedSend> {
  readonly send: (message: Message, options?: O) => Effect.Effect<SendResult, E>
  readonly sendOneway: (message: Message, options?: O) => Effect.Effect<void, E>
  readonly sendBatch: (
    messages: ReadonlyArray<Message>,
    options?: O
  ) => Effect.Effect<{ readonly results: ReadonlyArray<SendResult> }, E>
}

/** Options of {@link watch}. */
export interface WatchOptions {
  /** Milliseconds that a send may take which has no `timeoutMillis` of its own: `sendMsgTimeout`. Not checked without it. */
  readonly timeoutMillis?: number | undefined
}

/** Puts a ledger between a producer and whoever uses it. */
export type Watch = <P, O extends SendOptions, E extends FailedSend>(
  producer: P & Sends<O, E>,
  options?: WatchOptions
) => P

/**
 * A producer like the given one whose `send`, `sendBatch` and `sendOneway` are written into a ledger, for services that
 * get their producer from outside. What is sent in other ways (`sendQueued`, `sendAll`, `sendTo`, transactions) the ledger
 * does not see; record these where they are made.
 */
export const watch =
  (ledger: Pick<Ledger, "record" | "recordBatch" | "recordOneway">): Watch =>
  <P, O extends SendOptions, E extends FailedSend>(producer: P & Sends<O, E>, { timeoutMillis }: WatchOptions = {}) => {
    const { send, sendBatch, sendOneway }: Sends<O, E> = producer
    const known = (options?: O) => ({
      timeoutMillis: options?.timeoutMillis ?? timeoutMillis,
      orderingKey: options?.orderingKey === undefined ? undefined : String(options.orderingKey)
    })
    const watched: Sends<O, E> = {
      send: (message, options) => ledger.record(message, send(message, options), known(options)),
      sendOneway: (message, options) => ledger.recordOneway(message, sendOneway(message, options), known(options)),
      sendBatch: (messages, options) => ledger.recordBatch(messages, sendBatch(messages, options), known(options))
    }
    return { ...producer, ...watched }
  }
