/** What a template may name, as `--json` names it; `property.<name>` is one property. */
const NAMES = [
  "topic",
  "brokerName",
  "queueId",
  "queueOffset",
  "msgId",
  "offsetMsgId",
  "keys",
  "tags",
  "bornTimestamp",
  "storeTimestamp",
  "reconsumeTimes",
  "properties",
  "body"
] as const

/** One of the names that a template may have. */
export type FormName = (typeof NAMES)[number]

/** A piece of a template: a text as it is, a field of the message, or one of its properties. */
export type FormPart = { readonly text: string } | { readonly name: FormName } | { readonly property: string }

/** A template of `--format`. */
export type Form = ReadonlyArray<FormPart>

const escapes: ReadonlyMap<string, string> = new Map([
  ["\\t", "\t"],
  ["\\n", "\n"],
  ["\\\\", "\\"],
  ["{{", "{"],
  ["}}", "}"]
])

const nameOf = (name: string): FormPart => {
  if (name.startsWith("property.") && name.length > 9) return { property: name.slice(9) }
  const known = NAMES.find((one) => one === name)
  if (known === undefined) throw new Error(`{${name}} is no field`)
  return { name: known }
}

/**
 * Reads a template: `{msgId}\t{tags} {body}`. `\t` and `\n` are a tab and the end of a line, `{{` and `}}` are braces. Throws
 * where a name is none.
 */
export const parse = (template: string): Form =>
  [...template.matchAll(/\{\{|\}\}|\\[tn\\]|\{([^{}]*)\}|[^{}\\]+|[{}\\]/g)].map(([text, name]): FormPart => {
    if (name !== undefined) return nameOf(name)
    if (text === "{" || text === "}") throw new Error(`a single ${text}`)
    return { text: escapes.get(text) ?? text }
  })

/** What {@link parse} takes, for who wrote something else. */
export const EXPECTED = `write fields as {name}: ${NAMES.join(", ")}, property.<name>`
