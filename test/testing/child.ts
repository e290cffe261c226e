import { Effect } from "effect"
import { Simulation } from "../../src/testing/index.ts"
import { interleaving, orders } from "./programs.ts"

/** Another process: runs what its first argument says with the seed of its second, and prints what came of it. */

const [, , what, seed] = process.argv

const done: Effect.Effect<unknown> =
  what === "interleaving" ? interleaving(Number(seed)) : Simulation.runSeed(orders(), Number(seed))
process.stdout.write(JSON.stringify(await Effect.runPromise(done)))
