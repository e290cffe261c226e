import { Context, Effect, Stream } from "effect"
import type { MQClientManager } from "../client/MQClientManager.ts"
import type { ReconsumeAfter } from "../consumer/ConsumeResult.ts"
import * as MessageStream from "../consumer/MessageStream.ts"
import type { ReceivedMessage } from "../consumer/ReceivedMessage.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
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

/** A loop over what a member of a consumer group gets, for one `for await`. */
interface Loop<A> extends AsyncIterableIterator<A>, AsyncDisposable {
  /** Ends the loop, also from outside of it: what is not settled comes again. Never rejected; may be repeated. */
  readonly shutdown: () => Promise<void>
}

/** The messages of a consumer group, for one `for await`. */
export interface Messages extends Loop<PlainDelivery> {}

/** A queue that the loop's member owns, and its messages. */
export interface QueueMessages {
  /** The queue; that of the group's retry topic has what comes again, of all topics. */
  readonly queue: MessageQueue
  /**
   * Its messages, in order, for one `for await` at a time; one that was left may be followed by another, which reads on. It
   * ends, and never throws, when another member takes the queue and when the loop over the queues ends.
   */
  readonly messages: AsyncIterable<PlainDelivery>
}

/** The queues of a consumer group's member, for one `for await`. */
export interface MessagesByQueue extends Loop<QueueMessages> {}

const deliveryOf = ({ ack, deadLetter, message, nack }: MessageStream.Delivery): PlainDelivery => ({
  message,
  ack: () => Effect.runPromise(ack),
  nack: (after) => Effect.runPromise(nack(after)),
  deadLetter: (reason) => Effect.runPromise(deadLetter(reason))
})

/** Runs the stream from the first step of a loop until that is left; `ended` is run once it was. */
const loopOf = <A, B>(
  stream: Stream.Stream<A, unknown>,
  give: (value: A) => B,
  signal?: AbortSignal,
  ended?: () => void
): Loop<B> => {
  const iterator = Stream.toAsyncIterableWith(stream, Context.empty())[Symbol.asyncIterator]()
  const over = { done: true, value: undefined } as const
  let isOver = false
  const shutdown = async () => {
    isOver = true
    signal?.removeEventListener("abort", onAbort)
    ended?.()
    await iterator.return?.()
  }
  const onAbort = () => void shutdown()
  signal?.addEventListener("abort", onAbort)

  const self: Loop<B> = {
    next: async () => {
      signal?.throwIfAborted()
      if (isOver) return over
      try {
        const { done, value } = await iterator.next()
        if (done !== true && !isOver) return { done: false, value: give(value) }
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

/** A stream of the other face with what the layers of this process give. */
const member = <A, E>(
  options: PlainStreamOptions,
  streamOf: (context: Context.Context<MQClientManager>) => Stream.Stream<A, E>
) => Stream.unwrap(Effect.map(buildScoped(managerLayer(options.services)), streamOf))

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
export const messages = (options: PlainStreamOptions, { signal }: CallOptions = {}): Messages =>
  loopOf(
    member(options, (context) => Stream.provideContext(MessageStream.make(plain(options)), context)),
    deliveryOf,
    signal
  )

/**
 * {@link messages} with a loop for each queue, as the member comes to own them: for an order of messages of a queue, or for
 * what is kept by queue and given up with it. The loop over the queues must not wait for one of theirs, or the others stand
 * still: begin to read each, and go on. A queue that another member takes ends at once; if it comes back, that is a new element.
 *
 * The loop over the queues begins and ends as that of {@link messages} does, and all of theirs with it.
 *
 * @example
 * ```ts
 * import { messagesByQueue, type QueueMessages, Subscription } from "effect-rocketmq/promise"
 *
 * const count = async ({ messages, queue }: QueueMessages) => {
 *   let seen = 0
 *   for await (const { ack } of messages) {
 *     seen++
 *     await ack()
 *   }
 *   process.stdout.write(`queue ${queue.queueId} was given up after ${seen} messages\n`)
 * }
 *
 * const queues = messagesByQueue({
 *   consumerGroup: "search",
 *   subscriptions: [Subscription.all("orders")],
 *   namesrvAddr: "127.0.0.1:9876"
 * })
 * for await (const one of queues) {
 *   count(one).catch((error: unknown) => {
 *     process.stderr.write(`${String(error)}\n`)
 *     void queues.shutdown()
 *   })
 * }
 * ```
 */
export const messagesByQueue = (options: PlainStreamOptions, { signal }: CallOptions = {}): MessagesByQueue => {
  /** What is being read. */
  const reading = new Set<Loop<PlainDelivery>>()
  let isOver = false
  const messagesOf = (deliveries: Stream.Stream<MessageStream.Delivery>): AsyncIterable<PlainDelivery> => ({
    [Symbol.asyncIterator]: () => {
      const loop: Loop<PlainDelivery> = loopOf(isOver ? Stream.empty : deliveries, deliveryOf, undefined, () => {
        reading.delete(loop)
      })
      reading.add(loop)
      return loop
    }
  })
  return loopOf(
    member(options, (context) =>
      Stream.provideContext(MessageStream.byQueue(plain(options)), context).pipe(
        Stream.map(({ deliveries, queue }) => ({ queue, deliveries: Stream.provideContext(deliveries, context) }))
      )
    ),
    ({ deliveries, queue }): QueueMessages => ({ queue, messages: messagesOf(deliveries) }),
    signal,
    () => {
      isOver = true
      for (const loop of reading) void loop.shutdown()
    }
  )
}
