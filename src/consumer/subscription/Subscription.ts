import type { SubscriptionData } from "../../protocol/HeartbeatData.ts"
import { javaHashCode } from "../../protocol/MessageCodec.ts"

/** One topic that a consumer reads, and which of its messages. Made by {@link all}, {@link tags}, {@link expression}. */
export interface Subscription {
  /** The topic's name, without the namespace. */
  readonly topic: string
  /** How {@link Subscription.expression} is to be read; only `TAG` so far. */
  readonly type: "TAG"
  /** The filter as it goes to the brokers: `*`, or tags separated by `||`. */
  readonly expression: string
  /** The tags that pass, exactly as they stand in messages; empty for all messages, those without a tag too. */
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

/** What is wrong with a subscription; undefined when it can be used. */
export const problemOf = (subscription: Subscription): string | undefined => {
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
