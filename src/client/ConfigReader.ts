import { Cause, type ConfigProvider, Duration, Effect, Option, Redacted } from "effect"
import { readFile } from "node:fs/promises"
import { ConfigProblem } from "./ClientError.ts"

/**
 * Reads options under their documented names out of a `ConfigProvider`. An option is looked for under each of its names
 * in order, and under each name as an environment variable (`ROCKETMQ_PRODUCER_GROUP`) and as a path in kebab-case or
 * camelCase (`rocketmq.producer.group`). Nothing fails on the way: what cannot be used is noted, so that all of it can be
 * told at once.
 */
export interface Reader {
  /** The text under the first of these names that has one. */
  readonly text: (option: string, names: ReadonlyArray<string>) => Effect.Effect<Found | undefined>
  /** Notes that what was found cannot be used. */
  readonly report: (found: Found, problem: string) => void
}

/** A text and the name under which it was found. */
export interface Found {
  /** The name as the user knows it: `ROCKETMQ_PRODUCER_GROUP` or `rocketmq.producer.group`. */
  readonly name: string
  /** Its value, as it was written. */
  readonly text: string
}

/** How one option, or a group of them, is read. */
export interface ConfigOption<out A> {
  /** The names of the option, or of every option in the group, the preferred one first. */
  readonly names: ReadonlyArray<{ readonly option: string; readonly names: ReadonlyArray<string> }>
  /** Reads the option; undefined when it is given nowhere, or a problem was reported. */
  readonly read: (reader: Reader) => Effect.Effect<A | undefined>
}

/** Turns a text into a value; a string in the answer's place would be a value, so problems have a type of their own. */
export type Parse<out A> = (text: string) => A | Problem

/** Why a text is no value. */
export class Problem {
  readonly detail: string
  constructor(detail: string) {
    this.detail = detail
  }
}

/** The name of an environment variable for a name: `rocketmq.producer.group` is `ROCKETMQ_PRODUCER_GROUP`. */
export const environmentName = (name: string): string => name.toUpperCase().replace(/[.-]/g, "_")

const camelCase = (segment: string): string => segment.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())

/** A reader of a provider, and what it noted. */
export const make = (
  provider: ConfigProvider.ConfigProvider
): {
  readonly reader: Reader
  readonly problems: Array<ConfigProblem>
  /** Option to the name under which it was found. */
  readonly found: ReadonlyMap<string, string>
} => {
  const problems: Array<ConfigProblem> = []
  const found = new Map<string, string>()

  const load = (path: ReadonlyArray<string>, shown: string) =>
    provider.load(path).pipe(
      Effect.flatMap((node) =>
        node?._tag !== "Array" || node.value !== undefined
          ? Effect.succeed(node?.value)
          : // A list in a file is the same as its items with commas between.
            Effect.map(
              Effect.forEach(Array.from({ length: node.length }), (_, index) => provider.load([...path, index])),
              (nodes) => nodes.flatMap((item) => item?.value ?? []).join(",")
            )
      ),
      Effect.catch((error) => {
        problems.push(new ConfigProblem({ path: shown, problem: `cannot be read: ${error.message}` }))
        return Effect.succeed(undefined)
      })
    )

  const lookup = Effect.fnUntraced(function* (name: string): Effect.fn.Return<Found | undefined> {
    const environment = environmentName(name)
    const segments = name.split(".")
    for (const [path, shown] of [
      [[environment], environment],
      [segments, name],
      [segments.map(camelCase), segments.map(camelCase).join(".")]
    ] as const) {
      const text = (yield* load(path, shown))?.trim()
      if (text !== undefined && text !== "") return { name: shown, text }
    }
    return undefined
  })

  const reader: Reader = {
    text: Effect.fnUntraced(function* (option, names) {
      for (const name of names) {
        const text = yield* lookup(name)
        if (text === undefined) continue
        found.set(option, text.name)
        return text
      }
      return undefined
    }),
    report: ({ name }, problem) => problems.push(new ConfigProblem({ path: name, problem }))
  }
  return { reader, problems, found }
}

/** One option under the given names. */
export const option = <A>(key: string, names: ReadonlyArray<string>, parse: Parse<A>): ConfigOption<A> => ({
  names: [{ option: key, names }],
  read: (reader) =>
    Effect.map(reader.text(key, names), (found) => {
      if (found === undefined) return undefined
      const value = parse(found.text)
      if (!(value instanceof Problem)) return value
      reader.report(found, value.detail)
      return undefined
    })
})

/** An option that names a file, whose text is the value. */
export const file = (key: string, names: ReadonlyArray<string>): ConfigOption<string> => ({
  names: [{ option: key, names }],
  read: Effect.fnUntraced(function* (reader) {
    const found = yield* reader.text(key, names)
    if (found === undefined) return undefined
    const content = yield* Effect.exit(Effect.tryPromise(() => readFile(found.text, "utf8")))
    if (content._tag === "Success") return content.value
    const error = Cause.squash(content.cause)
    const why = error instanceof Error && error.cause instanceof Error ? error.cause.message : "it cannot be read"
    reader.report(found, `names a file that cannot be used: ${why}`)
    return undefined
  })
})

/** Options that together make one value: undefined when none of them was found. */
export const group = <Parts extends { readonly [name: string]: unknown }, A>(
  parts: { readonly [K in keyof Parts]: ConfigOption<Parts[K]> },
  build: (values: { readonly [K in keyof Parts]?: Parts[K] }) => A | undefined
): ConfigOption<A> => ({
  names: Object.values<ConfigOption<unknown>>(parts).flatMap(({ names }) => names),
  read: (reader) =>
    Effect.map(readAll(parts, reader), (values) => (Object.keys(values).length === 0 ? undefined : build(values)))
})

/** The values of all options that were found. */
export const readAll = Effect.fnUntraced(function* <C extends object>(
  options: { readonly [K in keyof C]?: ConfigOption<C[K]> },
  reader: Reader
): Effect.fn.Return<{ [K in keyof C]?: C[K] }> {
  const values: { [K in keyof C]?: C[K] } = {}
  for (const key in options) {
    const value = yield* options[key]?.read(reader) ?? Effect.succeed(undefined)
    if (value !== undefined) values[key] = value
  }
  return values
})

/** Any text. */
export const text: Parse<string> = (input) => input

/** A text that is never shown. */
export const secret: Parse<Redacted.Redacted> = (input) => Redacted.make(input)

/** Texts with commas between. */
export const list: Parse<ReadonlyArray<string>> = (input) =>
  input
    .split(",")
    .map((item) => item.trim())
    .filter((item) => item !== "")

/** A number; underscores may part its digits, and `Infinity` is one. */
export const number: Parse<number> = (input) => {
  const value = Number(input.replace(/(?<=\d)_(?=\d)/g, ""))
  return Number.isNaN(value) ? new Problem(`must be a number, is ${JSON.stringify(input)}`) : value
}

/** A whole number above 0. */
export const positive: Parse<number> = (input) => {
  const value = number(input)
  return value instanceof Problem || (Number.isInteger(value) && value > 0)
    ? value
    : new Problem(`must be a whole number above 0, is ${JSON.stringify(input)}`)
}

/** Milliseconds as a number, or a duration such as `3 seconds`. */
export const millis: Parse<number> = (input) => {
  const value = number(input)
  if (!(value instanceof Problem)) return value
  const match = /^(\d+(?:\.\d+)?) *([a-z]+)$/i.exec(input)
  const unit = units.get(match?.[2]?.toLowerCase() ?? "")
  return match === null || unit === undefined
    ? new Problem(`must be milliseconds or a duration such as "3 seconds", is ${JSON.stringify(input)}`)
    : Number(match[1]) * unit
}

const unit = (duration: Duration.Duration, ...names: ReadonlyArray<string>) =>
  names.map((name) => [name, Duration.toMillis(duration)] as const)

const units: ReadonlyMap<string, number> = new Map([
  ...unit(Duration.millis(1), "ms", "milli", "millis"),
  ...unit(Duration.seconds(1), "s", "second", "seconds"),
  ...unit(Duration.minutes(1), "m", "min", "minute", "minutes"),
  ...unit(Duration.hours(1), "h", "hour", "hours"),
  ...unit(Duration.days(1), "d", "day", "days")
])

const booleans: ReadonlyMap<string, boolean> = new Map([
  ["true", true],
  ["yes", true],
  ["on", true],
  ["1", true],
  ["false", false],
  ["no", false],
  ["off", false],
  ["0", false]
])

/** `true` or `false`, also as yes, on, 1 and no, off, 0. */
export const boolean: Parse<boolean> = (input) =>
  booleans.get(input.toLowerCase()) ?? new Problem(`must be true or false, is ${JSON.stringify(input)}`)

/** One of some words, in any case. */
export const oneOf =
  <const A extends string>(...values: ReadonlyArray<A>): Parse<A> =>
  (input) =>
    Option.getOrElse(
      Option.fromUndefinedOr(values.find((value) => value.toLowerCase() === input.toLowerCase())),
      () => new Problem(`must be one of ${values.join(", ")}, is ${JSON.stringify(input)}`)
    )
