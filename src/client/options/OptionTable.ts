import { Effect } from "effect"
import { ConfigProblem, InvalidConfig } from "./InvalidConfig.ts"
import type { Definition, Report } from "./Option.ts"

/** Options whose values are a `C`. */
export type Table<C extends object> = { readonly [K in keyof C]-?: Definition<C[K], unknown> }

/** Options after the check. */
export interface Resolution<out C> {
  /** Every option with a value that can be used: what was given, else its default. */
  readonly config: C
  /** What was given and cannot be used, all of it; none when the configuration is what the user meant. */
  readonly problems: ReadonlyArray<ConfigProblem>
}

/** What is wrong with an option that must be given and is not. */
export const NOT_SET = "is not set"

declare const isChecked: unique symbol

/** A configuration in which every option was found usable. */
export type Checked<C> = C & {
  /** Never there; only {@link accept} gives the type. */
  readonly [isChecked]: true
}

const isWhole = <C extends object>(table: Table<C>, values: Partial<C>): values is C =>
  Object.keys(table).every((key) => key in values)

/**
 * Checks options, whatever they are: undefined counts as absent, and an option that cannot be used is reported and has its
 * default.
 */
export const resolve = <C extends object>(table: Table<C>, given: object): Resolution<C> => {
  const problems: Array<ConfigProblem> = []
  const config: Partial<C> = {}
  for (const key in table) {
    const option = table[key]
    const value: unknown = Reflect.get(given, key)
    const report: Report = (problem, at = "") => {
      problems.push(new ConfigProblem({ path: `${key}${at}`, problem }))
    }
    const checked = value === undefined ? undefined : option.check(value, report)
    if (value === undefined && option.isRequired === true) report(NOT_SET)
    config[key] = checked === undefined ? option.default : checked
  }
  if (!isWhole(table, config)) throw new Error("a table of options has a key that it does not list")
  return { config, problems }
}

/** The values of options that nobody gives. */
export const defaultsOf = <C extends object>(table: Table<C>): C => resolve(table, {}).config

const isUsable = <C>(resolution: Resolution<C>): resolution is Resolution<Checked<C>> =>
  resolution.problems.length === 0

/** The configuration as a checked one, or an error that lists every problem. */
export const accept = <C>(resolution: Resolution<C>): Effect.Effect<Checked<C>, InvalidConfig> =>
  isUsable(resolution)
    ? Effect.succeed(resolution.config)
    : Effect.fail(new InvalidConfig({ problems: resolution.problems }))
