import type { SubscriptionData } from "../../protocol/HeartbeatData.ts"
import { ILL_FORMED } from "../../message/WellFormed.ts"
import { javaHashCode } from "../../protocol/MessageCodec.ts"

/** One topic that a consumer reads, and which of its messages. Made by {@link all}, {@link tags}, {@link expression}, {@link sql}. */
export interface Subscription {
  /** The topic's name, without the namespace. */
  readonly topic: string
  /** How {@link Subscription.expression} is to be read. */
  readonly type: "TAG" | "SQL92"
  /** The filter as it goes to the brokers: `*`, tags separated by `||`, or SQL92. */
  readonly expression: string
  /** The tags that pass, exactly as they stand in messages; empty for all messages, those without a tag too, and for SQL92. */
  readonly tags: ReadonlyArray<string>
}

/** A topic by its name, or a typed topic. */
export type TopicName =
  | string
  | {
      /** The name of a typed topic. */
      readonly name: string
    }

const nameOf = (topic: TopicName): string => (typeof topic === "string" ? topic : topic.name)

/** All messages of a topic. */
export const all = (topic: TopicName): Subscription => ({
  topic: nameOf(topic),
  type: "TAG",
  expression: "*",
  tags: []
})

/** The messages of a topic that have one of the tags; those without a tag do not pass. */
export const tags = (topic: TopicName, ...wanted: readonly [string, ...ReadonlyArray<string>]): Subscription =>
  expression(topic, wanted.join(" || "))

/**
 * The messages that pass a tag filter in Java's form: `paid || shipped`, or `*` (or nothing) for all. Blanks around a tag do
 * not count. What is no filter is found when the consumer starts.
 *
 * Source: RocketMQ `FilterAPI.buildSubscriptionData`.
 */
export const expression = (topic: TopicName, text: string): Subscription => {
  const wanted = text.trim()
  if (wanted === "" || wanted === "*") return all(topic)
  const found = wanted
    .split("||")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "")
  return { topic: nameOf(topic), type: "TAG", expression: text, tags: [...new Set(found)] }
}

/**
 * The messages whose properties pass a filter in SQL92: `price > 100 AND region IN ('eu', 'us')`. The brokers filter, which
 * their configuration has to allow (`enablePropertyFilter`, by default it does not); one is asked at the start, and its refusal
 * is a `FilterRefused`. Properties are text, and a number in the filter asks for one in the property.
 *
 * Source: RocketMQ `MessageSelector.bySql`.
 */
export const sql = (topic: TopicName, text: string): Subscription => ({
  topic: nameOf(topic),
  type: "SQL92",
  expression: text,
  tags: []
})

/** Characters of a filter, which every heartbeat carries to every broker. */
const MAX_LENGTH = 65_536

/** What is wrong with a subscription; undefined when it can be used. */
export const problemOf = (subscription: Subscription): string | undefined => {
  const { expression: text, topic, type } = subscription
  if (text.length > MAX_LENGTH)
    return `the filter of topic ${topic} has ${text.length} characters, more than ${MAX_LENGTH}`
  if (!text.isWellFormed()) return `the filter of topic ${topic} ${ILL_FORMED}`
  if (type === "SQL92") return text.trim() === "" ? `the SQL92 filter of topic ${topic} is empty` : undefined
  if (subscription.expression !== "*" && subscription.tags.length === 0) {
    return `the filter "${subscription.expression}" of topic ${subscription.topic} names no tag`
  }
  return undefined
}

/** A subscription as heartbeats and pulls carry it. `subVersion` says which of two is the newer one. */
export const dataOf = (
  { expression: text, tags: wanted, topic, type }: Subscription,
  subVersion: number
): SubscriptionData => ({
  topic,
  subString: text,
  tagsSet: wanted,
  codeSet: wanted.map(javaHashCode),
  subVersion,
  expressionType: type,
  classFilterMode: false
})

/** What two subscriptions are compared by. */
type Filter = Pick<SubscriptionData, "topic" | "subString" | "expressionType" | "tagsSet">

/** The filter in one form: tags sorted, whatever blanks and order they were written with. */
const canonical = ({ expressionType, subString, tagsSet }: Filter): string =>
  expressionType === "TAG" ? JSON.stringify(tagsSet.toSorted()) : subString.trim()

/** Whether two subscriptions let the same messages of the same topic pass. */
export const isSame = (a: Filter, b: Filter): boolean =>
  a.topic === b.topic && a.expressionType === b.expressionType && canonical(a) === canonical(b)
