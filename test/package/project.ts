import { Effect } from "effect"
import { execFile, execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"
import { promisify } from "node:util"

const root = Path.join(import.meta.dirname, "..", "..")

/**
 * Makes a project that has the packed tarball and its peers, and not the optional package, in a new folder that is the
 * caller's to remove: the project is `project` in it. Needs no network.
 */
export const projectWithTarball = (): string => {
  const folder = Fs.mkdtempSync(Path.join(tmpdir(), "effect-rocketmq-tarball-"))
  const project = Path.join(folder, "project")
  const source = Path.join(folder, "package")
  for (const name of ["package.json", "README.md", "CHANGELOG.md", "LICENSE", "docs", "src"]) {
    Fs.cpSync(Path.join(root, name), Path.join(source, name), { recursive: true })
  }
  execFileSync(process.execPath, [Path.join(root, "test", "config", "build.ts"), Path.join(source, "dist")], {
    cwd: root
  })
  const pack = ["pack", "--json", "--offline", "--ignore-scripts", "--loglevel=error"]
  const [{ filename }] = JSON.parse(execFileSync("npm", pack, { cwd: source, encoding: "utf8" }))
  const installed = Path.join(project, "node_modules", "effect-rocketmq")
  Fs.mkdirSync(installed, { recursive: true })
  execFileSync("tar", ["xzf", Path.join(source, filename), "-C", installed, "--strip-components", "1"])
  for (const peer of ["effect", "@effect", "@types"]) {
    Fs.symlinkSync(Path.join(root, "node_modules", peer), Path.join(project, "node_modules", peer))
  }
  Fs.writeFileSync(Path.join(project, "package.json"), `{ "private": true }\n`)
  return project
}

/** Puts programs of the folder `programs` into a project. */
export const addPrograms = (project: string, names: ReadonlyArray<string>): void => {
  for (const name of names) {
    Fs.copyFileSync(Path.join(import.meta.dirname, "programs", name), Path.join(project, name))
  }
}

const executeFile = promisify(execFile)

/** Runs a program beside this one, which may serve it meanwhile, and gives what it prints. */
export const execute = (file: string, args: ReadonlyArray<string>, cwd: string): Effect.Effect<string> =>
  Effect.map(
    Effect.promise(() => executeFile(file, args, { cwd, maxBuffer: 64 << 20 })),
    ({ stdout }) => stdout
  )

/** The last line that a program prints: log lines may stand before it. */
export const lastLine = (printed: string): string | undefined => printed.trim().split("\n").at(-1)
