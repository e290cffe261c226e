import { Clock, Console, Effect } from "effect"
import type { ExitCode } from "../Failure.ts"
import { type Palette, palette, Screen } from "../Screen.ts"
import { duration, excerpt, printable } from "../Text.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"

/** What a check found. `warn` means that it works, but is worth a look. */
export type Verdict = "ok" | "warn" | "failed" | "skipped"

/** What a check says of itself. */
export interface Finding {
  readonly verdict: Verdict
  /** What was seen, in a few words. */
  readonly detail: string
  /** What to do about a failure or a warning. */
  readonly remedy?: string | undefined
  /** The exit code of the whole, when this is the first failure. */
  readonly exitCode?: ExitCode | undefined
  /** What the check took, where that was measured already. */
  readonly millis?: number
}

/** A check that was made. */
export interface Step extends Finding {
  readonly step: number
  readonly name: string
  readonly millis: number
}

/** The checks made so far; each is printed as soon as it is known. */
export interface Report {
  readonly steps: ReadonlyArray<Step>
  /** Makes a check, measures and prints it, and gives what it found. */
  readonly check: <F extends Finding, R>(
    step: number,
    name: string,
    finding: Effect.Effect<F, never, R>
  ) => Effect.Effect<F, never, R>
  /** The first check that failed. */
  readonly failure: () => Step | undefined
}

const NAME_WIDTH = 26
const TIME_WIDTH = 8

const colorOf = (verdict: Verdict, colors: Palette): ((text: string) => string) =>
  ({ ok: colors.good, warn: colors.warn, failed: colors.bad, skipped: colors.dim })[verdict]

/** Characters of what a step found; `--json` has all of them. */
export const MAX_DETAIL = 1_000

const toLine = (step: Step, colors: Palette): string =>
  [
    String(step.step).padStart(2),
    printable(step.name).padEnd(NAME_WIDTH),
    colorOf(step.verdict, colors)(step.verdict.padEnd(7)),
    colors.dim((step.verdict === "skipped" ? "" : duration(step.millis)).padStart(TIME_WIDTH)),
    excerpt(step.detail, MAX_DETAIL)
  ].join("  ")

/** An empty report; a quiet one prints nothing. */
export const make = Effect.fnUntraced(function* (options: { readonly quiet: boolean }) {
  const clock = yield* Clock.Clock
  const colors = palette((yield* Screen).stdout)
  const steps: Array<Step> = []
  const report: Report = {
    steps,
    failure: () => steps.find((step) => step.verdict === "failed"),
    check: (number, name, finding) =>
      Effect.suspend(() => {
        const now = monotonicMillis(clock)
        const begin = now()
        return Effect.tap(finding, (found) => {
          const millis = now() - begin
          const step: Step = { step: number, name, millis, ...found }
          steps.push(step)
          return options.quiet ? Effect.void : Console.log(toLine(step, colors))
        })
      })
  }
  return report
})

/** A check that was not made, because an earlier one failed or nobody asked for it. */
export const skipped = (detail: string): Finding => ({ verdict: "skipped", detail })
