import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"
import { offsets, watch } from "./OffsetCommands.ts"

/** A group by flag or by argument. */
const oneGroup = { group: Flags.group.pipe(Flag.optional), name: Flags.groupArgument } as const

/** A group and a topic, by flags or by arguments. */
const groupAndTopic = {
  group: Flags.group.pipe(Flag.optional),
  topic: Flags.topic.pipe(Flag.optional),
  names: [Flags.groupArgument, Flags.topicArgument]
} as const

const list = Command.make(
  "list",
  {
    ...connection,
    cluster: Flags.cluster,
    all: Flag.Boolean("all").pipe(
      Flag.withAlias("a"),
      Flag.withDescription("Also the groups of the system"),
      Flag.withDefault(false)
    ),
    json: Flags.json
  },
  ({ cluster, ...input }) =>
    load(
      () => import("./groupList.ts"),
      ({ run }) => run({ ...input, cluster: Option.getOrUndefined(cluster) })
    )
).pipe(Command.withDescription("List the consumer groups. mqadmin: consumerProgress shows those with offsets"))

const create = Command.make(
  "create",
  {
    ...connection,
    ...oneGroup,
    cluster: Flags.cluster,
    retries: Flags.int("retries", 0, 10_000).pipe(
      Flag.withDescription("How often a message is tried again before it is a dead letter; default 16"),
      Flag.withDefault(16)
    ),
    orderly: Flag.Boolean("orderly").pipe(
      Flag.withDescription("Retry the messages of a queue in order"),
      Flag.withDefault(false)
    ),
    ...Flags.existing,
    json: Flags.json
  },
  ({ cluster, group: flag, ifNotExists, name, replace, ...input }) =>
    Effect.flatMap(
      Effect.all([Flags.either("group", flag, name), Flags.ifExists({ ifNotExists, replace })]),
      ([found, ifExists]) =>
        load(
          () => import("./groupCreate.ts"),
          ({ run }) => run({ ...input, group: found, ifExists, cluster: Option.getOrUndefined(cluster) })
        )
    )
).pipe(
  Command.withDescription(
    "Create a consumer group on every master of a cluster; one that is there is left alone. mqadmin: updateSubGroup -g <group> -c <cluster>"
  )
)

const update = Command.make(
  "update",
  {
    ...connection,
    ...oneGroup,
    cluster: Flags.cluster,
    retries: Flags.int("retries", 0, 10_000).pipe(
      Flag.withDescription("How often a message is tried again before it is a dead letter"),
      Flag.optional
    ),
    orderly: Flag.Boolean("orderly").pipe(
      Flag.withDescription("Whether proxies treat it as an orderly group"),
      Flag.optional
    ),
    consume: Flag.Boolean("consume").pipe(
      Flag.withDescription("Whether it may consume; --no-consume stops it at once"),
      Flag.optional
    ),
    json: Flags.json
  },
  Flags.aboutGroup(({ cluster, consume, orderly, retries, ...input }) =>
    load(
      () => import("./groupUpdate.ts"),
      ({ run }) =>
        run({
          ...input,
          cluster: Option.getOrUndefined(cluster),
          consume: Option.getOrUndefined(consume),
          orderly: Option.getOrUndefined(orderly),
          retries: Option.getOrUndefined(retries)
        })
    )
  )
).pipe(
  Command.withDescription(
    "Change a consumer group on every master that has it; what is not named stays. mqadmin: updateSubGroup -g <group> -c <cluster> ..., which sets the rest to its defaults"
  )
)

const status = Command.make(
  "status",
  {
    ...connection,
    ...oneGroup,
    client: Flags.client,
    jstack: Flag.Boolean("jstack").pipe(
      Flag.withDescription(
        "The stacks of members in Java too; those of this package have fibers, and say how many handlers run"
      ),
      Flag.withDefault(false)
    ),
    json: Flags.json
  },
  Flags.aboutGroup(({ client, ...input }) =>
    load(
      () => import("./groupStatus.ts"),
      ({ run }) => run({ ...input, client: Option.getOrUndefined(client) })
    )
  )
).pipe(
  Command.withDescription(
    "Show what each member of a group does, as it says itself: its queues, how much of them it holds, and how fast it is. mqadmin: consumerStatus -g <group> -i <client> -s"
  )
)

const remove = Command.make(
  "delete",
  {
    ...connection,
    ...oneGroup,
    cluster: Flags.cluster,
    offsets: Flag.Boolean("offsets").pipe(
      Flag.withDescription("Its offsets too, so that a group of this name begins anew"),
      Flag.withDefault(false)
    ),
    yes: Flags.yesFlag,
    json: Flags.json
  },
  Flags.aboutGroup(({ cluster, ...input }) =>
    load(
      () => import("./groupDelete.ts"),
      ({ run }) => run({ ...input, cluster: Option.getOrUndefined(cluster) })
    )
  )
).pipe(
  Command.withDescription(
    "Delete a consumer group with its retry and dead-letter topics. mqadmin: deleteSubGroup -g <group> -c <cluster>"
  )
)

const progress = Command.make(
  "progress",
  { ...connection, ...groupAndTopic, json: Flags.json },
  ({ group: flag, names, topic, ...input }) =>
    Effect.flatMap(Flags.named(names, { group: flag }, { topic }), (named) =>
      load(
        () => import("./groupProgress.ts"),
        ({ run }) => run({ ...input, group: named.group, topic: named.topic })
      )
    )
).pipe(
  Command.withDescription("Show how far a group has read, and its lag. mqadmin: consumerProgress -g <group> -t <topic>")
)

const clients = Command.make(
  "clients",
  { ...connection, ...oneGroup, json: Flags.json },
  Flags.aboutGroup((input) =>
    load(
      () => import("./groupClients.ts"),
      ({ run }) => run(input)
    )
  )
).pipe(
  Command.withDescription(
    "Show who of a group is online, as producer and as consumer. mqadmin: consumerConnection -g <group>, producerConnection -g <group> -t <topic>"
  )
)

const positions = Command.make(
  "positions",
  { ...connection, ...groupAndTopic, client: Flags.client, json: Flags.json },
  ({ client, group: flag, names, topic, ...input }) =>
    Effect.flatMap(Flags.named(names, { group: flag, topic }), (named) =>
      load(
        () => import("./groupPositions.ts"),
        ({ run }) => run({ ...input, ...named, client: Option.getOrUndefined(client) })
      )
    )
).pipe(
  Command.withDescription(
    "Show how far each member of a group is, as it says itself. mqadmin: none, consumerStatus -g <group> -i <client> shows it with all else"
  )
)

const reset = Command.make(
  "reset",
  {
    ...connection,
    ...groupAndTopic,
    at: Flags.moment("at").pipe(
      Flag.withDescription("Read on at this time: 2026-08-01T10:00:00Z, milliseconds, or 15m for ago"),
      Flag.optional
    ),
    to: Flag.Literals("to", ["earliest", "latest"]).pipe(
      Flag.withDescription("Read on at one of the ends"),
      Flag.optional
    ),
    json: Flags.json
  },
  ({ at, group: flag, names, to, topic, ...input }) =>
    Effect.flatMap(Flags.named(names, { group: flag, topic }), (named) =>
      load(
        () => import("./groupReset.ts"),
        ({ run }) => run({ ...input, ...named, at: Option.getOrUndefined(at), to: Option.getOrUndefined(to) })
      )
    )
).pipe(
  Command.withDescription(
    "Set where a group reads a topic on. mqadmin: resetOffsetByTime -g <group> -t <topic> -s <time>, skipAccumulatedMessage"
  )
)

/** `effect-rocketmq group`. */
export const group = Command.make("group").pipe(
  Command.withDescription("List, create, change and delete consumer groups; show and set how far they have read"),
  Command.withSubcommands([list, create, update, remove, progress, clients, positions, status, reset, offsets, watch])
)
