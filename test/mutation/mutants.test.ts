import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import { parseAst } from "vitest/node"
import { compiling } from "./compiles.ts"
import { mutantsOf, mutated, rankedBy } from "./mutants.ts"
import { sourcesOf, testsOf } from "./testsOf.ts"

const root = Path.join(import.meta.dirname, "..", "..")

/** What a text becomes, one mistake a line. */
const linesOf = (source: string) => mutantsOf(source).map((mutant) => mutated(source, mutant))

const changed = (file: string, text: string) => ({ file, source: "export {}", text })

describe("mistakes that are put into sources", () => {
  it("are made in what runs, and not in types or texts", () => {
    assert.deepStrictEqual(linesOf(`type A = 1 | true\nconst a: A = b as 1\nconst c = "x" + d`), [])
    assert.sameMembers(
      [...linesOf("if (a < 2) f()")],
      ["if (true) f()", "if (false) f()", "if (a <= 2) f()", "if (a < 3) f()", "if (a < 2) ;"]
    )
    assert.sameMembers(
      [...linesOf("const x = !(a === b) && c - d")],
      [
        "const x = (a === b) && c - d",
        "const x = !(a !== b) && c - d",
        "const x = !(a === b) || c - d",
        "const x = !(a === b) && c + d"
      ]
    )
    assert.sameMembers(
      [...linesOf("function* g() { yield* f(a, { b: true }) }")],
      ["function* g() { ; }", "function* g() { yield* f(a) }", "function* g() { yield* f(a, { b: false }) }"]
    )
  })

  it("leave a text that can be parsed, so that it is a test that finds them", () => {
    for (const file of [...sourcesOf(root, "src/consumer/queue"), ...sourcesOf(root, "src/transport")]) {
      const source = Fs.readFileSync(Path.join(root, "src", file), "utf8")
      // Some of each file: all of them take a minute.
      for (const mutant of rankedBy(mutantsOf(source), ({ start }) => String(start), "1").slice(0, 5)) {
        assert.doesNotThrow(() => parseAst(mutated(source, mutant), { lang: "ts" }), undefined, JSON.stringify(mutant))
      }
    }
  })

  it("are drawn by a seed, and in one order however many there are", () => {
    const all = Array.from({ length: 100 }, (_, n) => n)
    const drawn = rankedBy(all, String, "1")
    assert.sameMembers([...drawn], all)
    assert.notDeepEqual(drawn, all)
    const fewer = all.filter((n) => n % 2 === 0)
    assert.deepStrictEqual(
      rankedBy(fewer, String, "1"),
      drawn.filter((n) => n % 2 === 0)
    )
    assert.notDeepEqual(rankedBy(all, String, "2"), drawn)
  })

  it("have tests that concern them: of the same name and of the table, or else those that import the file", () => {
    assert.includeMembers(
      [...testsOf(root, "consumer/offset/LocalOffsetStore.ts")],
      ["consumer/offset/LocalOffsetStore.test.ts"]
    )
    assert.include(testsOf(root, "message/HostAddress.ts"), "message/MessageId.test.ts")
    assert.include(testsOf(root, "producer/queue/LatencyFaultTolerance.ts"), "producer/queue/FaultStrategy.test.ts")
    // The table names the folder.
    assert.include(testsOf(root, "consumer/lite/LitePull.ts"), "consumer/lite/DefaultLitePullConsumer.test.ts")
  })

  it("are not tried where the compiler refuses them", () => {
    const folder = Fs.mkdtempSync(Path.join(Os.tmpdir(), "compiles-"))
    try {
      Fs.mkdirSync(Path.join(folder, "src"))
      Fs.symlinkSync(Path.join(root, "node_modules"), Path.join(folder, "node_modules"))
      for (const name of ["package.json", "tsconfig.json"]) {
        Fs.copyFileSync(Path.join(root, name), Path.join(folder, name))
      }
      const taken = changed("a.ts", "export const a = (n: number) => { if (false) return n; return n + 1 }")
      const all = [changed("a.ts", `export const a: number = "1"`), taken, changed("b.ts", "export const b = c")]
      assert.deepStrictEqual(compiling(folder, all), [taken])
      assert.strictEqual(Fs.readFileSync(Path.join(folder, "src", "a.ts"), "utf8"), "export {}")
    } finally {
      Fs.rmSync(folder, { recursive: true, force: true })
    }
  })
})
