/** How long the messages of each delay level wait. Source: RocketMQ `ScheduleMessageService`. */
export interface DelayLevels {
  /** The highest level; messages of a higher one get this. */
  readonly max: number
  /** Milliseconds by level, from 1 up. */
  readonly millis: (level: number) => number
}

/** The table a broker has unless it is given another (Java `messageDelayLevel`): 18 levels, up to two hours. */
export const DEFAULT_MESSAGE_DELAY_LEVEL = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"

const units: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * Reads a table such as `1s 5s 1m`: numbers with one of the units s, m, h, d. A RangeError for anything else, since a
 * broker does not start with it.
 */
export const parse = (table: string): DelayLevels => {
  const levels = table
    .trim()
    .split(/\s+/)
    .map((text) => {
      const unit = units[text.slice(-1)]
      const count = text.slice(0, -1)
      if (unit === undefined || !/^[0-9]+$/.test(count)) {
        throw new RangeError(`messageDelayLevel "${table}": "${text}" is no number with one of the units s, m, h, d`)
      }
      return Number(count) * unit
    })
  return {
    max: levels.length,
    millis: (level) => levels[Math.min(level, levels.length) - 1] ?? 0
  }
}
