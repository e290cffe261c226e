import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

/** A group and a topic, by flag or as arguments. */
const groupAndTopic = {
  group: Flags.group.pipe(Flag.optional),
  topic: Flags.topic.pipe(Flag.optional),
  names: [Flags.groupArgument, Flags.topicArgument]
} as const

const dryRun = Flag.Boolean("dry-run").pipe(
  Flag.withDescription("Show what would be set, and set nothing"),
  Flag.withDefault(false)
)

const show = Command.make(
  "show",
  { ...connection, ...groupAndTopic, json: Flags.json },
  ({ group: flag, names, topic, ...input }) =>
    Effect.flatMap(Flags.named(names, { group: flag }, { topic }), (named) =>
      load(
        () => import("./groupOffsets.ts"),
        ({ show: run }) => run({ ...input, ...named })
      )
    )
).pipe(
  Command.withDescription(
    "Show the offset that a group reads next of each queue, and what the queue holds. mqadmin: consumerProgress -g <group> -t <topic>"
  ),
  Command.withShortDescription("Show the offsets of a group")
)

const set = Command.make(
  "set",
  {
    ...connection,
    ...groupAndTopic,
    queue: Flags.queue.pipe(Flag.withDescription("Only this queue; default all of the topic"), Flag.optional),
    offset: Flags.int("offset", 0).pipe(Flag.withDescription("Read on at this offset"), Flag.optional),
    at: Flags.moment("at").pipe(
      Flag.withDescription("Read on at this time: 2026-08-01T10:00:00Z, milliseconds, or 15m for ago"),
      Flag.optional
    ),
    to: Flag.Literals("to", ["earliest", "latest"]).pipe(
      Flag.withDescription("Read on at one of the ends"),
      Flag.optional
    ),
    dryRun,
    json: Flags.json
  },
  ({ at, group: flag, names, offset, queue, to, topic, ...input }) =>
    Effect.flatMap(Flags.named(names, { group: flag, topic }), (named) =>
      load(
        () => import("./groupOffsets.ts"),
        ({ set: run }) =>
          run({
            ...input,
            ...named,
            at: Option.getOrUndefined(at),
            offset: Option.getOrUndefined(offset),
            queue: Option.getOrUndefined(queue),
            to: Option.getOrUndefined(to)
          })
      )
    )
).pipe(
  Command.withDescription(
    "Set the offset that a group reads next, of one queue or of all, while nobody of it is online: members would write their own over it. group reset moves a group that is online. mqadmin: resetOffsetByTime -g <group> -t <topic> -b <broker> -q <queue> -o <offset>"
  ),
  Command.withShortDescription("Set the offsets of a group that nobody is online of"),
  Command.withExamples([
    { command: "effect-rocketmq group offsets set billing orders --queue broker-a:3 --offset 120" },
    { command: "effect-rocketmq group offsets set billing orders --at 2h --dry-run" }
  ])
)

const clone = Command.make(
  "clone",
  {
    ...connection,
    ...groupAndTopic,
    from: Flag.String("from").pipe(
      Flag.withMetavar("group"),
      Flag.withDescription("The group whose offsets are taken, which stays as it is")
    ),
    dryRun,
    json: Flags.json
  },
  ({ group: flag, names, topic, ...input }) =>
    Effect.flatMap(Flags.named(names, { group: flag }, { topic }), (named) =>
      load(
        () => import("./groupOffsets.ts"),
        ({ clone: run }) => run({ ...input, ...named })
      )
    )
).pipe(
  Command.withDescription(
    "Let a group read on where another one does, while nobody of it is online. mqadmin: cloneGroupOffset -s <from> -d <group> -t <topic>"
  ),
  Command.withShortDescription("Let a group read on where another one does")
)

/** `effect-rocketmq group offsets`. */
export const offsets = Command.make("offsets").pipe(
  Command.withDescription("Show and set the offsets of a group, queue by queue"),
  Command.withSubcommands([show, set, clone])
)

/** `effect-rocketmq group watch`. */
export const watch = Command.make(
  "watch",
  {
    ...connection,
    ...groupAndTopic,
    interval: Flags.span("interval").pipe(
      Flag.withDescription("How often to look; default 2s"),
      Flag.withDefault(2_000)
    ),
    count: Flags.int("count", 1).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("End after so many looks; by default it goes on until Ctrl-C"),
      Flag.optional
    ),
    until: Flags.int("until", 0).pipe(
      Flag.withMetavar("lag"),
      Flag.withDescription("End once the group is no further behind than this; not within --count is exit 1"),
      Flag.optional
    ),
    json: Flags.json
  },
  ({ count, group: flag, names, topic, until, ...input }) =>
    Effect.flatMap(Flags.named(names, { group: flag }, { topic }), (named) =>
      load(
        () => import("./groupWatch.ts"),
        ({ run }) =>
          run({
            ...input,
            ...named,
            count: Option.getOrUndefined(count),
            until: Option.getOrUndefined(until)
          })
      )
    )
).pipe(
  Command.withDescription(
    "Watch how far a group is behind: a live line on a terminal, a line for each look on a pipe. mqadmin: consumerProgress -g <group>, again and again"
  ),
  Command.withShortDescription("Watch how far a group is behind"),
  Command.withExamples([
    { command: "effect-rocketmq group watch billing" },
    { command: "effect-rocketmq group watch billing --until 0 --count 300", description: "Wait until it has read all" }
  ])
)
