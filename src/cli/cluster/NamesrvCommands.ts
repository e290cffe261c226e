import { Option } from "effect"
import { Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

/** One of the name servers; all of them when it is left out. */
const server = Flag.String("server").pipe(
  Flag.withMetavar("host:port"),
  Flag.withDescription("Only this one of them; default all"),
  Flag.optional
)

const update = Command.make(
  "update",
  { ...connection, server, settings: Flags.settings, yes: Flags.meantFlag, json: Flags.json },
  ({ server: one, ...input }) =>
    load(
      () => import("./namesrvConfig.ts"),
      ({ update: run }) => run({ ...input, server: Option.getOrUndefined(one) })
    )
).pipe(
  Command.withDescription(
    "Change settings of the running name servers, each of which writes them to its configuration file. A name that one of them does not have is refused, a value that it cannot use is told. mqadmin: updateNamesrvConfig -k <name> -v <value>"
  )
)

const config = Command.make(
  "config",
  {
    ...connection,
    server,
    filter: Flag.String("filter").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Only names that contain this"),
      Flag.optional
    ),
    json: Flags.json
  },
  ({ filter, server: one, ...input }) =>
    load(
      () => import("./namesrvConfig.ts"),
      ({ run }) => run({ ...input, filter: Option.getOrUndefined(filter), server: Option.getOrUndefined(one) })
    )
).pipe(
  Command.withDescription("Show the settings that the name servers run with. mqadmin: getNamesrvConfig"),
  Command.withSubcommands([update])
)

/** `effect-rocketmq namesrv`. */
export const namesrv = Command.make("namesrv").pipe(
  Command.withDescription("Show and change the settings of the name servers"),
  Command.withSubcommands([config])
)
