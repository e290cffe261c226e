import { Cause, type ConfigProvider, Effect, Equal } from "effect"
import { readFile } from "node:fs/promises"
import { type AnyTable, levelsOf, type Spelling } from "./ConfigNames.ts"
import { ConfigProblem } from "./InvalidConfig.ts"
import { type Entry, type Found, Problem } from "./Option.ts"

/**
 * Reads options under their documented names out of a `ConfigProvider`. An option is looked for as an environment variable
 * (`ROCKETMQ_PRODUCER_GROUP`) and as a path in kebab-case, camelCase or Java's own spelling (`rocketmq.producer.group`).
 * Nothing fails on the way: what cannot be used is noted, so that all of it can be told at once.
 */
export interface ConfigReader {
  /** The values of a table's options that were found, below the first of these prefixes that has one. */
  readonly readAll: <I extends object>(
    table: AnyTable<I>,
    prefixes: ReadonlyArray<string>
  ) => Effect.Effect<{ [K in keyof I]?: I[K] }>
  /** What was noted. */
  readonly problems: Array<ConfigProblem>
  /** Option, or part of one, to the name under which it was found. */
  readonly found: ReadonlyMap<string, string>
}

/** Items of a list that are looked at; more than any option takes. */
const MAX_ITEMS = 1_000

/** Where a value may stand. */
interface Place {
  /** As the user knows it. */
  readonly name: string
  readonly path: ReadonlyArray<string>
  readonly isFile: boolean
}

/** A text, or the items of a list and the text that stands for them. */
type Loaded = Omit<Found, "name">

/** Makes a reader of a provider. */
export const make = (provider: ConfigProvider.ConfigProvider): ConfigReader => {
  const problems: Array<ConfigProblem> = []
  const found = new Map<string, string>()
  const report = (path: string, problem: string) => problems.push(new ConfigProblem({ path, problem }))

  const loadList = Effect.fnUntraced(function* (path: ReadonlyArray<string>, length: number) {
    const nodes = yield* Effect.forEach(Array.from({ length: Math.min(length, MAX_ITEMS) }).keys(), (index) =>
      provider.load([...path, index])
    )
    const items = nodes.flatMap((node) => node?.value?.trim() ?? []).filter((item) => item !== "")
    return items.length === 0 ? undefined : { text: items.join(","), items }
  })

  const load = (path: ReadonlyArray<string>, name: string): Effect.Effect<Found | undefined> =>
    provider.load(path).pipe(
      Effect.flatMap((node): Effect.Effect<Loaded | undefined, ConfigProvider.SourceError> => {
        const text = node?.value?.trim() ?? ""
        if (text !== "") return Effect.succeed({ text, items: undefined })
        return node?._tag === "Array" ? loadList(path, node.length) : Effect.succeed(undefined)
      }),
      Effect.map((loaded) => loaded && { ...loaded, name }),
      Effect.catch((error) => {
        report(name, `cannot be read: ${error.message}`)
        return Effect.succeed(undefined)
      })
    )

  /** What stands at these places, of those that have anything. */
  const loadAll = Effect.fnUntraced(function* (places: ReadonlyArray<Place>) {
    const loaded: Array<Found & Place> = []
    for (const place of new Map(places.map((one) => [one.name, one])).values()) {
      const value = yield* load(place.path, place.name)
      if (value !== undefined) loaded.push({ ...place, ...value })
    }
    return loaded
  })

  /** What stands under names of one meaning: in the environment, else, where there is nothing, in a file. */
  const loadLevel = Effect.fnUntraced(function* (level: ReadonlyArray<Spelling>, isList: boolean) {
    const variables = yield* loadAll(
      level.map(({ environment, isFile }) => ({ name: environment, path: [environment], isFile }))
    )
    if (variables.length > 0) return variables
    // A provider of the environment finds a list, `ROCKETMQ_NAME_SERVER_0` and so on, only by the parts of its name.
    const lists = isList
      ? yield* loadAll(
          level.map(({ environment, isFile }) => ({ name: environment, path: environment.split("_"), isFile }))
        )
      : []
    if (lists.length > 0) return lists
    return yield* loadAll(
      level.flatMap(({ isFile, paths }) => paths.map((path) => ({ name: path.join("."), path, isFile })))
    )
  })

  const contentOf = Effect.fnUntraced(function* (file: Found): Effect.fn.Return<Found | Problem> {
    const content = yield* Effect.exit(Effect.tryPromise(() => readFile(file.text, "utf8")))
    if (content._tag === "Success") return { ...file, text: content.value }
    const error = Cause.squash(content.cause)
    const why = error instanceof Error && error.cause instanceof Error ? error.cause.message : "it cannot be read"
    return new Problem(`names a file that cannot be used: ${why}`)
  })

  const readOne = Effect.fnUntraced(function* <A>(entry: Entry<A>, one: Found & Place) {
    if (one.items !== undefined && !entry.isList) return new Problem("must be one value, is a list")
    const source = one.isFile ? yield* contentOf(one) : one
    return source instanceof Problem ? source : yield* entry.read(source)
  })

  /** The value of an entry at one level; undefined when it has none there, or none that can be used. */
  const valueAt = Effect.fnUntraced(function* <A>(option: string, entry: Entry<A>, level: ReadonlyArray<Spelling>) {
    const values: Array<{ readonly name: string; readonly value: A | undefined }> = []
    for (const one of yield* loadLevel(level, entry.isList)) {
      const value = yield* readOne(entry, one)
      if (value instanceof Problem) report(one.name, value.detail)
      values.push({ name: one.name, value: value instanceof Problem ? undefined : value })
    }
    const [first, ...others] = values
    if (first === undefined) return undefined
    found.set(option, first.name)
    for (const other of others) {
      if (other.value === undefined || first.value === undefined || Equal.equals(other.value, first.value)) continue
      report(first.name, `is another value than ${other.name} has, which means the same; keep one of them`)
    }
    return first
  })

  const find = (key: string, prefixes: ReadonlyArray<string>) =>
    Effect.fnUntraced(function* <A>(entry: Entry<A>): Effect.fn.Return<A | undefined> {
      const option = `${key}${entry.at}`
      for (const level of levelsOf(option, entry, prefixes)) {
        const one = yield* valueAt(option, entry, level)
        if (one !== undefined) return one.value
      }
      return undefined
    })

  return {
    problems,
    found,
    readAll: Effect.fnUntraced(function* <I extends object>(table: AnyTable<I>, prefixes: ReadonlyArray<string>) {
      const values: { [K in keyof I]?: I[K] } = {}
      for (const key in table) {
        const value = yield* table[key]?.read(find(key, prefixes)) ?? Effect.succeed(undefined)
        if (value !== undefined) values[key] = value
      }
      return values
    })
  }
}
