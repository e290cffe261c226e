import { type Cause, Console, Context, Data, Effect, Runtime, Schema } from "effect"
import type { AdminError, GroupNotFound } from "../admin/AdminError.ts"
import { explain as explainError } from "../explain/Explain.ts"
import type { StartError } from "../client/ClientError.ts"
import type { SendError } from "../producer/send/SendError.ts"
import type { WireError } from "../transport/Wire.ts"
import * as ForeignText from "../message/ForeignText.ts"
import { type Hints, ofReason } from "./remedy/Advice.ts"
import { palette, Screen } from "./Screen.ts"
import { json, wrap } from "./Text.ts"

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

/** What is wrong, and what to do about it. */
interface Saying {
  readonly problem: string
  readonly remedy: string
}

/** What the command line itself fails with; the type is written out for the declarations. */
const own = <const Tag extends string>(
  tag: Tag
): new (saying: Saying) => Cause.YieldableError & Saying & { readonly _tag: Tag } =>
  class extends Data.TaggedError(tag)<Saying> {
    override get message() {
      return this.problem
    }
  }

/** Something that the flags say cannot be used. */
export class UsageError extends own("UsageError") {}

/** What was to be created and is there already, where no error of the administrator says so: the right of a user. */
export class Refused extends own("Refused") {}

/** Something that a flag or an id names and the cluster has not: a broker, a queue, or a message. */
export class NotThere extends own("NotThere") {}

/** A delay that a broker would take and leave alone. */
export class DelayUnsupported extends own("DelayUnsupported") {}

/** What only the command line fails with. */
type OwnFailure = UsageError | NotThere | DelayUnsupported | Refused

/** What a command can fail with before it is told to the user. */
export type CliFailure = StartError | SendError | AdminError | GroupNotFound | WireError | OwnFailure

/** A failure as the command line tells it. */
export interface Explained {
  /** The kind of the innermost cause, a tag of docs/errors.md. */
  readonly tag: string
  readonly message: string
  /** What to do about it. */
  readonly remedy: string
  readonly exitCode: ExitCode
}

/** What lists say that have nothing to list. */
export const NO_BROKER = "the name server knows no broker; brokers register within 30 s of their start"

/** An error names every server that was tried, each with what it said. */
const MAX_MESSAGE_LENGTH = 2_000

const isOwn = (error: CliFailure): error is OwnFailure =>
  [UsageError, NotThere, DelayUnsupported, Refused].some((kind) => error instanceof kind)

/** Puts a failure into words and an exit code. */
export const explain = (error: CliFailure, hints: Hints = {}): Explained => {
  const message = ForeignText.clean(error.message, MAX_MESSAGE_LENGTH)
  if (isOwn(error)) {
    const exitCode = error._tag === "UsageError" ? ExitCode.usage : ExitCode.refused
    return { tag: error._tag, message, remedy: error.remedy, exitCode }
  }
  const reason =
    error._tag === "StartError" || error._tag === "SendError" || error._tag === "AdminError" ? error.reason : error
  const { exit, remedy } = ofReason(reason, { ...hints, sending: error._tag === "SendError" })
  return { tag: reason._tag, message, remedy: remedy ?? explainError(error).remedy, exitCode: ExitCode[exit] }
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
