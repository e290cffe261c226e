import { Duration } from "effect"

/**
 * A span of time as errors, logs and explanations tell it: whole milliseconds, rounded up, and never below
 * zero. Clocks give fractions, and the rest of a timeout that has passed is negative.
 */
export const text = (millis: number): string => `${Math.max(0, Math.ceil(millis))} ms`

const FIELDS: ReadonlySet<string> = new Set<keyof Duration.DurationObject>([
  "weeks",
  "days",
  "hours",
  "minutes",
  "seconds",
  "milliseconds",
  "microseconds",
  "nanoseconds"
])

/** Whether an object is a duration written out: at least one field that is one, each a number. */
const isWrittenOut = (input: object): boolean => {
  const fields = Object.entries(input).filter(([, value]) => value !== undefined)
  return fields.length > 0 && fields.every(([name, value]) => FIELDS.has(name) && Number.isFinite(value))
}

const isInput = (input: unknown): input is Duration.Input =>
  typeof input === "string" ||
  typeof input === "bigint" ||
  Duration.isDuration(input) ||
  (Array.isArray(input)
    ? input.length === 2 && input.every(Number.isFinite)
    : typeof input === "object" && input !== null && isWrittenOut(input))

/**
 * The milliseconds of a time that a user gave: a `Duration`, a text such as `3 seconds`, or a bare number, which counts
 * `unit` milliseconds each. NaN for whatever is no time; it never throws. A number costs no more than the look at its type.
 */
export const of = (input: unknown, unit = 1): number => {
  if (typeof input === "number") return input * unit
  if (!isInput(input)) return Number.NaN
  const duration = Duration.fromInput(input)
  return duration._tag === "Some" ? Duration.toMillis(duration.value) : Number.NaN
}

/** {@link of} for a pause: none for what is no time and for a negative one; it may be without end. */
export const pause = (input: unknown): number => {
  const millis = of(input)
  return millis > 0 ? millis : 0
}
