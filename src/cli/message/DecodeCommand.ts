import { Option } from "effect"
import { Argument, Command } from "effect/cli"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

/** `effect-rocketmq decode`. */
export const decode = Command.make(
  "decode",
  {
    hex: Argument.String("hex").pipe(
      Argument.withDescription("The bytes as hexadecimal digits; default standard input"),
      Argument.optional
    ),
    json: Flags.json
  },
  ({ hex, json }) =>
    load(
      () => import("./decode.ts"),
      ({ run }) => run({ json, hex: Option.getOrUndefined(hex) })
    )
).pipe(
  Command.withDescription(
    "Turn the bytes of RocketMQ frames, from a packet capture for instance, into what they say. mqadmin has no such command."
  ),
  Command.withShortDescription("Read the bytes of a frame"),
  Command.withExamples([{ command: "xxd -p frame.bin | effect-rocketmq decode --json" }])
)
