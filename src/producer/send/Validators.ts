import * as Names from "../../client/Names.ts"
import type { Message } from "../../message/Message.ts"
import { isForbiddenSendTopic } from "../../message/MixAll.ts"
import { isReserved } from "../../protocol/MessageProperties.ts"
import { InvalidMessage } from "./SendError.ts"

const NAME_END = "\u0001"
const VALUE_END = "\u0002"
/** Whether a text contains a character that separates properties. */
export const hasSeparator = (text: string): boolean => text.includes(NAME_END) || text.includes(VALUE_END)

const bad = (topic: string, field: string, problem: string) => new InvalidMessage({ topic, field, problem })

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
