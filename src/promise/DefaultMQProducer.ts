import { type Duration, type Effect, Stream } from "effect"
import type { ServiceState } from "../client/ServiceState.ts"
import * as Message from "../message/Message.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import type { SendResult } from "../message/SendResult.ts"
import type { EncodeOptions, Topic } from "../message/Topic.ts"
import { DefaultMQProducer as Service, type DefaultMQProducerShape } from "../producer/DefaultMQProducer.ts"
import type { ProducerState } from "../producer/ProducerState.ts"
import type { RecallOptions } from "../producer/Recall.ts"
import type { ReplyInput, RequestOptions } from "../producer/reply/RequestReply.ts"
import type { SendBatchResult } from "../producer/bulk/SendBatch.ts"
import type { SendOptions } from "../producer/send/SendOptions.ts"
import type { SendAllOptions } from "../producer/bulk/SendStream.ts"
import type { SendError } from "../producer/send/SendError.ts"
import { startOf } from "../producer/send/StartSend.ts"
import type { SendAllToOptions, TypedSendOptions } from "../producer/TypedSends.ts"
import { type PlainOptions, redact } from "./Options.ts"
import { type CallOptions, promiseOf, type Run } from "./Run.ts"
import { lifeCalls, start, type Started } from "./Start.ts"

/** A message that has its place in the order of its queue. */
export interface Queued {
  /**
   * Done when a broker has stored the message. Rejected with a `SendError`; a caller that does not need it may ignore
   * it.
   */
  readonly acknowledged: (options?: CallOptions) => Promise<SendResult>
}

/**
 * A started producer for code without Effect. Promises are rejected with the typed errors of this package: `SendError`
 * and the like, told apart by `_tag` or `instanceof`. Dispose of it at the end (`await using`, or `shutdown`): its
 * connections keep the process alive until then.
 */
export interface DefaultMQProducer extends AsyncDisposable {
  /** The group, as the options name it. */
  readonly producerGroup: string
  /** Sends a message and waits until a broker has stored it. Rejected with a `SendError`. */
  readonly send: (message: Message.MessageInput, options?: SendOptions & CallOptions) => Promise<SendResult>
  /**
   * Sends messages for one topic together; they are stored one behind the other, all or none. Rejected with a
   * `SendError`; `MessageBatch.split` cuts a list that is too long.
   */
  readonly sendBatch: (
    messages: ReadonlyArray<Message.MessageInput>,
    options?: SendOptions & CallOptions
  ) => Promise<SendBatchResult>
  /** Takes back a message that waits for its exact time; gives the message's id. Rejected with a `RecallError`. */
  readonly recallMessage: (
    topic: string,
    recallHandle: string,
    options?: RecallOptions & CallOptions
  ) => Promise<string>
  /**
   * A send in two steps: done when the message has its place in the order of its queue, and waiting while more than
   * `maxQueuedSends` are under way. Messages of one queue are stored in the order in which these promises were done.
   */
  readonly sendQueued: (message: Message.MessageInput, options?: SendOptions & CallOptions) => Promise<Queued>
  /**
   * Sends messages as they come, 64 at once unless told otherwise, and gives the results in their order. The first
   * failure ends it; leaving the loop early stops it.
   */
  readonly sendAll: (
    messages: Iterable<Message.MessageInput> | AsyncIterable<Message.MessageInput>,
    options?: SendAllOptions
  ) => AsyncIterable<SendResult>
  /**
   * Sends a value to a typed topic. Rejected with a `SendError` whose reason is `TopicEncodeError` if it does not fit.
   */
  readonly sendTo: <A, RD>(
    topic: Topic<A, RD>,
    value: A,
    options?: TypedSendOptions & CallOptions
  ) => Promise<SendResult>
  /** `sendOneway` of a value of a typed topic. */
  readonly sendOnewayTo: <A, RD>(
    topic: Topic<A, RD>,
    value: A,
    options?: TypedSendOptions & CallOptions
  ) => Promise<void>
  /** `sendBatch` of values of a typed topic; none is sent when one does not fit. The options are all values'. */
  readonly sendBatchTo: <A, RD>(
    topic: Topic<A, RD>,
    values: ReadonlyArray<A>,
    options?: TypedSendOptions & CallOptions
  ) => Promise<SendBatchResult>
  /** `sendQueued` of a value of a typed topic. */
  readonly sendQueuedTo: <A, RD>(
    topic: Topic<A, RD>,
    value: A,
    options?: TypedSendOptions & CallOptions
  ) => Promise<Queued>
  /** `sendAll` of values of a typed topic. */
  readonly sendAllTo: <A, RD>(
    topic: Topic<A, RD>,
    values: Iterable<A> | AsyncIterable<A>,
    options?: SendAllToOptions<A>
  ) => AsyncIterable<SendResult>
  /** `request` of a value of a typed topic; the reply's own topic can read it. */
  readonly requestTo: <A, RD>(
    topic: Topic<A, RD>,
    value: A,
    timeout: Duration.Input,
    options?: RequestOptions & EncodeOptions & CallOptions
  ) => Promise<MessageExt>
  /** Sends a message that nobody acknowledges; done when its bytes have been handed to the socket. */
  readonly sendOneway: (message: Message.MessageInput, options?: SendOptions & CallOptions) => Promise<void>
  /**
   * Sends a message and waits until a consumer has replied, for so long in all (a bare number is milliseconds). Rejected with
   * a `SendError` or a `RequestReplyTimeout`.
   */
  readonly request: (
    message: Message.MessageInput,
    timeout: Duration.Input,
    options?: RequestOptions & CallOptions
  ) => Promise<MessageExt>
  /** Replies to a request that was consumed. Rejected with a `SendError` or `NotARequest`. */
  readonly reply: (request: MessageExt, reply: ReplyInput, options?: SendOptions & CallOptions) => Promise<SendResult>
  /** The queues of a topic that can be written, for the option `queue` of a send. */
  readonly fetchPublishMessageQueues: (topic: string, options?: CallOptions) => Promise<ReadonlyArray<MessageQueue>>
  /** RUNNING, and SHUTDOWN_ALREADY after the shutdown. */
  readonly serviceState: () => Promise<ServiceState>
  /** Everything there is to see of the producer now. */
  readonly state: () => Promise<ProducerState>
  /**
   * {@link state} now and after each change, as `stateChanges` of the other face. It ends with the state after the
   * shutdown; leaving the loop early stops it.
   */
  readonly stateChanges: () => AsyncIterable<ProducerState>
  /**
   * Waits for the sends under way, within `drainTimeoutMillis`, and releases everything. Never rejected; may be
   * repeated.
   */
  readonly shutdown: () => Promise<void>
}

const isAsync = <A>(messages: Iterable<A> | AsyncIterable<A>): messages is AsyncIterable<A> =>
  Symbol.asyncIterator in messages

/** A stream of what a program hands over; what its iterator throws comes out at the other end as it is. */
const streamOf = <A>(messages: Iterable<A> | AsyncIterable<A>): Stream.Stream<A, unknown> =>
  isAsync(messages) ? Stream.fromAsyncIterable(messages, (error) => error) : Stream.fromIterable(messages)

/** A send in two steps, each as a promise of its own. */
const queued = async (
  run: Run,
  send: Effect.Effect<Effect.Effect<SendResult, SendError>, SendError>,
  options: CallOptions | undefined
): Promise<Queued> => {
  const acknowledged = await run(send, options?.signal)
  return { acknowledged: (later) => run(acknowledged, later?.signal) }
}

/** The calls of a producer as promises. */
export const calls = (started: Started<DefaultMQProducerShape>): DefaultMQProducer => {
  const { caller, context, run, service: producer } = started
  const begin = startOf(producer.send)
  return {
    producerGroup: producer.producerGroup,
    send: (message, options) =>
      promiseOf((done) => begin(caller, Message.make(message), options, done), options?.signal),
    sendBatch: (messages, options) => run(producer.sendBatch(messages.map(Message.make), options), options?.signal),
    recallMessage: (topic, recallHandle, options) =>
      run(producer.recallMessage(topic, recallHandle, options), options?.signal),
    sendQueued: (message, options) => queued(run, producer.sendQueued(Message.make(message), options), options),
    sendAll: (messages, options) =>
      Stream.toAsyncIterableWith(producer.sendAll(Stream.map(streamOf(messages), Message.make), options), context),
    sendTo: (topic, value, options) => run(producer.sendTo(topic, value, options), options?.signal),
    sendOnewayTo: (topic, value, options) => run(producer.sendOnewayTo(topic, value, options), options?.signal),
    sendBatchTo: (topic, values, options) => run(producer.sendBatchTo(topic, values, options), options?.signal),
    sendQueuedTo: (topic, value, options) => queued(run, producer.sendQueuedTo(topic, value, options), options),
    sendAllTo: (topic, values, options) =>
      Stream.toAsyncIterableWith(producer.sendAllTo(topic, streamOf(values), options), context),
    requestTo: (topic, value, timeout, options) =>
      run(producer.requestTo(topic, value, timeout, options), options?.signal),
    sendOneway: (message, options) => run(producer.sendOneway(Message.make(message), options), options?.signal),
    request: (message, timeout, options) =>
      run(producer.request(Message.make(message), timeout, options), options?.signal),
    reply: (request, reply, options) => run(producer.reply(request, reply, options), options?.signal),
    fetchPublishMessageQueues: (topic, options) => run(producer.fetchPublishMessageQueues(topic), options?.signal),
    ...lifeCalls(started)
  }
}

/**
 * The producer for code without Effect.
 *
 * @example
 * ```ts
 * import { DefaultMQProducer } from "effect-rocketmq/promise"
 *
 * await using producer = await DefaultMQProducer.start({ producerGroup: "orders-pg", namesrvAddr: "127.0.0.1:9876" })
 * const result = await producer.send({ topic: "orders", body: "hello" }, { signal: AbortSignal.timeout(1_000) })
 * process.stdout.write(`stored as ${result.offsetMsgId}\n`)
 * ```
 */
export const DefaultMQProducer = {
  /** A started producer. Rejected with a `StartError` when it cannot start, and has released everything then. */
  start: async (options: PlainOptions, { signal }: CallOptions = {}): Promise<DefaultMQProducer> =>
    calls(await start(Service, Service.layer(redact(options)), options.services, signal)),
  /** A started producer with what is not given read from the environment; the names are in docs/configuration.md. */
  startConfig: async (options: Partial<PlainOptions> = {}, { signal }: CallOptions = {}): Promise<DefaultMQProducer> =>
    calls(await start(Service, Service.layerConfig(redact(options)), options.services, signal))
}
