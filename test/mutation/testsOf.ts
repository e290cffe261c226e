import * as Fs from "node:fs"
import * as Path from "node:path"

/** The files below a folder whose name ends so, as paths from it. */
const filesOf = (folder: string, end: string): ReadonlyArray<string> =>
  Fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(end))

/** The table of docs/architecture.md that names the tests of files that have none of their name. */
const tableOf = (root: string): ReadonlyArray<readonly [files: string, tests: string]> =>
  Fs.readFileSync(Path.join(root, "docs", "architecture.md"), "utf8")
    .split("\n")
    .filter((line) => line.startsWith("| `") && line.includes(".test.ts`"))
    .map((line) => {
      const [, files = "", tests = ""] = line.split("|")
      return [files, tests]
    })

const quoted = (cell: string) => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? "")

/**
 * The test files that concern a file of `src`, as paths from `test`: the one of its name and those that docs/architecture.md
 * names; where there is none of these, those that import it themselves.
 */
export const testsOf = (root: string, file: string): ReadonlyArray<string> => {
  const tests = Path.join(root, "test")
  const named = file.replace(/\.ts$/, ".test.ts")
  const listed = tableOf(root).flatMap(([files, list]) =>
    quoted(files).some((name) => name === file || (name.endsWith("/") && file.startsWith(name))) ? quoted(list) : []
  )
  const exists = (test: string) => Fs.existsSync(Path.join(tests, test)) && !test.startsWith("rocketmq")
  const own = [...new Set([named, ...listed])].filter(exists)
  if (own.length > 0) return own
  return filesOf(tests, ".test.ts")
    .filter((test) => {
      const text = Fs.readFileSync(Path.join(tests, test), "utf8")
      const target = Path.relative(Path.dirname(Path.join(tests, test)), Path.join(root, "src", file))
      return text.includes(`"${target}"`)
    })
    .filter(exists)
}

/** The files of `src` that a path from there names: itself, or all below it. */
export const sourcesOf = (root: string, path: string): ReadonlyArray<string> => {
  const from = path.replace(/^src\//, "").replace(/\/$/, "")
  const full = Path.join(root, "src", from)
  if (!Fs.existsSync(full)) throw new Error(`there is no src/${from}`)
  return Fs.statSync(full).isFile() ? [from] : filesOf(full, ".ts").map((name) => Path.join(from, name))
}
