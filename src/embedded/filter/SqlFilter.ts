import type { Properties } from "./Expression.ts"
import { JavaException } from "./JavaException.ts"
import { parse } from "./SelectorParser.ts"

/** A filter by the properties of messages. */
export interface SqlFilter {
  /** Whether a message with these properties passes: only what is known to be true does. */
  readonly matches: (properties: Properties) => boolean
}

/** Makes a filter of a text; a text in its place is why it cannot, as a broker says it. */
export type Compiler = (text: string) => SqlFilter | string

/** Characters of a filter. A real broker has no limit of its own. */
export const MAX_FILTER_LENGTH = 65_536

/** Filters that are kept made, as many as a real broker keeps. */
const MAX_KEPT = 100

const compile = (text: string, legacy: boolean): SqlFilter | string => {
  if (text.length > MAX_FILTER_LENGTH) return `the filter has ${text.length} characters, more than ${MAX_FILTER_LENGTH}`
  const expression = parse(text, legacy)
  if (expression instanceof JavaException) return expression.java
  return {
    matches: (properties) => {
      try {
        return expression.evaluate(properties) === true
      } catch (error) {
        // A property is no number where the filter takes it for one.
        if (error instanceof JavaException) return false
        throw error
      }
    }
  }
}

/** A compiler that keeps what it has made: every pull asks for its filter anew. */
export const compiler = (legacy: boolean): Compiler => {
  const kept = new Map<string, SqlFilter | string>()
  return (text) => {
    const known = kept.get(text)
    if (known !== undefined) {
      kept.delete(text)
      kept.set(text, known)
      return known
    }
    const made = compile(text, legacy)
    if (text.length > MAX_FILTER_LENGTH) return made
    kept.set(text, made)
    const [oldest] = kept.keys()
    if (kept.size > MAX_KEPT && oldest !== undefined) kept.delete(oldest)
    return made
  }
}
