/** Members of consumer groups, of each kind there is, that tell one handler of all they get. */
import { Effect, Stream } from "effect"
import * as ConsumeResult from "../../src/consumer/ConsumeResult.ts"
import type { PushConsumerOptions } from "../../src/consumer/ConsumerOptions.ts"
import { DefaultMQPushConsumer } from "../../src/consumer/DefaultMQPushConsumer.ts"
import * as MessageListener from "../../src/consumer/MessageListener.ts"
import * as MessageStream from "../../src/consumer/MessageStream.ts"
import type { ReceivedMessage } from "../../src/consumer/ReceivedMessage.ts"

/** How messages are consumed. */
export const kinds = ["concurrently", "batch", "orderly", "keyed", "broadcasting", "stream", "byQueue"] as const
export type Kind = (typeof kinds)[number]

/** What a member does with a message; a failure means that it comes again. */
export type Handle = (message: ReceivedMessage) => Effect.Effect<void, string>

const several = (handle: Handle) => (messages: MessageListener.Batch) =>
  Effect.map(
    Effect.forEach(messages, (message) =>
      Effect.match(handle(message), {
        onSuccess: () => ConsumeResult.success,
        onFailure: () => ConsumeResult.reconsumeLater()
      })
    ),
    MessageListener.BatchResult.each
  )

const listenerOf = (kind: Kind, handle: Handle): MessageListener.MessageListener<string, never> => {
  switch (kind) {
    case "batch":
      return MessageListener.batch<string, never>({ maxSize: 16 }, several(handle))
    case "orderly":
      return MessageListener.orderly(handle)
    case "keyed":
      return MessageListener.keyed(({ keys }) => keys.join(), handle)
    default:
      return MessageListener.concurrently(handle)
  }
}

/** Starts a member of a kind, for as long as the scope is open. */
export const member = (kind: Kind, options: PushConsumerOptions, handle: Handle) =>
  Effect.gen(function* () {
    if (kind === "stream" || kind === "byQueue") {
      const settled = MessageStream.settle(handle, { concurrency: 4 })
      const outcomes =
        kind === "stream"
          ? settled(MessageStream.make(options))
          : Stream.flatMap(MessageStream.byQueue(options), ({ deliveries }) => settled(deliveries), {
              concurrency: "unbounded"
            })
      yield* Effect.forkScoped(Stream.runDrain(outcomes))
      return
    }
    const consumer = yield* DefaultMQPushConsumer.make(
      { ...options, messageModel: kind === "broadcasting" ? "BROADCASTING" : "CLUSTERING" },
      listenerOf(kind, handle)
    )
    yield* Effect.acquireRelease(consumer.start, () => consumer.shutdown)
  })
