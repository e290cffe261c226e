import { Effect, Option } from "effect"
import { Command, Flag } from "effect/cli"
import type { ConsumeFromWhere } from "../../consumer/offset/StartOffset.ts"
import { connection } from "../ConnectionFlags.ts"
import * as Flags from "../Flags.ts"
import { load } from "../Load.ts"

const parseFrom = (text: string): ConsumeFromWhere => {
  if (text === "first" || text === "last") return text
  const at = Date.parse(text.replace(/^timestamp:/, ""))
  if (!text.startsWith("timestamp:") || Number.isNaN(at) || at < 0) throw new Error(`"${text}" is no place`)
  return { timestamp: at }
}

const from = Flag.String("from").pipe(
  Flag.withMetavar("first | last | timestamp:2026-08-01T10:00:00Z"),
  Flag.withDescription("Where a group begins that has no offsets; one that has goes on there. Default first"),
  Flag.withDefault("first"),
  Flag.mapTryCatch(parseFrom, () => "write it as first, last, or timestamp:2026-08-01T10:00:00Z")
)

const yes = (name: string, what: string) => Flag.Boolean(name).pipe(Flag.withDescription(what), Flag.withDefault(false))

/** `effect-rocketmq consume`. */
export const consume = Command.make(
  "consume",
  {
    ...connection,
    topic: Flags.topic.pipe(Flag.optional),
    group: Flags.group.pipe(Flag.optional),
    names: [Flags.topicArgument, Flags.groupArgument],
    expression: Flag.String("expression").pipe(
      Flag.withMetavar("a || b"),
      Flag.withDescription("Only messages with one of these tags; default all"),
      Flag.optional
    ),
    sql: Flag.String("sql").pipe(
      Flag.withMetavar("a > 1"),
      Flag.withDescription("Only messages whose properties pass this filter in SQL92, which the brokers have to allow"),
      Flag.optional
    ),
    from,
    orderly: yes("orderly", "The messages of a queue one after the other, over all members of the group"),
    broadcast: yes(
      "broadcast",
      "Every member of the group gets every message. No offset is kept: each run begins at --from"
    ),
    concurrency: Flags.int("concurrency", 1, 1_000).pipe(
      Flag.withDescription("How many messages are handled at once; 1 keeps the order of a queue. Default 20"),
      Flag.withDefault(20)
    ),
    count: Flags.int("count", 1).pipe(
      Flag.withAlias("c"),
      Flag.withDescription("End after so many distinct acknowledged messages; by default it goes on until Ctrl-C"),
      Flag.optional
    ),
    idleTimeout: Flags.span("idle-timeout").pipe(
      Flag.withDescription("End when nothing was delivered for so long: 10s, 500ms, 2m. Before --count that is exit 1"),
      Flag.optional
    ),
    failFirst: Flags.int("fail-first", 0, 1_000_000).pipe(
      Flag.withMetavar("deliveries"),
      Flag.withDescription(
        "Give each message back at its first so many deliveries, so that it comes again; with --orderly its queue waits for it. Default 0"
      ),
      Flag.withDefault(0)
    ),
    exec: Flag.String("exec").pipe(
      Flag.withMetavar("command"),
      Flag.withDescription(
        "Run this for each message, by the shell: the body is its standard input, MESSAGE_TOPIC, MESSAGE_ID, MESSAGE_KEYS, MESSAGE_PROPERTY_<name>, ... its environment. Exit code 0 acknowledges, any other gives the message back; 126 and 127 end the run. --concurrency says how many at once"
      ),
      Flag.optional
    ),
    execLines: Flag.String("exec-lines").pipe(
      Flag.withMetavar("command"),
      Flag.withDescription(
        "Run this once, by the shell: it reads a message a line, as --json prints them, and answers each in order with a line ok or fail. Where it ends, is late or answers something else, what it has not answered is given back and it is started anew"
      ),
      Flag.optional
    ),
    execTimeout: Flags.span("exec-timeout").pipe(
      Flag.withDescription("How long a command may take over a message, which is given back then. Default 1m"),
      Flag.withDefault(60_000)
    ),
    wait: yes("wait", "Wait for a topic that is not there yet, instead of exit 4"),
    quiet: yes("quiet", "Print no messages"),
    format: Flags.format,
    json: Flags.json
  },
  ({ count, exec, execLines, expression, format, group, idleTimeout, names, sql, topic, ...input }) =>
    Effect.flatMap(Flags.named(names, { topic, group }), (named) =>
      load(
        () => import("./consume.ts"),
        ({ run }) =>
          run({
            ...input,
            ...named,
            count: Option.getOrUndefined(count),
            exec: Option.getOrUndefined(exec),
            execLines: Option.getOrUndefined(execLines),
            expression: Option.getOrUndefined(expression),
            format: Option.getOrUndefined(format),
            idleTimeout: Option.getOrUndefined(idleTimeout),
            sql: Option.getOrUndefined(sql)
          })
      )
    )
).pipe(
  Command.withDescription(
    "Consume messages as a member of a group: prints each, acknowledges it when it is printed, shares the queues with the group's other members. A summary follows on standard error. mqadmin: consumeMessage -t <topic> -g <group>, without a group's offsets, and the benchmark's consumer.sh."
  ),
  Command.withShortDescription("Consume messages as a member of a group"),
  Command.withExamples([
    { command: "effect-rocketmq consume --topic orders --group billing" },
    {
      command: "effect-rocketmq consume --topic orders --group billing --count 100 --idle-timeout 10s --json",
      description: "A hundred messages for a program, or exit 1"
    },
    {
      command: 'effect-rocketmq consume --topic orders --group trial --expression "paid || shipped" --fail-first 1',
      description: "See messages come again"
    },
    {
      command: `effect-rocketmq consume --topic orders --group hook --exec 'curl -fsS --data-binary @- http://localhost/hook'`,
      description: "A command for each message"
    }
  ])
)
