import { Effect } from "effect"
import { ConfigProblem, InvalidConfig } from "./ClientError.ts"
import { checkGroup } from "./Names.ts"
import { type AnyTable, COMMON_PREFIX, type ConfigName, configNames } from "./options/ConfigNames.ts"
import type { Resolution } from "./options/OptionTable.ts"
import { type OverridesOrConfig, read, type ReadableKind, type ReadOptions } from "./options/ReadOptions.ts"

/** A kind of client whose options can stand in a `Config`. */
export interface ClientKind<I extends object, C> {
  /** What stands behind `rocketmq` in the names of its own options: `producer`. */
  readonly word: string
  /** The options that are its own. */
  readonly own: AnyTable<I>
  /** Those of the client instance, which also stand below `rocketmq` itself. */
  readonly shared: AnyTable<I>
  /** Options that another kind reads below the same word. */
  readonly more?: AnyTable<Record<string, unknown>>
  /** Options without which there is none. */
  readonly required: ReadonlyArray<keyof I>
  /** The check of all options. */
  readonly resolve: (options: Partial<I>) => Resolution<C>
}

/** What reads the options of a kind of client. */
export interface ClientReader<I extends object, C> {
  /** Where what is its own stands. */
  readonly ownPrefixes: ReadonlyArray<string>
  /** Where what belongs to the client instance stands. */
  readonly sharedPrefixes: ReadonlyArray<string>
  /** Every option that can come from a `Config`; the tables of docs/configuration.md. Made at the first look. */
  readonly names: () => ReadonlyArray<ConfigName>
  /** Reads and checks the options; the problems have the names under which options were found. */
  readonly readConfig: (given?: OverridesOrConfig<I>) => Effect.Effect<ReadOptions<I, C>>
  /** The options as they are given to a client; fails with all problems at once. */
  readonly fromConfig: (given?: OverridesOrConfig<I>) => Effect.Effect<I, InvalidConfig>
}

/** A check of options with that of the group's name, which may be none of the reserved ones. */
export const withGroup =
  <O extends object, C>(
    path: keyof O & string,
    reserved: ReadonlySet<string>,
    resolve: (options: O) => Resolution<C>
  ): ((options: O) => Resolution<C>) =>
  (options) => {
    const { config, problems } = resolve(options)
    const name: unknown = options[path]
    const group =
      typeof name !== "string" || problems.some((one) => one.path === path) ? undefined : checkGroup(name, reserved)
    return group === undefined
      ? { config, problems }
      : { config, problems: [...problems, new ConfigProblem({ path, problem: group.detail })] }
  }

/** Makes the reader of a kind of client. */
export const make = <I extends object, C>(client: ClientKind<I, C>): ClientReader<I, C> => {
  const { more, own, required, resolve, shared } = client
  const prefix = `${COMMON_PREFIX}.${client.word}`
  const ownPrefixes = [prefix]
  const sharedPrefixes = [prefix, COMMON_PREFIX]
  const kind: ReadableKind<I, C> = {
    prefix,
    parts: [
      { table: own, prefixes: ownPrefixes },
      { table: shared, prefixes: sharedPrefixes }
    ],
    ...(more === undefined ? {} : { more: { table: more, prefixes: ownPrefixes } }),
    resolve
  }
  const isWhole = (options: { readonly [K in keyof I]?: I[K] }): options is I =>
    required.every((option) => options[option] !== undefined)

  return {
    ownPrefixes,
    sharedPrefixes,
    names: () => [
      ...configNames(own, ownPrefixes),
      ...configNames(shared, sharedPrefixes),
      ...(more === undefined ? [] : configNames(more, ownPrefixes))
    ],
    readConfig: (given = {}) => read(kind, given),
    fromConfig: Effect.fnUntraced(function* (given: OverridesOrConfig<I> = {}) {
      const { options, problems } = yield* read(kind, given)
      if (problems.length > 0 || !isWhole(options)) return yield* new InvalidConfig({ problems })
      return options
    })
  }
}
