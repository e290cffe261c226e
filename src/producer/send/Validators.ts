import { InvalidGroup } from "../../client/ClientError.ts"
import type { Message } from "../../message/Message.ts"
import {
  CLIENT_INNER_PRODUCER_GROUP,
  DEFAULT_PRODUCER_GROUP,
  GROUP_MAX_LENGTH,
  isForbiddenSendTopic,
  isValidName,
  TOPIC_MAX_LENGTH,
  VALID_NAME_PATTERN
} from "../../message/MixAll.ts"
import { isReserved } from "../../protocol/MessageProperties.ts"
import { InvalidMessage } from "./SendError.ts"

/** Checks a producer group's name. Source: RocketMQ `Validators.checkGroup`, `DefaultMQProducerImpl.checkConfig`. */
export const checkGroup = (group: string): InvalidGroup | undefined => {
  if (group.trim() === "") return new InvalidGroup({ group, problem: "blank", detail: "it is blank" })
  if (group.length > GROUP_MAX_LENGTH) {
    return new InvalidGroup({
      group,
      problem: "too-long",
      detail: `it has ${group.length} characters, at most ${GROUP_MAX_LENGTH} are allowed`
    })
  }
  if (!isValidName(group)) {
    return new InvalidGroup({ group, problem: "illegal-characters", detail: `allowed is ${VALID_NAME_PATTERN}` })
  }
  if (group === DEFAULT_PRODUCER_GROUP || group === CLIENT_INNER_PRODUCER_GROUP) {
    return new InvalidGroup({ group, problem: "reserved", detail: "RocketMQ reserves the name, choose another" })
  }
  return undefined
}

const NAME_END = "\u0001"
const VALUE_END = "\u0002"
/** Whether a text contains a character that separates properties. */
export const hasSeparator = (text: string): boolean => text.includes(NAME_END) || text.includes(VALUE_END)

const bad = (topic: string, field: string, problem: string) => new InvalidMessage({ topic, field, problem })

/** Checks a topic to send to. */
export const checkTopic = (topic: string): InvalidMessage | undefined => {
  if (typeof topic !== "string") return bad(String(topic), "topic", "is no text")
  if (topic.trim() === "") return bad(topic, "topic", "is blank")
  if (topic.length > TOPIC_MAX_LENGTH) {
    return bad(topic, "topic", `has ${topic.length} characters, at most ${TOPIC_MAX_LENGTH} are allowed`)
  }
  if (!isValidName(topic)) return bad(topic, "topic", `has characters that are not allowed (${VALID_NAME_PATTERN})`)
  if (isForbiddenSendTopic(topic)) return bad(topic, "topic", "belongs to RocketMQ itself; sending to it is forbidden")
  return undefined
}

const checkProperties = (topic: string, properties: Readonly<Record<string, string>>): InvalidMessage | undefined => {
  for (const name of Object.keys(properties)) {
    const value = properties[name]
    if (name.trim() === "") return bad(topic, "properties", "has a blank name")
    if (isReserved(name)) return bad(topic, `properties.${name}`, "is a name that RocketMQ reserves")
    if (typeof value !== "string" || value.trim() === "") return bad(topic, `properties.${name}`, "has no value")
    if (hasSeparator(name) || hasSeparator(value)) {
      return bad(
        topic,
        `properties.${name.replaceAll(NAME_END, "?").replaceAll(VALUE_END, "?")}`,
        "contains U+0001 or U+0002, which separate properties"
      )
    }
  }
  return undefined
}

const checkKeys = (topic: string, keys: ReadonlyArray<string>): InvalidMessage | undefined => {
  if (!Array.isArray(keys)) return bad(topic, "keys", "are no list of texts")
  for (const key of keys) {
    if (typeof key !== "string") return bad(topic, "keys", "has a key that is no text")
    if (key.trim() === "") return bad(topic, "keys", "has a blank key")
    if (hasSeparator(key)) return bad(topic, "keys", "contains U+0001 or U+0002, which separate properties")
    if (key.includes(" ")) return bad(topic, "keys", `has a space in "${key}"; a space separates keys`)
  }
  return undefined
}

/**
 * Checks a message before anything is sent. What Java leaves to the broker (the separator characters, an empty value) is
 * checked here too, because brokers store it and consumers then cannot read it.
 *
 * Source: RocketMQ `Validators.checkMessage`, `Message.putUserProperty`.
 */
export const checkMessage = (message: Message, maxMessageSize: number): InvalidMessage | undefined => {
  const { body, flag, keys, properties, tags, topic } = message
  const topicProblem = checkTopic(topic)
  if (topicProblem !== undefined) return topicProblem
  if (!(body instanceof Uint8Array)) return bad(topic, "body", "is no Uint8Array; Message.make takes text")
  if (body.length === 0) return bad(topic, "body", "is empty")
  if (body.length > maxMessageSize) {
    return bad(topic, "body", `has ${body.length} bytes, at most ${maxMessageSize} are allowed (maxMessageSize)`)
  }
  if (flag !== undefined && (flag | 0) !== flag) return bad(topic, "flag", "is no 32-bit int")
  if (tags !== undefined) {
    if (typeof tags !== "string") return bad(topic, "tags", "is no text")
    if (tags.trim() === "") return bad(topic, "tags", "is blank; leave it out instead")
    if (hasSeparator(tags)) return bad(topic, "tags", "contains U+0001 or U+0002, which separate properties")
  }
  const keyProblem = keys === undefined ? undefined : checkKeys(topic, keys)
  if (keyProblem !== undefined) return keyProblem
  return properties === undefined ? undefined : checkProperties(topic, properties)
}
