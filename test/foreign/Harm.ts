/** Text that does harm where it is shown as it is, and how that is found. */
import * as ForeignText from "../../src/message/ForeignText.ts"

/** An escape sequence, a forged line, a C1 control, and two bidirectional controls. */
export const HARM = "\u001b]0;owned\u0007\r\nFORGED\u009b31m\u202e\u2066\u0000"
/** More than anybody wants to read. */
export const LONG = "L".repeat(3_000)

/** The longest run of foreign text in one line, a log's or an error's. */
const MAX_RUN = 1_000

/** Why a line for people is not fit for them. */
export const harmIn = (line: string): string | undefined => {
  if (!ForeignText.isClean(line)) return "a character that a terminal acts on, or that deceives an eye"
  if (line.trimStart().startsWith("FORGED")) return "a forged line"
  if (line.includes("L".repeat(MAX_RUN + 1))) return "a text that is too long"
  return undefined
}

/** All texts in a value, each with where it is. */
export const textsOf = (value: unknown, path: string, seen: Set<unknown>): ReadonlyArray<readonly [string, string]> => {
  if (typeof value === "string") return [[path, value]]
  if (typeof value !== "object" || value === null || seen.has(value)) return []
  seen.add(value)
  if (value instanceof Uint8Array) return []
  const own: ReadonlyArray<readonly [string, string]> =
    value instanceof Error ? [[`${path}.message`, value.message]] : []
  const parts =
    value instanceof Map
      ? [...(value as ReadonlyMap<unknown, unknown>)].flatMap(([key, item]) => [key, item])
      : Object.entries(value)
          .filter(([name]) => name !== "stack")
          .map(([, item]) => item as unknown)
  const names = value instanceof Map ? parts.map(() => "{}") : Object.keys(value).filter((name) => name !== "stack")
  return [...own, ...parts.flatMap((part, i) => textsOf(part, `${path}.${names[i] ?? ""}`, seen))]
}
