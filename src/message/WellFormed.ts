/**
 * Text that is no well-formed UTF-16: it holds half of a surrogate pair, as a `slice` through an emoji leaves it. UTF-8
 * has no bytes for that. One writer puts `?` there, another U+FFFD, and a signature over the one does not fit the other:
 * what is meant cannot be sent, and what can be sent is not what was meant. So it is refused before it leaves.
 */

/** What is wrong with such a text, as a sentence about it goes on. */
export const ILL_FORMED = "holds half of a surrogate pair, such as half an emoji, for which there are no bytes"

/**
 * Where in a value a text is ill-formed: `topic`, `attributes.name`, `[0]`; undefined when none is. Looks into lists and
 * plain objects, their names included.
 */
export const illFormedAt = (value: unknown, path = ""): string | undefined => {
  if (typeof value === "string") return value.isWellFormed() ? undefined : path
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return undefined
  for (const [name, item] of Object.entries(value)) {
    const at = Array.isArray(value) ? `${path}[${name}]` : path === "" ? name : `${path}.${name}`
    const found = name.isWellFormed() ? illFormedAt(item, at) : at.toWellFormed()
    if (found !== undefined) return found
  }
  return undefined
}
