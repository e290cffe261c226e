import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"
import { order } from "./OrderCommands.ts"

/** A topic by flag or by argument. */
const oneTopic = { topic: Flags.topic.pipe(Flag.optional), name: Flags.topicArgument } as const

const list = Command.make(
  "list",
  {
    ...connection,
    all: Flag.Boolean("all").pipe(
      Flag.withAlias("a"),
      Flag.withDescription("Also the topics of the system, retry and dead-letter topics"),
      Flag.withDefault(false)
    ),
    json: Flags.json
  },
  (input) =>
    load(
      () => import("./topicList.ts"),
      ({ run }) => run(input)
    )
).pipe(Command.withDescription("List the topics. mqadmin: topicList"))

const route = Command.make(
  "route",
  { ...connection, ...oneTopic, json: Flags.json },
  Flags.aboutTopic((input) =>
    load(
      () => import("./topicRoute.ts"),
      ({ run }) => run(input)
    )
  )
).pipe(Command.withDescription("Show where a topic lives. mqadmin: topicRoute -t <topic>"))

const config = Command.make(
  "config",
  { ...connection, ...oneTopic, json: Flags.json },
  Flags.aboutTopic((input) =>
    load(
      () => import("./topicConfig.ts"),
      ({ run }) => run(input)
    )
  )
).pipe(
  Command.withDescription(
    "Show a topic as each master keeps it, with its attributes. mqadmin: none, topicRoute -t <topic> shows a part"
  )
)

const stats = Command.make(
  "stats",
  { ...connection, ...oneTopic, json: Flags.json },
  Flags.aboutTopic((input) =>
    load(
      () => import("./topicStats.ts"),
      ({ run }) => run(input)
    )
  )
).pipe(Command.withDescription("Show what the queues of a topic hold. mqadmin: topicStatus -t <topic>"))

const offsets = Command.make(
  "offsets",
  {
    ...connection,
    ...oneTopic,
    at: Flags.moment("at").pipe(Flag.withDescription("The time: 2026-08-01T10:00:00Z, milliseconds, or 15m for ago")),
    json: Flags.json
  },
  Flags.aboutTopic((input) =>
    load(
      () => import("./topicOffsets.ts"),
      ({ run }) => run(input)
    )
  )
).pipe(
  Command.withDescription(
    "Show the offset in each queue at a time: the first message stored then or later. mqadmin: none, queryCq -t <topic> shows queues by index"
  )
)

const create = Command.make(
  "create",
  {
    ...connection,
    ...oneTopic,
    cluster: Flags.cluster,
    queues: Flags.int("queues", 1, 65_535).pipe(
      Flag.withDescription("Queues on each master; default 4"),
      Flag.withDefault(4)
    ),
    perm: Flags.perm.pipe(Flag.withDescription("What it allows; default rw"), Flag.withDefault(6)),
    order: Flag.Boolean("order").pipe(Flag.withDescription("Mark it as an ordered topic"), Flag.withDefault(false)),
    attributes: Flags.pairs("attribute").pipe(
      Flag.withDescription("An attribute of 5.x, message.type=FIFO; may be repeated")
    ),
    ...Flags.existing,
    json: Flags.json
  },
  ({ cluster, ifNotExists, name, replace, topic, ...input }) =>
    Effect.flatMap(
      Effect.all([Flags.either("topic", topic, name), Flags.ifExists({ ifNotExists, replace })]),
      ([found, ifExists]) =>
        load(
          () => import("./topicCreate.ts"),
          ({ run }) => run({ ...input, topic: found, ifExists, cluster: Option.getOrUndefined(cluster) })
        )
    )
).pipe(
  Command.withDescription(
    "Create a topic on every master of a cluster; one that is there is left alone. mqadmin: updateTopic -t <topic> -c <cluster> -r 4 -w 4"
  )
)

const update = Command.make(
  "update",
  {
    ...connection,
    ...oneTopic,
    readQueues: Flags.int("read-queues", 1, 65_535).pipe(
      Flag.withDescription("Queues on each master that can be read"),
      Flag.optional
    ),
    writeQueues: Flags.int("write-queues", 1, 65_535).pipe(
      Flag.withDescription("Queues on each master that can be written"),
      Flag.optional
    ),
    perm: Flags.perm.pipe(Flag.withDescription("What it allows"), Flag.optional),
    order: Flag.Boolean("order").pipe(Flag.withDescription("Whether it is an ordered topic"), Flag.optional),
    attributes: Flags.pairs("attribute").pipe(
      Flag.withDescription("An attribute of 5.x, message.type=FIFO; message.type= removes it; may be repeated")
    ),
    json: Flags.json
  },
  Flags.aboutTopic(({ order: ordered, perm, readQueues, writeQueues, ...input }) =>
    load(
      () => import("./topicUpdate.ts"),
      ({ run }) =>
        run({
          ...input,
          order: Option.getOrUndefined(ordered),
          perm: Option.getOrUndefined(perm),
          readQueues: Option.getOrUndefined(readQueues),
          writeQueues: Option.getOrUndefined(writeQueues)
        })
    )
  )
).pipe(
  Command.withDescription(
    "Change a topic on every master that has it; what is not named stays. mqadmin: updateTopic -t <topic> -c <cluster> ..., updateTopicPerm"
  )
)

const remove = Command.make(
  "delete",
  { ...connection, ...oneTopic, yes: Flags.yesFlag, json: Flags.json },
  Flags.aboutTopic((input) =>
    load(
      () => import("./topicDelete.ts"),
      ({ run }) => run(input)
    )
  )
).pipe(Command.withDescription("Delete a topic with its messages. mqadmin: deleteTopic -t <topic> -c <cluster>"))

/** `effect-rocketmq topic`. */
export const topic = Command.make("topic").pipe(
  Command.withDescription("List, show, create, change and delete topics"),
  Command.withSubcommands([list, route, config, stats, offsets, create, update, remove, order])
)
