import { Console, Effect } from "effect"
import { MQAdmin } from "../../admin/MQAdmin.ts"
import { adminLayer, type Connection } from "../Connection.ts"
import { reporting } from "../Failure.ts"
import { printTable } from "../Output.ts"
import { allTaken, confirmed, named, printChanges } from "./Settings.ts"
import { json } from "../Text.ts"

interface NamesrvInput extends Connection {
  /** One of the name servers; all of them when undefined. */
  readonly server: string | undefined
  readonly json: boolean
}

/** What `namesrv config` is asked. */
export interface NamesrvConfigInput extends NamesrvInput {
  /** Only names that contain this, in any case. */
  readonly filter: string | undefined
}

/** `effect-rocketmq namesrv config`: how the name servers are set. */
export const run = (input: NamesrvConfigInput) =>
  Effect.gen(function* () {
    const admin = yield* MQAdmin
    const wanted = input.filter?.toLowerCase()
    const nameServers = (yield* admin.getNameServerConfig(input.server)).map(({ config, nameServer }) => ({
      nameServer,
      entries: [...config]
        .filter(([name]) => wanted === undefined || name.toLowerCase().includes(wanted))
        .toSorted(([a], [b]) => (a < b ? -1 : 1))
    }))
    if (input.json) {
      const shown = nameServers.map(({ entries, nameServer }) => ({ nameServer, config: Object.fromEntries(entries) }))
      yield* Console.log(json({ nameServers: shown }))
      return
    }
    yield* printTable(
      ["NAME SERVER", "SETTING", "VALUE"],
      nameServers.flatMap(({ entries, nameServer }) => entries.map(([name, value]) => [nameServer, name, value]))
    )
    if (nameServers.every(({ entries }) => entries.length === 0)) yield* Console.error("nothing has such a name")
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))

/** What `namesrv config update` is asked. */
export interface NamesrvUpdateInput extends NamesrvInput {
  readonly settings: Readonly<Record<string, string>>
  /** Whether it is meant. */
  readonly yes: boolean
}

/** `effect-rocketmq namesrv config update`: changes settings of the running name servers. */
export const update = (input: NamesrvUpdateInput) =>
  Effect.gen(function* () {
    const { settings, yes } = input
    yield* named(settings)
    const admin = yield* MQAdmin
    const before = yes ? [] : yield* admin.getNameServerConfig(input.server)
    yield* confirmed(
      settings,
      yes,
      before.map(({ config, nameServer }) => ({ server: nameServer, config }))
    )
    const nameServers = yield* admin.updateNameServerConfig(settings, input.server)
    if (input.json) yield* Console.log(json({ nameServers }))
    else for (const { changes, nameServer } of nameServers) yield* printChanges(nameServer, changes)
    yield* allTaken(nameServers.flatMap(({ changes }) => changes))
  }).pipe(Effect.provide(adminLayer(input)), reporting(input))
