import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { addPrograms, execute, lastLine, projectWithTarball } from "./project.ts"

/**
 * The packed tarball as a user has it: unpacked into the `node_modules` of a project that has the peers and not the
 * optional package. Nothing here needs a network.
 */

const root = Path.join(import.meta.dirname, "..", "..")
const entryPoints = ["", "/testing", "/promise", "/protocol"].map((path) => `effect-rocketmq${path}`)
let project = ""

beforeAll(() => {
  project = projectWithTarball()
}, 120_000)

afterAll(() => Fs.rmSync(Path.dirname(project), { recursive: true, force: true }))

/** Runs a program of the project, and gives what it prints. */
const run = (name: string, text: string): string => {
  Fs.writeFileSync(Path.join(project, name), text)
  const done = spawnSync(process.execPath, [name], { cwd: project, encoding: "utf8" })
  assert.strictEqual(done.status, 0, done.stderr)
  return done.stdout.trim()
}

const Bundled = Schema.fromJsonString(
  Schema.Struct({
    programs: Schema.Array(
      Schema.Struct({
        name: Schema.String,
        file: Schema.String,
        modules: Schema.Array(Schema.String),
        imports: Schema.Array(Schema.String)
      })
    ),
    warnings: Schema.Array(Schema.String)
  })
)

/** What each program of `programs` prints. */
const saying: Readonly<Record<string, string>> = {
  message: "orders 1",
  producer: "SEND_OK",
  consumer: "consumed 7",
  testing: "stored 1"
}

/** The files of ours that each needs, and so may carry: one for each folder of src. */
const rooms: Readonly<Record<string, ReadonlyArray<string>>> = {
  message: ["message"],
  producer: ["client", "message", "producer", "protocol", "transport"],
  // A request is answered by a send, and a message that failed is sent back by one.
  consumer: ["client", "consumer", "message", "producer", "protocol", "transport"],
  testing: ["client", "embedded", "message", "producer", "protocol", "transport"]
}

const roomsIn = ({ modules }: { readonly modules: ReadonlyArray<string> }): ReadonlyArray<string> =>
  modules
    .flatMap((id) => /effect-rocketmq\/dist\/shared\/([\w-]+)\.js$/.exec(id)?.[1] ?? [])
    .filter((name) => name !== "rolldown-runtime")
    .toSorted()

/** Bundles the programs from within the project. */
const bundle = (bundler: string, out: string) => {
  const names = Object.keys(saying).map((name) => `${name}.mjs`)
  addPrograms(project, names)
  const script = Path.join(import.meta.dirname, "bundle.mjs")
  return Effect.flatMap(
    execute(process.execPath, [script, bundler, out, ...names], project),
    Schema.decodeEffect(Bundled)
  )
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

  for (const bundler of ["esbuild", "rollup", "vite", "webpack"]) {
    it.live(
      `is bundled by ${bundler} as it is, without what a program does not use, and runs where there are no packages`,
      () =>
        Effect.gen(function* () {
          const out = Path.join(Path.dirname(project), `by-${bundler}`)
          const { programs, warnings } = yield* bundle(bundler, out)
          // The package is there or not when the program runs; some say that it is not there when they bundle.
          assert.deepStrictEqual(
            warnings.filter((text) => text.includes("effect-rocketmq") && !text.includes("lz4-napi")),
            []
          )
          const { namesrvAddr } = yield* EmbeddedCluster
          for (const [name, said] of Object.entries(saying)) {
            const found = programs.find((program) => program.name === name)
            assert.isDefined(found)
            assert.deepStrictEqual([name, ...roomsIn(found)], [name, ...(rooms[name] ?? [])])
            if (name === "message") assert.notMatch(found.imports.join(), /http|tls|net|zlib|crypto|dns|fs/)
            assert.notMatch([...found.imports, ...found.modules].join(), /undici|\bws\b/)
            const printed = yield* execute(process.execPath, [found.file, namesrvAddr], out)
            assert.strictEqual(lastLine(printed), said, name)
          }
        }).pipe(Effect.provide(EmbeddedCluster.layerTcp({ topics: { orders: {} } }))),
      300_000
    )
  }
})
