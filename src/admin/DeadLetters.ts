import { Clock, Effect, Random, Result } from "effect"
import { RouteUnavailable } from "../client/ClientError.ts"
import * as RouteQueues from "../client/RouteQueues.ts"
import { type MessageExt, keysOf } from "../message/MessageExt.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import { CLIENT_INNER_PRODUCER_GROUP, DEFAULT_TOPIC_QUEUE_NUMS, retryTopic } from "../message/MixAll.ts"
import * as MessageProperties from "../protocol/MessageProperties.ts"
import * as SendMessage from "../protocol/request/SendMessage.ts"
import { monotonicMillis } from "../transport/Deadline.ts"
import { type AdminContext, failing } from "./AdminContext.ts"
import type { AdminError } from "./AdminError.ts"
import type { Queries } from "./Queries.ts"

const { MessageConst } = MessageProperties

/** A dead letter that is to be replayed. */
export interface ReplayOptions {
  /** The group that gave it up. */
  readonly group: string
  /** The dead letter as it is stored: with `bodies: "stored"`, so that a packed body stays packed. */
  readonly message: MessageExt
  /** The broker that it was read from. */
  readonly brokerName: string
  /**
   * `group` has only the group that gave it up get it again, by its retry topic, as if it had failed for the first time;
   * `topic` sends it to the topic that it came from, where every group gets it.
   */
  readonly to: "group" | "topic"
}

/**
 * What became of a replay: sent now; found to have been sent before; not sent, because nothing says where the dead letter came
 * from; or sent, and not found by its key, so that a further call would send it again.
 */
export type ReplayOutcome = "sent" | "already-replayed" | "no-origin" | "not-indexed"

/** The calls about dead letters. */
export interface DeadLetters {
  /** The topic that a dead letter was sent to first; undefined where nothing says so. */
  readonly originOfDeadLetter: (message: MessageExt) => string | undefined
  /** Whether a dead letter was replayed: whether the group's retry topic or the origin has a message with its replay key. */
  readonly isReplayed: (options: Omit<ReplayOptions, "to">) => Effect.Effect<boolean, AdminError>
  /**
   * Sends a dead letter once more, with its id, keys, tag and user's properties, and the property `REPLAY_OF`. The value of
   * that is one of its keys too, by which a replay is found: a dead letter that was replayed is not sent again, whoever did it,
   * and also where nobody heard the answer. It is sent once and asked for, never repeated. Brokers find it where they index
   * keys (`messageIndexEnable`, their default); two that replay the same at the same moment do not see each other.
   *
   * Source: RocketMQ `DefaultMQPushConsumerImpl.sendMessageBackAsNormalMessage`, for the form of a message that is tried again.
   */
  readonly replayDeadLetter: (options: ReplayOptions) => Effect.Effect<ReplayOutcome, AdminError>
}

/** The property that says of which dead letter a message is the replay. */
export const REPLAY_OF = "REPLAY_OF"
const KEY_PREFIX = "replay-of:"

/** How long a broker may take to index what it has stored, in milliseconds, and how often it is asked. */
const INDEX_MILLIS = 5_000
const INDEX_POLL_MILLIS = 50

/** Java's limit where none is set. */
const MAX_RECONSUME_TIMES = 16

/** What of the properties that RocketMQ sets is the sender's: all others tell of a way that is over. */
const carried: ReadonlySet<string> = new Set([
  MessageConst.TAGS,
  MessageConst.UNIQ_KEY,
  MessageConst.BUYER_ID,
  MessageConst.CORRELATION_ID,
  MessageConst.MESSAGE_REPLY_TO_CLIENT,
  MessageConst.MESSAGE_TTL
])

/** The key of a dead letter's replay: its place, which no other message has had or will have, whatever a broker's address. */
export const replayKey = (message: MessageExt, brokerName: string): string =>
  `${KEY_PREFIX}${encodeURIComponent(brokerName)}:${message.commitLogOffset}:${message.storeTimestamp}`

/** Failures after which nobody knows whether the broker has stored the message. */
const unheard: ReadonlySet<string> = new Set(["RequestTimeout", "ConnectionClosed", "UnreadableAnswer"])

const originOf = ({ properties }: MessageExt): string | undefined =>
  properties[MessageConst.RETRY_TOPIC] ?? properties[MessageConst.DLQ_ORIGIN_TOPIC]

const propertiesOf = ({ brokerName, message, to }: ReplayOptions, origin: string): Readonly<Record<string, string>> => {
  const key = replayKey(message, brokerName)
  const kept = Object.entries(message.properties).filter(
    ([name]) => carried.has(name) || (!MessageProperties.isReserved(name) && name !== REPLAY_OF)
  )
  const keys = keysOf(message.properties[MessageConst.KEYS]).filter((one) => !one.startsWith(KEY_PREFIX))
  const back = {
    [MessageConst.RETRY_TOPIC]: origin,
    [MessageConst.ORIGIN_MESSAGE_ID]: message.properties[MessageConst.ORIGIN_MESSAGE_ID] ?? message.offsetMsgId
  }
  return {
    ...Object.fromEntries(kept),
    [MessageConst.KEYS]: [...keys, key].join(" "),
    [MessageConst.WAIT_STORE_MSG_OK]: "true",
    [REPLAY_OF]: key,
    ...(to === "group" ? back : {})
  }
}

/** Makes the calls about dead letters. */
export const make = (context: AdminContext, { queryMessageByKey }: Pick<Queries, "queryMessageByKey">): DeadLetters => {
  const { instance, timeoutMillis, unwrap } = context
  const { api, routes } = instance

  const found = (topic: string, key: string) =>
    queryMessageByKey(topic, key, { bodies: "stored", maxNum: 1 }).pipe(
      Effect.map(({ length }) => length > 0),
      // A topic that is not there has no replay.
      Effect.catchIf(
        ({ reason }) => reason._tag === "RouteUnavailable" && reason.problem === "topic-absent",
        () => Effect.succeed(false)
      )
    )

  const isReplayed: DeadLetters["isReplayed"] = ({ brokerName, group, message }) => {
    const key = replayKey(message, brokerName)
    const origin = originOf(message)
    const topics = [retryTopic(group), ...(origin === undefined ? [] : [unwrap(origin)])]
    return Effect.map(
      Effect.forEach(topics, (topic) => found(topic, key)),
      (answers) => answers.includes(true)
    )
  }

  /** A queue that takes messages, and where to send to. */
  const place = Effect.fnUntraced(function* (topic: string) {
    const random = yield* Random.Random
    const { data } = yield* routes.updateTopicRouteInfoFromNameServer(topic, undefined)
    const { queues } = RouteQueues.writable(topic, data)
    const queue = queues[Math.floor(random.nextDoubleUnsafe() * queues.length)]
    const address = queue === undefined ? undefined : routes.findBrokerAddressInPublish(queue.brokerName)
    if (queue === undefined || address === undefined) {
      return yield* new RouteUnavailable({ topic, problem: "no-writable-queue", tries: [] })
    }
    return { queue, address }
  })

  const requestOf = (options: ReplayOptions, topic: string, origin: string, queue: MessageQueue) =>
    SendMessage.request(
      {
        producerGroup: CLIENT_INNER_PRODUCER_GROUP,
        topic,
        defaultTopic: instance.config.createTopicKey,
        defaultTopicQueueNums: DEFAULT_TOPIC_QUEUE_NUMS,
        queueId: queue.queueId,
        sysFlag: options.message.sysFlag,
        bornTimestamp: options.message.bornTimestamp,
        flag: options.message.flag,
        properties: MessageProperties.encode(propertiesOf(options, origin)),
        reconsumeTimes: 0,
        // A broker of before 5.0 buries what comes to the retry topic of a group without retries, unless it is told.
        maxReconsumeTimes: MAX_RECONSUME_TIMES,
        unitMode: instance.config.unitMode,
        batch: false,
        brokerName: queue.brokerName
      },
      options.message.body,
      "V2"
    )

  /** Waits until the replay is found by its key. */
  const awaitIndex = Effect.fnUntraced(function* (options: ReplayOptions) {
    const now = monotonicMillis(yield* Clock.Clock)
    const deadline = now() + INDEX_MILLIS
    for (;;) {
      if (yield* isReplayed(options)) return true
      if (now() + INDEX_POLL_MILLIS > deadline) return false
      yield* Effect.sleep(INDEX_POLL_MILLIS)
    }
  })

  const replay = Effect.fnUntraced(function* (options: ReplayOptions): Effect.fn.Return<ReplayOutcome, AdminError> {
    const { group, message, to } = options
    const operation = `replay message ${message.msgId} of the dead letters of group ${group}`
    const origin = originOf(message)
    if (origin === undefined) return "no-origin"
    if (yield* isReplayed(options)) return "already-replayed"
    const topic = to === "group" ? retryTopic(group) : unwrap(origin)
    const { address, queue } = yield* place(topic).pipe(failing(operation))
    const sent = yield* Effect.result(
      api
        .call(address, requestOf(options, topic, origin, queue), timeoutMillis, SendMessage.decodeResponse)
        .pipe(failing(operation))
    )
    // Without an answer it may be stored all the same; what is not found can be replayed again.
    if (Result.isFailure(sent) && !unheard.has(sent.failure.reason._tag)) return yield* Effect.fail(sent.failure)
    if (yield* awaitIndex(options)) return "sent"
    return Result.isFailure(sent) ? yield* Effect.fail(sent.failure) : "not-indexed"
  })

  return {
    originOfDeadLetter: (message) => {
      const origin = originOf(message)
      return origin === undefined ? undefined : unwrap(origin)
    },
    isReplayed,
    replayDeadLetter: replay
  }
}
