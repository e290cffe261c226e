import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { json, table } from "../Text.ts"

/** What `broker runtime` and `broker config` are asked. */
export interface BrokerShowInput extends Connection {
  /** Its name, for the master, or `host:port`. */
  readonly broker: string
  readonly what: "runtime" | "config"
  /** Only names that contain this, in any case. */
  readonly filter: string | undefined
  readonly json: boolean
}

/** `effect-rocketmq broker runtime` and `broker config`: what a broker counts, and how it is set. */
export const run = (input: BrokerShowInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const all = yield* input.what === "runtime"
      ? admin.fetchBrokerRuntimeStats(input.broker)
      : admin.getBrokerConfig(input.broker)
    const wanted = input.filter?.toLowerCase()
    const entries = [...all]
      .filter(([name]) => wanted === undefined || name.toLowerCase().includes(wanted))
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
    if (input.json) {
      yield* Console.log(json({ broker: input.broker, [input.what]: Object.fromEntries(entries) }))
      return
    }
    for (const line of table(entries)) yield* Console.log(line)
    if (entries.length === 0) yield* Console.error("nothing has such a name")
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
