import { Formatter } from "effect"

/**
 * Text that a peer wrote, made fit for an error, a log line, a state or a terminal. Servers put stack traces and client
 * addresses into remarks, brokers relay properties that any client can write, and a route names brokers as it likes.
 *
 * What is taken out: control characters (C0, DEL, C1), on which a terminal acts or which forge a second line; line and
 * paragraph separators; format characters, among them the bidirectional ones, which show a text in another order than
 * it has, and those without width, which make two different names look alike; fillers that show nothing; and halves of
 * surrogate pairs, which are no characters.
 */

// Cc: controls. Cf: bidirectional, zero-width and other format characters. Zl, Zp: separators. Cs: lone surrogates.
// Then the combining grapheme joiner and the Hangul fillers, which are letters and show nothing.
const CLASS = "[\\p{Cc}\\p{Cf}\\p{Zl}\\p{Zp}\\p{Cs}\\u034f\\u115f\\u1160\\u3164\\uffa0]"

const one = new RegExp(CLASS, "u")
const each = new RegExp(CLASS, "gu")
const runs = new RegExp(`${CLASS}+`, "gu")

/** Characters that {@link clean} leaves unless told otherwise. */
export const DEFAULT_MAX_LENGTH = 200

// Nearly every text, and looked through in a tenth of the time.
const plain = /^[ -~]*$/

/** Whether a text can stand in a log or on a terminal as it is. */
export const isClean = (text: string): boolean => plain.test(text) || !one.test(text)

/** The text with a space for each character that is taken out: columns and indentation stay. */
export const printable = (text: string): string => text.replace(each, " ")

/** The first `max` UTF-16 units, one less where that would halve a character. */
const head = (text: string, max: number): string =>
  text.slice(0, (text.codePointAt(max - 1) ?? 0) > 0xffff ? max - 1 : max)

/**
 * The text on one line: a space for each run of characters that are taken out, none at the ends, and at most `max`
 * characters with `...` behind them where there were more; empty when there is no text.
 */
export const clean = (text: string | undefined, max: number = DEFAULT_MAX_LENGTH): string => {
  if (text === undefined) return ""
  // However long the text is, at most four times the limit is examined.
  const line = text
    .slice(0, max * 4)
    .replace(runs, " ")
    .trim()
  return line.length > max ? `${head(line, max)}...` : line
}

/** {@link printable}, and at most `max` characters with `...` behind them where there were more. */
export const excerpt = (text: string, max: number): string =>
  text.length > max ? `${printable(head(text, max))}...` : printable(text)

/** Characters that {@link ofThrown} leaves: an error of ours may list everything that was tried. */
const MAX_THROWN_LENGTH = 1_000

const textOf = (thrown: unknown): string => (typeof thrown === "string" ? thrown : Formatter.format(thrown))

/** Whatever was thrown, on one line: the message of an error, else the value as it is printed. */
export const ofThrown = (thrown: unknown, max: number = MAX_THROWN_LENGTH): string =>
  clean(thrown instanceof Error ? thrown.message : textOf(thrown), max)

/** {@link ofThrown} with the error's name before its message, as Java words an exception. */
export const ofThrownWithName = (thrown: unknown, max: number = DEFAULT_MAX_LENGTH): string =>
  clean(thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : textOf(thrown), max)

const escape = (character: string): string =>
  Array.from(
    { length: character.length },
    (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, "0")}`
  ).join("")

/**
 * JSON text, in which what would be taken out is written as an escape: it keeps its value and has no effect on a
 * terminal.
 */
export const escapeJson = (json: string): string => json.replace(each, escape)
