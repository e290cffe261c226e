/**
 * `npm run test:fuzz -- --inputs 1000000 --seed 1`: random, mutated and made-up frames and bodies against every decoder.
 * Prints what came out, and ends with 1 when an input made a decoder throw, hang or change a value.
 *
 * It goes in slices with a seed of their own, the first that of the run. A failure says how to run its slice again.
 */
import { parseArgs } from "node:util"
import { fuzz } from "./fuzzEngine.ts"

const { values } = parseArgs({
  options: { inputs: { type: "string", default: "1000000" }, seed: { type: "string", default: "1" } }
})
const inputs = Number(values.inputs)
const seed = Number(values.seed)
if (!Number.isSafeInteger(inputs) || inputs < 1 || !Number.isInteger(seed)) {
  throw new Error("usage: --inputs <count, 1 up> --seed <integer>")
}

/** What zlib leaves behind of an input that it cannot unpack goes with the next turn of the event loop. */
const SLICE = 100_000
const REPORTED = 20

// Expected errors are made by the million here; their stacks took half of the time. A failure is run again with one.
Error.stackTraceLimit = 0

const write = (line: string): void => void process.stdout.write(`${line}\n`)
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const start = performance.now()
const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(1)} s`

const outcomes = new Map<string, number>()
let slowestMillis = 0
let failed = 0
for (let done = 0, sliceSeed = seed; done < inputs; sliceSeed = (Math.imul(sliceSeed, 0x19660d) + 0x3c6ef35f) | 0) {
  const report = fuzz({ inputs: Math.min(SLICE, inputs - done), seed: sliceSeed })
  done += report.inputs
  slowestMillis = Math.max(slowestMillis, report.slowestMillis)
  for (const [outcome, count] of report.outcomes) outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + count)
  for (const failure of report.failures) {
    if (failed++ >= REPORTED) continue
    write(`FAILED (${failure.kind}): ${failure.reason}\n  ${failure.hex}`)
    write(`  again: --seed ${sliceSeed} --inputs ${failure.index + 1}`)
  }
  if (done % 1_000_000 === 0) write(`${done} inputs, ${failed} failures, ${seconds()}`)
  await turn()
}
write(`seed ${seed}, ${inputs} inputs, ${seconds()}`)
write(`slowest input ${slowestMillis.toFixed(1)} ms`)
for (const [outcome, count] of [...outcomes].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
  write(`${String(count).padStart(9)}  ${outcome}`)
}
write(failed === 0 ? "no failures" : `${failed} failures`)
process.exitCode = failed === 0 ? 0 : 1
