/** What a run prints: lines as it goes, and one last line that sums it up. */
import type { Findings } from "./Ledger.ts"

/** Prints a line at once, so that a log shows how far a run is. */
export const say = (line: string): void => void process.stdout.write(`${line}\n`)

/** What a run came to: its last line, and whether everything held. */
export interface Outcome {
  readonly summary: string
  readonly violations: ReadonlyArray<string>
}

/** `a: 1, b: 2`, the most frequent first. */
export const counted = (counts: ReadonlyMap<string, number>): string =>
  [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([name, count]) => `${name}: ${count}`)
    .join(", ")

/** Prints what a ledger found, and gives the text for the summary. */
export const sayFindings = (findings: Findings): string => {
  const { duplicated, explained, extraCopies, retried, states, stored, storedUnknown } = findings
  say(
    `acknowledged ${states.acknowledged} (${retried} after more than one attempt), not sent ${states.notSent}, ` +
      `rejected ${states.rejected}, unknown ${states.unknown}, given up ${states.givenUp}; stored ${stored}`
  )
  say(`of the unknown and given up, ${storedUnknown} are stored`)
  say(`stored more than once: ${duplicated} messages, ${extraCopies} extra copies (${counted(explained) || "none"})`)
  const copies = `${extraCopies} extra copies${findings.violationCount === 0 ? ", each explained by an attempt in doubt" : ""}`
  return `${states.acknowledged} acknowledged, ${findings.violationCount} violations, ${copies}`
}

/** Milliseconds as the middle and the end of a distribution. */
export const spread = (millis: ReadonlyArray<number>): string => {
  const sorted = millis.toSorted((a, b) => a - b)
  const at = (share: number) =>
    Math.round(sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN)
  return `median ${at(0.5)} ms, 90 % ${at(0.9)} ms, worst ${at(1)} ms`
}
