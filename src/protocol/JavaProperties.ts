/**
 * Settings as Java's `Properties` reads and RocketMQ writes them: one `name=value` a line.
 *
 * Source: Java `Properties.load`, RocketMQ `MixAll.string2Properties`, `MixAll.properties2String`.
 */

const encoder = new TextEncoder()
/** Java reads the bytes as Latin-1, whatever the sender meant. */
const decoder = new TextDecoder("latin1")

/** Whether a natural line ends in an odd number of backslashes, so that the next one belongs to it. */
const goesOn = (line: string): boolean => (/\\*$/.exec(line)?.[0].length ?? 0) % 2 === 1

/** The lines as Java counts them: comments and blank ones dropped, continued ones joined. */
const logicalLines = (text: string): ReadonlyArray<string> => {
  const lines: Array<string> = []
  let parts: Array<string> | undefined
  for (const natural of text.split(/\r\n|\r|\n/)) {
    const line = natural.replace(/^[ \t\f]+/, "")
    if (parts === undefined && (line === "" || line.startsWith("#") || line.startsWith("!"))) continue
    parts ??= []
    parts.push(goesOn(line) ? line.slice(0, -1) : line)
    if (goesOn(line)) continue
    lines.push(parts.join(""))
    parts = undefined
  }
  if (parts !== undefined) lines.push(parts.join(""))
  return lines
}

const escapes: ReadonlyMap<string, string> = new Map([
  ["t", "\t"],
  ["r", "\r"],
  ["n", "\n"],
  ["f", "\f"]
])

/** Resolves the backslashes; undefined for a `\u` without four hexadecimal digits, at which Java throws. */
const unescape = (text: string): string | undefined => {
  if (/(?<!\\)(?:\\\\)*\\u(?![0-9a-fA-F]{4})/.test(text)) return undefined
  return text.replace(/\\(?:u([0-9a-fA-F]{4})|(.?))/gs, (_, hex: string | undefined, plain: string | undefined) =>
    hex === undefined ? (escapes.get(plain ?? "") ?? plain ?? "") : String.fromCharCode(Number.parseInt(hex, 16))
  )
}

/** Reads settings; undefined when Java could not. Of a name that comes twice the last value counts. */
export const read = (body: Uint8Array): ReadonlyMap<string, string> | undefined => {
  const settings = new Map<string, string>()
  for (const line of logicalLines(decoder.decode(body))) {
    const [, rawName = "", rawValue = ""] =
      /^((?:\\.|[^\\:= \t\f])*)(?:[ \t\f]*[:=][ \t\f]*|[ \t\f]+|$)(.*)$/s.exec(line) ?? []
    const name = unescape(rawName)
    const value = unescape(rawValue)
    if (name === undefined || value === undefined) return undefined
    settings.set(name, value)
  }
  return settings
}

const escaped = (text: string, isName: boolean): string =>
  text.replace(isName ? /[\\ :=#!]/g : /\\|^ /g, "\\$&").replace(/[^ -~]/g, (unit) => {
    return `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`
  })

/** Writes settings so that Java reads these very texts, whatever stands in them: {@link read} gives them back. */
export const store = (settings: Iterable<readonly [name: string, value: string]>): Uint8Array =>
  encoder.encode(Array.from(settings, ([name, value]) => `${escaped(name, true)}=${escaped(value, false)}\n`).join(""))

/** Writes settings as RocketMQ does: in the order given, nothing escaped. */
export const write = (settings: Iterable<readonly [name: string, value: string]>): Uint8Array =>
  encoder.encode(Array.from(settings, ([name, value]) => `${name}=${value}\n`).join(""))
