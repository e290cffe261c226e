import { CliOutput } from "effect/cli"
import * as ForeignText from "../message/ForeignText.ts"

/** A number for people: `10,000`. */
export const number = (n: number): string => Math.round(n).toLocaleString("en-US")

/** A measured duration for people, never below nothing: `0.4 ms`, `21 ms`, `1.2 s`, `2 min`. */
export const duration = (measured: number): string => {
  const millis = Math.max(0, measured)
  if (millis < 10) return `${millis.toFixed(1)} ms`
  if (millis < 1_000) return `${Math.round(millis)} ms`
  if (millis < 60_000) return `${Number((millis / 1_000).toFixed(millis < 10_000 ? 1 : 0))} s`
  return `${Number((millis / 60_000).toFixed(1))} min`
}

/** A point in time for people, in UTC; the number itself where no calendar has it, for anybody may have written it. */
export const moment = (millis: number): string => {
  const date = new Date(millis)
  return Number.isNaN(date.getTime()) ? String(millis) : date.toISOString()
}

/** `1 message`, `2 messages`. */
export const count = (n: number, what: string): string => `${number(n)} ${what}${n === 1 ? "" : "s"}`

/** A number beyond 2^53 becomes a text: JSON's numbers would lose its last digits. */
const exact = (_: string, value: unknown): unknown => (typeof value === "bigint" ? String(value) : value)

/** One line of JSON that is safe to print. */
export const json = (value: unknown): string => ForeignText.escapeJson(JSON.stringify(value, exact))

/** A text from outside in which a terminal finds nothing to act on. */
export const { excerpt, printable } = ForeignText

/** A word of a command that is printed to be copied: a shell reads this very text, and a terminal acts on nothing in it. */
export const quoted = (word: string): string => {
  const shown = printable(word)
  return /^[\w@%+=:,./-]+$/.test(shown) ? shown : `'${shown.replaceAll("'", "'\\''")}'`
}

/** A column is as wide as its longest cell, and at most so many characters: one cell must not widen all the others. */
const MAX_WIDTH = 200

/** Characters of a cell that are shown; `--json` has all of them. */
const MAX_CELL = 1_000

/** Lines of aligned columns, two spaces apart, made printable. Columns listed in `right` are aligned to the right. */
export const table = (
  cells: ReadonlyArray<ReadonlyArray<string>>,
  right: ReadonlyArray<number> = []
): ReadonlyArray<string> => {
  const rows = cells.map((row) => row.map((cell) => excerpt(cell, MAX_CELL)))
  const widths: Array<number> = []
  for (const row of rows)
    row.forEach((cell, i) => (widths[i] = Math.min(MAX_WIDTH, Math.max(widths[i] ?? 0, cell.length))))
  return rows.map((row) =>
    row
      .map((cell, i) => (right.includes(i) ? cell.padStart(widths[i] ?? 0) : cell.padEnd(widths[i] ?? 0)))
      .join("  ")
      .trimEnd()
  )
}

/**
 * A line broken at its spaces so that it fits a terminal of so many columns, colours not counted; what is broken off begins
 * below `indent`. A word that is longer than a line stays whole, and everything does where there are no columns.
 */
export const wrap = (line: string, columns: number | undefined, indent: number): ReadonlyArray<string> => {
  const width = CliOutput.displayWidth
  if (columns === undefined || width(line) <= columns) return [line]
  const [, lead = "", text = ""] = /^(\s*)([^]*)$/.exec(line) ?? []
  const lines: Array<string> = []
  const hanging = " ".repeat(Math.min(indent, Math.max(0, columns - LEAST_TEXT)))
  let current = lead
  let isEmpty = true
  // The spaces between the columns of a row are kept where the line is not broken at them.
  for (const [piece, gap, word] of text.matchAll(/( *)([^ ]+)/g)) {
    if (!isEmpty && width(current) + width(piece) > columns) {
      lines.push(current)
      current = `${hanging}${word}`
    } else current += isEmpty ? (word ?? "") : `${gap ?? ""}${word ?? ""}`
    isEmpty = false
  }
  return [...lines, current]
}

/** Columns that a text keeps on a terminal that is narrower than its indentation. */
const LEAST_TEXT = 10

/** A point in time, or so many milliseconds ago. */
export type Moment = { readonly at: number } | { readonly ago: number }

const AGO: ReadonlyMap<string, number> = new Map([
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000],
  ["d", 86_400_000]
])

/** The last moment that a calendar has. */
const LATEST_MILLIS = 8.64e15

/**
 * Reads what people write: `2026-08-01T10:00:00Z`, milliseconds since the epoch, or `15m` for ago; throws where a text is
 * none. A bare number is no year: it may have lost its unit.
 */
export const parseMoment = (input: string): Moment => {
  const ago = /^(\d{1,9})([smhd])$/.exec(input)
  if (ago !== null) return { ago: Number(ago[1]) * (AGO.get(ago[2] ?? "") ?? 0) }
  const at = /^\d{10,}$/.test(input)
    ? Number(input)
    : /^\d{4}-\d{2}-\d{2}(?:T|$)/.test(input)
      ? Date.parse(input)
      : Number.NaN
  if (!(at >= 0 && at <= LATEST_MILLIS)) throw new Error(`"${input}" is no time`)
  return { at }
}

/** The moment in milliseconds since the epoch; what is longer ago than that is its beginning. */
export const millisOf = (when: Moment, now: number): number => ("at" in when ? when.at : Math.max(0, now - when.ago))

const UNITS: ReadonlyMap<string, number> = new Map([
  ["ms", 1],
  ["s", 1_000],
  ["m", 60_000],
  ["h", 3_600_000]
])

/** Reads a span of time such as `10s`, `500ms`, `2m`, in milliseconds; throws where a text is none. */
export const parseSpan = (input: string): number => {
  const found = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(input)
  const millis = found === null ? Number.NaN : Number(found[1]) * (UNITS.get(found[2] ?? "") ?? Number.NaN)
  if (!(millis > 0 && millis <= 2_147_483_647)) throw new Error(`"${input}" is no time`)
  return millis
}
