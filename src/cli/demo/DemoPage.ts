import { Clock, Console, Effect } from "effect"
import { bar, type Palette, palette, Screen } from "../Screen.ts"
import { duration, number } from "../Text.ts"
import { monotonicMillis } from "../../transport/Deadline.ts"

/** How the demo writes: headings, lines below them, facts in two columns. */
export interface Page {
  readonly colors: Palette
  /** Milliseconds on the monotonic clock. */
  readonly now: () => number
  readonly heading: (title: string) => Effect.Effect<void>
  readonly line: (text: string) => Effect.Effect<void>
  readonly fact: (label: string, value: string) => Effect.Effect<void>
  /** Runs an effect and writes a fact with the time it took; `note` is asked afterwards. */
  readonly timed: <A, E, R>(label: string, self: Effect.Effect<A, E, R>, note?: () => string) => Effect.Effect<A, E, R>
}

const LABEL_WIDTH = 46

/** How far something has come, as a progress line of the terminal. */
export const progress = (done: () => number, of: number, what: string) => (paint: Palette, columns: number) =>
  `  ${paint.accent(bar(done() / of, Math.min(40, columns - 40)))} ${number(done())} ${what}`

const line: Page["line"] = (text) => Console.log(`  ${text.trimEnd()}`)

/** A page on standard output. */
export const make = Effect.gen(function* () {
  const clock = yield* Clock.Clock
  const colors = palette((yield* Screen).stdout)
  const now = monotonicMillis(clock)
  const fact: Page["fact"] = (label, value) => line(`${label.padEnd(LABEL_WIDTH)}  ${value}`)
  const page: Page = {
    colors,
    now,
    heading: (title) => Effect.andThen(Console.log(""), Console.log(colors.bold(title))),
    line,
    fact,
    timed: (label, self, note) =>
      Effect.suspend(() => {
        const begin = now()
        return Effect.tap(self, () =>
          fact(label, `${colors.good("done")}  ${colors.dim(duration(now() - begin).padStart(8))}  ${note?.() ?? ""}`)
        )
      })
  }
  return page
})
