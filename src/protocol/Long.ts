/**
 * The numbers of Java: an int of 32 bits and a long of 64, read as `Integer.parseInt` and `Long.parseLong` read them.
 *
 * Offsets, times and versions of other clients are longs that nobody keeps below 2^53: the Go client counts the version
 * of a subscription in nanoseconds.
 */

/**
 * A 64-bit int: a number wherever a number holds it exactly (up to 2^53 either way), else a bigint. `<` and `>` compare the
 * two kinds, and equal values are of one kind, so that `===` holds as well.
 */
export type Long = number | bigint

const INT_MAX = 2_147_483_647
const LONG_MAX = 9_223_372_036_854_775_807n
const LONG_MIN = -LONG_MAX - 1n

/** The long that a bigint is; undefined when it needs more than 64 bits. */
export const fromBigInt = (value: bigint): Long | undefined => {
  if (value > LONG_MAX || value < LONG_MIN) return undefined
  const number = Number(value)
  return Number.isSafeInteger(number) ? number : value
}

const integer = /^[+-]?[0-9]+$/
const anyInteger = /^[+-]?\p{Nd}+$/u

/** The ten digits of a script stand in a row that begins where the low four bits are 0, or else 6. */
const digit = (character: string): string => {
  const code = character.charCodeAt(0)
  if (code < 128) return character
  const low = code & 15
  return String(/^\p{Nd}$/u.test(String.fromCharCode(code - low)) ? low : low - 6)
}

/**
 * The digits as 0 to 9, without the zeros in front of them; undefined for what is no integer. Java takes the digits of any
 * script of the first plane, and no space.
 */
const plain = (text: string): string | undefined => {
  const ascii = integer.test(text)
  if (!ascii && (!anyInteger.test(text) || /[\ud800-\udfff]/.test(text))) return undefined
  const digits = ascii ? text : Array.from(text, digit).join("")
  const negative = digits.startsWith("-")
  const significant = digits.replace(/^[+-]?0*(?=[0-9])/, "")
  return negative && significant !== "0" ? `-${significant}` : significant
}

/** The longest text of a long. */
const LONG_LENGTH = String(LONG_MIN).length

/** So short that every text of digits is an int, and for longs exact: the numbers of nearly every frame. */
const shortInt = /^[0-9]{1,9}$/
const shortLong = /^[0-9]{1,15}$/

/** The 32-bit int of a text; undefined when Java's `Integer.parseInt` throws. */
export const parseInt32 = (text: string): number | undefined => {
  if (shortInt.test(text)) return Number(text)
  const digits = plain(text)
  if (digits === undefined || digits.length > LONG_LENGTH) return undefined
  const value = Number(digits)
  return value <= INT_MAX && value >= -INT_MAX - 1 ? value : undefined
}

/** The 64-bit int of a text; undefined when Java's `Long.parseLong` throws. */
export const parseLong = (text: string): Long | undefined => {
  if (shortLong.test(text)) return Number(text)
  const digits = plain(text)
  if (digits === undefined || digits.length > LONG_LENGTH) return undefined
  const value = Number(digits)
  return Number.isSafeInteger(value) ? value : fromBigInt(BigInt(digits))
}

/** `a - b` as Java computes it: within 64 bits, so that it wraps. */
export const subtract = (a: Long, b: Long): Long => {
  const difference = Number(a) - Number(b)
  if (typeof a === "number" && typeof b === "number" && Number.isSafeInteger(difference)) return difference
  return wrap(BigInt(a) - BigInt(b))
}

/** `a + b` as Java computes it: within 64 bits, so that it wraps. */
export const add = (a: Long, b: Long): Long => {
  const sum = Number(a) + Number(b)
  if (typeof a === "number" && typeof b === "number" && Number.isSafeInteger(sum)) return sum
  return wrap(BigInt(a) + BigInt(b))
}

/** `a * b` as Java computes it: within 64 bits, so that it wraps. */
export const multiply = (a: Long, b: Long): Long => {
  const product = Number(a) * Number(b)
  if (typeof a === "number" && typeof b === "number" && Number.isSafeInteger(product)) return product
  return wrap(BigInt(a) * BigInt(b))
}

const wrap = (value: bigint): Long => {
  const wrapped = BigInt.asIntN(64, value)
  const number = Number(wrapped)
  return Number.isSafeInteger(number) ? number : wrapped
}
