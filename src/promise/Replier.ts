import { Effect } from "effect"
import type { ConsumeResult } from "../consumer/ConsumeResult.ts"
import type { ReceivedMessage } from "../consumer/ReceivedMessage.ts"
import { replyingBy, type SendReply } from "../consumer/reply/Replying.ts"
import { NotARequest } from "../producer/reply/ReplyError.ts"
import type { ReplyInput } from "../producer/reply/RequestReply.ts"
import { SendError } from "../producer/send/SendError.ts"
import type { DefaultMQProducer } from "./DefaultMQProducer.ts"
import type { PlainHandler } from "./DefaultMQPushConsumer.ts"
import { run } from "./Run.ts"

/** Options of {@link handler}. */
export interface ReplierOptions {
  /** Handles a message that asks for no reply; by default it is consumed, with a warning in the log. */
  readonly otherwise?:
    | ((message: ReceivedMessage, signal: AbortSignal) => ConsumeResult | void | Promise<ConsumeResult | void>)
    | undefined
  /**
   * What a request means whose reply could not be sent. By default it comes again after a second if sending again may help and
   * the requester still waits then; else it is consumed, with a warning in the log.
   */
  readonly onReplyError?: ((error: SendError, request: ReceivedMessage) => ConsumeResult) | undefined
}

/**
 * A handler for `DefaultMQPushConsumer.start` whose value is the reply to a request: a text, bytes, or the parts of a message
 * but for its topic. The producer sends it before the request counts as consumed. When the handler is rejected there is no
 * reply, and the request comes again like any message.
 */
export const handler = (
  producer: Pick<DefaultMQProducer, "reply">,
  answer: (request: ReceivedMessage, signal: AbortSignal) => ReplyInput | Promise<ReplyInput>,
  { onReplyError, otherwise }: ReplierOptions = {}
): PlainHandler => {
  const send: SendReply<ReplyInput, never> = (request, reply) =>
    Effect.tryPromise({ try: (signal) => producer.reply(request, reply, { signal }), catch: (error) => error }).pipe(
      Effect.catch((error) =>
        error instanceof SendError || error instanceof NotARequest ? Effect.fail(error) : Effect.die(error)
      )
    )
  const answered = replyingBy(send, (request) => Effect.promise(async (signal) => answer(request, signal)), {
    onReplyError,
    otherwise:
      otherwise === undefined ? undefined : (message) => Effect.promise(async (signal) => otherwise(message, signal))
  })
  return (message, signal) => run(answered(message), signal)
}
