import { DateTime, type Duration } from "effect"
import * as Millis from "./Millis.ts"

/**
 * When a message is to be delivered, if not at once.
 *
 * - `Level`: after the broker's delay of that level; all releases know these
 * - `By`: so long after the broker took it
 * - `At`: at a time; one that has passed means at once
 *
 * `By` and `At` need a broker of 5.0 or later, which counts in whole seconds.
 *
 * Source: RocketMQ `Message.setDelayTimeLevel`, `setDelayTimeMs`, `setDelayTimeSec`, `setDeliverTimeMs`.
 */
export type MessageDelay =
  /** After the delay of a level, 1 to 18; a broker takes a larger one for 18. */
  | { readonly _tag: "Level"; readonly level: number }
  /** So many milliseconds after the broker took it. */
  | { readonly _tag: "By"; readonly millis: number }
  /** At that time, in milliseconds since the epoch. */
  | { readonly _tag: "At"; readonly epochMillis: number }

const SECOND = 1_000
const MINUTE = 60_000
const HOUR = 3_600_000

/**
 * The delays of the levels 1 to 18 in milliseconds, level 1 first: 1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m
 * 1h 2h. A broker can be configured to other ones (Java `messageDelayLevel`).
 */
export const LEVELS: ReadonlyArray<number> = [
  ...[1, 5, 10, 30].map((seconds) => seconds * SECOND),
  ...[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 20, 30].map((minutes) => minutes * MINUTE),
  ...[1, 2].map((hours) => hours * HOUR)
]

/** How far ahead a broker takes a timed message: 3 days, in milliseconds (Java `timerMaxDelaySec`). */
export const MAX_TIMER_DELAY_MILLIS = 259_200_000

/** Delivery after one of the broker's fixed delays, 1 to 18: see {@link LEVELS}. */
export const level = (value: number): MessageDelay => ({ _tag: "Level", level: value })

/**
 * Delivery after a duration, in whole milliseconds (a bare number is so many); a fraction of one is rounded up. What is no
 * duration is refused by the send.
 */
export const by = (duration: Duration.Input): MessageDelay => ({ _tag: "By", millis: Math.ceil(Millis.of(duration)) })

/** Delivery at a time: a `DateTime`, a `Date` or milliseconds since the epoch. */
export const at = (time: DateTime.DateTime | Date | number): MessageDelay => ({
  _tag: "At",
  epochMillis: typeof time === "number" ? time : time instanceof Date ? time.getTime() : DateTime.toEpochMillis(time)
})

/** The delay of a level in milliseconds; undefined when there is no such level. */
export const levelMillis = (value: number): number | undefined => LEVELS[value - 1]

/** What {@link check} compares a delay with. */
export interface DelayLimits {
  /** On the wall clock, in milliseconds since the epoch. */
  readonly nowMillis: number
  /** Default {@link MAX_TIMER_DELAY_MILLIS}. */
  readonly maxDelayMillis?: number | undefined
  /** Default 18. A broker takes a level above its last one for the last one. */
  readonly maxLevel?: number | undefined
}

/** What is wrong with a delay, to stand behind "delay"; undefined when nothing is. */
export const check = (delay: MessageDelay, limits: DelayLimits): string | undefined => {
  const max = limits.maxDelayMillis ?? MAX_TIMER_DELAY_MILLIS
  const tooLong = (millis: number): string | undefined =>
    millis > max ? `is ${millis} ms ahead, at most ${max} ms are allowed (timerMaxDelayMillis)` : undefined
  switch (delay._tag) {
    case "Level": {
      const maxLevel = limits.maxLevel ?? LEVELS.length
      return Number.isInteger(delay.level) && delay.level >= 1 && delay.level <= maxLevel
        ? undefined
        : `has the level ${delay.level}, levels go from 1 to ${maxLevel}`
    }
    case "By":
      return delay.millis === Infinity || Number.isSafeInteger(delay.millis)
        ? delay.millis < 0
          ? `of ${delay.millis} ms is negative`
          : tooLong(delay.millis)
        : `of ${delay.millis} ms is no whole number of milliseconds`
    default:
      return Number.isSafeInteger(delay.epochMillis) && delay.epochMillis >= 0
        ? tooLong(delay.epochMillis - limits.nowMillis)
        : `until ${delay.epochMillis} is no time in milliseconds since the epoch`
  }
}

/**
 * The property that carries a delay. A duration of whole seconds goes as seconds, as in Java's `setDelayTimeSec`.
 *
 * @internal
 */
export const toProperty = (delay: MessageDelay): readonly [name: string, value: string] => {
  switch (delay._tag) {
    case "Level":
      return ["DELAY", `${delay.level}`]
    case "By":
      return delay.millis % SECOND === 0
        ? ["TIMER_DELAY_SEC", `${delay.millis / SECOND}`]
        : ["TIMER_DELAY_MS", `${delay.millis}`]
    default:
      return ["TIMER_DELIVER_MS", `${delay.epochMillis}`]
  }
}

const numberOf = (text: string | undefined): number | undefined =>
  text !== undefined && /^-?\d{1,16}$/.test(text) ? Number(text) : undefined

/**
 * The delay that a message's properties ask for, read in a broker's order: the level wins, then seconds, milliseconds
 * and the time. Undefined when they ask for none.
 *
 * Source: RocketMQ `HookUtils.handleScheduleMessage`.
 */
export const fromProperties = (properties: Readonly<Record<string, string>>): MessageDelay | undefined => {
  const delayLevel = numberOf(properties["DELAY"])
  if (delayLevel !== undefined && delayLevel > 0) return level(delayLevel)
  const seconds = numberOf(properties["TIMER_DELAY_SEC"])
  if (seconds !== undefined) return { _tag: "By", millis: seconds * SECOND }
  const millis = numberOf(properties["TIMER_DELAY_MS"])
  if (millis !== undefined) return { _tag: "By", millis }
  const epochMillis = numberOf(properties["TIMER_DELIVER_MS"])
  return epochMillis === undefined ? undefined : { _tag: "At", epochMillis }
}
