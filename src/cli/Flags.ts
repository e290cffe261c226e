import { Effect, Option, Schema } from "effect"
import { Argument, Flag } from "effect/cli"
import type { IfExists } from "../admin/AdminContext.ts"
import { isValidName, TOPIC_MAX_LENGTH } from "../message/MixAll.ts"
import { type CommandFailed, reporting, UsageError } from "./Failure.ts"
import * as MessageForm from "./MessageForm.ts"
import { type Moment, parseMoment, parseSpan, printable } from "./Text.ts"

/** `--json`: data for programs on standard output. */
export const json: Flag.Flag<boolean> = Flag.Boolean("json").pipe(
  Flag.withDescription("Data for programs on standard output, one JSON object a line"),
  Flag.withDefault(false)
)

/** What commands are about, in the order in which arguments name it, and how long such a name may be. */
const LONGEST = {
  topic: TOPIC_MAX_LENGTH,
  // Brokers of 4.x take groups of up to 255 characters.
  group: 255
} as const

type Named = keyof typeof LONGEST

/** What a name has to be, where it is none that RocketMQ allows: it is told before anybody is asked. */
const wrongName = (what: Named, name: string): string | undefined =>
  name.length <= LONGEST[what] && isValidName(name) ? undefined : `1 to ${LONGEST[what]} letters, digits, %, |, - and _`

const nameFlag = (what: Named, alias: string): Flag.Flag<string> =>
  Flag.String(what).pipe(
    Flag.withAlias(alias),
    Flag.withMetavar("name"),
    Flag.withDescription(`The ${what}`),
    Flag.filter(
      (name) => wrongName(what, name) === undefined,
      (name) => wrongName(what, name) ?? ""
    )
  )

const nameArgument = (what: Named): Argument.Argument<Option.Option<string>> =>
  Argument.String(what).pipe(
    Argument.withMetavar("name"),
    Argument.withDescription(`The ${what}, instead of --${what}`),
    Argument.optional
  )

/** `--topic`. */
export const topic: Flag.Flag<string> = nameFlag("topic", "t")

/** The topic as an argument, for those who leave `--topic` out; {@link named} reads it. */
export const topicArgument: Argument.Argument<Option.Option<string>> = nameArgument("topic")

/** `--group`. */
export const group: Flag.Flag<string> = nameFlag("group", "g")

/** The group as an argument, for those who leave `--group` out; {@link named} reads it. */
export const groupArgument: Argument.Argument<Option.Option<string>> = nameArgument("group")

/** One member of a group, by its client id. */
export const client = Flag.String("client").pipe(
  Flag.withDescription("The member, by its client id; group clients shows them"),
  Flag.withSchema(Schema.NonEmptyString),
  Flag.optional
)

/** `--cluster`. */
export const cluster = Flag.String("cluster").pipe(
  Flag.withDescription("The cluster; may be left out where there is only one"),
  Flag.optional
)

/** `--format`: how each message is printed. */
export const format: Flag.Flag<Option.Option<MessageForm.Form>> = Flag.String("format").pipe(
  Flag.withMetavar("{msgId} {body}"),
  Flag.withDescription("Print each message so: {topic} {tags} {keys} {property.<name>} {body} ..., \\t and \\n"),
  Flag.mapTryCatch(MessageForm.parse, () => MessageForm.EXPECTED),
  Flag.optional
)

/** `10s`, `500ms`, `2m`: a span of time, in milliseconds. */
export const span = (name: string): Flag.Flag<number> =>
  Flag.String(name).pipe(
    Flag.withMetavar("10s"),
    Flag.mapTryCatch(parseSpan, () => "write it as 10s, 500ms, 2m or 1h")
  )

/** A whole number within bounds. */
export const int = (name: string, least: number, most = Number.MAX_SAFE_INTEGER): Flag.Flag<number> => {
  const bounds = most === Number.MAX_SAFE_INTEGER ? `${least} or more` : `from ${least} to ${most}`
  return Flag.String(name).pipe(
    Flag.withMetavar("number"),
    Flag.mapTryCatch(
      (given) => {
        const value = /^[+-]?\d+$/.test(given) ? Number(given) : Number.NaN
        if (!(value >= least && value <= most)) throw new Error(given)
        return value
      },
      () => `a whole number, ${bounds}`
    )
  )
}

/**
 * A moment as a person writes it: `2026-08-01T10:00:00Z`, milliseconds since the epoch, or a time ago such as `15m`.
 */
export const moment = (name: string): Flag.Flag<Moment> =>
  Flag.String(name).pipe(
    Flag.withMetavar("time"),
    Flag.mapTryCatch(parseMoment, () => `write it as 2026-08-01T10:00:00Z, as milliseconds, or as 15m, 2h, 3d ago`)
  )

/** Which messages of a topic are wanted. */
export const messages = {
  since: moment("since").pipe(
    Flag.withDescription("Only what was stored then or later: 2026-08-01T10:00:00Z, milliseconds, or 15m for ago"),
    Flag.optional
  ),
  tag: Flag.String("tag").pipe(
    Flag.withDescription("Only messages with this tag"),
    Flag.withSchema(Schema.NonEmptyString),
    Flag.optional
  ),
  key: Flag.String("key").pipe(
    Flag.withAlias("k"),
    Flag.withDescription("Only messages with this key; message query finds one by the brokers' index"),
    Flag.withSchema(Schema.NonEmptyString),
    Flag.optional
  )
} as const

/** `--queue`: `3` on every broker, or `broker-a:3`. */
export const queue: Flag.Flag<string> = Flag.String("queue").pipe(
  Flag.withAlias("q"),
  Flag.withMetavar("id | broker:id"),
  Flag.filter(
    (name) => /^(?:.+:)?\d+$/.test(name),
    () => "a queue, as 3 or broker-a:3"
  )
)

const parsePair = (pair: string): readonly [name: string, value: string] => {
  const at = pair.indexOf("=")
  if (at < 1) throw new Error(pair)
  return [pair.slice(0, at), pair.slice(at + 1)]
}

/** Names with their values, one at each use of the flag: `a=1`, or `a=` for an empty value; of one name the last counts. */
export const pairs = (name: string, least = 0): Flag.Flag<Readonly<Record<string, string>>> =>
  Flag.String(name).pipe(
    Flag.withMetavar("name=value"),
    Flag.atLeast(least),
    Flag.mapTryCatch(
      (given) => Object.fromEntries(given.map(parsePair)),
      () => "name=value"
    )
  )

/** What topics and groups allow, as words. */
export const perm: Flag.Flag<2 | 4 | 6> = Flag.ChoiceWithValue("perm", [
  ["rw", 6],
  ["r", 4],
  ["w", 2]
])

/** `--yes`, which commands that delete want to hear. */
export const yesFlag: Flag.Flag<boolean> = Flag.Boolean("yes").pipe(
  Flag.withAlias("y"),
  Flag.withDescription("Yes, delete it"),
  Flag.withDefault(false)
)

/** `--yes`, which commands that take something away for a while want to hear. */
export const meantFlag: Flag.Flag<boolean> = yesFlag.pipe(Flag.withDescription("Yes, change it"))

/** `--set name=value`, for the settings of servers. */
export const settings = pairs("set").pipe(Flag.withDescription("A setting and its new value; may be repeated"))

type Given = Readonly<Partial<Record<Named, Option.Option<string>>>>

type Subjects<Required, Optional> = { readonly [K in keyof Required]: string } & {
  readonly [K in keyof Optional]: string | undefined
}

const isNamed = (word: string): word is Named => word in LONGEST

const isComplete = <Required extends Given, Optional extends Given>(
  found: object,
  required: Required
): found is Subjects<Required, Optional> => Object.keys(required).every((what) => what in found)

/**
 * What a command is about, by flag or by argument, which is one rule for all commands: the arguments name, in the order of
 * `required` and then of `optional`, what no flag names. What is named twice is a usage error, as is what is missing.
 */
export const named = <const Required extends Given, const Optional extends Given = Given>(
  args: ReadonlyArray<Option.Option<string>>,
  required: Required,
  optional?: Optional
): Effect.Effect<Subjects<Required, Optional>, CommandFailed> =>
  Effect.suspend((): Effect.Effect<Subjects<Required, Optional>, UsageError> => {
    const free = args.flatMap(Option.toArray)
    const found: Partial<Record<Named, string>> = {}
    const given: Given = { ...required, ...optional }
    for (const what of Object.keys(given).filter(isNamed)) {
      const flag = Option.getOrUndefined(given[what] ?? Option.none())
      const argument = flag === undefined ? free.shift() : undefined
      const wrong = argument === undefined ? undefined : wrongName(what, argument)
      if (argument !== undefined && wrong !== undefined) {
        const problem = `"${printable(argument)}" cannot be a ${what}: those are ${wrong}.`
        return Effect.fail(new UsageError({ problem, remedy: `Name a ${what}.` }))
      }
      const value = flag ?? argument
      if (value !== undefined) found[what] = value
    }
    const [left] = free
    if (left !== undefined) {
      return Effect.fail(
        new UsageError({
          problem: `"${printable(left)}" is one name too many: what it could name was named by a flag.`,
          remedy: "Name everything once, by its flag or as an argument."
        })
      )
    }
    if (isComplete<Required, Optional>(found, required)) return Effect.succeed(found)
    const missing = Object.keys(required).find((what) => !(what in found)) ?? ""
    return Effect.fail(
      new UsageError({
        problem: `No ${missing} was named.`,
        remedy: `Name it as an argument, or pass --${missing} <name>.`
      })
    )
  }).pipe(reporting())

/** {@link named} of a command that is about one thing. */
export const either = (
  what: Named,
  flag: Option.Option<string>,
  argument: Option.Option<string>
): Effect.Effect<string, CommandFailed> =>
  what === "topic"
    ? Effect.map(named([argument], { topic: flag }), (found) => found.topic)
    : Effect.map(named([argument], { group: flag }), (found) => found.group)

type ByName<What extends Named> = { readonly [K in What]: Option.Option<string> } & {
  readonly name: Option.Option<string>
}

/** The handler of a command that is about one thing, which a flag or an argument names. */
const about =
  <What extends Named>(what: What) =>
  <I extends ByName<What>, A, E, R>(
    run: (input: Omit<I, What | "name"> & { readonly [K in What]: string }) => Effect.Effect<A, E, R>
  ) =>
  (input: I): Effect.Effect<A, E | CommandFailed, R> =>
    Effect.flatMap(either(what, input[what], input.name), (found) => run({ ...input, [what]: found }))

/** The handler of a command that is about one topic. */
export const aboutTopic = about("topic")

/** The handler of a command that is about one group. */
export const aboutGroup = about("group")

/** Of flags that say the same in different ways at most one may be given. */
export const atMostOne = (flags: Readonly<Record<string, unknown>>): Effect.Effect<void, CommandFailed> => {
  const given = Object.entries(flags).flatMap(([name, value]) => (value === undefined ? [] : [`--${name}`]))
  return given.length <= 1
    ? Effect.void
    : Effect.fail(
        new UsageError({ problem: `${given.join(" and ")} exclude each other.`, remedy: "Pass one of them." })
      ).pipe(reporting())
}

/**
 * `--if-not-exists` and `--replace`: what `create` does with something that is there already; without them it refuses.
 */
export const existing = {
  ifNotExists: Flag.Boolean("if-not-exists").pipe(
    Flag.withDescription("Leave it as it is where it is there already"),
    Flag.withDefault(false)
  ),
  replace: Flag.Boolean("replace").pipe(
    Flag.withDescription("Set it anew where it is there already, with the defaults for what is not named"),
    Flag.withDefault(false)
  )
} as const

/** What {@link existing} comes to; the two together are a usage error. */
export const ifExists = (flags: {
  readonly ifNotExists: boolean
  readonly replace: boolean
}): Effect.Effect<IfExists, CommandFailed> =>
  Effect.as(
    atMostOne({ "if-not-exists": flags.ifNotExists || undefined, replace: flags.replace || undefined }),
    flags.ifNotExists ? "keep" : flags.replace ? "replace" : "fail"
  )
