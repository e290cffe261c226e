import type { Definition, Entry } from "./Option.ts"

/** The names of entries below the prefixes of a kind of client. */

/** The prefix of what all clients of a process have in common. */
export const COMMON_PREFIX = "rocketmq"

/** One option as `Config` knows it. */
export interface ConfigName {
  /** The option, with the parts of a group behind a dot: `tls.ca`. */
  readonly option: string
  /** Its names, the preferred one first: `rocketmq.producer.group`. */
  readonly names: ReadonlyArray<string>
  /** The same names as environment variables: `ROCKETMQ_PRODUCER_GROUP`. */
  readonly environment: ReadonlyArray<string>
}

/** One name in all its spellings. */
export interface Spelling {
  /** In kebab-case, with dots: `rocketmq.producer.send-message-timeout`. */
  readonly name: string
  /** As an environment variable: `ROCKETMQ_PRODUCER_SEND_MESSAGE_TIMEOUT`. */
  readonly environment: string
  /** As paths of a file: in kebab-case, in camelCase, and as Java writes it. */
  readonly paths: ReadonlyArray<ReadonlyArray<string>>
  /** Whether it is the name of a file whose text is the value. */
  readonly isFile: boolean
}

/** Names of which the first level that has a value decides; those of one level mean the same and must not differ. */
export type Levels = ReadonlyArray<ReadonlyArray<Spelling>>

/** `retryAnotherBrokerWhenNotStoreOK` is `retry-another-broker-when-not-store-ok`. */
export const kebabCase = (word: string): string =>
  word
    .replace(/([a-z0-9])([A-Z])/g, "$1-$2")
    .replace(/([A-Z])([A-Z][a-z])/g, "$1-$2")
    .toLowerCase()

const camelCase = (kebab: string): string => kebab.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase())

/** The name of an environment variable for a name: `rocketmq.producer.group` is `ROCKETMQ_PRODUCER_GROUP`. */
export const environmentName = (name: string): string => kebabCase(name).toUpperCase().replace(/[.-]/g, "_")

const spelling = (name: string, isFile: boolean): Spelling => {
  const kebab = kebabCase(name)
  const paths = new Set([kebab, kebab.split(".").map(camelCase).join("."), name])
  return { name: kebab, environment: environmentName(name), paths: [...paths].map((path) => path.split(".")), isFile }
}

const unique = (spellings: ReadonlyArray<Spelling>): ReadonlyArray<Spelling> => {
  const byName = new Map<string, Spelling>()
  for (const one of spellings) {
    const known = byName.get(one.name)
    const paths = known === undefined ? one.paths : [...known.paths, ...one.paths]
    byName.set(one.name, { ...one, paths: [...new Map(paths.map((path) => [path.join("."), path])).values()] })
  }
  return [...byName.values()]
}

/** Every name of an entry. Its option's own name, `tls.ca`, is one of its words. */
export const levelsOf = (option: string, entry: Entry<unknown>, prefixes: ReadonlyArray<string>): Levels => {
  if (entry.words.length === 0) return []
  const words = [...entry.words, option]
  return [
    ...prefixes.map((prefix) =>
      unique([
        ...words.map((word) => spelling(`${prefix}.${word}`, false)),
        ...entry.fileWords.map((word) => spelling(`${prefix}.${word}`, true))
      ])
    ),
    entry.bareNames.map((name) => spelling(name, false))
  ]
}

/** Options by name; all of those that users give as an `I`, or some. */
export type AnyTable<I extends object> = { readonly [K in keyof I]?: Definition<unknown, I[K]> }

/** Every entry of a table with its option: `tls.ca`. */
export const entriesOf = <I extends object>(
  table: AnyTable<I>
): ReadonlyArray<{ readonly option: string; readonly entry: Entry<unknown> }> => {
  const found: Array<{ readonly option: string; readonly entry: Entry<unknown> }> = []
  for (const key in table) {
    for (const entry of table[key]?.entries ?? []) found.push({ option: `${key}${entry.at}`, entry })
  }
  return found
}

/** The names of every option of a table that can come from a `Config`. */
export const configNames = <I extends object>(
  table: AnyTable<I>,
  prefixes: ReadonlyArray<string>
): ReadonlyArray<ConfigName> =>
  entriesOf(table).flatMap(({ entry, option }) => {
    const spellings = levelsOf(option, entry, entry.common ? prefixes.toReversed() : prefixes).flat()
    const names = spellings.map(({ name }) => name)
    const environment = [...new Set(spellings.map((one) => one.environment))]
    return names.length === 0 ? [] : [{ option, names, environment }]
  })
