/**
 * `npm run test:fuzz -- --inputs 1000000 --seed 1`: random, mutated and made-up frames and bodies against every decoder.
 * Prints what came out, and ends with 1 when an input made a decoder throw, hang or change a value.
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

// Expected errors are made by the million here; their stacks took half of the time. A failure is run again with one.
Error.stackTraceLimit = 0

const write = (line: string): void => void process.stdout.write(`${line}\n`)
const start = performance.now()
const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(1)} s`
const report = fuzz({
  inputs,
  seed,
  onProgress: (done, failed) => write(`${done} inputs, ${failed} failures, ${seconds()}`)
})
write(`seed ${report.seed}, ${report.inputs} inputs, ${seconds()}`)
write(`slowest input ${report.slowestMillis.toFixed(1)} ms`)
for (const [outcome, count] of [...report.outcomes].toSorted(([a], [b]) => (a < b ? -1 : 1))) {
  write(`${String(count).padStart(9)}  ${outcome}`)
}
for (const failure of report.failures.slice(0, 20)) {
  write(`FAILED input ${failure.index} (${failure.kind}): ${failure.reason}\n  ${failure.hex}`)
}
write(report.failures.length === 0 ? "no failures" : `${report.failures.length} failures`)
process.exitCode = report.failures.length === 0 ? 0 : 1
