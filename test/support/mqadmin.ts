/** The table of docs/mqadmin.md: what mqadmin's verbs ask, and which of it the embedded cluster refuses. */
import * as Fs from "node:fs"

/** One verb. */
export interface Verb {
  readonly name: string
  /** The codes that it asks brokers and name servers. */
  readonly codes: ReadonlyArray<number>
  /** Of these, what a cluster of the release refuses; undefined for a release whose mqadmin has no such verb. */
  readonly refused: Readonly<Record<"5.5.0" | "4.9.7", ReadonlyArray<number> | undefined>>
  /** The commands of this package that do what it does; empty where none does. */
  readonly commands: ReadonlyArray<string>
  /** What the last column says in whole. */
  readonly ours: string
}

const numbers = (text: string): ReadonlyArray<number> => (text.match(/\d+/g) ?? []).map(Number)

/** Reads the table. */
export const verbs = (): ReadonlyArray<Verb> =>
  Fs.readFileSync(new URL("../../docs/mqadmin.md", import.meta.url), "utf8")
    .split("\n")
    .flatMap((line) => {
      const [, verb = "", codes = "", five = "", four = "", , ours = ""] = line.split("|").map((cell) => cell.trim())
      const name = /^`(\w+)`$/.exec(verb)?.[1]
      if (name === undefined) return []
      const refused = (cell: string) => (cell === "-" ? undefined : numbers(cell))
      const commands = ours.startsWith("none: ")
        ? []
        : [...ours.matchAll(/`([^`]+)`/g)].map(([, command = ""]) => command)
      return [
        { name, codes: numbers(codes), refused: { "5.5.0": refused(five), "4.9.7": refused(four) }, commands, ours }
      ]
    })
