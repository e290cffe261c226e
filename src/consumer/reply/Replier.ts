import { Effect, type Layer, type Scope } from "effect"
import type { StartError } from "../../client/ClientError.ts"
import type { MQClientManager } from "../../client/MQClientManager.ts"
import type { Topic, TopicDecodeError } from "../../message/Topic.ts"
import type { DefaultMQProducer } from "../../producer/DefaultMQProducer.ts"
import { notSent } from "../../producer/send/SendError.ts"
import * as ConsumeResult from "../ConsumeResult.ts"
import type { PushConsumerOptions } from "../ConsumerOptions.ts"
import { DefaultMQPushConsumer } from "../DefaultMQPushConsumer.ts"
import * as MessageListener from "../MessageListener.ts"
import type { ReceivedMessage } from "../ReceivedMessage.ts"
import * as Subscription from "../subscription/Subscription.ts"
import { replyingBy, type ReplyingOptions, sendBy, type SendReply } from "./Replying.ts"

/** What requests and replies are made of. */
export interface ReplierTopics<A, RD, RE, B, RD2, RE2> {
  /** The topic that is read; its schema reads the requests. */
  readonly request: Topic<A, RD, RE>
  /** Writes the replies, and reads them at the requester's. Its name is only for errors: replies go to the cluster's reply topic. */
  readonly reply: Topic<B, RD2, RE2>
}

/** Options of {@link handler}: those of `MessageListener.replying` and of `MessageListener.decoded`. */
export interface ReplierHandlerOptions extends ReplyingOptions, MessageListener.DecodedOptions {}

/** The options of {@link layer}: those of a push consumer but for its subscriptions, the topics, and a handler's. */
export interface ReplierOptions<A, RD, RE, B, RD2, RE2>
  extends Omit<PushConsumerOptions, "subscriptions">, ReplierTopics<A, RD, RE, B, RD2, RE2>, ReplierHandlerOptions {
  /** The tags that pass; all requests by default. */
  readonly tags?: readonly [string, ...ReadonlyArray<string>] | undefined
}

/** A request that the schema cannot read, on its way past what a reply needs. */
class Undecodable {
  readonly error: TopicDecodeError
  constructor(error: TopicDecodeError) {
    this.error = error
  }
}

/**
 * A handler of requests whose values are read and written by schemas. A request whose body the schema cannot read becomes a dead
 * letter unless `onDecodeError` says otherwise, and its requester waits in vain; a reply that does not fit its schema counts
 * as one that could not be sent.
 */
export const handler = <A, RD, RE, B, RD2, RE2, E, R>(
  { reply, request }: ReplierTopics<A, RD, RE, B, RD2, RE2>,
  answer: (value: A, request: ReceivedMessage) => Effect.Effect<B, E, R>,
  { onDecodeError, ...options }: ReplierHandlerOptions = {}
): MessageListener.Handler<E, R | RD | RE2 | DefaultMQProducer> => {
  const send: SendReply<B, RE2 | DefaultMQProducer> = (to, value) =>
    reply.encode(value).pipe(
      Effect.mapError((reason) => notSent(reply.name, reason)),
      // Whatever topic it names, a reply goes to that of the cluster.
      Effect.flatMap((message) => sendBy(to, message))
    )
  const answered = replyingBy(
    send,
    (message) =>
      Effect.matchEffect(request.decode(message), {
        onSuccess: (value) => answer(value, message),
        onFailure: (error) => Effect.fail(new Undecodable(error))
      }),
    options
  )
  return (message) =>
    Effect.catchIf(
      answered(message),
      (error): error is Undecodable => error instanceof Undecodable,
      ({ error }) => Effect.sync(() => onDecodeError?.(error, message) ?? ConsumeResult.deadLetter(error.message))
    )
}

/**
 * A consumer that answers the requests of a typed topic, for as long as the layer's scope is open. It needs a producer, by
 * which the replies are sent.
 *
 * @example
 * ```ts
 * import { Effect, Layer, Schema } from "effect"
 * import { DefaultMQProducer, MQClientManager, Replier, Topic } from "effect-rocketmq"
 *
 * const asked = Topic.make("prices", { schema: Schema.Struct({ item: Schema.String }) })
 * const priced = Topic.make("prices-reply", { schema: Schema.Struct({ cents: Schema.Int }) })
 *
 * const Prices = Replier.layer({ consumerGroup: "prices", request: asked, reply: priced, concurrency: 4 }, ({ item }) =>
 *   Effect.succeed({ cents: item.length * 100 })
 * )
 *
 * Layer.launch(
 *   Prices.pipe(
 *     Layer.provide(DefaultMQProducer.layer({ producerGroup: "prices-pg" })),
 *     Layer.provide(MQClientManager.layerTcp)
 *   )
 * )
 * ```
 */
export const layer = <A, RD, RE, B, RD2, RE2, E, R>(
  { onDecodeError, onReplyError, otherwise, reply, request, tags, ...options }: ReplierOptions<A, RD, RE, B, RD2, RE2>,
  answer: (value: A, request: ReceivedMessage) => Effect.Effect<B, E, R>
): Layer.Layer<
  DefaultMQPushConsumer,
  StartError,
  MQClientManager | Exclude<R | RD | RE2 | DefaultMQProducer, Scope.Scope>
> =>
  DefaultMQPushConsumer.layer(
    {
      ...options,
      subscriptions: [tags === undefined ? Subscription.all(request) : Subscription.tags(request, ...tags)]
    },
    handler({ request, reply }, answer, { onDecodeError, onReplyError, otherwise })
  )
