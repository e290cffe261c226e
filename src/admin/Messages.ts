import { Effect } from "effect"
import { UnreadableAnswer } from "../client/ClientError.ts"
import * as RouteQueues from "../client/RouteQueues.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import * as MessageId from "../message/MessageId.ts"
import * as MessageQueues from "../message/MessageQueue.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import { MASTER_ID } from "../message/MixAll.ts"
import { SysFlag } from "../message/SysFlag.ts"
import * as Compression from "../protocol/Compression.ts"
import * as MessageCodec from "../protocol/MessageCodec.ts"
import * as GetMaxOffset from "../protocol/request/GetMaxOffset.ts"
import * as GetMinOffset from "../protocol/request/GetMinOffset.ts"
import * as PullMessage from "../protocol/request/PullMessage.ts"
import * as ViewMessageById from "../protocol/request/ViewMessageById.ts"
import { RequestCode, requestCodeName } from "../protocol/RequestCode.ts"
import { type AdminContext, failing } from "./AdminContext.ts"
import { type AdminError, InvalidMessageId } from "./AdminError.ts"

/** What came of a pull. Source: RocketMQ `PullResult`. */
export interface PullResult {
  /**
   * `FOUND`, or why there is no message: nothing new, nothing that matches, or an offset that the queue does not have.
   */
  readonly status: PullMessage.PullStatus
  /** Where to pull from next. */
  readonly nextBeginOffset: number
  /** The offset of the oldest message that the queue still had. */
  readonly minOffset: number
  /** The offset that the next message of the queue will get, when the pull was answered. */
  readonly maxOffset: number
  /** In the order of the queue; empty unless `FOUND`. */
  readonly messages: ReadonlyArray<MessageExt>
}

/**
 * The calls about queues and what is in them. Bodies are unpacked, and their `SysFlag.COMPRESSED` is cleared then; a body
 * that cannot be unpacked (LZ4) stays as it is stored, with the flag set.
 */
export interface Messages {
  /** The queues of a topic that can be read, sorted by broker name and queue id. */
  readonly fetchSubscribeMessageQueues: (topic: string) => Effect.Effect<ReadonlyArray<MessageQueue>, AdminError>
  /** The offset of the oldest message that a queue still has. */
  readonly minOffset: (queue: MessageQueue) => Effect.Effect<number, AdminError>
  /** The offset that the next message of a queue will get. */
  readonly maxOffset: (queue: MessageQueue) => Effect.Effect<number, AdminError>
  /** Up to `maxNums` messages of a queue from an offset on, without waiting for new ones. Brokers give 32 at most. */
  readonly pull: (queue: MessageQueue, offset: number, maxNums: number) => Effect.Effect<PullResult, AdminError>
  /** The message with an offset message id, from the broker that the id names. */
  readonly viewMessage: (offsetMsgId: string) => Effect.Effect<MessageExt, AdminError>
}

/** The consumer group of RocketMQ's own tools, which every broker knows. Source: RocketMQ `MixAll.TOOLS_CONSUMER_GROUP`. */
const TOOLS_CONSUMER_GROUP = "TOOLS_CONSUMER"

/** How long a pull without waiting may take, in milliseconds (Java `consumerPullTimeoutMillis`). */
const PULL_TIMEOUT_MILLIS = 10_000

/** A message with its body unpacked, where this process has the codec. */
export const unpack = (message: MessageExt): MessageExt => {
  if (Compression.compressionOf(message.sysFlag) === undefined) return message
  const body = Compression.decompress(message.body, message.sysFlag)
  return body instanceof Compression.CompressionError
    ? message
    : { ...message, body, sysFlag: message.sysFlag & ~(SysFlag.COMPRESSED | SysFlag.COMPRESSION_MASK) }
}

/** Makes the calls about messages. Source: RocketMQ `MQAdminImpl`, `DefaultMQPullConsumerImpl`. */
export const make = ({ addressOf, instance, dialled, timeoutMillis, unwrapMessage }: AdminContext): Messages => {
  const { api, routes } = instance
  const readable = (message: MessageExt) => unwrapMessage(unpack(message))

  const readRoute = (topic: string) => routes.updateTopicRouteInfoFromNameServer(topic, undefined)

  const pull = Effect.fnUntraced(function* (queue: MessageQueue, from: number, maxNums: number) {
    const address = yield* addressOf(queue)
    const answer = yield* api.pullMessage(
      address,
      PullMessage.request({
        consumerGroup: TOOLS_CONSUMER_GROUP,
        topic: queue.topic,
        queueId: queue.queueId,
        queueOffset: from,
        maxMsgNums: maxNums,
        sysFlag: PullMessage.PullSysFlag.SUBSCRIPTION,
        commitOffset: 0,
        suspendTimeoutMillis: 0,
        subscription: "*",
        subVersion: 0,
        expressionType: "TAG",
        brokerName: queue.brokerName
      }),
      PULL_TIMEOUT_MILLIS
    )
    const { error, messages } = MessageCodec.decodeAll(answer.body, RequestCode.PULL_MESSAGE)
    if (error !== undefined && messages.length === 0) {
      return yield* new UnreadableAnswer({
        address,
        request: requestCodeName(RequestCode.PULL_MESSAGE),
        detail: error.message
      })
    }
    const result: PullResult = {
      status: answer.status,
      nextBeginOffset: answer.nextBeginOffset,
      minOffset: answer.minOffset,
      maxOffset: answer.maxOffset,
      messages: messages.map(readable)
    }
    return result
  })

  return {
    fetchSubscribeMessageQueues: (topic) =>
      readRoute(topic).pipe(
        Effect.map(({ data }) => RouteQueues.readable(topic, data)),
        failing(`list the queues of topic ${topic}`)
      ),
    minOffset: (queue) =>
      addressOf(queue).pipe(
        Effect.flatMap((address) =>
          api.call(address, GetMinOffset.request(queue), timeoutMillis, GetMinOffset.decodeResponse)
        ),
        Effect.map((answer) => answer.offset),
        failing(`read the least offset of ${MessageQueues.key(queue)}`)
      ),
    maxOffset: (queue) =>
      addressOf(queue).pipe(
        Effect.flatMap((address) =>
          api.call(address, GetMaxOffset.request(queue), timeoutMillis, GetMaxOffset.decodeResponse)
        ),
        Effect.map((answer) => answer.offset),
        failing(`read the greatest offset of ${MessageQueues.key(queue)}`)
      ),
    pull: (queue, from, maxNums) =>
      pull(queue, from, maxNums).pipe(failing(`pull from ${MessageQueues.key(queue)} at ${from}`)),
    viewMessage: (offsetMsgId) => {
      const id = MessageId.decodeOffsetMessageId(offsetMsgId)
      const operation = `view message ${offsetMsgId}`
      return id === undefined || id.offset > BigInt(Number.MAX_SAFE_INTEGER)
        ? Effect.fail(new InvalidMessageId({ msgId: offsetMsgId })).pipe(failing(operation))
        : // The id has the address that the broker knows of itself, and no broker name.
          dialled({ brokerName: "", brokerId: MASTER_ID, address: id.address }).pipe(
            Effect.flatMap((address) =>
              api.call(
                address,
                ViewMessageById.request({ offset: Number(id.offset) }),
                timeoutMillis,
                ViewMessageById.decodeResponse
              )
            ),
            Effect.map(readable),
            failing(operation)
          )
    }
  }
}
