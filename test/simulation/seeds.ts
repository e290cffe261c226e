import { Effect } from "effect"
import * as Mutations from "./mutations.ts"
import { type Order, outcomeOf } from "./Order.ts"

/** One process of `npm run simulate`: runs the seeds that its argument names and prints what came of them as JSON. */

const order: Order = JSON.parse(process.argv[2] ?? "")

// Before the client is imported: a mistake is put into its files while they are read.
if (order.mutation !== undefined) Mutations.apply(order.mutation)
const Simulation = await import("../../src/testing/Simulation.ts")
const { scenario } = await import("./scenario.ts")

const checked = await Effect.runPromise(
  Effect.result(
    Simulation.check(scenario, {
      seeds: order.seeds,
      from: order.from,
      logs: order.logs,
      ...(order.keep === undefined ? {} : { keep: order.keep })
    })
  )
)
process.stdout.write(JSON.stringify(outcomeOf(checked)))
