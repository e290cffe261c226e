import { Option } from "effect"
import { Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

/** A group by flag or by argument. */
const oneGroup = { group: Flags.group.pipe(Flag.optional), name: Flags.groupArgument } as const

const wanted = {
  ...Flags.messages,
  until: Flags.moment("until").pipe(
    Flag.withDescription("Only what became a dead letter then or earlier"),
    Flag.optional
  )
} as const

const grantRead = Flag.Boolean("grant-read").pipe(
  Flag.withDescription(
    "Where brokers keep the dead letters write-only, let them be read while the command runs; the permission is restored at its end, also on Ctrl-C"
  ),
  Flag.withDefault(false)
)

const list = Command.make("list", { ...connection, ...oneGroup, json: Flags.json }, ({ group: flag, name, ...input }) =>
  load(
    () => import("./dlqList.ts"),
    ({ run }) => run({ ...input, group: Option.getOrUndefined(Option.orElse(flag, () => name)) })
  )
).pipe(
  Command.withDescription(
    "List the groups that have dead letters, and how many. mqadmin: topicStatus -t %DLQ%<group>, for each group"
  ),
  Command.withShortDescription("List the groups that have dead letters")
)

const peek = Command.make(
  "peek",
  {
    ...connection,
    ...oneGroup,
    ...wanted,
    latest: Flag.Boolean("latest").pipe(
      Flag.withDescription("The newest instead of the oldest"),
      Flag.withDefault(false)
    ),
    count: Flags.int("count", 1).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("How many at most; default 100"),
      Flag.withDefault(100)
    ),
    grantRead,
    json: Flags.json
  },
  Flags.aboutGroup(({ key, since, tag, until, ...input }) =>
    load(
      () => import("./dlqPeek.ts"),
      ({ run }) =>
        run({
          ...input,
          key: Option.getOrUndefined(key),
          since: Option.getOrUndefined(since),
          tag: Option.getOrUndefined(tag),
          until: Option.getOrUndefined(until)
        })
    )
  )
).pipe(
  Command.withDescription(
    "Show what a group gave up, where it came from, how often it was tried, and whether it was replayed. mqadmin: printMsg -t %DLQ%<group>"
  ),
  Command.withShortDescription("Show the dead letters of a group")
)

const replay = Command.make(
  "replay",
  {
    ...connection,
    ...oneGroup,
    ...wanted,
    to: Flag.Literals("to", ["group", "topic"]).pipe(
      Flag.withDescription(
        "group: only the group that gave it up gets it again, by its retry topic; other groups have done their work on it already. topic: the topic that it came from, where every group gets it once more. Default group"
      ),
      Flag.withDefault("group")
    ),
    count: Flags.int("count", 1).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("How many at most; default all that are there now"),
      Flag.optional
    ),
    dryRun: Flag.Boolean("dry-run").pipe(
      Flag.withDescription("Show what would be sent, and send nothing"),
      Flag.withDefault(false)
    ),
    grantRead,
    json: Flags.json
  },
  Flags.aboutGroup(({ count, key, since, tag, until, ...input }) =>
    load(
      () => import("./dlqReplay.ts"),
      ({ run }) =>
        run({
          ...input,
          count: Option.getOrUndefined(count),
          key: Option.getOrUndefined(key),
          since: Option.getOrUndefined(since),
          tag: Option.getOrUndefined(tag),
          until: Option.getOrUndefined(until)
        })
    )
  )
).pipe(
  Command.withDescription(
    "Send dead letters once more, with their id, keys, tag and properties. Each is replayed once: the replay has the property REPLAY_OF and a key of that value, by which a further run finds it and passes over it, also after one that was killed. Brokers have to index keys (messageIndexEnable, their default). mqadmin has no such verb; the dashboard's resend (consumeMessageDirectly) has one member process it, and nothing is stored of that."
  ),
  Command.withShortDescription("Send dead letters once more"),
  Command.withExamples([
    { command: "effect-rocketmq dlq replay billing --dry-run" },
    { command: "effect-rocketmq dlq replay billing --tag paid --since 2h" }
  ])
)

/** `effect-rocketmq dlq`. */
export const dlq = Command.make("dlq").pipe(
  Command.withDescription(
    "Dead letters: what a group was given as often as it may, or gave up. See them, and send them once more"
  ),
  Command.withSubcommands([list, peek, replay])
)
