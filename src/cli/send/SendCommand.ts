import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

/** `effect-rocketmq send`. */
export const send = Command.make(
  "send",
  {
    ...Flags.connection,
    topic: Flags.topic.pipe(Flag.optional),
    name: Flags.topicArgument,
    group: Flag.String("group").pipe(
      Flag.withAlias("g"),
      Flag.withDescription("Producer group"),
      Flag.withDefault("effect-rocketmq-cli")
    ),
    tags: Flag.String("tags").pipe(Flag.withDescription("The message's tag"), Flag.optional),
    keys: Flag.String("key").pipe(Flag.withDescription("A key to find it by; may be repeated"), Flag.atLeast(0)),
    properties: Flag.KeyValuePair("property").pipe(
      Flag.withDescription("A user property k=v; may be repeated"),
      Flag.withDefault({})
    ),
    count: Flags.int("count", 1).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("How many messages to send"),
      Flag.optional
    ),
    size: Flags.int("size", 1, 4_194_304).pipe(
      Flag.withDescription("Bytes of a generated body; default 1024"),
      Flag.optional
    ),
    body: Flag.String("body").pipe(Flag.withDescription("The body, as text"), Flag.optional),
    concurrency: Flags.int("concurrency", 1, 65_536).pipe(
      Flag.withDescription("How many sends at once; 1 keeps the order. Default 64"),
      Flag.withDefault(64)
    ),
    timeout: Flags.int("timeout", 1).pipe(
      Flag.withDescription("Milliseconds that a send may take, retries included; default 3000"),
      Flag.withDefault(3_000)
    ),
    json: Flags.json
  },
  ({ body, count, name, size, tags, topic, ...input }) =>
    Effect.flatMap(Flags.either("topic", topic, name), (found) =>
      load(
        () => import("./send.ts"),
        ({ run }) =>
          run({
            ...input,
            topic: found,
            tags: Option.getOrUndefined(tags),
            count: Option.getOrUndefined(count),
            size: Option.getOrUndefined(size),
            body: Option.getOrUndefined(body)
          })
      )
    )
).pipe(
  Command.withDescription(
    "Send messages: --body, or --count of a --size, or one message per line of standard input. mqadmin: sendMessage -t <topic> -p <body>, and the benchmark's producer.sh."
  ),
  Command.withShortDescription("Send messages"),
  Command.withExamples([
    { command: "effect-rocketmq send --topic orders --body hello --tags created --key order-7" },
    { command: "effect-rocketmq send --topic orders --count 10000 --size 512", description: "Generated bodies" },
    { command: "cat events.ndjson | effect-rocketmq send --topic events --json", description: "A message a line" }
  ])
)
