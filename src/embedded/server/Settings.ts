import { parseInt32 } from "../../protocol/Long.ts"

/** A setting of a server. */
export type Setting = string | number | boolean

/**
 * A setting once it was given a text: one that is no such value leaves it as it was, and of a boolean every text but
 * `true` is false.
 *
 * Source: RocketMQ `MixAll.properties2Object`.
 */
export const withText = (setting: Setting, text: string): Setting => {
  if (typeof setting === "boolean") return text.toLowerCase() === "true"
  return typeof setting === "number" ? (parseInt32(text) ?? setting) : text
}

/** Settings as a server writes them, by name: in 5.x in the order of the names. */
export const toTexts = (settings: Readonly<Record<string, Setting>>): ReadonlyMap<string, string> =>
  new Map(
    Object.entries(settings)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, setting]) => [name, String(setting)])
  )
