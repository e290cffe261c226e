import { Effect } from "effect"
import type { Message } from "../../message/Message.ts"
import * as MessageDelay from "../../message/MessageDelay.ts"
import type { UniqueIds } from "../../message/MessageId.ts"
import * as Compression from "../../protocol/Compression.ts"
import { MessageConst } from "../../protocol/MessageProperties.ts"
import type { SendMessageForm } from "../../protocol/request/SendMessage.ts"
import type { Key } from "../queue/KeyHash.ts"
import { localTopic } from "./LocalTopic.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import { InvalidMessage } from "./SendError.ts"
import * as SendRequest from "./SendRequest.ts"
import { checkMessage, hasSeparator } from "./Validators.ts"

/**
 * A message made ready to leave: everything that stays the same over all attempts of a send.
 */
export interface Outgoing {
  /** What it was made of; the first message of a batch. */
  readonly message: Message
  /** The topic without its namespace, which requests get when they leave. */
  readonly topic: string
  /** The bytes that go on the wire. */
  readonly body: Uint8Array
  /** Bits of `SysFlag`. */
  readonly sysFlag: number
  readonly flag: number
  /** The unique id; those of the parts, joined by commas, for a batch. */
  readonly msgId: string
  /** The property text. */
  readonly properties: string
  /** The property text for a broker before 5.0, where it differs; see `SendBatch`. */
  readonly legacyProperties?: string | undefined
  readonly form: SendMessageForm
}

const delayProperty = (
  config: ProducerConfig,
  topic: string,
  delay: MessageDelay.MessageDelay,
  nowMillis: number
): string | InvalidMessage => {
  const problem = MessageDelay.check(delay, {
    nowMillis,
    maxDelayMillis: config.timerMaxDelayMillis,
    maxLevel: config.maxDelayLevel
  })
  return problem === undefined
    ? SendRequest.property(...MessageDelay.toProperty(delay))
    : new InvalidMessage({ topic, field: "delay", problem })
}

/** The property of an ordering key; the user's own of that name stays. */
const keyProperty = (message: Message, orderingKey: Key): string | InvalidMessage => {
  const { properties, topic } = message
  const key = `${orderingKey}`
  const bad = (problem: string) => new InvalidMessage({ topic, field: "orderingKey", problem })
  if (key.trim() === "") return bad("is blank")
  if (hasSeparator(key)) return bad("contains U+0001 or U+0002, which separate properties")
  return properties !== undefined && Object.hasOwn(properties, MessageConst.SHARDING_KEY)
    ? ""
    : SendRequest.property(MessageConst.SHARDING_KEY, key)
}

/** Checks a message and makes it ready. The message itself is left as it is. */
export const prepare = (
  config: ProducerConfig,
  message: Message,
  uniqueIds: UniqueIds,
  nowMillis: number,
  orderingKey?: Key
): Outgoing | InvalidMessage => {
  const problem = checkMessage(message, config.maxMessageSize)
  if (problem !== undefined) return problem
  const { body, delay, flag = 0 } = message
  const topic = localTopic(config, message.topic)
  if (typeof topic !== "string") return topic
  const msgId = uniqueIds(nowMillis)
  let properties = SendRequest.properties(message, msgId)
  if (delay !== undefined) {
    const property = delayProperty(config, topic, delay, nowMillis)
    if (typeof property !== "string") return property
    properties += property
  }
  if (orderingKey !== undefined) {
    const property = keyProperty(message, orderingKey)
    if (typeof property !== "string") return property
    properties += property
  }
  const tooLong = SendRequest.checkProperties(topic, properties)
  if (tooLong !== undefined) return tooLong
  return { message, topic, body, sysFlag: 0, flag, msgId, properties, form: "V2" }
}

/** Whether a message leaves packed: from a size on, and never a batch, which brokers open when it arrives. */
export const wantsPacking = (config: ProducerConfig, outgoing: Outgoing): boolean =>
  outgoing.body.length >= config.compressMsgBodyOverHowmuch && outgoing.form !== "BATCH"

/**
 * The message with its body packed as the producer's options say. Runs once per send, so that all attempts carry the same
 * bytes and the same flag. A body that packing does not make smaller leaves as it is: one of just the greatest size would
 * become too large for the broker. Fails with `CompressionUnavailable` for LZ4 without `lz4-napi`.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.tryToCompressMessage`, which packs always, and anew for every attempt.
 */
export const pack = (
  config: ProducerConfig,
  outgoing: Outgoing
): Effect.Effect<Outgoing, Compression.CompressionUnavailable> => {
  const { compressLevel: level, compressType: type } = config
  return Effect.map(Compression.compress(outgoing.body, { type, level }), (body) =>
    body.length < outgoing.body.length
      ? { ...outgoing, body, sysFlag: outgoing.sysFlag | Compression.sysFlagOf(type) }
      : outgoing
  )
}
