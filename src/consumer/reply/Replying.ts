import { Clock, Effect } from "effect"
import * as LogLimit from "../../client/LogLimit.ts"
import * as ForeignText from "../../message/ForeignText.ts"
import { DefaultMQProducer } from "../../producer/DefaultMQProducer.ts"
import type { NotARequest } from "../../producer/reply/ReplyError.ts"
import { problemOf } from "../../producer/reply/ReplyExchange.ts"
import type { ReplyInput } from "../../producer/reply/RequestReply.ts"
import type { SendError } from "../../producer/send/SendError.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import * as ConsumeResult from "../ConsumeResult.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"

/** Options of {@link replying}. */
export interface ReplyingOptions<E2 = never, R2 = never> {
  /** Handles a message that asks for no reply; by default it is consumed, with a warning in the log. */
  readonly otherwise?:
    ((message: ReceivedMessage) => Effect.Effect<ConsumeResult.ConsumeResult | void, E2, R2>) | undefined
  /**
   * What a request means whose reply could not be sent. By default it comes again after a second, and is handled again, if
   * sending again may help and the requester still waits then; else it is consumed, with a warning in the log.
   */
  readonly onReplyError?: ((error: SendError, request: ReceivedMessage) => ConsumeResult.ConsumeResult) | undefined
}

/** How a handler's value is sent as the reply. */
export type SendReply<in A, out R> = (
  request: ReceivedMessage,
  value: A
) => Effect.Effect<unknown, SendError | NotARequest, R>

/** The shortest delay of brokers, after which a request comes again. */
const AGAIN_MILLIS = 1_000

/** Whether whoever sent a request still waits after so many milliseconds, as far as the clocks of two machines agree. */
const waitsAfter = ({ bornTimestamp, properties }: ReceivedMessage, millis: number, now: number): boolean => {
  const ttl = Number(properties[MessageConst.MESSAGE_TTL])
  return Number.isFinite(ttl) && now + millis < bornTimestamp + ttl
}

/** {@link replying} with any values, and any way to send them. */
export const replyingBy = <A, E, R, RS, E2 = never, R2 = never>(
  send: SendReply<A, RS>,
  handler: (request: ReceivedMessage) => Effect.Effect<A, E, R>,
  { onReplyError, otherwise }: ReplyingOptions<E2, R2> = {}
): ((message: ReceivedMessage) => Effect.Effect<ConsumeResult.ConsumeResult | void, E | E2, R | RS | R2>) => {
  const log = LogLimit.make()

  const notAsked = (error: NotARequest) =>
    Effect.as(log.warn(`a message is consumed without a reply: ${error.message}`), ConsumeResult.success)

  const failed = (error: SendError, request: ReceivedMessage) =>
    Effect.suspend(() => {
      if (onReplyError === undefined) return undecided(error, request)
      try {
        return Effect.succeed(onReplyError(error, request))
      } catch {
        // The user's own word; the default is what there would be without it.
        return undecided(error, request)
      }
    })

  const undecided = (error: SendError, request: ReceivedMessage) =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      if (error.retryable && waitsAfter(request, AGAIN_MILLIS, now)) {
        return Effect.succeed(ConsumeResult.reconsumeLater(AGAIN_MILLIS))
      }
      const id = ForeignText.clean(request.msgId)
      const line = `the reply to request ${id} of topic ${request.topic} could not be sent, and it does not come again: ${error.message}`
      return Effect.as(log.warn(line), ConsumeResult.success)
    })

  return (message) =>
    Effect.suspend((): Effect.Effect<ConsumeResult.ConsumeResult | void, E | E2, R | RS | R2> => {
      const problem = problemOf(message)
      if (problem !== undefined) return otherwise === undefined ? notAsked(problem) : otherwise(message)
      return Effect.flatMap(handler(message), (value) =>
        Effect.matchEffect(send(message, value), {
          onSuccess: () => Effect.succeed(ConsumeResult.success),
          onFailure: (error) => (error._tag === "NotARequest" ? notAsked(error) : failed(error, message))
        })
      )
    })
}

/** Sends a reply by the producer of the context. */
export const sendBy: SendReply<ReplyInput, DefaultMQProducer> = (request, reply) =>
  Effect.flatMap(DefaultMQProducer, (producer) => producer.reply(request, reply))

/**
 * A handler whose value is the reply to a request: a text, bytes, or the parts of a message but for its topic. The reply is
 * sent by the {@link DefaultMQProducer} of the context before the request counts as consumed, so that at most as many
 * replies are on their way as handlers may run. A handler that fails does not reply; its request comes again like any
 * message. A request may be handled twice, as any message, and its requester takes the first reply.
 *
 * Source: RocketMQ `MessageUtil.createReplyMessage`, `DefaultMQProducer.send` of a reply.
 */
export const replying = <E, R, E2 = never, R2 = never>(
  handler: (request: ReceivedMessage) => Effect.Effect<ReplyInput, E, R>,
  options: ReplyingOptions<E2, R2> = {}
): ((
  message: ReceivedMessage
) => Effect.Effect<ConsumeResult.ConsumeResult | void, E | E2, R | R2 | DefaultMQProducer>) =>
  replyingBy(sendBy, handler, options)
