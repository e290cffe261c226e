import { Cause, Effect, type Scope, Stream, type Tracer } from "effect"
import type { StartError } from "../client/ClientError.ts"
import type { MQClientManager } from "../client/MQClientManager.ts"
import * as Kinds from "../client/options/OptionKinds.ts"
import * as OptionTable from "../client/options/OptionTable.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type { Topic, TopicDecodeError } from "../message/Topic.ts"
import type { ConsumerFailed } from "./ConsumerFailed.ts"
import * as ConsumerLife from "./ConsumerLife.ts"
import * as ConsumerOptions from "./ConsumerOptions.ts"
import * as ConsumeResult from "./ConsumeResult.ts"
import type { ReceivedMessage } from "./ReceivedMessage.ts"
import * as Subscription from "./subscription/Subscription.ts"
import * as HandOut from "./consume/HandOut.ts"
import type { AckOutcome } from "./consume/HandOut.ts"

export type { AckOutcome } from "./consume/HandOut.ts"

/**
 * A message, and what is to be said of it. Each of its effects succeeds with what that came to, never with an error. A
 * delivery that is not settled holds up the offset of its queue; it is given back after `consumeTimeout`.
 */
export interface Delivery<out A = ReceivedMessage> {
  /** What it carries: the message, or the value of a typed topic. */
  readonly value: A
  /** The message as it was received. */
  readonly message: ReceivedMessage
  /**
   * Its span `process {topic}`, from when it was handed out until it is settled: what belongs to it can be put below with
   * `Effect.withParentSpan`, as {@link settle} does. Undefined where no tracer is set.
   */
  readonly span: Tracer.Span | undefined
  /** It is consumed. */
  readonly ack: Effect.Effect<AckOutcome>
  /** It is to come again, after that time; without one as `reconsumePolicy` says, with `broker` as the broker's table has it. */
  readonly nack: (after?: ConsumeResult.ReconsumeAfter) => Effect.Effect<AckOutcome>
  /** It is given up, and goes to the group's dead letters at once. */
  readonly deadLetter: (reason?: string) => Effect.Effect<AckOutcome>
}

/** The options of a stream: those of a push consumer that do not speak of handlers, and `prefetch`. */
export interface StreamOptions extends Omit<
  ConsumerOptions.PushConsumerOptions,
  "adjustThreadPoolNumsThreshold" | "concurrency" | "consumeThreadMax" | "consumeThreadMin" | "ratePerSecond"
> {
  /**
   * No pull of a queue begins while so many of its messages wait to be read; default 32. With 0, pulls begin only when
   * somebody waits for a message and there is none.
   */
  readonly prefetch?: number | undefined
}

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
  /** What a message means whose body the topic's schema cannot read; by default a dead letter: it will not get better. */
  readonly onDecodeError?:
    ((error: TopicDecodeError, message: ReceivedMessage) => ConsumeResult.ConsumeResult) | undefined
}

/** Options of {@link settle}. */
export interface SettleOptions {
  /** Handlers that run at once; default 1. */
  readonly concurrency?: number | undefined
}

const streamTable = {
  prefetch: Kinds.whole({ name: "prefetch", java: "none", default: 32, least: 0, most: 65_535 })
}

/** What the options of a push consumer and those of streams come to. */
const resolve = (options: StreamOptions) => {
  const consumer = ConsumerOptions.resolve(options)
  const own = OptionTable.resolve<{ readonly prefetch: number }>(streamTable, options)
  return {
    resolution: { config: consumer.config, problems: [...consumer.problems, ...own.problems] },
    prefetch: own.config.prefetch
  }
}

const deliveryOf = ({ message, settle: end, span }: HandOut.Handed): Delivery => ({
  value: message,
  message,
  span,
  ack: end(ConsumeResult.success),
  nack: (after) => end(ConsumeResult.reconsumeLater(after)),
  deadLetter: (reason) => end(ConsumeResult.deadLetter(reason))
})

/** One at a time: what was handed out is in somebody's hands. */
const deliveries = <E>(take: Effect.Effect<HandOut.Handed, E>) =>
  Stream.fromPull(Effect.succeed(Effect.map(take, (handed): readonly [Delivery] => [deliveryOf(handed)])))

/** Starts a member of the group, which hands out what is asked for, in the current scope; undefined when it was ended meanwhile. */
const open = Effect.fnUntraced(function* (options: StreamOptions) {
  const { prefetch, resolution } = resolve(options)
  const life = yield* ConsumerLife.started<HandOut.HandOut<ConsumerFailed>>(resolution, {
    batchSize: 1,
    consumption: (tools) => HandOut.make<ConsumerFailed>(prefetch, tools),
    directly: undefined,
    begin: ({ consumption, run }) => consumption.onDemand(run.lookForRoom)
  })
  const handOut = life.running()?.consumption
  if (handOut === undefined) return undefined
  // Before the shutdown, which then waits for nobody but what is being given back: what is not settled comes again.
  yield* Effect.addFinalizer(() => Effect.sync(() => handOut.interrupt()))
  yield* life.consumer.failed.pipe(
    Effect.catch((error) => Effect.sync(() => handOut.fail(error))),
    Effect.forkScoped({ startImmediately: true })
  )
  return handOut
})

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
    Effect.map(open(options), (handOut) => (handOut === undefined ? Stream.empty : deliveries(handOut.take)))
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
    Effect.map(open(options), (handOut) => {
      if (handOut === undefined) return Stream.empty
      const one = Effect.map(handOut.takeQueue, (queue): readonly [QueueStream] => [
        { queue: queue.messageQueue, deliveries: deliveries(handOut.takeOf(queue)) }
      ])
      return Stream.fromPull(Effect.succeed(one))
    })
  )

/** {@link make} of a typed topic: each delivery's value is what the topic's schema reads. */
export const typed = <A, RD, RE>(
  topic: Topic<A, RD, RE>,
  { onDecodeError, tags, ...options }: TypedStreamOptions
): Stream.Stream<Delivery<A>, StartError | ConsumerFailed, MQClientManager | RD> => {
  const subscription = tags === undefined ? Subscription.all(topic) : Subscription.tags(topic, ...tags)
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
  return make({ ...options, subscriptions: [subscription] }).pipe(
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
