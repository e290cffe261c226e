import { Clock, Effect, Result } from "effect"
import { boundedBrokers } from "../client/RouteBounds.ts"
import { absentOn } from "../client/MQClientApi.ts"
import type { MessageExt } from "../message/MessageExt.ts"
import * as MessageId from "../message/MessageId.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import { MASTER_ID } from "../message/MixAll.ts"
import * as QueryMessage from "../protocol/request/QueryMessage.ts"
import { RequestCode } from "../protocol/RequestCode.ts"
import { ResponseCode } from "../protocol/ResponseCode.ts"
import * as Address from "../transport/Address.ts"
import { type AdminContext, type BrokerAddress, failing } from "./AdminContext.ts"
import { type AdminError, MessageNotFound } from "./AdminError.ts"
import { type ReadOptions, unpackFirst } from "./Bodies.ts"
import { BROKERS_AT_ONCE, type Counted, gather } from "./Gather.ts"
import type { Messages } from "./Messages.ts"
import type { Offsets } from "./Offsets.ts"
import { readInOrder } from "./QueueReader.ts"

/** A span of time, how much of it, and how the bodies are handed out. */
export interface QueryOptions extends ReadOptions {
  /** Milliseconds since the epoch; default everything. */
  readonly begin?: number | undefined
  /** Milliseconds since the epoch, included; default everything. */
  readonly end?: number | undefined
  /** How many messages at most; default 64 of each broker (mqadmin's `-c`). */
  readonly maxNum?: number | undefined
}

/** A message and the broker that has it. */
export interface FoundMessage extends MessageExt {
  /** The broker's name. */
  readonly brokerName: string
}

/**
 * The calls that find messages, oldest first. Bodies are unpacked as in {@link Messages}; those that would go beyond 64 MiB
 * together stay as they are stored, with `SysFlag.COMPRESSED` set.
 */
export interface Queries {
  /** The messages of a topic with a key, oldest first; none is no failure. */
  readonly queryMessageByKey: (
    topic: string,
    key: string,
    options?: QueryOptions
  ) => Effect.Effect<ReadonlyArray<FoundMessage>, AdminError>
  /**
   * The message with an id: a sender's (`msgId`), or one of a place in the log (`offsetMsgId`), which only brokers on the
   * topic's route are asked for. Fails with `MessageNotFound`.
   */
  readonly queryMessageById: (topic: string, msgId: string) => Effect.Effect<FoundMessage, AdminError>
  /** The messages of a topic that were stored in a span of time, oldest first. */
  readonly queryMessageByTime: (
    topic: string,
    options?: QueryOptions
  ) => Effect.Effect<ReadonlyArray<FoundMessage>, AdminError>
}

/** Java asks for ids of the last three days; so old a message is rarely asked for, and an index of more is slow. */
const UNIQUE_QUERY_SPAN_MILLIS = 3 * 24 * 60 * 60 * 1_000
const UNIQUE_QUERY_MAX = 32
const DEFAULT_MAX = 64
const NO_END = 9_223_372_036_854_775_807n

const byStoreTime = (a: MessageExt, b: MessageExt) =>
  a.storeTimestamp - b.storeTimestamp || a.commitLogOffset - b.commitLogOffset

/**
 * Makes the calls that find messages. That a key is a unique id is said by `indexType` alone: servers of 4.x leave the
 * older field `_UNIQUE_KEY_QUERY` out of what they take to be signed, and servers of 5.x do not, so that with it no
 * signature would be right on both. All that it does besides is to set `maxNum` to 32, which is asked for here.
 *
 * Source: RocketMQ `MQAdminImpl.queryMessage`, `PrintMessageSubCommand`.
 */
export const make = (
  context: AdminContext,
  messages: Pick<
    Messages,
    "fetchSubscribeMessageQueues" | "maxOffset" | "minOffset" | "pull" | "unpack" | "viewMessage"
  >,
  { searchOffset }: Pick<Offsets, "searchOffset">
): Queries => {
  const { dialled, instance, routeOf, timeoutMillis } = context
  const { api, pulled } = instance

  /** One address of each broker of a topic: its master, or a slave where there is no master. */
  const brokersOf = Effect.fnUntraced(function* (topic: string) {
    const { brokers } = boundedBrokers((yield* routeOf(topic)).brokerDatas)
    return yield* Effect.forEach(
      brokers.flatMap(({ brokerAddrs, brokerName }) => {
        const master = brokerAddrs.get(MASTER_ID)
        const [first] = master === undefined ? [...brokerAddrs] : [[MASTER_ID, master] as const]
        return first === undefined ? [] : [{ brokerName, brokerId: first[0], address: first[1] }]
      }),
      (endpoint) =>
        Effect.map(dialled(endpoint), (address) => ({
          brokerName: endpoint.brokerName,
          announced: Address.canonicalText(endpoint.address),
          address
        }))
    )
  })

  const ask = Effect.fnUntraced(function* (
    { address, brokerName }: BrokerAddress,
    header: QueryMessage.QueryMessageHeader,
    counted: Counted
  ) {
    const answer = yield* api
      .call(address, QueryMessage.request(header), timeoutMillis, counted(QueryMessage.decodeResponse))
      .pipe(absentOn(ResponseCode.QUERY_NOT_FOUND))
    if (answer === undefined) return []
    const found = yield* pulled.read(address, RequestCode.QUERY_MESSAGE, answer.body, header.maxNum)
    return found.map((message): FoundMessage => ({ ...message, brokerName }))
  })

  /** With the bodies as they are asked for. */
  const handedOut = Effect.fnUntraced(function* (found: ReadonlyArray<FoundMessage>, options: ReadOptions) {
    if (options.bodies === "stored") return found
    const unpacked = yield* unpackFirst(pulled, found)
    return [...unpacked, ...found.slice(unpacked.length)]
  })

  /**
   * Asks every broker of a topic. What one of them cannot say does not matter while another has found something; where
   * nothing was found it does, because then nobody knows.
   */
  const query = Effect.fnUntraced(function* (
    header: QueryMessage.QueryMessageHeader,
    keep: (message: MessageExt) => boolean
  ) {
    const brokers = yield* brokersOf(header.topic)
    const answers = yield* gather(`messages of topic ${header.topic}`, brokers, (broker, counted) =>
      Effect.result(ask(broker, header, counted))
    )
    const found = answers
      .flatMap((answer) => (Result.isSuccess(answer) ? answer.success : []))
      .filter(keep)
      .toSorted(byStoreTime)
    const failed = answers.find(Result.isFailure)
    if (found.length === 0 && failed !== undefined) return yield* Effect.fail(failed.failure)
    return { brokers, found }
  })

  const byKey = (topic: string, key: string, { begin = 0, end, maxNum = DEFAULT_MAX }: QueryOptions) =>
    query(
      {
        topic,
        key,
        maxNum,
        beginTimestamp: BigInt(begin),
        endTimestamp: end === undefined ? NO_END : BigInt(end),
        indexType: "K"
      },
      // The index is by hash: what only shares the hash is left out.
      (message) => message.topic === topic && message.keys.includes(key)
    )

  const byId = Effect.fnUntraced(function* (topic: string, msgId: string) {
    const clock = yield* Clock.Clock
    const { brokers, found } = yield* query(
      {
        topic,
        key: msgId,
        maxNum: UNIQUE_QUERY_MAX,
        beginTimestamp: BigInt(Math.max(0, clock.currentTimeMillisUnsafe() - UNIQUE_QUERY_SPAN_MILLIS)),
        endTimestamp: NO_END,
        indexType: "U"
      },
      (message) => message.msgId === msgId
    )
    const [first] = found
    if (first !== undefined) return { ...first, ...(yield* messages.unpack(first)) }
    // A sender's id looks like a place in a log too, of an address that nobody should be sent to.
    const place = MessageId.decodeOffsetMessageId(msgId)
    const home = brokers.find(
      ({ announced }) => place !== undefined && announced === Address.canonicalText(place.address)
    )
    if (home !== undefined) {
      const message = yield* messages.viewMessage(msgId).pipe(
        Effect.catchIf(
          ({ reason }) => reason._tag === "BrokerRejected",
          () => Effect.succeed(undefined)
        ),
        Effect.catchTag("AdminError", ({ reason }) => Effect.fail(reason))
      )
      if (message?.topic === topic) return { ...message, brokerName: home.brokerName }
    }
    return yield* new MessageNotFound({ topic, msgId, brokers: brokers.map(({ brokerName }) => brokerName) })
  })

  /** The part of a queue in which the messages stored since `begin` lie. */
  const since = Effect.fnUntraced(function* (queue: MessageQueue, begin: number | undefined) {
    const to = yield* messages.maxOffset(queue)
    // Brokers before 5.0 give the nearest message, and any of several of one time; the one before is never too late.
    const from = yield* begin === undefined ? messages.minOffset(queue) : searchOffset(queue, Math.max(0, begin - 1))
    return { queue, from, to }
  })

  const byTime = Effect.fnUntraced(function* (topic: string, options: QueryOptions) {
    const { begin, end = Infinity, maxNum = DEFAULT_MAX } = options
    const queues = yield* messages.fetchSubscribeMessageQueues(topic)
    const ranges = yield* Effect.forEach(queues, (queue) => since(queue, begin), { concurrency: BROKERS_AT_ONCE })
    const found: Array<FoundMessage> = []
    yield* readInOrder(messages, ranges, maxNum, ({ message, queue: { brokerName } }) =>
      Effect.sync(() => {
        if (message.storeTimestamp > end) return false
        if (message.storeTimestamp >= (begin ?? 0)) found.push({ ...message, brokerName })
        return found.length < maxNum
      })
    )
    return yield* handedOut(found.toSorted(byStoreTime), options)
  })

  return {
    queryMessageByKey: (topic, key, options = {}) =>
      byKey(topic, key, options).pipe(
        Effect.flatMap(({ found }) => handedOut(found, options)),
        failing(`query topic ${topic} for messages with key ${key}`)
      ),
    queryMessageById: (topic, msgId) => byId(topic, msgId).pipe(failing(`query topic ${topic} for message ${msgId}`)),
    queryMessageByTime: (topic, options = {}) => byTime(topic, options)
  }
}
