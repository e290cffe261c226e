import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

/** A source file with one mistake in it. */
export interface Changed {
  readonly file: string
  readonly source: string
  readonly text: string
}

/**
 * Those of the changed files that the compiler takes: a mistake that it refuses reaches no test. One run of the compiler looks
 * at one mistake in each file.
 */
export const compiling = <A extends Changed>(folder: string, all: ReadonlyArray<A>): ReadonlyArray<A> => {
  const settings = Path.join(folder, "tsconfig.mutants.json")
  // Code that is never reached or not used is what a mistake leaves behind.
  const compilerOptions = { allowUnreachableCode: true, noUnusedLocals: false, noUnusedParameters: false }
  Fs.writeFileSync(settings, JSON.stringify({ extends: "./tsconfig.json", include: ["src"], compilerOptions }))
  const refused = new Set<A>()
  const waiting = [...Map.groupBy(all, ({ file }) => file).values()]
  for (let round = 0; waiting.some((ofFile) => ofFile.length > round); round++) {
    const now = waiting.flatMap((ofFile) => ofFile.slice(round, round + 1))
    for (const { file, text } of now) Fs.writeFileSync(Path.join(folder, "src", file), text)
    const { stdout } = spawnSync(Path.join(folder, "node_modules", ".bin", "tsc"), ["--noEmit", "-p", settings], {
      cwd: folder,
      encoding: "utf8"
    })
    for (const { file, source } of now) Fs.writeFileSync(Path.join(folder, "src", file), source)
    for (const one of now) if (stdout.includes(`src/${one.file}(`)) refused.add(one)
  }
  return all.filter((one) => !refused.has(one))
}
