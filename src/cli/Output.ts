import { Console, Effect } from "effect"
import { palette, Screen } from "./Screen.ts"
import { moment, table } from "./Text.ts"

/** Prints a table for people: its head dimmed, its columns aligned, nothing in it that a terminal acts on. */
export const printTable = Effect.fnUntraced(function* (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  right: ReadonlyArray<number> = []
) {
  const colors = palette((yield* Screen).stdout)
  const [first = "", ...lines] = table([head, ...rows], right)
  yield* Console.log(colors.dim(first))
  for (const line of lines) yield* Console.log(line)
})

/** Prints that something was done. */
export const printDone = Effect.fnUntraced(function* (what: string) {
  yield* Console.log(`${palette((yield* Screen).stdout).good("ok")} ${what}`)
})

/** A time for people, to the second; `-` where there is none. */
export const time = (millis: number | undefined): string =>
  millis === undefined || millis <= 0 ? "-" : moment(millis).replace(/\.\d+Z$/, "Z")
