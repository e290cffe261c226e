import { Effect, Option, Schema } from "effect"
import { Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

/** `effect-rocketmq peek`. */
export const peek = Command.make(
  "peek",
  {
    ...connection,
    topic: Flags.topic.pipe(Flag.optional),
    name: Flags.topicArgument,
    queue: Flags.queue.pipe(
      Flag.withDescription("Only this queue; default: all, in the order of their store times"),
      Flag.optional
    ),
    offset: Flag.String("offset").pipe(
      Flag.withMetavar("earliest | latest | number"),
      Flag.withDescription(
        "Where to begin in each queue; latest shows the newest messages. Default earliest, and the end with --follow"
      ),
      Flag.withSchema(
        Schema.Union([
          Schema.Literals(["earliest", "latest"]),
          Schema.NumberFromString.check(Schema.isInt(), Schema.isGreaterThanOrEqualTo(0))
        ])
      ),
      Flag.optional
    ),
    ...Flags.messages,
    follow: Flag.Boolean("follow").pipe(
      Flag.withAlias("f"),
      Flag.withDescription("Go on with what is stored from now on, until Ctrl-C or --count"),
      Flag.withDefault(false)
    ),
    count: Flags.int("count", 1).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("How many messages at most, all queues together; default 100, any number with --follow"),
      Flag.optional
    ),
    format: Flags.format,
    json: Flags.json
  },
  ({ count, format, key, name, offset, queue, since, tag, topic: flag, ...input }) =>
    Effect.flatMap(Flags.either("topic", flag, name), (topic) =>
      load(
        () => import("./peek.ts"),
        ({ run }) =>
          run({
            ...input,
            topic,
            count: Option.getOrUndefined(count),
            format: Option.getOrUndefined(format),
            key: Option.getOrUndefined(key),
            offset: Option.getOrUndefined(offset),
            queue: Option.getOrUndefined(queue),
            since: Option.getOrUndefined(since),
            tag: Option.getOrUndefined(tag)
          })
      )
    )
).pipe(
  Command.withDescription(
    "Read messages without consuming them; no group's progress changes. mqadmin: printMsg -t <topic>, consumeMessage -t <topic>."
  ),
  Command.withShortDescription("Read messages without consuming them"),
  Command.withExamples([
    { command: "effect-rocketmq peek --topic orders --offset latest --count 10" },
    { command: "effect-rocketmq peek --topic orders --queue broker-a:3 --offset 120 --json" },
    {
      command: "effect-rocketmq peek --topic orders --follow --tag paid --format '{msgId} {property.customer} {body}'"
    }
  ])
)
