import { Clock, Effect, type Scope, type Sink } from "effect"
import type { IllegalServiceState } from "../client/ClientError.ts"
import type { MQClientInstanceShape } from "../client/MQClientInstance.ts"
import type { Message } from "../message/Message.ts"
import type { UniqueIds } from "../message/MessageId.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import * as Namespace from "../message/Namespace.ts"
import type { SendResult } from "../message/SendResult.ts"
import type { LifeContext } from "../client/ServiceLife.ts"
import * as Fork from "./bulk/Fork.ts"
import * as ProduceAccumulator from "./bulk/ProduceAccumulator.ts"
import type { ProducerConfig } from "./ProducerConfig.ts"
import * as Recall from "./Recall.ts"
import type { ReplyExchange } from "./reply/ReplyExchange.ts"
import * as SendBatch from "./bulk/SendBatch.ts"
import { notSent, type SendError } from "./send/SendError.ts"
import type { SendOptions } from "./send/SendOptions.ts"
import * as QueuedSend from "./bulk/QueuedSend.ts"
import * as SendStream from "./bulk/SendStream.ts"
import type { SendEngine } from "./send/SendEngine.ts"
import * as StartSend from "./send/StartSend.ts"
import * as TypedSends from "./TypedSends.ts"
import type { TopicPublishInfoTable } from "./queue/TopicPublishInfo.ts"

/** The ways in which a producer sends messages, and takes them back. */
export interface ProducerSends extends TypedSends.TypedSends {
  /**
   * Sends a message and waits until a broker has stored it. Fails with a `SendError` that says why, what became of the
   * message, and what was tried.
   */
  readonly send: (message: Message, options?: SendOptions) => Effect.Effect<SendResult, SendError>
  /**
   * Sends a message that nobody acknowledges; succeeds when its bytes have been handed to the socket. Best effort: what
   * the connection took and the broker never read is lost, and nothing tells of it.
   */
  readonly sendOneway: (message: Message, options?: SendOptions) => Effect.Effect<void, SendError>
  /**
   * Sends messages for one topic together; they are stored one behind the other, all or none. `MessageBatch.check` has the
   * rules, and `MessageBatch.split` cuts a list that is too long.
   */
  readonly sendBatch: (
    messages: ReadonlyArray<Message>,
    options?: SendOptions
  ) => Effect.Effect<SendBatch.SendBatchResult, SendError>
  /**
   * A send in two steps: the outer effect ends when the message has its place in the order of its queue, and waits while
   * more than `maxQueuedSends` are under way; the inner one ends when a broker has stored it. Messages of one queue are
   * stored in the order in which the outer effects ended. Whoever does not want the inner effect need not run it.
   */
  readonly sendQueued: QueuedSend.SendQueued
  /** Sends a stream of messages; gives the results in the order of the messages. The first failure ends it. */
  readonly sendAll: SendStream.SendStreams["sendAll"]
  /** Sends what it is given, 64 messages at once; gives how many were stored. */
  readonly sink: Sink.Sink<number, Message, never, SendError>
  /**
   * Takes back a message that waits for its exact time, by the handle of its send's result; gives the message's id. Needs a
   * broker from 5.3 on with `recallMessageEnable`.
   */
  readonly recallMessage: Recall.Recall
  /**
   * Sends a message and waits until a consumer has replied to it. Fails with a `SendError` when the message could not be
   * sent, with `RequestReplyTimeout` when no reply came in time (of the request as a whole, a bare number is milliseconds),
   * and with `RequestReplyClosed` when the producer was shut down meanwhile.
   */
  readonly request: ReplyExchange["request"]
  /**
   * Replies to a request that was consumed. Succeeds when the requester has taken the reply; fails with a `SendError` when
   * it could not be reached, and with `NotARequest` when the message does not ask for a reply.
   */
  readonly reply: ReplyExchange["reply"]
  /** The queues of a topic that can be written, for {@link SendOptions.queue}. */
  readonly fetchPublishMessageQueues: (topic: string) => Effect.Effect<ReadonlyArray<MessageQueue>, SendError>
}

/** {@link ProducerSends} of a producer that runs. */
export interface RunningSends extends Pick<ProducerSends, "send" | "sendBatch" | "sendQueued" | "recallMessage"> {
  /** How `send` is begun by a callback; undefined where messages wait for one another. */
  readonly start: StartSend.StartSend | undefined
  /** Sends at once what waits for others; from now on nothing waits. */
  readonly close: () => void
}

/** The parts of a running producer that send. */
export interface SendParts {
  readonly engine: SendEngine
  readonly sends: RunningSends
  readonly requests: ReplyExchange
}

/** Makes the ways in which a running producer sends; what belongs to no caller belongs to the scope. */
export const make = Effect.fnUntraced(function* (
  config: ProducerConfig,
  instance: MQClientInstanceShape,
  table: TopicPublishInfoTable,
  uniqueIds: UniqueIds,
  engine: SendEngine,
  { illegal, refusal }: Pick<LifeContext, "illegal" | "refusal">
): Effect.fn.Return<RunningSends, never, Scope.Scope> {
  const clock = yield* Clock.Clock
  const newId = () => uniqueIds(Math.floor(clock.currentTimeMillisUnsafe()))
  const fork = yield* Fork.make
  const end = () => illegal("send")
  const accumulator = config.autoBatch ? yield* ProduceAccumulator.make(config, engine, newId, fork, end) : undefined
  return {
    send: accumulator?.send ?? engine.send,
    start: accumulator === undefined ? engine.start : undefined,
    sendBatch: SendBatch.make(config, engine, newId),
    sendQueued: yield* QueuedSend.make(config, engine, table, newId, fork, end),
    recallMessage: Recall.make(config, instance, table, () => refusal("recall")),
    close: () => accumulator?.close()
  }
})

/** The ways to send of a producer that may not be running: asked at every send, and refused while it is not. */
export const facade = (
  parts: () => SendParts | undefined,
  illegal: (action: string) => IllegalServiceState,
  namespace: string | undefined
): ProducerSends => {
  const refuse = (topic: string) => Effect.fail(notSent(topic, illegal("send")))
  // What a producer holds stays the same from its start on: it need not be looked up for every message.
  let known: SendParts | undefined
  const running = () => (known ??= parts())
  const send: ProducerSends["send"] = (message, options) => {
    const now = running()
    return now === undefined
      ? Effect.suspend(() => running()?.sends.send(message, options) ?? refuse(message.topic))
      : now.sends.send(message, options)
  }
  StartSend.register(send, () => running()?.sends.start)
  const sendQueued: ProducerSends["sendQueued"] = (message, options) =>
    Effect.suspend(() => running()?.sends.sendQueued(message, options) ?? refuse(message.topic))
  const forms: TypedSends.MessageForms = {
    send,
    sendQueued,
    sendOneway: (message, options) =>
      Effect.suspend(() => running()?.engine.sendOneway(message, options) ?? refuse(message.topic)),
    sendBatch: (messages, options) =>
      Effect.suspend(() => running()?.sends.sendBatch(messages, options) ?? refuse(messages[0]?.topic ?? "")),
    request: (message, timeout, options) =>
      Effect.suspend(() => running()?.requests.request(message, timeout, options) ?? refuse(message.topic))
  }
  return {
    ...forms,
    ...SendStream.make(send, sendQueued),
    ...TypedSends.make(forms),
    recallMessage: (topic, recallHandle, options) =>
      Effect.suspend(
        () =>
          running()?.sends.recallMessage(topic, recallHandle, options) ??
          Effect.fail(new Recall.RecallError({ topic, reason: illegal("recall") }))
      ),
    reply: (request, input, options) =>
      Effect.suspend(() => running()?.requests.reply(request, input, options) ?? refuse(request.topic)),
    fetchPublishMessageQueues: (topic) =>
      Effect.suspend(
        () => running()?.engine.fetchPublishMessageQueues(Namespace.unwrap(namespace, topic)) ?? refuse(topic)
      )
  }
}
