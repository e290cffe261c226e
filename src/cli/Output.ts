import { Console, Effect } from "effect"
import { CliOutput } from "effect/cli"
import { palette, Screen } from "./Screen.ts"
import { moment, table, wrap } from "./Text.ts"

/** A table whose lines a terminal would break anywhere: each cell behind its column's name, a blank line between rows. */
const upright = (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  columns: number
): ReadonlyArray<string> => {
  const indent = head.reduce((width, name) => Math.max(width, name.length), 0) + 2
  return rows.flatMap((row, i) => [
    ...(i === 0 ? [] : [""]),
    ...table(row.map((cell, k) => [head[k] ?? "", cell])).flatMap((line) => wrap(line, columns, indent))
  ])
}

/**
 * Prints a table for people: its head dimmed, its columns aligned, nothing in it that a terminal acts on. On a terminal that
 * is too narrow for it each cell has a line.
 */
export const printTable = Effect.fnUntraced(function* (
  head: ReadonlyArray<string>,
  rows: ReadonlyArray<ReadonlyArray<string>>,
  right: ReadonlyArray<number> = []
) {
  const { stdout } = yield* Screen
  const [first = "", ...lines] = table([head, ...rows], right)
  const { columns = Infinity } = stdout
  if ([first, ...lines].some((line) => CliOutput.displayWidth(line) > columns)) {
    for (const line of upright(head, rows, columns)) yield* Console.log(line)
    return
  }
  yield* Console.log(palette(stdout).dim(first))
  for (const line of lines) yield* Console.log(line)
})

/** Prints that something was done. */
export const printDone = Effect.fnUntraced(function* (what: string) {
  yield* Console.log(`${palette((yield* Screen).stdout).good("ok")} ${what}`)
})

/** A time for people, to the second; `-` where there is none. */
export const time = (millis: number | undefined): string =>
  millis === undefined || millis <= 0 ? "-" : moment(millis).replace(/\.\d+Z$/, "Z")
