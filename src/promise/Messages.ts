import { Context, Effect, Stream } from "effect"
import type { ReconsumeAfter } from "../consumer/ConsumeResult.ts"
import * as MessageStream from "../consumer/MessageStream.ts"
import type { ReceivedMessage } from "../consumer/ReceivedMessage.ts"
import { type PlainStreamOptions, plain } from "./ConsumerOptions.ts"
import { managerLayer } from "./Options.ts"
import { buildScoped, type CallOptions } from "./Run.ts"

/** A message, and what is to be said of it: see `MessageStream.Delivery`. None of the promises is rejected. */
export interface PlainDelivery {
  /** The message. */
  readonly message: ReceivedMessage
  /** It is consumed. */
  readonly ack: () => Promise<MessageStream.AckOutcome>
  /** It is to come again, after that time; without one as `reconsumePolicy` says. */
  readonly nack: (after?: ReconsumeAfter) => Promise<MessageStream.AckOutcome>
  /** It is given up, and goes to the group's dead letters at once. */
  readonly deadLetter: (reason?: string) => Promise<MessageStream.AckOutcome>
}

/** The messages of a consumer group, for one `for await`. */
export interface Messages extends AsyncIterableIterator<PlainDelivery>, AsyncDisposable {
  /** Ends the loop, also from outside of it: what is not settled comes again. Never rejected; may be repeated. */
  readonly shutdown: () => Promise<void>
}

const deliveryOf = ({ ack, deadLetter, message, nack }: MessageStream.Delivery): PlainDelivery => ({
  message,
  ack: () => Effect.runPromise(ack),
  nack: (after) => Effect.runPromise(nack(after)),
  deadLetter: (reason) => Effect.runPromise(deadLetter(reason))
})

/**
 * The messages of a consumer group, as a member of it from the first step of the loop until it is left: by `break`, `return`,
 * a throw, the signal or `shutdown`. What is not settled by then comes again. The loop throws a `StartError` when the consumer
 * cannot start; no trouble of the network ends it.
 *
 * @example
 * ```ts
 * import { messages, Subscription } from "effect-rocketmq/promise"
 *
 * for await (const { ack, message } of messages({
 *   consumerGroup: "search",
 *   subscriptions: [Subscription.all("orders")],
 *   namesrvAddr: "127.0.0.1:9876"
 * })) {
 *   process.stdout.write(`${message.msgId}\n`)
 *   await ack()
 * }
 * ```
 */
export const messages = (options: PlainStreamOptions, { signal }: CallOptions = {}): Messages => {
  const stream = Stream.unwrap(
    Effect.map(buildScoped(managerLayer(options.services)), (context) =>
      Stream.provideContext(MessageStream.make(plain(options)), context)
    )
  )
  const iterator = Stream.toAsyncIterableWith(stream, Context.empty())[Symbol.asyncIterator]()
  const over = { done: true, value: undefined } as const
  let isOver = false
  const shutdown = async () => {
    isOver = true
    signal?.removeEventListener("abort", onAbort)
    await iterator.return?.()
  }
  const onAbort = () => void shutdown()
  signal?.addEventListener("abort", onAbort)

  const self: Messages = {
    next: async () => {
      signal?.throwIfAborted()
      if (isOver) return over
      try {
        const { done, value } = await iterator.next()
        if (done !== true && !isOver) return { done: false, value: deliveryOf(value) }
      } catch (error) {
        // What was asked for when the loop was left was interrupted.
        if (!isOver) throw error
      }
      signal?.throwIfAborted()
      return over
    },
    return: async () => {
      await shutdown()
      return over
    },
    throw: async (error) => {
      await shutdown()
      throw error
    },
    shutdown,
    [Symbol.asyncIterator]: () => self,
    [Symbol.asyncDispose]: shutdown
  }
  return self
}
