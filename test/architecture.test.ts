import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import * as Fs from "node:fs"
import * as Path from "node:path"

/**
 * The house rules that a compiler does not hold: who may import whom, what is not used in src, and what every export
 * has. See docs/architecture.md.
 */

const root = Path.join(import.meta.dirname, "..")
const src = Path.join(root, "src")

/** A folder may import from those above it. */
const rooms = ["message", "protocol", "transport", "client", "producer", "consumer", "admin", "promise"]
/** What the embedded cluster stands on: it must not know the client that it is the counterpart of. */
const embeddedRooms = new Set(["message", "protocol", "transport"])
/** The instruments for tests stand on the embedded cluster, and on no more of the client than it does. */
const testingRooms = new Set([...embeddedRooms, "embedded"])

const filesBelow = (folder: string): ReadonlyArray<string> =>
  Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
    .map((entry) => Path.join(entry.parentPath, entry.name))

const roomOf = (file: string) => {
  const [first = "", second] = Path.relative(src, file).split(Path.sep)
  return second === undefined ? "" : first
}

const importsOf = (file: string) =>
  [
    ...Fs.readFileSync(file, "utf8").matchAll(
      /^\s*(?:import|export)\b[^"'`;]*?from\s+"([^"]+)"|\bimport\("([^"]+)"\)/gm
    )
  ].map((match) => match[1] ?? match[2] ?? "")

const mayImport = (from: string, to: string): boolean => {
  if (from === to || from === "cli" || from === "") return true
  if (from === "embedded") return embeddedRooms.has(to)
  if (from === "testing") return testingRooms.has(to)
  const a = rooms.indexOf(from)
  const b = rooms.indexOf(to)
  return a >= 0 && b >= 0 && b < a
}

const sources = filesBelow(src).map((file) => ({
  file: Path.relative(root, file),
  path: file,
  text: Fs.readFileSync(file, "utf8")
}))

/** The text without comments and strings, so that a word in them does not count. */
const code = (text: string) =>
  text.replace(/\/\*[\s\S]*?\*\/|\/\/.*$/gm, "").replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, '""')

describe("architecture", () => {
  it("a file imports only from its own folder and from folders above it", () => {
    const broken: Array<string> = []
    for (const { file, path } of sources) {
      const from = roomOf(path)
      for (const target of importsOf(path)) {
        if (!target.startsWith(".")) continue
        const to = roomOf(Path.resolve(Path.dirname(path), target))
        if (!mayImport(from, to)) broken.push(`${file} imports ${target}`)
      }
    }
    assert.deepStrictEqual(broken, [])
    assert.isAbove(sources.length, 50)
  })

  it("src imports nothing but effect, @effect/platform-node and Node", () => {
    const allowed = /^(?:\.|effect$|effect\/|@effect\/platform-node(?:$|\/)|node:)/
    // Optional, and loaded by one file when it is needed.
    const optional = new Map([["lz4-napi", "src/protocol/Lz4.ts"]])
    const foreign = sources.flatMap(({ file, path }) =>
      importsOf(path)
        .filter((target) => !allowed.test(target) && optional.get(target) !== file)
        .map((target) => `${file} imports ${target}`)
    )
    assert.deepStrictEqual(foreign, [])
  })

  it("the parts of a client load no module that it can do without", () => {
    // The barrel of the platform package loads an HTTP stack and more; a client needs a socket.
    const heavy = sources.filter(
      ({ path }) => roomOf(path) !== "cli" && importsOf(path).includes("@effect/platform-node")
    )
    assert.deepStrictEqual(
      heavy.map(({ file }) => file),
      []
    )
  })

  it("only transport/Wire.ts and the wires name the socket of effect", () => {
    const users = sources.filter(({ path }) => importsOf(path).some((t) => /effect\/socket|NodeSocket/.test(t)))
    assert.isTrue(
      users.every(({ file }) => /^src\/transport\/\w*Wire\.ts$/.test(file)),
      users.map(({ file }) => file).join(", ")
    )
  })

  it("time and chance come from the Clock and Random services", () => {
    const banned = /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\bperformance\.now\b|\bsetInterval\b|\bsetTimeout\b/
    const users = sources.filter(({ text }) => banned.test(code(text))).map(({ file }) => file)
    assert.deepStrictEqual(users, [])
  })

  it("no type is given up, and no test is muted", () => {
    const given = /\bas any\b|:\s*any\b|<any>|@ts-ignore|@ts-expect-error/
    const muted = /\b(?:it|test|describe)(?:\.\w+)*\.(?:skip|only|todo|fails)\b/
    const tests = filesBelow(Path.join(root, "test")).filter((file) => !file.includes(`${Path.sep}target${Path.sep}`))
    assert.deepStrictEqual(
      sources.filter(({ text }) => given.test(code(text))).map(({ file }) => file),
      []
    )
    assert.deepStrictEqual(
      tests.filter((file) => muted.test(code(Fs.readFileSync(file, "utf8")))),
      []
    )
  })

  it("every export has a docstring", () => {
    const bare: Array<string> = []
    for (const { file, text } of sources) {
      const lines = text.split("\n")
      lines.forEach((line, index) => {
        if (!/^export (?:const|class|interface|type|function|abstract)\b(?! \{)/.test(line)) return
        let above = index - 1
        while (above >= 0 && /^\s*$/.test(lines[above] ?? "")) above--
        const documented = /\*\/\s*$/.test(lines[above] ?? "")
        // `export type X = typeof X.Type` stands right below the schema that it belongs to.
        const companion = /^export type (\w+) = typeof \1\.Type/.test(line)
        // The implementation of an overloaded function stands below its documented signatures.
        const name = /^export function (\w+)/.exec(line)?.[1]
        const overload =
          name !== undefined && lines.slice(0, index).some((l) => l.startsWith(`export function ${name}`))
        if (!documented && !companion && !overload) bare.push(`${file}:${index + 1} ${line.slice(0, 60)}`)
      })
    }
    assert.deepStrictEqual(bare, [])
  })

  it("the top level holds what docs/architecture.md names, and nothing else", () => {
    const allowed = new Set([
      ".ci",
      ".gitignore",
      ".npmrc",
      "CHANGELOG.md",
      "LICENSE",
      "README.md",
      "docs",
      "package-lock.json",
      "package.json",
      "src",
      "test",
      "tsconfig.json"
    ])
    const tracked = execFileSync("git", ["ls-files", "-z"], { cwd: root, encoding: "utf8" }).split("\0")
    const top = new Set(tracked.map((path) => path.split("/")[0] ?? "").filter((name) => name !== ""))
    assert.deepStrictEqual(
      [...top].filter((name) => !allowed.has(name)),
      []
    )
  })
})
