import * as Fs from "node:fs"
import { availableParallelism } from "node:os"
import * as Path from "node:path"
import { parseArgs } from "node:util"
import type { CheckSummary } from "../../src/testing/Simulation.ts"
import { type Order, scenarioNames } from "./Order.ts"
import * as Processes from "./Processes.ts"

/**
 * `npm run simulate -- --seeds N [--from N]`: runs the scenarios, of producers and of consumers, with N seeds, in a
 * process for each core. A seed that
 * fails ends it with exit code 1, and the last line is the command that runs that seed again, with the faults that it
 * needs. With `--write` what was run is stated in docs/reliability.md.
 */

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    faults: { type: "string" },
    mutation: { type: "string" },
    scenario: { type: "string" },
    logs: { type: "boolean", default: false },
    write: { type: "boolean", default: false },
    processes: { type: "string", default: String(availableParallelism()) }
  }
})

const whole = (name: string, text: string, least: number): number => {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < least) throw new Error(`--${name} must be a number from ${least} up`)
  return value
}

const scenarios = scenarioNames.filter((name) => values.scenario === undefined || values.scenario === name)
if (scenarios.length === 0) throw new Error(`there are ${scenarioNames.join(", ")}, not ${values.scenario}`)

const order: Order = {
  scenarios,
  seeds: whole("seeds", values.seeds, 1),
  from: whole("from", values.from, 0),
  keep: values.faults
    ?.split(",")
    .filter((text) => text !== "")
    .map((text) => whole("faults", text, 0)),
  mutation: values.mutation,
  logs: values.logs
}

const hours = (millis: number): string => (millis / 3_600_000).toFixed(1)

const inWords = ({ counts, faults, finishes, seeds, virtualMillis }: CheckSummary): string =>
  `${seeds} seeds held: ${hours(virtualMillis)} hours of virtual time, ${faults} faults, ` +
  `${counts.acknowledged} messages acknowledged, ${counts.notSent} not sent, ${counts.rejected} rejected or rolled back, ` +
  `${counts.unknown} open (${counts.storedUnknown} of them stored), ${counts.duplicated} stored more than once; ` +
  `${finishes.delivered} delivered, ${finishes.finished} finished (${finishes.twice} of them more than once), ` +
  `${finishes.givenBack} given back, ${finishes.deadLetters} dead letters`

const MARKS = /(<!-- simulation -->\n)[\s\S]*?(<!-- \/simulation -->)/

/** Puts the figures between the marks of the page. */
const write = (summary: CheckSummary): void => {
  const page = Path.join(import.meta.dirname, "../../docs/reliability.md")
  const text = Fs.readFileSync(page, "utf8")
  if (!MARKS.test(text)) throw new Error("docs/reliability.md has no place for the simulation")
  const command = `npm run simulate -- --seeds ${order.seeds}${order.from === 1 ? "" : ` --from ${order.from}`}`
  const section = `\nThe last long run, \`${command}\`: ${inWords(summary)}.\n\n`
  Fs.writeFileSync(
    page,
    text.replace(MARKS, (_, begin: string, end: string) => `${begin}${section}${end}`)
  )
}

const outcome = await Processes.run(order, whole("processes", values.processes, 1))
if (outcome._tag === "Held") {
  process.stdout.write(`${inWords(outcome.summary)}\n`)
  if (values.write) write(outcome.summary)
} else {
  process.exitCode = 1
  process.stdout.write(`${outcome.message}\n`)
  const mutation = order.mutation === undefined ? "" : ` --mutation ${order.mutation}`
  process.stdout.write(
    `npm run simulate -- --from ${outcome.seed} --seeds 1 --scenario ${outcome.scenario} --faults "${outcome.keep.join(",")}"${mutation}\n`
  )
}
