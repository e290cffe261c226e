import { Config, ConfigProvider, Effect } from "effect"
import { type AnyTable, entriesOf, levelsOf } from "./ConfigNames.ts"
import * as ConfigReader from "./ConfigReader.ts"
import { ConfigProblem } from "./InvalidConfig.ts"
import { NOT_SET, type Resolution } from "./OptionTable.ts"
import * as UnknownNames from "./UnknownNames.ts"

/** Options of which each may be a `Config` of its own; those that are left out are read under their documented names. */
export type Overrides<I> = {
  readonly [K in keyof I]?: I[K] | Config.Config<Exclude<I[K], undefined>> | undefined
}

/** {@link Overrides} of options, or one `Config` of any of them. */
export type OverridesOrConfig<I> = Overrides<I> | Config.Config<Partial<I>>

/** How the options of a kind of client stand in a `Config`. */
export interface ReadableKind<I extends object, C> {
  /** Below it stands what is this kind's own: `rocketmq.producer`. Undefined where nothing is. */
  readonly prefix: string | undefined
  /** Each table with the prefixes of its options. */
  readonly parts: ReadonlyArray<{
    readonly table: AnyTable<I>
    readonly prefixes: ReadonlyArray<string>
  }>
  /** Names that others of its prefix read. */
  readonly more?: { readonly table: AnyTable<Record<string, unknown>>; readonly prefixes: ReadonlyArray<string> }
  /** The check of all options. */
  readonly resolve: (options: Partial<I>) => Resolution<C>
}

/** Options as they were found and given. */
export interface ReadOptions<I extends object, C> extends Resolution<C> {
  /** What was found or given; nothing for what was not. */
  readonly options: { readonly [K in keyof I]?: I[K] }
}

type ParseGiven = <A>(config: Config.Config<A>, path: string) => Effect.Effect<A | undefined>

const isConfigOf = <A>(value: A | Config.Config<A> | undefined): value is Config.Config<A> => Config.isConfig(value)

/** The values of options that were given in code, each by itself. */
const givenOneByOne = Effect.fnUntraced(function* <I extends object>(given: Overrides<I>, parse: ParseGiven) {
  const values: { [K in keyof I]?: I[K] } = {}
  for (const key in given) {
    const item: I[typeof key] | Config.Config<I[typeof key]> | undefined = given[key]
    const value = isConfigOf(item) ? yield* parse(item, key) : item
    if (value !== undefined) values[key] = value
  }
  return values
})

const levelsOfTable = <I extends object>(table: AnyTable<I>, prefixes: ReadonlyArray<string>) =>
  entriesOf(table).map(({ entry, option }) => ({ option, levels: levelsOf(option, entry, prefixes) }))

/** The name under which the value of an option, or a part of it, was found; the path itself where it was given. */
const nameOf = (found: ReadonlyMap<string, string>, path: string): string => {
  const root = /^[a-zA-Z0-9]+/.exec(path)?.[0] ?? path
  const part = [...found.keys()].find((key) => key.startsWith(`${root}.`))
  const name = found.get(path) ?? found.get(root) ?? found.get(part ?? "")
  return name === undefined ? path : `${name} (${path})`
}

/**
 * Reads options out of the current `ConfigProvider` under their names, and checks them once. What is given in code wins.
 * Every problem has the name at which the value was found. Names of our prefix that nobody reads are warned of.
 */
export const read = Effect.fnUntraced(function* <I extends object, C>(
  kind: ReadableKind<I, C>,
  given: OverridesOrConfig<I>
): Effect.fn.Return<ReadOptions<I, C>> {
  const provider = yield* ConfigProvider.ConfigProvider
  const reader = ConfigReader.make(provider)
  const { found, problems } = reader
  const parse: ParseGiven = (config, path) =>
    config.parse(provider).pipe(
      Effect.catch((error) => {
        problems.push(new ConfigProblem({ path, problem: error.message }))
        return Effect.succeed(undefined)
      })
    )
  let fromNames: { [K in keyof I]?: I[K] } = {}
  for (const { prefixes, table } of kind.parts) {
    fromNames = { ...fromNames, ...(yield* reader.readAll<I>(table, prefixes)) }
  }
  const fromCode: Partial<I> = isConfigOf(given)
    ? ((yield* parse(given, "options")) ?? {})
    : yield* givenOneByOne<I>(given, parse)
  const options = { ...fromNames, ...fromCode }

  const entries = kind.parts.flatMap(({ prefixes, table }) => levelsOfTable(table, prefixes))
  const others = kind.more === undefined ? [] : levelsOfTable(kind.more.table, kind.more.prefixes)
  yield* UnknownNames.warn(
    provider,
    kind.prefix,
    [...entries, ...others].flatMap(({ levels }) => levels)
  )

  // An option that could not be read has its default here, so nothing is reported twice.
  const resolution = kind.resolve(options)
  for (const { path, problem } of resolution.problems) {
    if (problem !== NOT_SET) {
      problems.push(new ConfigProblem({ path: nameOf(found, path), problem }))
    } else if (!found.has(path) && problems.every((one) => one.path !== path && one.path !== "options")) {
      const name = entries.find(({ option }) => option === path)?.levels[0]?.[0]
      const hint = name === undefined ? "" : `; ${name.environment} or ${name.name}`
      problems.push(new ConfigProblem({ path, problem: `${problem}${hint}` }))
    }
  }
  return { options, config: resolution.config, problems }
})
