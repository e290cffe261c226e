import { parseArgs } from "node:util"
import { Effect } from "effect"
import * as Simulation from "../../src/testing/Simulation.ts"
import { scenario } from "./scenario.ts"

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    from: { type: "string", default: "1" },
    faults: { type: "string" },
    verbose: { type: "boolean", default: false }
  }
})
const t0 = performance.now()
const r = await Effect.runPromise(
  Effect.result(
    Simulation.check(scenario, {
      seeds: Number(values.seeds),
      from: Number(values.from),
      ...(values.faults === undefined
        ? {}
        : {
            keep: values.faults
              .split(",")
              .filter((x) => x !== "")
              .map(Number)
          }),
      onReport: (report) =>
        Effect.sync(() => {
          if (values.verbose) console.log(JSON.stringify({ ...report, plan: report.plan.length }))
        })
    })
  )
)
if (r._tag === "Failure") {
  console.log(r.failure.message)
  process.exitCode = 1
} else console.log(JSON.stringify(r.success), performance.now() - t0)
