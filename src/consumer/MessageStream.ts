import { Cause, Effect, type Scope, Stream } from "effect"
import type { StartError } from "../client/ClientError.ts"
import type { MQClientManager } from "../client/MQClientManager.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type { Topic, TopicDecodeError } from "../message/Topic.ts"
import type { ConsumerFailed } from "./ConsumerFailed.ts"
import * as ConsumeResult from "./ConsumeResult.ts"
import type { ReceivedMessage } from "./ReceivedMessage.ts"
import * as Subscription from "./subscription/Subscription.ts"
import type { AckOutcome } from "./consume/HandOut.ts"
import { deliveries, type Delivery, open, type StreamOptions } from "./StreamMember.ts"

export type { AckOutcome } from "./consume/HandOut.ts"
export type { Delivery, StreamOptions } from "./StreamMember.ts"

/** A queue that the stream's member owns, and its messages. */
export interface QueueStream {
  /** The queue; that of the group's retry topic has what comes again, of all topics. */
  readonly queue: MessageQueue
  /** Its messages, in order. Ends when another member takes the queue; if it comes back, that is a new element. */
  readonly deliveries: Stream.Stream<Delivery>
}

/** The options of a stream of a typed topic. */
export interface TypedStreamOptions extends Omit<StreamOptions, "subscriptions"> {
  /** The tags that pass; all messages by default. */
  readonly tags?: readonly [string, ...ReadonlyArray<string>] | undefined
  /** A filter by properties in place of tags; see `Subscription.sql`. With both the stream fails with `InvalidConfig`. */
  readonly sql?: string | undefined
  /** What a message means whose body the topic's schema cannot read; by default a dead letter: it will not get better. */
  readonly onDecodeError?:
    ((error: TopicDecodeError, message: ReceivedMessage) => ConsumeResult.ConsumeResult) | undefined
}

/** Options of {@link settle}. */
export interface SettleOptions {
  /** Handlers that run at once; default 1. */
  readonly concurrency?: number | undefined
}

/**
 * The messages of a consumer group, as a member of it for as long as the stream runs. Messages are pulled as they are asked
 * for. Trouble of the network ends no stream; a start that fails does, and a problem for which `onProblem` says `fail`.
 *
 * When the stream ends, by `Stream.take`, by an interruption or a failure downstream, deliveries that are not settled come
 * again: put what settles before `Stream.take`. Offsets are written before the scope is closed.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { MessageStream, Subscription } from "effect-rocketmq"
 *
 * export const indexing = MessageStream.make({
 *   consumerGroup: "search",
 *   subscriptions: [Subscription.all("orders")],
 *   namesrvAddr: "127.0.0.1:9876"
 * }).pipe(
 *   Stream.mapEffect((delivery) => Effect.andThen(Effect.log(delivery.message.msgId), delivery.ack), { concurrency: 16 }),
 *   Stream.runDrain
 * )
 * ```
 */
export const make = (options: StreamOptions): Stream.Stream<Delivery, StartError | ConsumerFailed, MQClientManager> =>
  Stream.unwrap(
    Effect.map(open(options), (member) => (member === undefined ? Stream.empty : deliveries(member.handOut.take)))
  )

/**
 * {@link make} with a stream for each queue, as the member comes to own them: for an order of messages of a queue, or for what is
 * kept by queue and given up with it. Each is pulled as it is read, `prefetch` counts for it alone, and a queue whose stream
 * nobody reads stands still. A revoked queue's stream ends at once; what it handed out may still be settled for `revokeDrain`.
 *
 * @example
 * ```ts
 * import { Effect, Stream } from "effect"
 * import { MessageStream, Subscription } from "effect-rocketmq"
 *
 * export const inOrder = MessageStream.byQueue({
 *   consumerGroup: "search",
 *   subscriptions: [Subscription.all("orders")],
 *   namesrvAddr: "127.0.0.1:9876"
 * }).pipe(
 *   Stream.flatMap(
 *     ({ deliveries }) =>
 *       Stream.mapEffect(deliveries, (delivery) => Effect.andThen(Effect.log(delivery.message.msgId), delivery.ack)),
 *     { concurrency: "unbounded" }
 *   ),
 *   Stream.runDrain
 * )
 * ```
 */
export const byQueue = (
  options: StreamOptions
): Stream.Stream<QueueStream, StartError | ConsumerFailed, MQClientManager> =>
  Stream.unwrap(
    Effect.map(open(options), (member) => {
      if (member === undefined) return Stream.empty
      const { handOut } = member
      const one = Effect.map(handOut.takeQueue, (queue): readonly [QueueStream] => [
        { queue: queue.messageQueue, deliveries: deliveries(handOut.takeOf(queue)) }
      ])
      return Stream.fromPull(Effect.succeed(one))
    })
  )

/** {@link make} of a typed topic: each delivery's value is what the topic's schema reads. */
export const typed = <A, RD, RE>(
  topic: Topic<A, RD, RE>,
  { onDecodeError, sql, tags, ...options }: TypedStreamOptions
): Stream.Stream<Delivery<A>, StartError | ConsumerFailed, MQClientManager | RD> => {
  const byTags = tags === undefined ? [] : [Subscription.tags(topic, ...tags)]
  const bySql = sql === undefined ? [] : [Subscription.sql(topic, sql)]
  const [first = Subscription.all(topic), ...others] = [...byTags, ...bySql]
  const read = (delivery: Delivery): Effect.Effect<ReadonlyArray<Delivery<A>>, never, RD> =>
    Effect.matchEffect(topic.decode(delivery.message), {
      onSuccess: (value) => Effect.succeed([{ ...delivery, value }]),
      onFailure: (error) =>
        Effect.as(
          Effect.suspend(() =>
            apply(delivery, onDecodeError?.(error, delivery.message) ?? ConsumeResult.deadLetter(error.message))
          ),
          []
        )
    })
  return make({ ...options, subscriptions: [first, ...others] }).pipe(
    Stream.mapEffect(read),
    Stream.flatMap((some) => Stream.fromIterable(some))
  )
}

/** Settles a delivery as a result says. */
const apply = <A>(delivery: Delivery<A>, result: ConsumeResult.ConsumeResult): Effect.Effect<AckOutcome> => {
  switch (result._tag) {
    case "Success":
      return delivery.ack
    case "ReconsumeLater":
      return delivery.nack(result.after)
    default:
      return delivery.deadLetter(result.reason)
  }
}

/**
 * Runs a handler for each delivery and settles it by how that ends, as a push consumer does: consumed, or as its
 * `ConsumeResult` says; a failure or a defect means that the message comes again, and ends nothing. A handler that needs a
 * `Scope` gets one for each delivery. Gives what each settlement came to, in the order in which they were made.
 */
export const settle =
  <A, E, R>(
    handler: (value: A, message: ReceivedMessage) => Effect.Effect<ConsumeResult.ConsumeResult | void, E, R>,
    { concurrency = 1 }: SettleOptions = {}
  ) =>
  <E2, R2>(self: Stream.Stream<Delivery<A>, E2, R2>): Stream.Stream<AckOutcome, E2, Exclude<R, Scope.Scope> | R2> =>
    Stream.mapEffect(
      self,
      (delivery) =>
        Effect.matchCauseEffect(
          below(delivery, Effect.scoped(Effect.suspend(() => handler(delivery.value, delivery.message)))),
          {
            onSuccess: (result) => apply(delivery, result ?? ConsumeResult.success),
            onFailure: (cause) => Effect.andThen(told(delivery.message, cause), delivery.nack())
          }
        ),
      { concurrency, unordered: true }
    )

const below = <A, E, R>({ span }: Delivery<unknown>, handled: Effect.Effect<A, E, R>) =>
  span === undefined ? handled : Effect.withParentSpan(handled, span, { captureStackTrace: false })

/** A handler's own failure is the user's to tell; what its type does not name is told here. */
const told = ({ topic }: ReceivedMessage, cause: Cause.Cause<unknown>) =>
  Cause.hasFails(cause)
    ? Effect.void
    : Effect.logWarning(`a handler of a stream of topic ${topic} died; its message comes again`, cause)
