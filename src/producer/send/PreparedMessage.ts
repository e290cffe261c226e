import { Effect } from "effect"
import * as Names from "../../client/Names.ts"
import { isAltered, type Message } from "../../message/Message.ts"
import * as MessageDelay from "../../message/MessageDelay.ts"
import type { UniqueIds } from "../../message/MessageId.ts"
import { isForbiddenSendTopic, MAX_PROPERTIES_LENGTH, TOPIC_MAX_LENGTH } from "../../message/MixAll.ts"
import * as Namespace from "../../message/Namespace.ts"
import { ILL_FORMED } from "../../message/WellFormed.ts"
import * as Compression from "../../protocol/Compression.ts"
import { hasSeparator, isReserved, MessageConst } from "../../protocol/MessageProperties.ts"
import * as MessageProperties from "../../protocol/MessageProperties.ts"
import type { SendMessageForm } from "../../protocol/request/SendMessage.ts"
import type { ProducerConfig } from "../ProducerConfig.ts"
import type { Key } from "../queue/KeyHash.ts"
import { InvalidMessage } from "./SendError.ts"

/** A message that was checked and made ready to leave: everything that stays the same over all attempts of a send. */
export interface PreparedMessage {
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
  /** How many messages it holds: 1 unless it is a batch. */
  readonly count: number
  /** The property text. */
  readonly properties: string
  /** The property text for a broker before 5.0, where it differs; see `SendBatch`. */
  readonly legacyProperties?: string | undefined
  readonly form: SendMessageForm
}

/** Checks a message and makes it ready at a time (milliseconds since the epoch). The message itself is left as it is. */
export type Prepare = (
  message: Message,
  nowMillis: number,
  orderingKey: Key | undefined
) => PreparedMessage | InvalidMessage

/** Whether something was refused before it could be sent. */
export const isInvalid = (value: object): value is InvalidMessage => value instanceof InvalidMessage

const bad = (topic: string, field: string, problem: string) =>
  new InvalidMessage({ topic: topic.toWellFormed(), field: field.toWellFormed(), problem })

const SEPARATOR_PROBLEM = "contains U+0001 or U+0002, which separate properties"

const forbidden: Names.ReservedTopics = { has: isForbiddenSendTopic, action: "sending to" }

/** Checks a topic to send to. */
export const checkTopic = (topic: string): InvalidMessage | undefined => {
  const problem = Names.checkTopic(topic, forbidden)
  return problem === undefined ? undefined : bad(typeof topic === "string" ? topic : String(topic), "topic", problem)
}

const checkProperties = (topic: string, properties: Readonly<Record<string, string>>): InvalidMessage | undefined => {
  for (const name of Object.keys(properties)) {
    const value = properties[name]
    if (name.trim() === "") return bad(topic, "properties", "has a blank name")
    if (!name.isWellFormed()) return bad(topic, `properties.${name}`, `has a name that ${ILL_FORMED}`)
    if (isReserved(name)) return bad(topic, `properties.${name}`, "is a name that RocketMQ reserves")
    if (typeof value !== "string" || value.trim() === "") return bad(topic, `properties.${name}`, "has no value")
    if (!value.isWellFormed()) return bad(topic, `properties.${name}`, ILL_FORMED)
    if (hasSeparator(name) || hasSeparator(value)) {
      const { NAME_END, VALUE_END } = MessageProperties
      const shown = name.replaceAll(NAME_END, "?").replaceAll(VALUE_END, "?")
      return bad(topic, `properties.${shown}`, SEPARATOR_PROBLEM)
    }
  }
  return undefined
}

const checkKeys = (topic: string, keys: ReadonlyArray<string>): InvalidMessage | undefined => {
  if (!Array.isArray(keys)) return bad(topic, "keys", "are no list of texts")
  for (const key of keys) {
    if (typeof key !== "string") return bad(topic, "keys", "has a key that is no text")
    if (key.trim() === "") return bad(topic, "keys", "has a blank key")
    if (hasSeparator(key)) return bad(topic, "keys", SEPARATOR_PROBLEM)
    if (!key.isWellFormed()) return bad(topic, "keys", `has a key that ${ILL_FORMED}`)
    if (key.includes(" ")) return bad(topic, "keys", `has a space in "${key}"; a space separates keys`)
  }
  return undefined
}

/** Checks everything of a message but its topic. */
const checkContent = (message: Message, maxMessageSize: number): InvalidMessage | undefined => {
  const { body, flag, keys, properties, tags, topic } = message
  if (!(body instanceof Uint8Array)) return bad(topic, "body", "is no Uint8Array; Message.make takes text")
  if (body.length === 0) return bad(topic, "body", "is empty")
  if (isAltered(body)) return bad(topic, "body", `was made of a text that ${ILL_FORMED}`)
  if (body.length > maxMessageSize) {
    return bad(topic, "body", `has ${body.length} bytes, at most ${maxMessageSize} are allowed (maxMessageSize)`)
  }
  if (flag !== undefined && (flag | 0) !== flag) return bad(topic, "flag", "is no 32-bit int")
  if (tags !== undefined) {
    if (typeof tags !== "string") return bad(topic, "tags", "is no text")
    if (tags.trim() === "") return bad(topic, "tags", "is blank; leave it out instead")
    if (hasSeparator(tags)) return bad(topic, "tags", SEPARATOR_PROBLEM)
    if (!tags.isWellFormed()) return bad(topic, "tags", ILL_FORMED)
  }
  const keyProblem = keys === undefined ? undefined : checkKeys(topic, keys)
  if (keyProblem !== undefined) return keyProblem
  return properties === undefined ? undefined : checkProperties(topic, properties)
}

/**
 * Checks a message before anything is sent. What Java leaves to the broker (the separator characters, an empty value) is
 * checked here too, because brokers store it and consumers then cannot read it.
 *
 * Source: RocketMQ `Validators.checkMessage`, `Message.putUserProperty`.
 */
export const checkMessage = (message: Message, maxMessageSize: number): InvalidMessage | undefined =>
  checkTopic(message.topic) ?? checkContent(message, maxMessageSize)

/** Whether the property text is too long for its 16-bit length field; a UTF-16 unit takes 3 bytes at most. */
export const checkPropertyText = (topic: string, text: string): InvalidMessage | undefined => {
  if (text.length * 3 <= MAX_PROPERTIES_LENGTH) return undefined
  const length = Buffer.byteLength(text)
  return length <= MAX_PROPERTIES_LENGTH
    ? undefined
    : bad(topic, "properties", `take ${length} bytes with keys and tags, at most ${MAX_PROPERTIES_LENGTH} are allowed`)
}

/** A topic as it is known inside the client, without the namespace; it must not become too long with it. */
const withoutNamespace = (namespace: string | undefined, topic: string): string | InvalidMessage => {
  if (namespace === undefined) return topic
  if (Namespace.wrap(namespace, topic).length <= TOPIC_MAX_LENGTH) return Namespace.unwrap(namespace, topic)
  const problem = `has more than ${TOPIC_MAX_LENGTH} characters together with the namespace ${namespace}`
  return bad(topic, "topic", problem)
}

const delayProperty = (
  config: ProducerConfig,
  topic: string,
  delay: MessageDelay.MessageDelay,
  nowMillis: number
): string | InvalidMessage => {
  const { maxDelayLevel: maxLevel, timerMaxDelayMillis: maxDelayMillis } = config
  const problem = MessageDelay.check(delay, { nowMillis, maxDelayMillis, maxLevel })
  return problem === undefined
    ? MessageProperties.property(...MessageDelay.toProperty(delay))
    : bad(topic, "delay", problem)
}

/** The property of an ordering key; the user's own of that name stays. */
const keyProperty = ({ properties, topic }: Message, orderingKey: Key): string | InvalidMessage => {
  const key = `${orderingKey}`
  if (key.trim() === "") return bad(topic, "orderingKey", "is blank")
  if (hasSeparator(key)) return bad(topic, "orderingKey", SEPARATOR_PROBLEM)
  if (!key.isWellFormed()) return bad(topic, "orderingKey", ILL_FORMED)
  return properties !== undefined && Object.hasOwn(properties, MessageConst.SHARDING_KEY)
    ? ""
    : MessageProperties.property(MessageConst.SHARDING_KEY, key)
}

/** How many topics are remembered as checked, so that no program can fill the memory with them. */
const MAX_TOPICS = 10_000

/** Makes what makes the messages of a producer ready. The name of a topic is checked once, and not for every message. */
export const make = (config: ProducerConfig, uniqueIds: UniqueIds): Prepare => {
  const { maxMessageSize, namespace } = config
  /** Topics as users name them -> without the namespace. */
  const checked = new Map<string, string>()

  const check = (given: string): string | InvalidMessage => {
    const topic = checkTopic(given) ?? withoutNamespace(namespace, given)
    if (typeof topic !== "string") return topic
    if (checked.size >= MAX_TOPICS) checked.clear()
    checked.set(given, topic)
    return topic
  }

  return (message, nowMillis, orderingKey) => {
    const topic = checked.get(message.topic) ?? check(message.topic)
    if (typeof topic !== "string") return topic
    const problem = checkContent(message, maxMessageSize)
    if (problem !== undefined) return problem
    const { body, delay, flag = 0 } = message
    const msgId = uniqueIds(nowMillis)
    let properties = MessageProperties.ofMessage(message, msgId)
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
    const tooLong = checkPropertyText(topic, properties)
    if (tooLong !== undefined) return tooLong
    return { message, topic, body, sysFlag: 0, flag, msgId, count: 1, properties, form: "V2" }
  }
}

/**
 * A prepared message with further properties, which must be names that only RocketMQ itself sets: users cannot have set
 * them, so that none is there twice.
 */
export const withProperties = (
  prepared: PreparedMessage,
  properties: Readonly<Record<string, string>>
): PreparedMessage | InvalidMessage => {
  const text = prepared.properties + MessageProperties.encode(properties)
  return checkPropertyText(prepared.topic, text) ?? { ...prepared, properties: text }
}

/** Whether a message leaves compressed: from a size on, and never a batch, which brokers open when it arrives. */
export const wantsCompression = (config: ProducerConfig, prepared: PreparedMessage): boolean =>
  prepared.body.length >= config.compressMsgBodyOverHowmuch && prepared.form !== "BATCH"

/**
 * The message with its body compressed as the producer's options say. Runs once per send, so that all attempts carry the
 * same bytes and the same flag. A body that compression does not make smaller leaves as it is: one of just the greatest
 * size would become too large for the broker. Fails with `CompressionUnavailable` for LZ4 without `lz4-napi`.
 *
 * Source: RocketMQ `DefaultMQProducerImpl.tryToCompressMessage`, which compresses always, and anew for every attempt.
 */
export const compress = (
  config: ProducerConfig,
  prepared: PreparedMessage
): Effect.Effect<PreparedMessage, Compression.CompressionUnavailable> => {
  const { compressLevel: level, compressType: type } = config
  return Effect.map(Compression.compress(prepared.body, { type, level }), (body) =>
    body.length < prepared.body.length
      ? { ...prepared, body, sysFlag: prepared.sysFlag | Compression.sysFlagOf(type) }
      : prepared
  )
}
