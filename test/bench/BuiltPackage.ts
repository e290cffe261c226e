import * as Fs from "node:fs"
import * as Path from "node:path"
import { run } from "./Processes.ts"

/** The package as it is published, built anew: what a program imports is not TypeScript. */
export interface BuiltPackage {
  readonly folder: string
  /** Its entry. */
  readonly entry: string
  /** A module that imports what the package imports from elsewhere, and nothing else. */
  readonly others: string
  readonly othersNames: ReadonlyArray<string>
}

const root = Path.join(import.meta.dirname, "..", "..")

const importsOf = (file: string) =>
  [...Fs.readFileSync(file, "utf8").matchAll(/^\s*(?:import|export)\b(?:[^"';]*?\bfrom)?\s*"([^"]+)"/gm)].map(
    (match) => match[1] ?? ""
  )

/** What a module imports from outside of its folders, directly or through others of them, when it is loaded. */
const foreignImports = (entry: string): ReadonlyArray<string> => {
  const seen = new Set([entry])
  const foreign = new Set<string>()
  for (const file of seen) {
    for (const name of importsOf(file)) {
      if (name.startsWith(".")) seen.add(Path.resolve(Path.dirname(file), name))
      else foreign.add(name)
    }
  }
  return [...foreign].toSorted()
}

/** Builds it in a folder from which the dependencies are found. */
export const build = async (folder: string): Promise<BuiltPackage> => {
  const dist = Path.join(folder, "dist")
  await run([process.execPath, Path.join(root, "test", "config", "build.ts"), dist], { limitSeconds: 300 })
  Fs.writeFileSync(Path.join(folder, "package.json"), '{"type":"module"}\n')
  Fs.copyFileSync(Path.join(import.meta.dirname, "start", "ours.mjs"), Path.join(folder, "ours.mjs"))
  const entry = Path.join(dist, "index.js")
  const othersNames = foreignImports(entry)
  const others = Path.join(folder, "others.mjs")
  Fs.writeFileSync(others, othersNames.map((name) => `import ${JSON.stringify(name)}\n`).join(""))
  return { folder, entry, others, othersNames }
}

/** A folder of this package's own dependencies, for {@link build}. */
export const makeFolder = (): string => Fs.mkdtempSync(Path.join(root, "node_modules", ".bench-"))
