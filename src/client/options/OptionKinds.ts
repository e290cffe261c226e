import { Config, ConfigProvider, Effect, type Duration, type Redacted } from "effect"
import * as Millis from "../../message/Millis.ts"
import { ILL_FORMED } from "../../message/WellFormed.ts"
import { type Definition, type Entry, type Find, type Found, type Option, Problem, show } from "./Option.ts"

/** How an option is called: what stands in docs/configuration.md beside its default. */
interface Names {
  /** Its preferred word in a `Config`, in kebab-case: `send-message-timeout`. */
  readonly name: string
  /** More words that are read, as Java or another client of RocketMQ writes them: `checkThreadPoolMaxSize`. */
  readonly also?: ReadonlyArray<string>
  /** Its name in Java, and how that differs. */
  readonly java: string
  /** What its absence means, where the default does not say it. */
  readonly absent?: string
  /** Names without any prefix, asked last. */
  readonly bareNames?: ReadonlyArray<string>
  /** Whether its name is first of all that of all clients of a process. */
  readonly common?: boolean
}

/** A value that stands under names of its own. */
export const entry = <A>(
  names: Partial<Names> & Pick<Names, "java">,
  read: Entry<A>["read"],
  more: Partial<Pick<Entry<A>, "at" | "fileWords" | "isList" | "printed" | "unit">> = {}
): Entry<A> => ({
  at: "",
  words: names.name === undefined ? [] : [names.name, ...(names.also ?? [])],
  fileWords: [],
  bareNames: names.bareNames ?? [],
  common: names.common ?? false,
  isList: false,
  read,
  printed: undefined,
  absent: names.absent,
  java: names.java,
  unit: undefined,
  ...more
})

const single = <A, I extends A>(given: {
  readonly default: A
  readonly isRequired?: boolean | undefined
  readonly entry: Entry<I>
  readonly check: Definition<A, I>["check"]
}): Definition<A, I> => ({
  default: given.default,
  isRequired: given.isRequired === true,
  check: given.check,
  entries: [given.entry],
  read: (find) => find(given.entry)
})

/** What a `Config` of effect makes of a text; undefined when it makes nothing of it. */
const parsed = <A>(config: Config.Config<A>, text: string): Effect.Effect<A | undefined> =>
  config
    .parse(ConfigProvider.make(() => Effect.succeed(ConfigProvider.makeValue(text))))
    // What is wrong is told in words of our own, which name no path of this inner provider.
    .pipe(Effect.catch(() => Effect.succeed(undefined)))

const must = (what: string, value: unknown) => `must be ${what}, is ${show(value)}`

const orProblem = <A>(self: Effect.Effect<A | undefined>, what: string, { text }: Found): Effect.Effect<A | Problem> =>
  Effect.map(self, (value) => value ?? new Problem(must(what, text)))

/** Any text. */
export const readText = ({ text }: Found): Effect.Effect<string> => Effect.succeed(text)

/** A text that is never shown. */
export const readSecret = (found: Found): Effect.Effect<Redacted.Redacted | Problem> =>
  orProblem(parsed(Config.Redacted(), found.text), "a text", { ...found, text: "" })

/** What is wrong with something that should be a text; one that UTF-8 cannot carry would arrive as another. */
const problemOfText = (given: unknown): string | undefined =>
  typeof given !== "string" ? must("a text", given) : given.isWellFormed() ? undefined : ILL_FORMED

/** A text. `blank` says whether one without anything to see is one; `check` says what else is wrong with it. */
export const text = <D extends string | undefined>(
  given: Names & {
    readonly default: D
    /** Whether it must be given. */
    readonly isRequired?: true
    readonly blank?: "refused"
    readonly check?: (value: string) => string | undefined
  }
): Option<string | D, string> =>
  single<string | D, string>({
    default: given.default,
    isRequired: given.isRequired,
    entry: entry(given, readText, { printed: given.isRequired === true ? undefined : given.default }),
    check: (value, report) => {
      const checked = typeof value === "string" ? value : ""
      const problem =
        problemOfText(value) ??
        (given.blank === "refused" && checked.trim() === "" ? "is blank" : given.check?.(checked))
      if (problem === undefined) return checked
      report(problem)
      return undefined
    }
  })

/** Whether something is so: true or false, in a `Config` also yes, on, 1, y and no, off, 0, n, in any case. */
export const boolean = (given: Names & { readonly default: boolean }): Option<boolean, boolean> =>
  single<boolean, boolean>({
    default: given.default,
    entry: entry(given, readBoolean, { printed: String(given.default) }),
    check: (value, report) => {
      if (typeof value === "boolean") return value
      report(must("true or false", value))
      return undefined
    }
  })

/** What {@link boolean} reads. */
export const readBoolean = (found: Found): Effect.Effect<boolean | Problem> =>
  orProblem(parsed(Config.Boolean(), found.text.toLowerCase()), "true or false", found)

const numberOf = (input: string): Effect.Effect<number | undefined> =>
  // Underscores may part its digits.
  parsed(Config.Number(), input.replace(/(?<=\d)_(?=\d)/g, ""))

/** How far a number may go. */
interface Bounds {
  readonly least: number
  /** Infinity is a value only where it stands here. */
  readonly most?: number
}

const wholeNumber = ({ least, most }: Bounds): string =>
  most !== undefined && most < Infinity
    ? `a whole number from ${least} to ${most}`
    : least === 1
      ? "a whole number above 0"
      : `a whole number of at least ${least}`

const isWithin = (value: number, { least, most }: Bounds): boolean =>
  value === most || (Number.isSafeInteger(value) && value >= least && value <= (most ?? Infinity))

/** A whole number within bounds. */
export const whole = <D extends number | undefined>(
  given: Names & Bounds & { readonly default: D }
): Option<number | D, number> => {
  const what = wholeNumber(given)
  return single<number | D, number>({
    default: given.default,
    entry: entry(
      given,
      (found) =>
        Effect.map(numberOf(found.text), (value) =>
          value === undefined || Number.isNaN(value)
            ? new Problem(must("a number", found.text))
            : given.least > 0 && !(Number.isInteger(value) && value > 0)
              ? new Problem(must(what, found.text))
              : value
        ),
      { printed: given.default === undefined ? undefined : String(given.default) }
    ),
    check: (value, report) => {
      if (typeof value === "number" && isWithin(value, given)) return value
      report(must(what, value))
      return undefined
    }
  })
}

/** The units in which a time is printed, the longest first, and in which a `Config` may have it. */
const UNITS = [
  { name: "day", millis: 86_400_000, short: ["d"] },
  { name: "hour", millis: 3_600_000, short: ["h"] },
  { name: "minute", millis: 60_000, short: ["m", "min"] },
  { name: "second", millis: 1_000, short: ["s"] },
  { name: "milli", millis: 1, short: ["ms"] }
] as const

/** A time as text that users may write as well: `3 seconds`. */
export const printTime = (millis: number): string => {
  const { millis: size, name } = UNITS.find((unit) => millis > 0 && millis % unit.millis === 0) ?? UNITS[4]
  const count = millis / size
  return `${count} ${name}${count === 1 ? "" : "s"}`
}

const wordOf = (unit: number): string => `${UNITS.find(({ millis }) => millis === unit)?.name ?? "milli"}s`

const unitNamed = (word: string): string => UNITS.find(({ short }) => short.some((name) => name === word))?.name ?? word

const readTime =
  (unit: number) =>
  (found: Found): Effect.Effect<number | Problem> =>
    Effect.flatMap(numberOf(found.text), (count) => {
      if (count !== undefined) return Effect.succeed(count * unit)
      const match = /^(-?\d+(?:\.\d+)?) *([a-z]+)$/.exec(found.text.toLowerCase())
      const written = match === null ? "" : `${match[1]} ${unitNamed(match[2] ?? "")}`
      const what = `${unit === 1 ? "milliseconds" : wordOf(unit)} or a duration such as "3 seconds"`
      return orProblem(
        Effect.map(parsed(Config.Duration(), written), (time) => time && Millis.of(time)),
        what,
        found
      )
    })

/**
 * A time. Users give any `Duration.Input`, of which a bare number counts in the unit of Java's word; it comes to
 * milliseconds.
 */
export const time = <D extends number | undefined>(
  given: Names & {
    /** In milliseconds. */
    readonly default: D
    /** In milliseconds. */
    readonly least: number
    /** In milliseconds; whole ones are asked for then. */
    readonly most?: number
    /** Milliseconds that a bare number counts each; default 1. */
    readonly unit?: number
  }
): Option<number | D, Duration.Input> => {
  const { least, most, unit = 1 } = given
  const what =
    most === undefined ? `a time of at least ${Millis.text(least)}` : `whole milliseconds from ${least} to ${most}`
  const read = readTime(unit)
  const own = entry(given, read, {
    unit,
    printed: given.default === undefined ? undefined : printTime(given.default)
  })
  return {
    default: given.default,
    check: (value, report) => {
      const millis = Millis.of(value, unit)
      if (most === undefined ? Number.isFinite(millis) && millis >= least : isWithin(millis, { least, most })) {
        return millis
      }
      report(must(what, value))
      return undefined
    },
    entries: [own],
    read: (find) =>
      // What a text says is in milliseconds already; a bare number would be counted once more.
      Effect.map(find(own), (millis) => (millis === undefined || unit === 1 ? millis : { milliseconds: millis }))
  }
}

/** One of some words; in a `Config` in any case. */
export const literal = <const A extends string>(
  given: Names & { readonly values: ReadonlyArray<A>; readonly default: NoInfer<A> }
): Option<A, A> => {
  const what = `one of ${given.values.join(", ")}`
  const isValue = (value: unknown): value is A => given.values.some((one) => one === value)
  return single<A, A>({
    default: given.default,
    entry: entry(
      given,
      (found) => {
        const meant = given.values.find((one) => one.toLowerCase() === found.text.toLowerCase())
        return orProblem(parsed(Config.Literals(given.values), meant ?? found.text), what, found)
      },
      { printed: given.default }
    ),
    check: (value, report) => {
      if (isValue(value)) return value
      report(must(what, value))
      return undefined
    }
  })
}

/** Texts, in a `Config` with commas between or as a list; `check` says what is wrong with one. */
export const list = (
  given: Names & {
    readonly default: ReadonlyArray<string>
    readonly check: (item: string) => string | undefined
  }
): Option<ReadonlyArray<string>, ReadonlyArray<string>> =>
  single<ReadonlyArray<string>, ReadonlyArray<string>>({
    default: given.default,
    entry: entry(
      given,
      ({ items, text: all }) =>
        Effect.succeed((items ?? all.split(",")).map((item) => item.trim()).filter((item) => item !== "")),
      { isList: true, printed: given.default.length === 0 ? undefined : given.default.join(",") }
    ),
    check: (value, report) => {
      if (!Array.isArray(value)) {
        report(must("a list", value))
        return undefined
      }
      const items: Array<string> = []
      const all: ReadonlyArray<unknown> = value
      for (const [index, item] of all.entries()) {
        const problem = problemOfText(item) ?? (typeof item === "string" ? given.check(item) : undefined)
        if (problem !== undefined) report(problem, `[${index}]`)
        else if (typeof item === "string") items.push(item)
      }
      return items.length === all.length ? items : undefined
    }
  })

/** Something that only code can give, and `what` it is; `is` knows it. */
export const code = <A>(given: {
  readonly java: string
  readonly absent: string
  readonly what: string
  readonly is: (value: unknown) => value is A
}): Option<A | undefined, A> => {
  const own = entry<A>(given, ({ text: words }) => Effect.succeed(new Problem(must(given.what, words))))
  return {
    default: undefined,
    check: (value, report) => {
      if (given.is(value)) return value
      report(must(given.what, value))
      return undefined
    },
    entries: [own],
    read: () => Effect.succeed(undefined)
  }
}

/** A function, which only code can give. */
export const callable = <F extends (...args: never) => unknown>(given: {
  readonly java: string
  readonly absent: string
}): Option<F | undefined, F> =>
  code<F>({ ...given, what: "a function", is: (value): value is F => typeof value === "function" })

/** The entries that together make one value; undefined when none of them was found. */
export const group = <Parts extends { readonly [name: string]: unknown }, A>(
  parts: { readonly [K in keyof Parts]: Entry<Parts[K]> },
  build: (values: { readonly [K in keyof Parts]?: Parts[K] }) => A | undefined
): Pick<Definition<unknown, A>, "entries" | "read"> => ({
  entries: Object.values<Entry<unknown>>(parts),
  read: Effect.fnUntraced(function* (find: Find) {
    const values: { [K in keyof Parts]?: Parts[K] } = {}
    for (const key in parts) {
      const value = yield* find(parts[key])
      if (value !== undefined) values[key] = value
    }
    return Object.keys(values).length === 0 ? undefined : build(values)
  })
})
