import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import { type Mutant, mutantsOf, mutated, sampleOf } from "./mutants.ts"
import { sourcesOf, testsOf } from "./testsOf.ts"

/**
 * `npm run mutate -- src/consumer/offset ...`: puts small mistakes into files of `src`, one at a time in a copy, and runs
 * the tests that concern the file. A mistake that no test finds is a hole in the tests, or changes nothing that can be seen.
 * `--sample N` tries so many of all that there are, drawn by `--seed`; `--list` only shows them.
 */

const root = Path.join(import.meta.dirname, "..", "..")
const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    list: { type: "boolean", default: false },
    sample: { type: "string" },
    seed: { type: "string", default: "1" }
  }
})

const say = (line: string) => process.stdout.write(`${line}\n`)

/** Milliseconds that the tests of a mutant may take besides three times what they take without it. */
const GRACE_MILLIS = 20_000

interface Place {
  readonly file: string
  readonly source: string
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

/** Runs test files in the copy; `found` when one fails, `late` when they do not end in time. */
const run = (folder: string, tests: ReadonlyArray<string>, limitMillis?: number): "passed" | "found" | "late" => {
  const vitest = Path.join(folder, "node_modules", "vitest", "vitest.mjs")
  const { error, status } = spawnSync(
    process.execPath,
    [
      vitest,
      "run",
      "--config",
      "test/config/vitest.config.ts",
      "--bail=1",
      "--maxWorkers=1",
      ...tests.map((t) => `test/${t}`)
    ],
    {
      cwd: folder,
      stdio: "ignore",
      killSignal: "SIGKILL",
      ...(limitMillis === undefined ? {} : { timeout: limitMillis })
    }
  )
  if (error !== undefined) return "late"
  return status === 0 ? "passed" : "found"
}

const main = (): number => {
  if (positionals.length === 0) throw new Error("say what to mutate: npm run mutate -- src/consumer/offset")
  const all = positionals
    .flatMap((path) => sourcesOf(root, path))
    .flatMap((file): ReadonlyArray<Place> => {
      const source = Fs.readFileSync(Path.join(root, "src", file), "utf8")
      return mutantsOf(source).map((mutant) => ({ file, source, mutant }))
    })
  const places = values.sample === undefined ? all : sampleOf(all, idOf, values.seed, Number(values.sample))
  if (values.list) {
    for (const place of places) say(idOf(place))
    return 0
  }
  const folder = copy()
  const counts = { found: 0, late: 0, passed: 0 }
  try {
    for (const [file, ofFile] of Map.groupBy(places, (place) => place.file)) {
      const tests = testsOf(root, file)
      const begin = performance.now()
      if (tests.length > 0 && run(folder, tests) !== "passed")
        throw new Error(`the tests of src/${file} fail as it is: ${tests.join(" ")}`)
      const limit = Math.ceil(3 * (performance.now() - begin)) + GRACE_MILLIS
      for (const place of ofFile) {
        const target = Path.join(folder, "src", file)
        Fs.writeFileSync(target, mutated(place.source, place.mutant))
        const outcome = tests.length === 0 ? "passed" : run(folder, tests, limit)
        Fs.writeFileSync(target, place.source)
        counts[outcome]++
        say(`${outcome === "passed" ? "SURVIVED" : outcome} ${idOf(place)}`)
      }
    }
  } finally {
    Fs.rmSync(folder, { recursive: true, force: true })
  }
  const tried = counts.found + counts.late + counts.passed
  const killed = counts.found + counts.late
  const score = tried === 0 ? 0 : Math.round((1_000 * killed) / tried) / 10
  say(
    `${killed} of ${tried} were found (${score} %), ${counts.late} of them by a time limit; there are ${all.length} in all.`
  )
  return counts.passed === 0 ? 0 : 1
}

process.exitCode = main()
