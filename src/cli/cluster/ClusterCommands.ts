import { Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

const list = Command.make("list", { ...Flags.connection, json: Flags.json }, (input) =>
  load(
    () => import("./clusterList.ts"),
    ({ run }) => run(input)
  )
).pipe(Command.withDescription("List clusters, brokers and their addresses. mqadmin: clusterList"))

/** `effect-rocketmq cluster`. */
export const cluster = Command.make("cluster").pipe(
  Command.withDescription("Show what the cluster consists of"),
  Command.withSubcommands([list])
)

const one = {
  ...Flags.connection,
  broker: Argument.String("broker").pipe(
    Argument.withDescription("Its name, for the master, or an address as host:port"),
    Argument.withSchema(Schema.NonEmptyString)
  ),
  filter: Flag.String("filter").pipe(
    Flag.withAlias("f"),
    Flag.withDescription("Only names that contain this"),
    Flag.optional
  ),
  json: Flags.json
} as const

const runtime = Command.make("runtime", one, ({ filter, ...input }) =>
  load(
    () => import("./brokerShow.ts"),
    ({ run }) => run({ ...input, what: "runtime", filter: Option.getOrUndefined(filter) })
  )
).pipe(Command.withDescription("Show what a broker counts and measures. mqadmin: brokerStatus -b <host:port>"))

const config = Command.make("config", one, ({ filter, ...input }) =>
  load(
    () => import("./brokerShow.ts"),
    ({ run }) => run({ ...input, what: "config", filter: Option.getOrUndefined(filter) })
  )
).pipe(Command.withDescription("Show the settings that a broker runs with. mqadmin: getBrokerConfig -b <host:port>"))

/** `effect-rocketmq broker`. */
export const broker = Command.make("broker").pipe(
  Command.withDescription("Show a broker's counters and settings"),
  Command.withSubcommands([runtime, config])
)
