import { assert, describe, it } from "@effect/vitest"
import * as Fs from "node:fs"
import * as Path from "node:path"
import { parseAst } from "vitest/node"
import { mutantsOf, mutated, sampleOf } from "./mutants.ts"
import { sourcesOf, testsOf } from "./testsOf.ts"

const root = Path.join(import.meta.dirname, "..", "..")

/** What a text becomes, one mistake a line. */
const linesOf = (source: string) => mutantsOf(source).map((mutant) => mutated(source, mutant))

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
      for (const mutant of sampleOf(mutantsOf(source), ({ start }) => String(start), "1", 5)) {
        assert.doesNotThrow(() => parseAst(mutated(source, mutant), { lang: "ts" }), undefined, JSON.stringify(mutant))
      }
    }
  })

  it("are drawn by a seed, and the same ones however many are drawn", () => {
    const all = Array.from({ length: 100 }, (_, n) => n)
    const few = sampleOf(all, String, "1", 10)
    assert.strictEqual(few.length, 10)
    assert.includeMembers([...sampleOf(all, String, "1", 20)], [...few])
    assert.notDeepEqual(sampleOf(all, String, "2", 10), few)
  })

  it("have tests that concern them: of the same name, of the table, and those that import the file", () => {
    assert.includeMembers(
      [...testsOf(root, "consumer/offset/LocalOffsetStore.ts")],
      ["consumer/offset/LocalOffsetStore.test.ts"]
    )
    assert.include(testsOf(root, "message/HostAddress.ts"), "message/MessageId.test.ts")
    assert.include(testsOf(root, "producer/queue/LatencyFaultTolerance.ts"), "producer/queue/FaultStrategy.test.ts")
  })
})
