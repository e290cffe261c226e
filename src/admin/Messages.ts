import { Effect } from "effect"
import { UnreadableAnswer } from "../client/ClientError.ts"
import * as RouteQueues from "../client/RouteQueues.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import * as MessageId from "../message/MessageId.ts"
import * as MessageQueues from "../message/MessageQueue.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import { MASTER_ID } from "../message/MixAll.ts"
import * as GetMaxOffset from "../protocol/request/GetMaxOffset.ts"
import * as GetMinOffset from "../protocol/request/GetMinOffset.ts"
import * as PullMessage from "../protocol/request/PullMessage.ts"
import * as ViewMessageById from "../protocol/request/ViewMessageById.ts"
import { RequestCode, requestCodeName } from "../protocol/RequestCode.ts"
import { type AdminContext, failing } from "./AdminContext.ts"
import { type AdminError, InvalidMessageId } from "./AdminError.ts"
import { type ReadOptions, unpackFirst, unpackOr } from "./Bodies.ts"

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
 * The calls about queues and what is in them. Bodies are unpacked unless {@link ReadOptions} say otherwise, and their
 * `SysFlag.COMPRESSED` is cleared then; a body that cannot be unpacked (it is damaged or too large, or LZ4 without
 * `lz4-napi`) stays as it is stored, with the flag set.
 */
export interface Messages {
  /** The queues of a topic that can be read, sorted by broker name and queue id. */
  readonly fetchSubscribeMessageQueues: (topic: string) => Effect.Effect<ReadonlyArray<MessageQueue>, AdminError>
  /** The offset of the oldest message that a queue still has. */
  readonly minOffset: (queue: MessageQueue) => Effect.Effect<number, AdminError>
  /** The offset that the next message of a queue will get. */
  readonly maxOffset: (queue: MessageQueue) => Effect.Effect<number, AdminError>
  /**
   * Up to `maxNums` messages of a queue from an offset on, without waiting for new ones. Brokers give 32 at most; there are
   * fewer where more would not go into 64 MiB unpacked, and `nextBeginOffset` is where the rest begins.
   */
  readonly pull: (
    queue: MessageQueue,
    offset: number,
    maxNums: number,
    options?: ReadOptions
  ) => Effect.Effect<PullResult, AdminError>
  /** A message with its body unpacked; as it is stored, with `SysFlag.COMPRESSED` set, where that cannot be done. */
  readonly unpack: (message: MessageExt) => Effect.Effect<MessageExt>
  /** The message with an offset message id, from the broker that the id names. */
  readonly viewMessage: (offsetMsgId: string) => Effect.Effect<MessageExt, AdminError>
}

/** The consumer group of RocketMQ's own tools, which every broker knows. Source: RocketMQ `MixAll.TOOLS_CONSUMER_GROUP`. */
const TOOLS_CONSUMER_GROUP = "TOOLS_CONSUMER"

/** How long a pull without waiting may take, in milliseconds (Java `consumerPullTimeoutMillis`). */
const PULL_TIMEOUT_MILLIS = 10_000

const statuses = {
  Found: "FOUND",
  NoNewMessage: "NO_NEW_MSG",
  NoMatchedMessage: "NO_MATCHED_MSG",
  OffsetIllegal: "OFFSET_ILLEGAL"
} as const

/** Makes the calls about messages. Source: RocketMQ `MQAdminImpl`, `DefaultMQPullConsumerImpl`. */
export const make = ({ addressOf, instance, dialled, timeoutMillis }: AdminContext): Messages => {
  const { api, pulled, routes } = instance

  const readRoute = (topic: string) => routes.updateTopicRouteInfoFromNameServer(topic, undefined)

  const pull = Effect.fnUntraced(function* (
    queue: MessageQueue,
    from: number,
    maxNums: number,
    options: ReadOptions | undefined
  ) {
    const address = yield* addressOf(queue)
    const outcome = yield* pulled.pull(
      address,
      {
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
      },
      PULL_TIMEOUT_MILLIS
    )
    const found = outcome._tag === "Found" ? outcome.messages : []
    const messages = options?.bodies === "stored" ? found : yield* unpackFirst(pulled, found)
    const result: PullResult = {
      status: statuses[outcome._tag],
      nextBeginOffset: found[messages.length]?.queueOffset ?? outcome.nextBeginOffset,
      minOffset: outcome.minOffset,
      maxOffset: outcome.maxOffset,
      messages
    }
    return result
  })

  const view = Effect.fnUntraced(function* (address: string, offset: bigint) {
    const stored = yield* api.call(
      address,
      ViewMessageById.request({ offset: Number(offset) }),
      timeoutMillis,
      (response) => response.body
    )
    const [message] = yield* pulled.read(address, RequestCode.VIEW_MESSAGE_BY_ID, stored, 1)
    if (message === undefined) {
      const request = requestCodeName(RequestCode.VIEW_MESSAGE_BY_ID)
      return yield* new UnreadableAnswer({ address, request, detail: "it holds no message" })
    }
    return yield* unpackOr(pulled, message)
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
    pull: (queue, from, maxNums, options) =>
      pull(queue, from, maxNums, options).pipe(failing(`pull from ${MessageQueues.key(queue)} at ${from}`)),
    unpack: (message) => unpackOr(pulled, message),
    viewMessage: (offsetMsgId) => {
      const id = MessageId.decodeOffsetMessageId(offsetMsgId)
      const operation = `view message ${offsetMsgId}`
      return id === undefined || id.offset > BigInt(Number.MAX_SAFE_INTEGER)
        ? Effect.fail(new InvalidMessageId({ msgId: offsetMsgId })).pipe(failing(operation))
        : // The id has the address that the broker knows of itself, and no broker name.
          dialled({ brokerName: "", brokerId: MASTER_ID, address: id.address }).pipe(
            Effect.flatMap((address) => view(address, id.offset)),
            failing(operation)
          )
    }
  }
}
