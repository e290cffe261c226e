import { parseLong } from "../../protocol/Long.ts"

/** What a topic or a group may have besides its settings: values by name. */
export type Attributes = Readonly<Record<string, string>>

/** One attribute that there is. */
interface Attribute {
  /** Whether it may be changed once the topic or group exists. */
  readonly changeable: boolean
  /** Why it cannot have that value. */
  readonly refusal: (value: string) => string | undefined
}

const oneOf = (changeable: boolean, ...values: ReadonlyArray<string>): Attribute => ({
  changeable,
  refusal: (value) => (values.includes(value) ? undefined : `value is not in set: [${values.join(", ")}]`)
})

const LONG_MAX = 9_223_372_036_854_775_807n

const longIn = (min: bigint, max: bigint): Attribute => ({
  changeable: true,
  refusal: (value) => {
    const number = parseLong(value)
    if (number === undefined) return `For input string: "${value.slice(0, 100)}"`
    return number < min || number > max ? `value is not in range(${min}, ${max})` : undefined
  }
})

const anyText: Attribute = { changeable: true, refusal: () => undefined }

const trueOrFalse: Attribute = {
  changeable: true,
  refusal: (value) => (/^(?:true|false)$/i.test(value) ? undefined : "boolean attribute format is wrong.")
}

/** Attributes by name. The order of the values of a set is the one that Java's `HashSet` prints. */
type Universe = ReadonlyMap<string, Attribute>

/** The attributes of topics. Source: RocketMQ 5.5.0 `TopicAttributes`. */
export const ofTopics: Universe = new Map([
  ["queue.type", oneOf(false, "SimpleCQ", "BatchCQ")],
  ["cleanup.policy", oneOf(false, "DELETE", "COMPACTION")],
  ["message.type", oneOf(true, "UNSPECIFIED", "MIXED", "TRANSACTION", "PRIORITY", "FIFO", "DELAY", "LITE", "NORMAL")],
  ["reserve.time", longIn(-1n, LONG_MAX)],
  ["lite.topic.expiration", longIn(-1n, LONG_MAX)]
])

/** The attributes of consumer groups. Source: RocketMQ 5.5.0 `SubscriptionGroupAttributes`. */
export const ofGroups: Universe = new Map([
  ["priority.factor", longIn(0n, 100n)],
  ["lite.bind.topic", anyText],
  ["lite.sub.model", oneOf(true, "Shared", "Exclusive")],
  ["lite.sub.reset.offset.exclusive", trueOrFalse],
  ["lite.sub.reset.offset.unsubscribe", trueOrFalse],
  ["lite.sub.client.quota", longIn(-1n, LONG_MAX)],
  ["lite.sub.client.max.event.cnt", longIn(10n, LONG_MAX)],
  ["lite.sub.wildcard", anyText]
])

/** As Java's `String.split`: nothing empty at the end. */
const split = (text: string, separator: string): ReadonlyArray<string> => {
  const parts = text.split(separator)
  while (parts.at(-1) === "") parts.pop()
  return parts
}

/**
 * Changes out of `+key=value,-key`, by `+key` and `-key`; a text says why they cannot be read.
 *
 * Source: RocketMQ `AttributeParser.parseToMap`.
 */
export const parseChanges = (text: string): Attributes | string => {
  const changes = new Map<string, string>()
  for (const change of split(text, ",")) {
    let key = change
    let value: string | undefined = ""
    if (change.includes("=")) {
      const parts = split(change, "=")
      value = parts[1]
      if (value === undefined) return `Index ${parts.length} out of bounds for length ${parts.length}`
      key = parts[0] ?? ""
      if (!key.includes("+")) return `add/alter attribute format is wrong: ${key}`
    } else if (!key.includes("-")) {
      return `delete attribute format is wrong: ${key}`
    }
    if (changes.has(key)) return `key duplication: ${key}`
    changes.set(key, value)
  }
  return Object.fromEntries(changes)
}

/** Why a change of one attribute is no change. */
const changeRefusal = (key: string, name: string, current: Attributes | undefined): string | undefined => {
  if (name === "" || /[+-]/.test(name)) return "kv string format wrong."
  if (current === undefined) {
    return key.startsWith("+") ? undefined : `only add attribute is supported while creating topic. key: ${name}`
  }
  if (key.startsWith("+")) return undefined
  if (!key.startsWith("-")) return `wrong format key: ${name}`
  return Object.hasOwn(current, name) ? undefined : `attempt to delete a nonexistent key: ${name}`
}

/** Why an attribute cannot get a value, or lose its own. */
const valueRefusal = (all: Universe, name: string, value: string | undefined, create: boolean): string | undefined => {
  const attribute = all.get(name)
  if (attribute === undefined) return `unsupported key: ${name}`
  if (!create && !attribute.changeable) return `attempt to update an unchangeable attribute. key: ${name}`
  return value === undefined ? undefined : attribute.refusal(value)
}

/**
 * The attributes after some changes; a text says why they are refused. `current` is undefined for a topic or group that
 * does not exist yet.
 *
 * Source: RocketMQ `AttributeUtil.alterCurrentAttributes`.
 */
export const alter = (all: Universe, current: Attributes | undefined, changes: Attributes): Attributes | string => {
  const wanted = new Map<string, string | undefined>()
  for (const [key, value] of Object.entries(changes)) {
    const name = key.slice(1)
    const refusal = changeRefusal(key, name, current)
    if (refusal !== undefined) return refusal
    if (wanted.has(name)) return `alter duplication key. key: ${name}`
    wanted.set(name, key.startsWith("+") ? value : undefined)
  }
  const result = new Map(Object.entries(current ?? {}))
  for (const [name, value] of wanted) {
    const refusal = valueRefusal(all, name, value, current === undefined)
    if (refusal !== undefined) return refusal
    if (value === undefined) result.delete(name)
    else result.set(name, value)
  }
  return Object.fromEntries(result)
}
