import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { EmbeddedCluster } from "../../src/testing/index.ts"
import { addPrograms, execute, lastLine, projectWithTarball } from "../package/project.ts"

/**
 * The packed tarball on the runtimes that README names, each of the version in the lock file beside this. `npm run
 * test:runtimes` installs them; no program of theirs runs then.
 */

const installed = Path.join(import.meta.dirname, "node_modules")

/** The program of a package for this system, of those that were installed. */
const programIn = (scope: string, name: string): string => {
  const folder = Path.join(installed, scope)
  const found = Fs.readdirSync(folder)
    .map((system) => Path.join(folder, system, name))
    .find((file) => Fs.existsSync(file))
  assert.isDefined(found, `no ${name} was installed for this system`)
  return found
}

/** How each runs a program, and what it says of its version. */
const runtimes: Readonly<Record<string, { readonly begin: () => ReadonlyArray<string>; readonly version: RegExp }>> = {
  "the oldest Node": { begin: () => [Path.join(installed, "node-22", "bin", "node")], version: /^v22\.19\.0$/ },
  "the Node of the tests": { begin: () => [process.execPath], version: /^v2[4-9]\./ },
  Bun: { begin: () => [programIn("@oven", "bin/bun")], version: /^1\.\d+\.\d+$/ },
  Deno: {
    begin: () => [programIn("@deno", "deno"), "run", "--allow-all", "--node-modules-dir=manual", "--no-lock"],
    version: /^deno 2\./
  }
}

/** What each program of `package/programs` prints. */
const saying: Readonly<Record<string, string>> = {
  "required.cjs": "missing: 0",
  "message.mjs": "orders 1",
  "testing.mjs": "stored 1",
  "producer.mjs": "SEND_OK",
  "consumer.mjs": "consumed 7",
  "promise.mjs": "consumed 7"
}

let project = ""

beforeAll(() => {
  project = projectWithTarball()
  addPrograms(project, Object.keys(saying))
})

afterAll(() => Fs.rmSync(Path.dirname(project), { recursive: true, force: true }))

for (const [name, { begin, version }] of Object.entries(runtimes)) {
  describe(`the tarball on ${name}`, () => {
    it.live("is run by the version that is meant", () =>
      Effect.gen(function* () {
        const [program = ""] = begin()
        assert.match((yield* execute(program, ["--version"], project)).split("\n")[0] ?? "", version)
      })
    )

    it.live("is imported, required, tests, sends and consumes", () =>
      Effect.gen(function* () {
        const [program = "", ...args] = begin()
        const { namesrvAddr } = yield* EmbeddedCluster
        for (const [file, said] of Object.entries(saying)) {
          const printed = yield* execute(program, [...args, file, namesrvAddr], project)
          assert.strictEqual(lastLine(printed), said, file)
        }
      }).pipe(Effect.provide(EmbeddedCluster.layerTcp({ topics: { orders: {} } })))
    )
  })
}
