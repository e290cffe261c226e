import { Arbitrary, Schema } from "effect"
import { make as makeMessage, type MessageInput } from "../message/Message.ts"
import * as MessageExt from "../message/MessageExt.ts"
import type { MessageQueue } from "../message/MessageQueue.ts"
import { RETRY_GROUP_TOPIC_PREFIX } from "../message/MixAll.ts"
import { bodyCRC } from "../protocol/MessageCodec.ts"
import { MessageConst } from "../protocol/MessageProperties.ts"

/**
 * A message as a handler gets it: the body unpacked, the topic the one that was sent to, without the namespace. It is a plain
 * value: all fields are there for spread, `JSON`, `structuredClone`, `inspect` and equality; `JSON` writes the body as an object
 * of numbers.
 *
 * Source: RocketMQ `MessageExt`, `MessageClientExt`.
 */
export interface ReceivedMessage extends MessageExt.MessageExt {
  /** The broker that it was read from. */
  readonly brokerName: string
  /** Which delivery to the group this is, over all members and restarts: 1 for the first (`reconsumeTimes` + 1). */
  readonly attempt: number
  /** The queue that it was read from: of the group's retry topic when it comes again. */
  readonly queue: MessageQueue
}

/** What a message comes to when it was read from a queue; one of the group's retry topic has the topic that it was sent to. */
export const asReceived = (
  message: MessageExt.MessageExt,
  queue: MessageQueue,
  retryTopic: string
): ReceivedMessage => {
  const origin = queue.topic === retryTopic ? message.properties[MessageConst.RETRY_TOPIC] : undefined
  return {
    ...message,
    topic: origin ?? queue.topic,
    brokerName: queue.brokerName,
    attempt: Math.max(0, message.reconsumeTimes) + 1,
    queue
  }
}

/** The message as it is delivered once more by the consumer that has it: in order, it is not given back to its broker. */
export const triedAgain = (message: ReceivedMessage): ReceivedMessage => ({
  ...message,
  reconsumeTimes: message.attempt,
  attempt: message.attempt + 1
})

/** What {@link ReceivedMessage.make} takes: a message as it is sent, and what becomes known of it on the way. */
export interface ReceivedMessageInput extends Pick<
  MessageInput,
  "body" | "flag" | "keys" | "properties" | "tags" | "topic"
> {
  /** Which delivery it is; default 1. From the second on it was read from the group's retry topic. */
  readonly attempt?: number | undefined
  /** The group whose retry topic that is; default `group`. */
  readonly consumerGroup?: string | undefined
  /** The sender's unique id; by default one that is made of the queue and the offset. */
  readonly msgId?: string | undefined
  /** The broker; default `broker-a`. */
  readonly brokerName?: string | undefined
  /** The queue's number on its broker; default 0. */
  readonly queueId?: number | undefined
  /** The position in the queue; default 0. */
  readonly queueOffset?: number | undefined
  /** When it was sent, in milliseconds since the epoch; default 0. */
  readonly bornTimestamp?: number | undefined
  /** When it was stored, in milliseconds since the epoch; by default when it was sent. */
  readonly storeTimestamp?: number | undefined
}

const HOST = "127.0.0.1:10911"

/** A text of so many hexadecimal digits. */
const hex = (value: number, digits: number): string => value.toString(16).toUpperCase().padStart(digits, "0")

const make = (input: ReceivedMessageInput): ReceivedMessage => {
  const { attempt = 1, bornTimestamp = 0, brokerName = "broker-a", consumerGroup = "group", queueId = 0 } = input
  const { queueOffset = 0, storeTimestamp = bornTimestamp, topic } = input
  const { body, flag = 0, keys = [], properties = {}, tags } = makeMessage(input)
  const retryTopic = RETRY_GROUP_TOPIC_PREFIX + consumerGroup
  const reconsumeTimes = Math.max(1, Math.floor(attempt)) - 1
  const { KEYS, RETRY_TOPIC, TAGS, UNIQ_KEY } = MessageConst
  const stored = MessageExt.make({
    topic: reconsumeTimes === 0 ? topic : retryTopic,
    body,
    properties: {
      ...properties,
      ...(keys.length === 0 ? {} : { [KEYS]: keys.join(" ") }),
      ...(tags === undefined ? {} : { [TAGS]: tags }),
      ...(reconsumeTimes === 0 ? {} : { [RETRY_TOPIC]: topic }),
      [UNIQ_KEY]: input.msgId ?? hex(queueId, 8) + hex(queueOffset, 24)
    },
    flag,
    queueId,
    queueOffset,
    commitLogOffset: queueOffset,
    sysFlag: 0,
    bornTimestamp,
    bornHost: HOST,
    storeTimestamp,
    storeHost: HOST,
    bodyCRC: bodyCRC(body),
    storeSize: body.length,
    reconsumeTimes,
    preparedTransactionOffset: 0
  })
  return asReceived(stored, { topic: stored.topic, brokerName, queueId }, retryTopic)
}

const whole = (minimum: number, maximum: number): Arbitrary.Arbitrary<number> =>
  Arbitrary.schema(Schema.Int.check(Schema.isBetween({ minimum, maximum })))

const oneOf = <const A extends string>(...values: ReadonlyArray<A>): Arbitrary.Arbitrary<A> =>
  Arbitrary.schema(Schema.Literals(values))

const bytes = Arbitrary.map(Arbitrary.array(whole(0, 255), { maxLength: 200 }), (all) => Uint8Array.from(all))

const arbitrary = (given: Partial<ReceivedMessageInput> = {}): Arbitrary.Arbitrary<ReceivedMessage> =>
  Arbitrary.map(
    Arbitrary.all({
      body: bytes,
      topic: oneOf("orders", "a", "%x|-_9"),
      tags: Arbitrary.map(oneOf("", "paid", "Aa", "ß 中"), (tag) => (tag === "" ? undefined : tag)),
      keys: Arbitrary.array(oneOf("order-7", "7", "中文"), { maxLength: 3 }),
      attempt: whole(1, 17),
      queueId: whole(0, 16),
      queueOffset: whole(0, 4_294_967_296),
      bornTimestamp: whole(0, 4_102_444_800_000),
      flag: whole(-2_147_483_648, 2_147_483_647)
    }),
    (drawn) => make({ ...drawn, ...given })
  )

/** Messages for tests of handlers, without any cluster. */
export const ReceivedMessage = {
  /**
   * A message as a handler would get it.
   *
   * @example
   * ```ts
   * import { Effect, Schema } from "effect"
   * import { MessageListener, ReceivedMessage, Topic } from "effect-rocketmq"
   *
   * const orders = Topic.make("orders", { schema: Schema.Struct({ id: Schema.Int }) })
   *
   * const handler = MessageListener.decoded(orders, ({ id }) => Effect.log(`order ${id}`))
   *
   * export const test = Effect.gen(function* () {
   *   const result = yield* handler(ReceivedMessage.make(yield* orders.encode({ id: 7 })))
   *   return yield* handler(ReceivedMessage.make({ topic: "orders", body: "nonsense", attempt: 3 }))
   * })
   * ```
   */
  make,
  /** Messages of all sorts for property tests of handlers; what is given holds for each of them. */
  arbitrary
} as const
