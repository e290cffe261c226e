import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import * as Prettier from "prettier"
import { difference, pageOf, problemsOf, type Report, testsOf, titlePattern } from "./pageText.ts"

/**
 * `npm run test:reliability`: runs the tests of all rows of the fault matrix and compares docs/reliability.md with the
 * outcome; with `--write` it writes the page instead. With `--report <file>`, once for each, it runs nothing and reads
 * vitest's JSON reports of runs that have been: that is what CI does.
 */

const root = Path.join(import.meta.dirname, "..", "..")
const page = Path.join(root, "docs", "reliability.md")
const { values } = parseArgs({
  options: {
    report: { type: "string", multiple: true, default: [] },
    write: { type: "boolean", default: false }
  }
})

const say = (line: string) => process.stdout.write(`${line}\n`)

/** The files of tests that may have some of rows: to load all the others would take most of the time. */
const filesWithRows = (): ReadonlyArray<string> =>
  Fs.readdirSync(Path.join(root, "test"), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".test.ts"))
    .map((entry) => Path.join(entry.parentPath, entry.name))
    .filter((file) => reachable(file).some((text) => mayHaveRows.test(text)))
    .map((file) => Path.relative(root, file))

/** The number of a row where a title can have it, written out or in a table of cases. */
const mayHaveRows = /["'`]([NCBHLA]|C-)\d{1,2}\b/

/** The text of a file, and of those of its own folder and the folders beside it that it imports: suites have titles too. */
const reachable = (file: string, seen = new Set<string>()): ReadonlyArray<string> => {
  if (seen.has(file) || !Fs.existsSync(file)) return []
  seen.add(file)
  const text = Fs.readFileSync(file, "utf8")
  const imports = [...text.matchAll(/from "(\.[^"]+\.ts)"/g)]
    .map((match) => Path.join(Path.dirname(file), match[1] ?? ""))
    .filter((target) => target.startsWith(Path.join(root, "test") + Path.sep))
  return [text, ...imports.flatMap((target) => reachable(target, seen))]
}

/** Runs the tests of rows in one suite; gives the file of its report. */
const runSuite = (config: string, folder: string): string => {
  const report = Path.join(folder, `${config}.json`)
  const vitest = Path.join(root, "node_modules", "vitest", "vitest.mjs")
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${report}`]
  spawnSync(
    process.execPath,
    [
      vitest,
      "run",
      "--config",
      Path.join(root, "test", "config", config),
      "-t",
      titlePattern,
      ...reporters,
      ...filesWithRows()
    ],
    { cwd: root, stdio: "inherit" }
  )
  return report
}

const readReport = (file: string): Report => {
  if (!Fs.existsSync(file)) throw new Error(`${file} is not there: the suite did not run to its end`)
  const report: Report = JSON.parse(Fs.readFileSync(file, "utf8"))
  return report
}

const main = async (reports: ReadonlyArray<string>, alone: boolean): Promise<number> => {
  const tests = testsOf(root, reports.map(readReport))
  const before = Fs.existsSync(page) ? Fs.readFileSync(page, "utf8") : undefined
  const options = await Prettier.resolveConfig(page)
  const made = await Prettier.format(pageOf(tests, before), { ...options, parser: "markdown" })
  const problems = [...problemsOf(tests, alone)]
  if (values.write) {
    Fs.writeFileSync(page, made)
    say(`wrote ${Path.relative(process.cwd(), page)}: ${tests.length} tests of rows`)
  } else {
    const lines = difference(before ?? "", made)
    if (lines.length > 0) {
      problems.push(
        `docs/reliability.md is not what this run says (- the page, + the run); \`npm run test:reliability -- --write\` writes it:\n${lines.join("\n")}`
      )
    }
  }
  for (const problem of problems) say(problem)
  if (problems.length === 0) say("docs/reliability.md is what the run says, and every goal is met")
  return problems.length === 0 ? 0 : 1
}

const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "effect-rocketmq-rows-"))
try {
  const given = values.report
  const reports =
    given.length > 0
      ? given
      : ["vitest.config.ts", "vitest.rocketmq.config.ts"].map((config) => runSuite(config, folder))
  process.exitCode = await main(reports, given.length === 0)
} catch (error) {
  say(error instanceof Error ? error.message : String(error))
  process.exitCode = 1
} finally {
  Fs.rmSync(folder, { recursive: true, force: true })
}
