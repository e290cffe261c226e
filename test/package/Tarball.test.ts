import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"

/**
 * The packed tarball as a user has it: unpacked into the `node_modules` of a project that has the peers and not the
 * optional package. Nothing here needs a network.
 */

const root = Path.join(import.meta.dirname, "..", "..")
const entryPoints = ["", "/testing", "/promise", "/protocol"].map((path) => `effect-rocketmq${path}`)
let project = ""

beforeAll(() => {
  const folder = Fs.mkdtempSync(Path.join(tmpdir(), "effect-rocketmq-tarball-"))
  project = Path.join(folder, "project")
  const source = Path.join(folder, "package")
  for (const name of ["package.json", "README.md", "CHANGELOG.md", "LICENSE", "src"]) {
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
}, 120_000)

afterAll(() => Fs.rmSync(Path.dirname(project), { recursive: true, force: true }))

/** Runs a program of the project, and gives what it prints. */
const run = (name: string, text: string): string => {
  Fs.writeFileSync(Path.join(project, name), text)
  const done = spawnSync(process.execPath, [name], { cwd: project, encoding: "utf8" })
  assert.strictEqual(done.status, 0, done.stderr)
  return done.stdout.trim()
}

describe("the tarball", () => {
  it("gives the same by require as by import, for every entry point", () => {
    const names = `Object.keys(module).filter((name) => name !== "module.exports").toSorted()`
    for (const entry of entryPoints) {
      const required = run(
        "required.cjs",
        `const module_ = require("${entry}")\n{ const module = module_; console.log(JSON.stringify(${names})) }`
      )
      const imported = run("imported.mjs", `import * as module from "${entry}"\nconsole.log(JSON.stringify(${names}))`)
      assert.strictEqual(required, imported, entry)
      assert.isAbove(JSON.parse(required).length, 10, entry)
    }
  })

  it("has types that stand by themselves, for a project that checks those of its packages as well", () => {
    const names = entryPoints.map((entry, index) => `import * as m${index} from "${entry}"\nvoid m${index}`)
    Fs.writeFileSync(Path.join(project, "types.ts"), names.join("\n"))
    const tsc = Path.join(root, "node_modules", "typescript", "bin", "tsc")
    const strict = ["--strict", "--exactOptionalPropertyTypes", "--skipLibCheck", "false", "--types", "node"]
    const target = ["--noEmit", "--target", "es2023", "--module", "nodenext"]
    const done = spawnSync(process.execPath, [tsc, ...strict, ...target, "types.ts"], {
      cwd: project,
      encoding: "utf8"
    })
    assert.strictEqual(done.status, 0, done.stdout)
  }, 120_000)

  it("is bundled by esbuild without an option for the optional package, which is not there", () => {
    Fs.writeFileSync(
      Path.join(project, "main.ts"),
      [
        `import { DefaultMQProducer, MQClientManager } from "effect-rocketmq"`,
        `import { EmbeddedCluster } from "effect-rocketmq/testing"`,
        `console.log(typeof DefaultMQProducer.layer, typeof MQClientManager.layerTcp, typeof EmbeddedCluster.layerMemory)`
      ].join("\n")
    )
    const esbuild = Path.join(root, "node_modules", "esbuild-wasm", "bin", "esbuild")
    const bundle = [
      "main.ts",
      "--bundle",
      "--platform=node",
      "--format=esm",
      "--outfile=bundle.mjs",
      "--log-level=error"
    ]
    const done = spawnSync(process.execPath, [esbuild, ...bundle], { cwd: project, encoding: "utf8" })
    assert.strictEqual(done.status, 0, done.stderr)
    // Run where there are no packages at all.
    const alone = Path.join(Path.dirname(project), "bundle.mjs")
    Fs.copyFileSync(Path.join(project, "bundle.mjs"), alone)
    assert.strictEqual(execFileSync(process.execPath, [alone], { encoding: "utf8" }).trim(), "function object function")
  }, 60_000)
})
