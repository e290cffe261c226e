import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import { type Changed, compiling } from "./compiles.ts"
import { type Mutant, mutantsOf, mutated, rankedBy } from "./mutants.ts"
import { TestRuns } from "./TestRuns.ts"
import { sourcesOf, testsOf } from "./testsOf.ts"

/**
 * `npm run mutate -- src/consumer/offset ...`: puts small mistakes into files of `src`, one at a time in a copy, and runs
 * the tests that concern the file. A mistake that no test finds is a hole in the tests, or changes nothing that can be seen.
 * `--sample N` tries so many of all that there are, drawn by `--seed` and in the order in which they are drawn: a run that is
 * ended early is a smaller sample. `--skip N` leaves out the first of them; `--list` only shows them.
 */

const root = Path.join(import.meta.dirname, "..", "..")
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: "boolean", default: false },
    sample: { type: "string" },
    skip: { type: "string", default: "0" },
    seed: { type: "string", default: "1" }
  }
})

const say = (line: string) => process.stdout.write(`${line}\n`)

interface Place extends Changed {
  readonly mutant: Mutant
}

const idOf = ({ file, mutant, source }: Place) =>
  `src/${file}:${mutant.line} ${mutant.operator}: ${JSON.stringify(source.slice(mutant.start, mutant.end))} -> ${JSON.stringify(mutant.replacement)}`

/** A copy of what tests need; mistakes are made there. */
const copy = (): string => {
  const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "mutants-"))
  for (const name of Fs.readdirSync(root)) {
    if (name === ".git" || name === "dist") continue
    const [from, to] = [Path.join(root, name), Path.join(folder, name)]
    if (name === "node_modules") Fs.symlinkSync(from, to)
    else Fs.cpSync(from, to, { recursive: true })
  }
  return folder
}

const main = async (): Promise<number> => {
  if (positionals.length === 0) throw new Error("say what to mutate: npm run mutate -- src/consumer/offset")
  const all = positionals
    .flatMap((path) => sourcesOf(root, path))
    .flatMap((file): ReadonlyArray<Place> => {
      const source = Fs.readFileSync(Path.join(root, "src", file), "utf8")
      return mutantsOf(source).map((mutant) => ({ file, source, mutant, text: mutated(source, mutant) }))
    })
  const end = values.sample === undefined ? undefined : Number(values.sample)
  const places = rankedBy(all, idOf, values.seed).slice(Number(values.skip), end)
  if (values.list) {
    for (const place of places) say(idOf(place))
    return 0
  }
  const folder = copy()
  const runs = new TestRuns(folder)
  const counts = { found: 0, late: 0, SURVIVED: 0 }
  try {
    const compiled = new Set(compiling(folder, places))
    say(`${compiled.size} of ${places.length} compile; there are ${all.length} in all.`)
    for (const place of places) {
      if (!compiled.has(place)) {
        say(`refused ${idOf(place)}`)
        continue
      }
      const tests = testsOf(root, place.file)
      await runs.measure(tests)
      const target = Path.join(folder, "src", place.file)
      Fs.writeFileSync(target, place.text)
      const outcome = await runs.find(`src/${place.file}`, runs.quickFirst(tests))
      Fs.writeFileSync(target, place.source)
      const name = outcome === "passed" ? "SURVIVED" : outcome === "late" ? "late" : "found"
      counts[name]++
      say(`${name} ${idOf(place)}${typeof outcome === "object" ? ` by ${outcome.failed}` : ""}`)
    }
  } finally {
    runs.stop()
    Fs.rmSync(folder, { recursive: true, force: true })
  }
  const killed = counts.found + counts.late
  const tried = killed + counts.SURVIVED
  const score = tried === 0 ? 0 : Math.round((1_000 * killed) / tried) / 10
  say(`${killed} of ${tried} were found (${score} %), ${counts.late} of them by a time limit.`)
  return counts.SURVIVED === 0 ? 0 : 1
}

process.exitCode = await main()
