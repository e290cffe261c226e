import { Effect } from "effect"
import * as Mutations from "./mutations.ts"
import { join, type Order, type Outcome, outcomeOf, type ScenarioName, seedsOf } from "./Order.ts"

/** One process of `npm run simulate`: runs the seeds that its argument names and prints what came of them as JSON. */

const order: Order = JSON.parse(process.argv[2] ?? "")

// Before the client is imported: a mistake is put into its files while they are read.
if (order.mutation !== undefined) Mutations.apply(order.mutation)
const Simulation = await import("../../src/testing/Simulation.ts")
const { scenario: producers } = await import("./scenario.ts")
const { scenario: consumers } = await import("./consumers.ts")

const run = (name: ScenarioName) =>
  Effect.map(
    Effect.result(
      Simulation.check(name === "producers" ? producers : consumers, {
        seeds: seedsOf(order, name),
        from: order.from,
        logs: order.logs,
        ...(order.keep === undefined ? {} : { keep: order.keep })
      })
    ),
    (checked) => outcomeOf(name, checked)
  )

let outcome: Outcome | undefined
for (const name of order.scenarios) {
  const next = await Effect.runPromise(run(name))
  outcome = outcome === undefined ? next : join(outcome, next, true)
  if (outcome._tag === "Failed") break
}
process.stdout.write(JSON.stringify(outcome))
