import * as Path from "node:path"
import { mistakes } from "../mutation/score.ts"
import { type Row, rows, rowsOf } from "./rows.ts"

/**
 * Where a test of a row runs: on virtual time; against the embedded cluster in real time, with the suite that real RocketMQ
 * gets as well; on TCP through the fault proxy; or against real RocketMQ.
 */
export type Height = "deterministic" | "embedded" | "proxy" | "rocketmq"

/** One test that belongs to a row, as a run of it ended. */
export interface RowTest {
  readonly rows: ReadonlyArray<string>
  readonly title: string
  /** The group it stands in. */
  readonly group: string
  /** From the project's root on. */
  readonly file: string
  readonly height: Height
  readonly result: "passed" | "failed" | "not run"
  readonly millis: number
}

/** The part of vitest's JSON report that is read. */
export interface Report {
  readonly testResults: ReadonlyArray<{
    readonly name: string
    readonly assertionResults: ReadonlyArray<{
      readonly title: string
      /** The groups around it, the outermost first. */
      readonly ancestorTitles: ReadonlyArray<string>
      readonly status: string
      readonly duration?: number | null
    }>
  }>
}

/** What the rows have to have at each height. */
export const goals = {
  /** Rows with a test through the proxy. */
  proxy: 30,
  /** Rows with a test on real RocketMQ. */
  rocketmq: 20,
  /** Milliseconds that all deterministic tests of rows may take together. */
  deterministicMillis: 60_000
}

/** For vitest's `-t`: the titles of tests that belong to a row, behind the names of their groups. */
export const titlePattern = String.raw`(^|\s)([NCBHLA]|C-)\d+(, ([NCBHLA]|C-)\d+)*: `

const heights: ReadonlyArray<Height> = ["deterministic", "embedded", "proxy", "rocketmq"]
const heightNames: Readonly<Record<Height, string>> = {
  deterministic: "virtual time",
  embedded: "embedded, real time",
  proxy: "TCP, fault proxy",
  rocketmq: "real RocketMQ"
}

const heightOf = (file: string): Height =>
  file.startsWith("test/reliability/proxy/")
    ? "proxy"
    : file.startsWith("test/rocketmq/")
      ? "rocketmq"
      : file.startsWith("test/conformance/")
        ? "embedded"
        : "deterministic"

const resultOf = (status: string): RowTest["result"] =>
  status === "passed" ? "passed" : status === "failed" ? "failed" : "not run"

/** The tests of rows in the reports of one or several runs, in the order of their files. */
export const testsOf = (root: string, reports: ReadonlyArray<Report>): ReadonlyArray<RowTest> =>
  reports
    .flatMap((report) => report.testResults)
    .map(({ assertionResults, name }) => ({
      assertionResults,
      file: Path.relative(root, name).split(Path.sep).join("/")
    }))
    .toSorted((a, b) => (a.file < b.file ? -1 : a.file > b.file ? 1 : 0))
    .flatMap(({ assertionResults, file }) =>
      assertionResults.flatMap(({ ancestorTitles, duration, status, title }) => {
        const named = rowsOf(title)
        if (named.length === 0) return []
        const result = resultOf(status)
        return [
          {
            rows: named,
            title,
            group: ancestorTitles.at(-1) ?? "",
            file,
            height: heightOf(file),
            result,
            millis: duration ?? 0
          }
        ]
      })
    )

const isOf = (test: RowTest, row: Row, height: Height) => test.height === height && test.rows.includes(row.row)

const cell = (tests: ReadonlyArray<RowTest>): string => {
  if (tests.length === 0) return "no test"
  const passed = tests.filter((test) => test.result === "passed").length
  if (passed === tests.length) return `passed (${passed})`
  const failed = tests.filter((test) => test.result === "failed").length
  return failed > 0 ? `**failed** (${failed} of ${tests.length})` : `not run (${tests.length - passed})`
}

// What means something to Markdown in a table's cell or in a line.
const plain = (text: string) => text.replace(/([\\|<>*_[\]])/g, "\\$1")

const covered = (tests: ReadonlyArray<RowTest>, height: Height) =>
  rows.filter((row) => tests.some((test) => isOf(test, row, height)))

const millisOf = (tests: ReadonlyArray<RowTest>) =>
  tests.filter((test) => test.height === "deterministic").reduce((sum, test) => sum + test.millis, 0)

/** What keeps a run from being what the page promises; empty when it is. `alone`: nothing but these tests ran. */
export const problemsOf = (tests: ReadonlyArray<RowTest>, alone: boolean): ReadonlyArray<string> => {
  const known = new Set(rows.map(({ row }) => row))
  const unknown = tests.flatMap((test) =>
    test.rows.filter((row) => !known.has(row)).map((row) => `${test.file}: there is no row ${row} ("${test.title}")`)
  )
  const bad = tests
    .filter((test) => test.result !== "passed")
    .map((test) => `${test.file}: ${test.result}: ${test.title}`)
  const deterministic = covered(tests, "deterministic")
  const without = rows.filter((row) => !deterministic.includes(row)).map(({ row }) => row)
  const millis = millisOf(tests)
  return [
    ...unknown,
    ...bad,
    ...(without.length === 0 ? [] : [`no deterministic test: ${without.join(", ")}`]),
    ...(["proxy", "rocketmq"] as const).flatMap((height) => {
      const count = covered(tests, height).length
      return count >= goals[height]
        ? []
        : [`${count} rows have a test at the height "${heightNames[height]}", ${goals[height]} are wanted`]
    }),
    // Beside other tests, on a machine that is busy with them, the time says nothing of these.
    ...(!alone || millis <= goals.deterministicMillis
      ? []
      : [
          `the deterministic tests of rows took ${Math.round(millis)} ms together, at most ${goals.deterministicMillis} are wanted`
        ])
  ]
}

const intro = `# Reliability

What is known to go wrong between a client and RocketMQ, what this client then has to do, and the tests that show it.
This page is made from a run of these tests by \`test/reliability/page.ts\`; CI makes it anew and fails when it differs.

The rows are tried at four heights:

- **${heightNames.deterministic}**: the client against the embedded cluster on a network in memory and a test's clock, or
  against a stub; part of \`npm test\`. No real time passes, so every timer and every order of events can be had.
- **${heightNames.embedded}**: the conformance suite, which real RocketMQ gets as well, against the embedded cluster on TCP and
  in memory; part of \`npm test\`.
- **${heightNames.proxy}**: the client against the embedded cluster on real sockets, through \`FaultProxy\` of
  \`effect-rocketmq/testing\`, which delays, limits, slices, swallows, corrupts, cuts and resets; part of \`npm test\`.
- **${heightNames.rocketmq}**: the client against RocketMQ itself, as processes of their own that are killed, stopped,
  paused and reconfigured; \`npm run test:rocketmq\`, which needs a JDK, Maven and Go.

A test belongs to a row when its title begins with the row's number. \`npm run test:reliability\` runs the tests of all
rows at all heights and compares; \`npm run test:reliability -- --write\` writes this page.

What is common to all rows is asserted with them: errors are typed, time is bounded, requests that have nothing to do
with the fault notice nothing, and no socket, fiber or timer is left behind.

What these tests do not show: a broker that is ended with \`kill -9\` loses its process, not the page cache of its machine,
so what it had written is still there when it is back. Such a test asks whether the client is honest about what was
acknowledged, and says nothing of whether the broker's flush to disk would survive a power cut.`

const marked = (name: string, content: string) => `<!-- ${name} -->\n\n${content.trim()}\n\n<!-- /${name} -->`

const between = (name: string) => new RegExp(`<!-- ${name} -->([\\s\\S]*?)<!-- /${name} -->`)

const summary = (tests: ReadonlyArray<RowTest>): string => {
  const nothing = rows.filter((row) => !heights.some((height) => tests.some((test) => isOf(test, row, height))))
  const lines = heights.map((height) => {
    const own = tests.filter((test) => test.height === height)
    const failed = own.filter((test) => test.result === "failed").length
    const passed = own.filter((test) => test.result === "passed").length
    const other = own.length - failed - passed
    return `| ${heightNames[height]} | ${covered(tests, height).length} of ${rows.length} | ${own.length} | ${passed} | ${failed} | ${other} |`
  })
  return [
    "| height | rows with a test | tests | passed | failed | not run |",
    "| --- | ---: | ---: | ---: | ---: | ---: |",
    ...lines,
    "",
    nothing.length === 0
      ? "Every row has a test."
      : `Rows without any test: ${nothing.map(({ row }) => row).join(", ")}.`,
    "",
    marked(
      "run",
      `The deterministic tests of all rows took ${(millisOf(tests) / 1000).toFixed(1)} s together in the run that this page was made from.`
    )
  ].join("\n")
}

const group = (name: string, tests: ReadonlyArray<RowTest>): string => {
  const own = rows.filter((row) => row.group === name)
  const table = own.map((row) => {
    const cells = heights.map((height) => cell(tests.filter((test) => isOf(test, row, height))))
    return `| ${row.row} | ${row.fault} | ${row.expected} | ${cells.join(" | ")} |`
  })
  const list = own.flatMap((row) =>
    heights.flatMap((height) =>
      tests
        .filter((test) => isOf(test, row, height))
        .map((test) => {
          const title = plain(`${test.group}: ${test.title.slice(test.title.indexOf(": ") + 2)}`)
          return `- ${row.row}, ${heightNames[height]}: ${title} (\`${test.file}\`): ${test.result}`
        })
    )
  )
  return [
    `## ${name}`,
    "",
    `| row | fault | expected | ${heights.map((height) => heightNames[height]).join(" | ")} |`,
    `| --- | --- | --- |${" --- |".repeat(heights.length)}`,
    ...table,
    "",
    "The tests:",
    "",
    ...(list.length === 0 ? ["- none"] : list)
  ].join("\n")
}

const NO_SIMULATION = "No simulation has been written down here yet."

/** The page, without its final layout; what another program wrote between the markers of the simulation stays. */
export const pageOf = (tests: ReadonlyArray<RowTest>, before: string | undefined): string => {
  const simulation = between("simulation")
    .exec(before ?? "")?.[1]
    ?.trim()
  const groups = [...new Set(rows.map((row) => row.group))]
  return `${[
    intro,
    ["## Summary", "", summary(tests)].join("\n"),
    ...groups.map((name) => group(name, tests)),
    [
      "## Simulation",
      "",
      marked("simulation", simulation === undefined || simulation === "" ? NO_SIMULATION : simulation)
    ].join("\n"),
    ["## Mistakes on purpose", "", mistakes].join("\n")
  ].join("\n\n")}\n`
}

/** The lines of a page that a run decides and that stay the same from run to run. */
const comparable = (page: string): ReadonlyArray<string> =>
  page
    .replace(between("run"), "")
    .replace(between("simulation"), "")
    .split("\n")
    // A table's columns are as wide as its widest cell.
    .map((line) => line.replace(/ +/g, " ").replace(/-{2,}/g, "--").trim())
    .filter((line) => line !== "")

/** The lines that are in one page and not in the other: `-` in the one that is kept, `+` in the one of the run. */
export const difference = (kept: string, made: string): ReadonlyArray<string> => {
  const before = comparable(kept)
  const after = comparable(made)
  const beforeSet = new Set(before)
  const afterSet = new Set(after)
  const gone = before.filter((line) => !afterSet.has(line)).map((line) => `- ${line}`)
  const come = after.filter((line) => !beforeSet.has(line)).map((line) => `+ ${line}`)
  if (gone.length + come.length > 0) return [...gone, ...come]
  return before.join("\n") === after.join("\n") ? [] : ["the same lines in another order"]
}
