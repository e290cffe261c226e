import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { allTaken, confirmed, named, printChanges } from "./Settings.ts"
import { json } from "../Text.ts"

/** What `broker config update` is asked. */
export interface BrokerUpdateInput extends Connection {
  /** Its name, for the master, or `host:port`. */
  readonly broker: string
  readonly settings: Readonly<Record<string, string>>
  /** Whether it is meant. */
  readonly yes: boolean
  readonly json: boolean
}

/** `effect-rocketmq broker config update`: changes settings of a running broker. */
export const run = (input: BrokerUpdateInput) =>
  Effect.gen(function* () {
    const { broker, settings, yes } = input
    yield* named(settings)
    const admin = yield* MQAdmin
    yield* confirmed(settings, yes, yes ? [] : [{ server: broker, config: yield* admin.getBrokerConfig(broker) }])
    const changes = yield* admin.updateBrokerConfig(broker, settings)
    yield* input.json ? Console.log(json({ broker, changes })) : printChanges(broker, changes)
    yield* allTaken(changes)
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
