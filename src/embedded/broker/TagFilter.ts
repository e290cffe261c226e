import { javaHashCode } from "../../protocol/MessageCodec.ts"
import type { Response } from "../../protocol/RemotingCommand.ts"
import type { StoredEntry } from "../store/StoredMessage.ts"

/** Which messages a subscription wants, by the hash of their tag. Source: RocketMQ `ExpressionMessageFilter`. */
export interface TagFilter {
  readonly matches: (entry: StoredEntry) => boolean
}

const all: TagFilter = { matches: () => true }

/** Whether a check gave a filter and not an answer. */
export const isTagFilter = (value: TagFilter | Response): value is TagFilter => "matches" in value

/** The filter of hashes; none of them, or the expression `*`, lets everything pass. */
export const ofCodes = (expression: string, codes: Iterable<number>): TagFilter => {
  const wanted = new Set(codes)
  return wanted.size === 0 || expression === "*" ? all : { matches: (entry) => wanted.has(entry.tagsCode) }
}

/** The filter of an expression such as `a || b`; `undefined` when it has separators and no tag. Source: `FilterAPI`. */
export const parse = (expression: string | undefined): TagFilter | undefined => {
  if (expression === undefined || expression === "" || expression === "*") return all
  const tags = expression
    .split("||")
    .map((tag) => tag.trim())
    .filter((tag) => tag !== "")
  return tags.length === 0 ? undefined : ofCodes(expression, tags.map(javaHashCode))
}
