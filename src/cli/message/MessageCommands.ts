import { Effect, Option, Schema } from "effect"
import { Argument, Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

const anyId = Argument.String("id").pipe(
  Argument.withDescription("The sender's msgId, or an offsetMsgId"),
  Argument.withSchema(Schema.NonEmptyString)
)

const get = Command.make(
  "get",
  {
    ...connection,
    topic: Flags.topic.pipe(Flag.withDescription("The topic; an offsetMsgId needs none"), Flag.optional),
    id: anyId,
    name: Flags.topicArgument,
    json: Flags.json
  },
  ({ name, topic, ...input }) =>
    Effect.flatMap(Flags.named([name], {}, { topic }), (named) =>
      load(
        () => import("./messageFind.ts"),
        ({ get: run }) => run({ ...input, topic: named.topic })
      )
    )
).pipe(
  Command.withDescription(
    "Show one message by its id. mqadmin: queryMsgByUniqueKey -t <topic> -i <id>, queryMsgById -i <offsetMsgId>"
  )
)

const query = Command.make(
  "query",
  {
    ...connection,
    topic: Flags.topic.pipe(Flag.optional),
    name: Flags.topicArgument,
    key: Flag.String("key").pipe(
      Flag.withAlias("k"),
      Flag.withDescription("Messages with this key"),
      Flag.withSchema(Schema.NonEmptyString),
      Flag.optional
    ),
    begin: Flags.moment("begin").pipe(
      Flag.withDescription("Stored at this time or later: 2026-08-01T10:00:00Z, milliseconds, or 15m for ago"),
      Flag.optional
    ),
    end: Flags.moment("end").pipe(Flag.withDescription("Stored at this time or earlier"), Flag.optional),
    count: Flags.int("count", 1, 100_000).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("How many messages at most; default 64"),
      Flag.withDefault(64)
    ),
    json: Flags.json
  },
  Flags.aboutTopic(({ begin, end, key, ...input }) =>
    load(
      () => import("./messageFind.ts"),
      ({ query: run }) =>
        run({
          ...input,
          key: Option.getOrUndefined(key),
          begin: Option.getOrUndefined(begin),
          end: Option.getOrUndefined(end)
        })
    )
  )
).pipe(
  Command.withDescription(
    "Find messages by key, or by the time they were stored. mqadmin: queryMsgByKey -t <topic> -k <key>, printMsg -t <topic> -b <time> -e <time>"
  )
)

const trace = Command.make(
  "trace",
  {
    ...connection,
    id: Argument.String("id").pipe(
      Argument.withDescription("The sender's msgId"),
      Argument.withSchema(Schema.NonEmptyString)
    ),
    traceTopic: Flag.String("trace-topic").pipe(
      Flag.withDescription("The topic that traces go to; default RMQ_SYS_TRACE_TOPIC"),
      Flag.withSchema(Schema.NonEmptyString),
      Flag.optional
    ),
    json: Flags.json
  },
  ({ traceTopic, ...input }) =>
    load(
      () => import("./messageTrace.ts"),
      ({ trace: run }) => run({ ...input, traceTopic: Option.getOrUndefined(traceTopic) })
    )
).pipe(
  Command.withDescription(
    "Show what became of a message, as producers and consumers with enableTrace tell it. mqadmin: queryMsgTraceById -i <id>"
  )
)

const consume = Command.make(
  "consume",
  {
    ...connection,
    topic: Flags.topic.pipe(Flag.optional),
    group: Flags.group.pipe(Flag.optional),
    client: Flags.client,
    id: anyId,
    names: [Flags.topicArgument, Flags.groupArgument],
    json: Flags.json
  },
  ({ client, group, names, topic, ...input }) =>
    Effect.flatMap(Flags.named(names, { topic, group }), (named) =>
      load(
        () => import("./messageConsume.ts"),
        ({ run }) => run({ ...input, ...named, client: Option.getOrUndefined(client) })
      )
    )
).pipe(
  Command.withDescription(
    "Have a member of a group process one message now; what comes of it counts for nothing. mqadmin: queryMsgById -i <offsetMsgId> -g <group> -d <client>"
  )
)

/** `effect-rocketmq message`. */
export const message = Command.make("message").pipe(
  Command.withDescription("Find single messages, and have a consumer process one"),
  Command.withSubcommands([get, query, trace, consume])
)
