import { javaHashCode } from "../../protocol/MessageCodec.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import type { SqlFilter } from "../filter/SqlFilter.ts"
import * as StoredMessage from "../store/StoredMessage.ts"
import type { StoredEntry } from "../store/StoredMessage.ts"

/** Which messages a subscription wants. Source: RocketMQ `ExpressionMessageFilter`. */
export interface MessageFilter {
  readonly matches: (entry: StoredEntry) => boolean
}

/** The filter that lets everything pass. */
export const all: MessageFilter = { matches: () => true }

/** Whether a check gave a filter and not an answer. */
export const isMessageFilter = (value: MessageFilter | Response): value is MessageFilter => "matches" in value

/** The filter of hashes, where the expression is not `*`: without a hash nothing passes. */
export const ofCodes = (expression: string, codes: Iterable<number>): MessageFilter => {
  if (expression === "*") return all
  const wanted = new Set(codes)
  return { matches: (entry) => wanted.has(entry.tagsCode) }
}

/**
 * The filter of an expression such as `a || b`; `undefined` when it consists of separators alone, which Java's `split`
 * makes nothing of. Blank tags between separators are no tags, and then nothing passes.
 *
 * Source: RocketMQ `FilterAPI.buildSubscriptionData`.
 */
export const parse = (expression: string | undefined): MessageFilter | undefined => {
  if (expression === undefined || expression === "" || expression === "*") return all
  const parts = expression.split("||")
  if (parts.every((part) => part === "")) return undefined
  const tags = parts.map((tag) => tag.trim()).filter((tag) => tag !== "")
  return ofCodes(expression, tags.map(javaHashCode))
}

/** The filter by properties, all that the message was stored with. */
export const ofProperties = (filter: SqlFilter): MessageFilter => ({
  matches: (entry) => {
    const properties = StoredMessage.read(entry)?.properties ?? {}
    return filter.matches((name) => (Object.hasOwn(properties, name) ? properties[name] : undefined))
  }
})
