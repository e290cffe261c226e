import { Console, Context, Effect, Runtime, Schema } from "effect"
import { type AdminError, type AdminReason, GroupNotFound } from "../admin/AdminError.ts"
import { explain as explainError } from "../explain/Explain.ts"
import type { RouteProblem, StartError, StartReason } from "../client/ClientError.ts"
import type { SendError, SendReason } from "../producer/send/SendError.ts"
import type { WireError } from "../transport/Wire.ts"
import * as ForeignText from "../message/ForeignText.ts"
import { palette, Screen } from "./Screen.ts"
import { json, quoted, wrap } from "./Text.ts"

/**
 * The exit codes of the command line.
 *
 * - `ok`: everything asked for was done.
 * - `failed`: some of it was not, messages that nobody acknowledged for instance.
 * - `usage`: the command was given something it cannot use.
 * - `cannotConnect`: a server could not be reached.
 * - `refused`: a name server or broker was reached and said no.
 *
 * A signal gives 128 and its number: 130 for SIGINT, 143 for SIGTERM.
 */
export const ExitCode = { ok: 0, failed: 1, usage: 2, cannotConnect: 3, refused: 4 } as const

/** One of {@link ExitCode}. */
export type ExitCode = (typeof ExitCode)[keyof typeof ExitCode]

/** The command failed and has said so; what is left is the exit code. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  exitCode: Schema.Int,
  summary: Schema.String
}) {
  override readonly [Runtime.errorReported] = false
  override get message() {
    return this.summary
  }
  override get [Runtime.errorExitCode]() {
    return this.exitCode
  }
}

/** Something that the flags say cannot be used. */
export class UsageError extends Schema.TaggedError<UsageError>()("UsageError", {
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return this.problem
  }
}

/** What was to be created and is there already, where no error of the administrator says so: the right of a user. */
export class Refused extends Schema.TaggedError<Refused>()("Refused", {
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return this.problem
  }
}

/** Something that an id names and the cluster has not: a broker, or a message. */
export class NotThere extends Schema.TaggedError<NotThere>()("NotThere", {
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return this.problem
  }
}

/** A delay that a broker would take and leave alone. */
export class DelayUnsupported extends Schema.TaggedError<DelayUnsupported>()("DelayUnsupported", {
  problem: Schema.String,
  remedy: Schema.String
}) {
  override get message() {
    return this.problem
  }
}

/** What only the command line fails with. */
type OwnFailure = UsageError | GroupNotFound | NotThere | DelayUnsupported | Refused

/** What a command can fail with before it is told to the user. */
export type CliFailure = StartError | SendError | AdminError | WireError | OwnFailure

/** A failure as the command line tells it. */
export interface Explained {
  /** The kind of the innermost cause, a tag of docs/errors.md. */
  readonly tag: string
  readonly message: string
  /** What to do about it. */
  readonly remedy: string
  readonly exitCode: ExitCode
}

/** What remedies mention. */
interface Hints {
  readonly namesrv?: string | undefined
  readonly topic?: string | undefined
  /** Whether it was a send that failed. */
  readonly sending?: boolean | undefined
}

/** An exit code, and what to do where the command line knows better than the error's own explanation. */
interface Advice {
  readonly exitCode: ExitCode
  readonly remedy?: string | undefined
}

/** What lists say that have nothing to list. */
export const NO_BROKER = "the name server knows no broker; brokers register within 30 s of their start"

const NO_BROKER_REMEDY =
  "Start a broker that registers with these name servers (mqbroker -n <host:port>); it is known within 30 s of its start."

const says = (exitCode: ExitCode, remedy?: string): Advice => ({ exitCode, remedy })

const doctor = ({ namesrv, topic }: Hints) =>
  `effect-rocketmq doctor${namesrv === undefined ? "" : ` --namesrv ${quoted(namesrv)}`}${topic === undefined ? "" : ` --topic ${quoted(topic)}`}`

const ofRoute = (problem: RouteProblem, topic: string, hints: Hints): Advice => {
  switch (problem) {
    case "no-name-server-address":
      return says(ExitCode.usage, "Pass --namesrv host:9876, or set NAMESRV_ADDR.")
    case "no-broker":
      return says(ExitCode.cannotConnect, NO_BROKER_REMEDY)
    case "topic-absent":
      return says(
        ExitCode.refused,
        `Check the name, or create it: effect-rocketmq topic create --topic ${quoted(topic)}`
      )
    case "no-writable-queue":
      return says(
        ExitCode.refused,
        `If the topic lacks write permission: effect-rocketmq topic update ${quoted(topic)} --perm rw. If its brokers were, only they can be opened; ${doctor({ ...hints, topic })} tells which.`
      )
    case "name-server-rejected":
      return says(ExitCode.refused, "See the name server's own words above.")
    case "no-master":
      return says(ExitCode.cannotConnect, "Start the broker's master, or wait for the fail-over.")
    case "too-many-queues":
    case "address-not-allowed":
    case "address-unreadable":
      return says(ExitCode.cannotConnect)
    default:
      return says(ExitCode.cannotConnect, `See where it ends: ${doctor(hints)}`)
  }
}

const ofReason = (reason: StartReason | SendReason | AdminReason | WireError | OwnFailure, hints: Hints): Advice => {
  switch (reason._tag) {
    case "UsageError":
      return says(ExitCode.usage, reason.remedy)
    case "NotThere":
    case "DelayUnsupported":
    case "Refused":
      return says(ExitCode.refused, reason.remedy)
    case "GroupNotFound":
      return says(
        ExitCode.refused,
        `Check the name, effect-rocketmq group list shows what there is; or create it: effect-rocketmq group create ${quoted(reason.group)}`
      )
    case "NoNameServer":
      return says(ExitCode.usage, "Pass --namesrv host:9876, or set NAMESRV_ADDR.")
    case "InvalidConfig":
      return reason.problems.every(({ path }) => /^(?:namesrvAddr|NAMESRV_ADDR)/.test(path))
        ? says(ExitCode.usage, "Write addresses as host:port;host:port.")
        : says(ExitCode.usage)
    case "InvalidGroup":
      return says(ExitCode.usage, "Choose another --group.")
    case "InvalidMessage":
      return says(ExitCode.usage, "Change that part of the message.")
    case "InvalidText":
      return says(ExitCode.usage, "Correct the text.")
    case "InvalidMessageId":
      return says(ExitCode.usage, "Pass an offsetMsgId, not a msgId.")
    case "UnknownCluster":
      return reason.clusters.length === 0
        ? says(ExitCode.cannotConnect, NO_BROKER_REMEDY)
        : says(ExitCode.usage, "Pass one of them as --cluster.")
    case "UnknownBroker":
      return reason.brokers.length === 0
        ? says(ExitCode.cannotConnect, NO_BROKER_REMEDY)
        : says(ExitCode.usage, "Name one of them: effect-rocketmq cluster list shows what there is.")
    case "RouteUnavailable":
      return ofRoute(reason.problem, reason.topic, hints)
    case "BrokerNotRegistered":
      return ofReason(reason.cause, hints)
    case "BrokerRejected":
    case "TopicNotFound":
    case "MessageNotFound":
    case "ConsumerNotOnline":
    case "AccessDenied":
    case "SendForbidden":
    case "FilterRefused":
      return says(ExitCode.refused)
    case "TopicAlreadyExists":
      return says(
        ExitCode.refused,
        `Change what you name and nothing else: effect-rocketmq topic update ${quoted(reason.topic)}. Or pass --if-not-exists to leave it as it is, --replace to set it anew.`
      )
    case "GroupAlreadyExists":
      return says(
        ExitCode.refused,
        `Change what you name and nothing else: effect-rocketmq group update ${quoted(reason.group)}. Or pass --if-not-exists to leave it as it is, --replace to set it anew.`
      )
    case "UnknownSetting":
    case "InvalidOrderConf":
      return says(ExitCode.usage)
    case "NoAccessControl":
      return says(ExitCode.refused)
    case "TlsFailed":
      return says(ExitCode.cannotConnect)
    case "NameServerUnavailable":
    case "AddressServerFailed":
    case "NameServerResolveError":
    case "StartTimeout":
    case "ConnectFailed":
    case "ConnectionClosed":
    case "UnreadableAnswer":
      return says(ExitCode.cannotConnect, `See where it ends: ${doctor(hints)}`)
    case "AddressRefused":
    case "TooManyBrokers":
    case "TooMuchAnswered":
      return says(ExitCode.cannotConnect)
    case "BrokerNotExist":
      return says(
        ExitCode.cannotConnect,
        reason.refused?.remedy ?? "Start the broker's master, or wait for the fail-over."
      )
    case "NoMaster":
      return says(ExitCode.cannotConnect, "Start the broker's master, or wait for the fail-over.")
    case "WireError":
      return reason.operation === "listen"
        ? says(
            ExitCode.failed,
            reason.kind === "in-use"
              ? "Choose another --port; --port 0 takes free ones."
              : "Choose another --host or --port."
          )
        : says(ExitCode.cannotConnect, `See where it ends: ${doctor(hints)}`)
    case "RequestTimeout":
    case "SendTimeout":
    case "TooManyRequests":
      // Only a command that sends has these flags.
      return says(
        ExitCode.failed,
        hints.sending === true ? "Raise --timeout, or lower --concurrency." : `See where it ends: ${doctor(hints)}`
      )
    default:
      return says(ExitCode.failed)
  }
}

/** An error names every server that was tried, each with what it said. */
const MAX_MESSAGE_LENGTH = 2_000

const isOwn = Schema.is(Schema.Union([UsageError, GroupNotFound, NotThere, DelayUnsupported, Refused]))

/** Puts a failure into words and an exit code. */
export const explain = (error: CliFailure, hints: Hints = {}): Explained => {
  const reason =
    error._tag === "StartError" || error._tag === "SendError" || error._tag === "AdminError" ? error.reason : error
  const { exitCode, remedy } = ofReason(reason, { ...hints, sending: error._tag === "SendError" })
  return {
    tag: reason._tag,
    message: ForeignText.clean(error.message, MAX_MESSAGE_LENGTH),
    remedy: remedy ?? (isOwn(error) ? "" : explainError(error).remedy),
    exitCode
  }
}

/** Whether the command was asked for JSON, so that what keeps it from its work is told as JSON too. */
export const AsJson: Context.Reference<boolean> = Context.Reference("effect-rocketmq/cli/AsJson", {
  defaultValue: () => false
})

const ERROR_INDENT = "error: ".length

/** Tells on standard error what went wrong and what to do. A remedy stays in one piece: it has commands to be copied. */
const tellLines = Effect.fnUntraced(function* (problems: ReadonlyArray<string>, remedy: string) {
  const { stderr } = yield* Screen
  const colors = palette(stderr)
  for (const problem of problems) {
    for (const line of wrap(`${colors.bad("error:")} ${problem}`, stderr.columns, ERROR_INDENT)) {
      yield* Console.error(line)
    }
  }
  yield* Console.error(`${colors.dim("   try:")} ${remedy}`)
})

/** Tells a failure on standard error. */
export const tell = ({ message, remedy }: Explained): Effect.Effect<void> => tellLines([message], remedy)

/** A failure as `--json` tells it: the one object of a command that did nothing else. The shape is frozen. */
export const toJson = ({ message, remedy, tag }: Omit<Explained, "exitCode">) => ({ error: { tag, message, remedy } })

/** Tells what is wrong, line by line on standard error, and with `--json` as one object on standard output too. */
export const tellAll = Effect.fnUntraced(function* (
  problems: ReadonlyArray<string>,
  { remedy, tag }: Pick<Explained, "remedy" | "tag">
) {
  yield* tellLines(problems, remedy)
  if (yield* AsJson) yield* Console.log(json(toJson({ tag, message: problems.join(" "), remedy })))
})

/** Runs a command whose failures are told, unless they were told already, and become its exit code. */
export const reporting =
  (hints: Hints = {}) =>
  <A, R>(self: Effect.Effect<A, CliFailure | CommandFailed, R>): Effect.Effect<A, CommandFailed, R> =>
    self.pipe(
      Effect.catch((error) => {
        if (error._tag === "CommandFailed") return Effect.fail(error)
        const explained = explain(error, hints)
        return Effect.andThen(
          tellAll([explained.message], explained),
          new CommandFailed({ exitCode: explained.exitCode, summary: explained.message })
        )
      })
    )
