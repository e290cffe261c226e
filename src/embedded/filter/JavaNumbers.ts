import { JavaException } from "./JavaException.ts"

/**
 * Numbers as Java reads and writes them, where a text of a message or of an expression decides what they are.
 * What is no number throws a `NumberFormatException`.
 *
 * Source: `Integer.parseInt`, `Long.parseLong`, `Double.valueOf`, `Double.toString`.
 */

/** Digits of a `long`. */
const LONG_DIGITS = 19
const INT_MAX = 2n ** 31n - 1n
const LONG_MAX = 2n ** 63n - 1n

const numberFormat = (message: string): JavaException => new JavaException("java.lang.NumberFormatException", message)

const refuse = (text: string): never => {
  throw numberFormat(`For input string: "${text}"`)
}

/** The value of a digit of any script, as `Character.digit` knows it: they stand in runs from nought to nine. */
const digitOf = (char: string): string => {
  // Java looks at halves of pairs, which are no digits.
  if (char.length > 1) return "x"
  const code = char.charCodeAt(0)
  let first = code
  while (code - first < 9 && /\p{Nd}/u.test(String.fromCharCode(first - 1))) first--
  return String(code - first)
}

const parseWhole = (text: string, max: bigint): bigint => {
  const ascii = /^[+-]?[0-9]+$/.test(text) ? text : text.replace(/\p{Nd}/gu, digitOf)
  const [, sign, all = ""] = /^([+-]?)([0-9]+)$/.exec(ascii) ?? refuse(text)
  const digits = all.replace(/^0+/, "")
  if (digits.length > LONG_DIGITS) return refuse(text)
  const value = BigInt(digits)
  if (value > (sign === "-" ? max + 1n : max)) return refuse(text)
  return sign === "-" ? -value : value
}

/** Source: `Integer.parseInt`. */
export const parseInteger = (text: string): number => Number(parseWhole(text, INT_MAX))

/** Source: `Long.parseLong`. */
export const parseLong = (text: string): bigint => parseWhole(text, LONG_MAX)

/** Whether it is in the range of an `int`. */
export const isInteger = (value: bigint): boolean => value <= INT_MAX && value >= -INT_MAX - 1n

/** The digits of a hexadecimal fraction that decide its value; of the others only counts whether one is not 0. */
const HEX_DIGITS = 32

const parseHex = (whole: string, fraction: string, exponent: string): number => {
  const digits = `${whole}${fraction}`.replace(/^0+/, "")
  const rest = digits.slice(HEX_DIGITS)
  const value = BigInt(`0x0${digits.slice(0, HEX_DIGITS)}${/[1-9a-f]/i.test(rest) ? "1" : "0"}`)
  const power = Number(exponent) - 4 * fraction.length + 4 * (rest.length - 1)
  // In two steps: the power alone may be out of range.
  const half = Math.trunc(Math.max(-4_000, Math.min(4_000, power)) / 2)
  return Number(value) * 2 ** half * 2 ** (Math.max(-4_000, Math.min(4_000, power)) - half)
}

/** What `String.trim` takes away. */
const trim = (text: string): string => {
  let from = 0
  let to = text.length
  while (from < to && text.charCodeAt(from) <= 0x20) from++
  while (from < to && text.charCodeAt(to - 1) <= 0x20) to--
  return text.slice(from, to)
}

/** Source: `Double.valueOf`. */
export const parseDouble = (given: string): number => {
  const text = trim(given)
  if (text === "") throw numberFormat("empty String")
  const named = /^([+-]?)(NaN|Infinity)$/.exec(text)
  if (named !== null) return named[2] === "NaN" ? NaN : named[1] === "-" ? -Infinity : Infinity
  const decimal = /^([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)[fFdD]?$/.exec(text)
  if (decimal !== null) return Number(decimal[1])
  const [, sign, whole = "", fraction = "", exponent = "0"] =
    /^([+-]?)0[xX]([0-9a-fA-F]*)(?:\.([0-9a-fA-F]*))?[pP]([+-]?[0-9]+)[fFdD]?$/.exec(text) ?? refuse(text)
  if (whole === "" && fraction === "") return refuse(text)
  const value = parseHex(whole, fraction, exponent)
  return sign === "-" ? -value : value
}

/** Source: `Double.toString`. */
export const doubleText = (value: number): string => {
  if (!Number.isFinite(value)) return String(value)
  const size = Math.abs(value)
  if (size === 0) return Object.is(value, -0) ? "-0.0" : "0.0"
  if (size >= 1e-3 && size < 1e7) return Number.isInteger(value) ? `${value}.0` : String(value)
  const [mantissa = "", exponent = ""] = value.toExponential().split("e")
  return `${mantissa.includes(".") ? mantissa : `${mantissa}.0`}E${Number(exponent)}`
}
