import { Console, Effect } from "effect"
import { type CliError, CliOutput, type HelpDoc } from "effect/cli"
import { AsJson, CommandFailed, ExitCode, tellAll } from "./Failure.ts"
import { connectionFlags } from "./ConnectionFlags.ts"
import { type Output, Screen } from "./Screen.ts"
import { printable, wrap } from "./Text.ts"

/** What a description keeps of a narrow terminal; with less it goes below the name that it is of. */
const LEAST_COLUMN = 24

/** Where a text goes on that stands below a name. */
const BELOW = 6

/** A command to be copied is broken as a shell reads on. */
const brokenCommand = (line: string, columns: number): ReadonlyArray<string> => {
  const lines = wrap(line, columns - 2, 4)
  return lines.map((text, i) => (i === lines.length - 1 ? text : `${text} \\`))
}

/** The lines of a help text, broken so that they fit a terminal; whole in a pipe. */
const fitHelp = (help: string, doc: HelpDoc.HelpDoc, columns: number | undefined): ReadonlyArray<string> => {
  const lines = help.split("\n")
  if (columns === undefined) return lines
  const width = CliOutput.displayWidth
  const examples = new Set(doc.examples?.map(({ command }) => command))
  return lines.flatMap((line) => {
    if (width(line) <= columns) return [line]
    if ([...examples].some((command) => line.includes(command))) return brokenCommand(line, columns)
    // Name, at least two spaces, description: a row of a table.
    const row = /^( {2}\S.*?\S)( {2,})(\S.*)$/.exec(line)
    const [, name = "", gap = "", text = ""] = row ?? []
    if (row === null) return wrap(line, columns, 2)
    const column = width(name) + gap.length
    return column + LEAST_COLUMN <= columns
      ? wrap(line, columns, column)
      : [...wrap(name, columns, BELOW), ...wrap(`${" ".repeat(BELOW)}${text}`, columns, BELOW)]
  })
}

const isShared = ({ name }: HelpDoc.FlagDoc): boolean => connectionFlags.has(name)

/** The help of a command: what it takes itself first, the flags of every command after it. */
const helpText = (doc: HelpDoc.HelpDoc, { color, columns }: Output): ReadonlyArray<string> => {
  const formatter = CliOutput.defaultFormatter({ colors: color, globalFlags: "summary" })
  const help = formatter
    .formatHelpDoc({
      ...doc,
      flags: doc.flags.filter((flag) => !isShared(flag)),
      inheritedFlags: doc.flags.filter(isShared)
    })
    .replace("INHERITED FLAGS", "CONNECTION FLAGS")
  return fitHelp(help, doc, columns)
}

const didYouMean = (suggestions: ReadonlyArray<string>): string =>
  suggestions.length === 0 ? "" : ` Did you mean ${suggestions.join(" or ")}?`

/** One line about what is wrong with an argument; whatever was typed is made printable. */
const describe = (error: CliError.NonShowHelpErrors, commandPath: ReadonlyArray<string>, isGroup: boolean): string => {
  switch (error._tag) {
    case "UnrecognizedOption": {
      // Every letter is like every other.
      const words = error.suggestions.filter((name) => name.startsWith("--"))
      const where = error.command === undefined ? "" : ` in command ${error.command.join(" ")}`
      const isEarly = isGroup || (error.command?.length ?? 0) < commandPath.length
      const place = isEarly ? ", whose flags stand after the name of a subcommand" : ""
      return `Unrecognized flag: ${error.option}${where}${place}.${didYouMean(words)}`
    }
    case "UnknownSubcommand": {
      const where = error.parent === undefined ? "" : ` for "${error.parent.join(" ")}"`
      return `Unknown subcommand "${error.subcommand}"${where}.${didYouMean(error.suggestions)}`
    }
    case "MissingOption":
      return error.option === "namesrv" ? `${error.message}, and NAMESRV_ADDR is not set` : error.message
    case "InvalidValue":
      // What a schema expects, said once.
      return error.message.replace("Schema validation failed: Expected ", "").replace(/\n\s*Expected /g, ", or ")
    default:
      return error.message
  }
}

const help = (commandPath: ReadonlyArray<string>): string => `${commandPath.join(" ")} --help`

/** Says what is wrong with the arguments, in a line or two: the whole help text would hide it. */
const tellErrors = (problems: ReadonlyArray<string>, commandPath: ReadonlyArray<string>) =>
  tellAll(
    problems.map((problem) => printable(problem.toWellFormed())),
    { tag: "UsageError", remedy: help(commandPath) }
  )

/** How the command line shows its help, its version, and what is wrong with its arguments. */
export const presenter: CliOutput.Presenter = {
  present: Effect.fnUntraced(function* (event) {
    const { stdout } = yield* Screen
    if (event._tag === "Version") {
      yield* Console.log(`${event.name} ${event.version}`)
      return
    }
    if (event._tag === "Help") {
      for (const line of helpText(event.helpDoc, stdout)) yield* Console.log(line)
      return
    }
    const isGroup = (event.helpDoc.subcommands?.length ?? 0) > 0
    // Without a command nothing behind the first mistake can be judged.
    const told = isGroup ? event.errors.slice(0, 1) : event.errors
    yield* tellErrors(
      told.map((error) => describe(error, event.commandPath, isGroup)),
      event.commandPath
    )
  })
}

/** Those of the arguments that are the command line's own: what follows `--` is not. */
const beforeEnd = (args: ReadonlyArray<string>): ReadonlyArray<string> => {
  const end = args.indexOf("--")
  return end < 0 ? args : args.slice(0, end)
}

/** Whether `--json` is among the arguments: what is wrong with the others is to be told as JSON too. */
const wantsJson = (args: ReadonlyArray<string>): boolean => {
  const at = args.findLastIndex((arg) => /^--(?:no-)?json(?:=|$)/.test(arg))
  const arg = args[at]
  if (arg === undefined || arg === "--no-json") return false
  const value = arg.includes("=") ? arg.slice(arg.indexOf("=") + 1) : args[at + 1]
  return !["false", "no", "off", "0", "n"].includes(value ?? "")
}

/**
 * Runs a command line whose arguments are read as people mean them. Letters behind one dash are no row of flags: `-help`,
 * `-topic x` and `--body -dash` would ask for something else, or for help, and succeed.
 */
export const guarded = Effect.fnUntraced(function* <E, R>(
  args: ReadonlyArray<string>,
  pathOf: (args: ReadonlyArray<string>) => ReadonlyArray<string>,
  run: (args: ReadonlyArray<string>) => Effect.Effect<void, E, R>
) {
  const own = beforeEnd(args)
  const row = own.find((arg) => /^-[^-\d.=][^=]/u.test(arg))
  const program = Effect.gen(function* () {
    if (row === undefined) return yield* run(args)
    const problem = `Unrecognized flag: ${row}. A flag of one letter stands alone (-t orders), one of a word has two dashes (--topic orders), and a value that begins with a dash follows an equals sign (--body=-x).`
    yield* tellErrors([problem], pathOf(own))
    return yield* new CommandFailed({ exitCode: ExitCode.usage, summary: problem })
  })
  return yield* Effect.provideService(program, AsJson, wantsJson(own))
})
