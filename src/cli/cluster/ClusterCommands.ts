import { Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

const list = Command.make("list", { ...connection, json: Flags.json }, (input) =>
  load(
    () => import("./clusterList.ts"),
    ({ run }) => run(input)
  )
).pipe(Command.withDescription("List clusters, brokers and their addresses. mqadmin: clusterList"))

/** A broker by its name alone: name servers know it by nothing else. */
const brokerName = Argument.String("broker").pipe(
  Argument.withDescription("Its name; cluster list shows it"),
  Argument.withSchema(Schema.NonEmptyString)
)

const writable = Command.make("writable", { ...connection, broker: brokerName, json: Flags.json }, (input) =>
  load(
    () => import("./clusterWritable.ts"),
    ({ run }) => run({ ...input, writable: true, yes: true })
  )
).pipe(
  Command.withDescription(
    "Let producers write to a broker again, at every name server. mqadmin: addWritePerm -b <broker>"
  )
)

const unwritable = Command.make(
  "unwritable",
  { ...connection, broker: brokerName, yes: Flags.meantFlag, json: Flags.json },
  (input) =>
    load(
      () => import("./clusterWritable.ts"),
      ({ run }) => run({ ...input, writable: false })
    )
).pipe(
  Command.withDescription(
    "Keep producers from a broker, before it is stopped for instance; what it has is read on. It lasts until cluster writable, or until the broker registers a change of its topics. mqadmin: wipeWritePerm -b <broker>"
  )
)

/** `effect-rocketmq cluster`. */
export const cluster = Command.make("cluster").pipe(
  Command.withDescription("Show what the cluster consists of, and which brokers are written to"),
  Command.withSubcommands([list, writable, unwritable])
)

const one = {
  ...connection,
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

const configUpdate = Command.make(
  "update",
  { ...connection, broker: one.broker, settings: Flags.settings, yes: Flags.meantFlag, json: Flags.json },
  (input) =>
    load(
      () => import("./brokerUpdate.ts"),
      ({ run }) => run(input)
    )
).pipe(
  Command.withDescription(
    "Change settings of a running broker, which writes them to its configuration file; some it reads at its start only. A name that it does not have is refused, a value that it cannot use is told. mqadmin: updateBrokerConfig -b <host:port> -k <name> -v <value>"
  )
)

const config = Command.make("config", one, ({ filter, ...input }) =>
  load(
    () => import("./brokerShow.ts"),
    ({ run }) => run({ ...input, what: "config", filter: Option.getOrUndefined(filter) })
  )
).pipe(
  Command.withDescription("Show the settings that a broker runs with. mqadmin: getBrokerConfig -b <host:port>"),
  Command.withSubcommands([configUpdate])
)

/** `effect-rocketmq broker`. */
export const broker = Command.make("broker").pipe(
  Command.withDescription("Show a broker's counters and settings, and change these"),
  Command.withSubcommands([runtime, config])
)
