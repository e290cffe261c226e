import { Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

/** `effect-rocketmq dev`. */
export const dev = Command.make(
  "dev",
  {
    host: Flag.String("host").pipe(
      Flag.withDescription("The address to listen on and to announce; 127.0.0.1 unless told otherwise"),
      Flag.withDefault("127.0.0.1")
    ),
    port: Flags.int("port", 0, 65_535).pipe(
      Flag.withAlias("p"),
      Flag.withDescription("The name server's port, 0 for a free one; default 9876, with brokers from 10911 up"),
      Flag.optional
    ),
    brokers: Flags.int("brokers", 1, 26).pipe(Flag.withDescription("How many masters; default 1"), Flag.withDefault(1)),
    json: Flags.json
  },
  ({ port, ...input }) =>
    load(
      () => import("./dev.ts"),
      ({ run }) => run({ ...input, port: Option.getOrUndefined(port) })
    )
).pipe(
  Command.withDescription(
    "Run an embedded RocketMQ (name server and brokers) in this process, in memory, until Ctrl-C. Instead of mqnamesrv and mqbroker."
  ),
  Command.withShortDescription("Run an embedded RocketMQ for development"),
  Command.withExamples([
    { command: "effect-rocketmq dev" },
    { command: "effect-rocketmq dev --port 0 --brokers 2 --json", description: "Free ports, told to a program" }
  ])
)
