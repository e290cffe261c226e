import { Effect, Layer, Logger, Option, References, Runtime, Schema } from "effect"
import { CliConfig, CliOutput, Command, Flag, GlobalFlag } from "effect/cli"
import { bench } from "./bench/BenchCommand.ts"
import { broker, cluster } from "./cluster/ClusterCommands.ts"
import { connection } from "./ConnectionFlags.ts"
import { consume } from "./consume/ConsumeCommand.ts"
import { dev } from "./dev/DevCommand.ts"
import { decode } from "./message/DecodeCommand.ts"
import { dlq } from "./dlq/DlqCommands.ts"
import { ExitCode } from "./Failure.ts"
import * as Flags from "./Flags.ts"
import { group } from "./group/GroupCommands.ts"
import { load } from "./Load.ts"
import { acl, user } from "./access/AccessCommands.ts"
import { namesrv as nameServers } from "./cluster/NamesrvCommands.ts"
import { message } from "./message/MessageCommands.ts"
import { peek } from "./message/PeekCommand.ts"
import { send } from "./send/SendCommand.ts"
import { topic } from "./topic/TopicCommands.ts"
import { guarded, presenter } from "./Usage.ts"
import { VERSION } from "./Version.ts"

const doctor = Command.make(
  "doctor",
  {
    namesrv: connection.namesrv.pipe(Flag.optional),
    access: connection.access,
    topic: Flags.topic.pipe(Flag.optional),
    group: Flags.group.pipe(
      Flag.withDescription("A consumer group to look at as well: members, subscriptions, owners, lag, dead letters"),
      Flag.optional
    ),
    send: Flag.Boolean("send").pipe(
      Flag.withDescription("Send one message to the topic at the end; nothing is sent otherwise"),
      Flag.withDefault(false)
    ),
    names: [Flags.topicArgument, Flags.groupArgument],
    json: Flags.json
  },
  ({ group: ofConsumers, names, namesrv, topic: ofMessages, ...input }) =>
    Effect.flatMap(Flags.named(names, {}, { topic: ofMessages, group: ofConsumers }), (named) =>
      load(
        () => import("./doctor/doctor.ts"),
        ({ run }) => run({ ...input, ...named, namesrv: Option.getOrUndefined(namesrv) })
      )
    )
).pipe(
  Command.withDescription(
    "Walk a producer's start-up against a live cluster, step by step: what fails first, the evidence, the remedy. mqadmin has no such command; clusterList and topicRoute show parts of it."
  ),
  Command.withShortDescription("Find out why a client cannot connect or send"),
  Command.withExamples([
    { command: 'effect-rocketmq doctor --namesrv "10.0.0.5:9876;10.0.0.6:9876" --topic orders' },
    { command: "effect-rocketmq doctor --group billing", description: "And why does nobody read?" }
  ])
)

/** The whole command line as a tree of commands. */
export const root = Command.make("effect-rocketmq").pipe(
  Command.withDescription(
    "Apache RocketMQ from the command line: run one, look into one, administer it, send to it and read from it."
  ),
  Command.withSubcommands([
    dev,
    doctor,
    send,
    consume,
    peek,
    topic,
    group,
    message,
    dlq,
    bench,
    cluster,
    broker,
    nameServers,
    user,
    acl,
    decode
  ])
)

/** What the client logs goes to standard error, and only errors do unless `--log-level` asks for more. */
const quiet = Layer.mergeAll(
  CliConfig.layer({ builtIns: [GlobalFlag.Help, GlobalFlag.Version, GlobalFlag.Completions, GlobalFlag.LogLevel] }),
  Layer.succeed(References.MinimumLogLevel, "Error"),
  Logger.layer([Logger.withConsoleError(Logger.formatLogFmt)]),
  CliOutput.layerPresenter(presenter)
)

const runCommand = Command.runWith(root, { version: VERSION })

/** The command that arguments begin with, word by word. */
const pathOf = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const path: Array<string> = [root.name]
  let current: Command.Command.Any = root
  for (const arg of args) {
    const next: Command.Command.Any | undefined = current.subcommands
      .flatMap(({ commands }) => commands)
      .find(({ name }) => name === arg)
    if (next === undefined) break
    path.push(next.name)
    current = next
  }
  return path
}

/** Runs the command line with its arguments. Fails when the exit code is not 0; see {@link exitCodeOf}. */
export const run = (args: ReadonlyArray<string>) => guarded(args, pathOf, runCommand).pipe(Effect.provide(quiet))

/** The exit code of a failure of {@link run}: help that nobody asked for is no failure, a wrong flag is code 2. */
export const exitCodeOf = (error: unknown): number =>
  Schema.is(Schema.Struct({ _tag: Schema.Literal("ShowHelp"), errors: Schema.Array(Schema.Unknown) }))(error)
    ? error.errors.length > 0
      ? ExitCode.usage
      : ExitCode.ok
    : Runtime.getErrorExitCode(error)
