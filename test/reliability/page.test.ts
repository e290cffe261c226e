import { assert, describe, it } from "@effect/vitest"
import { difference, goals, pageOf, problemsOf, type Report, testsOf, titlePattern } from "./pageText.ts"
import { rows, rowsOf } from "./rows.ts"

const report = (name: string, ...tests: ReadonlyArray<readonly [title: string, status: string]>): Report => ({
  testResults: [
    {
      name: `/project/${name}`,
      assertionResults: tests.map(([title, status]) => ({ title, ancestorTitles: ["group"], status, duration: 10 }))
    }
  ]
})

const all = rows.map(({ row }) => [`${row}: all is well`, "passed"] as const)
const good = [
  report("test/reliability/All.test.ts", ...all),
  report("test/reliability/proxy/All.test.ts", ...all.slice(0, goals.proxy)),
  report("test/rocketmq/reliability/all.test.ts", ...all.slice(0, goals.rocketmq))
]

/** Whether vitest runs a test of this title when it is asked for those of rows. */
const matches = (title: string) => new RegExp(titlePattern).test(`group ${title}`)

describe("rows", () => {
  it("each row stands once, and its number tells its group", () => {
    assert.strictEqual(new Set(rows.map(({ row }) => row)).size, rows.length)
    for (const letter of ["N", "C", "B", "H", "L", "A", "C-"]) {
      const own = rows.filter(({ row }) => row.replace(/\d+$/, "") === letter)
      const numbers = own.map(({ row }) => Number(row.slice(letter.length)))
      // A has kinds, which begin at A1, A20 and A40; of consumers, only those rows stand here that this client has so far.
      const expected =
        letter === "A" || letter === "C-" ? numbers.toSorted((a, b) => a - b) : own.map((_, index) => index + 1)
      assert.deepStrictEqual(numbers, expected)
      assert.strictEqual(new Set(own.map((row) => row.group)).size, 1)
    }
  })

  it("a title names its rows in front of a colon", () => {
    assert.deepStrictEqual(rowsOf("N3: a flapping name server"), ["N3"])
    assert.deepStrictEqual(rowsOf("C2, C3: a length"), ["C2", "C3"])
    assert.deepStrictEqual(rowsOf("C-02: a topic that comes later"), ["C-02"])
    assert.deepStrictEqual(rowsOf("C-07, C-08: members come and go"), ["C-07", "C-08"])
    for (const title of ["a send: N3", "N3 without a colon", "X1: no such letter", "N: no number", "12: none"]) {
      assert.deepStrictEqual(rowsOf(title), [])
    }
    assert.isTrue(matches("N3: a flapping name server") && matches("C2, C3: a length") && matches("C-07: a join"))
    assert.isFalse(matches("a plain title"))
  })
})

describe("page", () => {
  const testsOfAll = testsOf("/project", good)

  it("has every row with its tests at their heights, and no problem", () => {
    const text = pageOf(testsOfAll, undefined)
    for (const row of rows) assert.include(text, `| ${row.row} | ${row.fault} | ${row.expected} | passed (1) |`)
    assert.include(text, `| TCP, fault proxy | 30 of ${rows.length} | 30 | 30 | 0 | 0 |`)
    assert.include(text, "(`test/reliability/proxy/All.test.ts`): passed")
    assert.include(text, "Every row has a test.")
    assert.deepStrictEqual(problemsOf(testsOfAll, true), [])
  })

  it("shows rows without a test, failures, and tests that did not run, and each is a problem", () => {
    const tests = testsOf("/project", [
      report("test/a.test.ts", ["N1: works", "passed"], ["N1, N2: does not", "failed"], ["N3: later", "skipped"])
    ])
    const text = pageOf(tests, undefined)
    assert.match(text, /\| N1 \|.*\| \*\*failed\*\* \(1 of 2\) \| no test \| no test \|/)
    assert.match(text, /\| N3 \|.*\| not run \(1\) \| no test \| no test \|/)
    assert.match(text, /\| N4 \|.*\| no test \| no test \| no test \|/)
    assert.match(text, /Rows without any test: N4, N5,/)
    const problems = problemsOf(tests, true).join("\n")
    assert.include(problems, "test/a.test.ts: failed: N1, N2: does not")
    assert.include(problems, "test/a.test.ts: not run: N3: later")
    assert.include(problems, "no deterministic test: N4, N5")
    assert.include(problems, "0 rows have a test at the height")
  })

  it("a number that is no row is a problem, and so are slow deterministic tests", () => {
    const slow: Report = {
      testResults: [
        {
          name: "/project/test/a.test.ts",
          assertionResults: [{ title: "N99: nothing", ancestorTitles: [], status: "passed", duration: 60_001 }]
        }
      ]
    }
    const problems = problemsOf(testsOf("/project", [...good, slow]), true)
    assert.strictEqual(problems.length, 2)
    assert.include(problems[0], "there is no row N99")
    assert.include(problems[1], "at most 60000")
  })

  it("keeps what was written for the simulation", () => {
    const before = "<!-- simulation -->\n\n1,000 seeds\n\n<!-- /simulation -->"
    assert.include(pageOf(testsOfAll, before), "<!-- simulation -->\n\n1,000 seeds\n\n<!-- /simulation -->")
    assert.include(pageOf(testsOfAll, undefined), "<!-- simulation -->")
  })

  it("differs by rows, expectations, tests and results, and not by times, the simulation, or the width of columns", () => {
    const page = pageOf(testsOfAll, undefined)
    const slower = testsOfAll.map((test) => ({ ...test, millis: test.millis * 7 }))
    const wider = pageOf(slower, "<!-- simulation -->x<!-- /simulation -->").replaceAll(" | ", "   |  ")
    assert.deepStrictEqual(difference(page, wider), [])
    const failed = testsOfAll.map((test, index) => (index === 0 ? { ...test, result: "failed" as const } : test))
    assert.isAbove(difference(page, pageOf(failed, undefined)).length, 0)
    assert.isAbove(difference(page, pageOf(testsOfAll.slice(1), undefined)).length, 0)
    assert.isAbove(difference(page.replace("typed error", "error"), page).length, 0)
    assert.isAbove(difference("", page).length, 0)
  })
})
