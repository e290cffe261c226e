import { type ConfigProvider, Effect } from "effect"
import * as ForeignText from "../../message/ForeignText.ts"
import { COMMON_PREFIX, environmentName, type Levels } from "./ConfigNames.ts"

/** Kinds of client whose names are no concern of the others. */
const KINDS = ["producer", "consumer", "pull-consumer", "admin"].map((kind) => `${COMMON_PREFIX}.${kind}`)

/** What RocketMQ's own scripts use. */
const FOREIGN = new Set(["ROCKETMQ_HOME"])

/** What Kubernetes sets in every pod for a service whose name begins with `rocketmq`. */
const SERVICE_LINK = /_(?:SERVICE_(?:HOST|PORT(?:_\w+)?)|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:ADDR|PORT|PROTO))?)?)$/

/** Warnings at one reading; the last one counts what else there is. */
const MAX_WARNINGS = 8
/** Nodes of a source that are looked at. */
const MAX_NODES = 2_000
/** Segments of a name. */
const MAX_DEPTH = 24
/** Characters of a name that are shown and compared. */
const MAX_NAME = 100

/** Names that have been told of, by source: each is told of once, however many clients read it. */
const told = new WeakMap<ConfigProvider.ConfigProvider, Set<string>>()

/** All names with a value below a path. */
const namesBelow = Effect.fnUntraced(function* (
  provider: ConfigProvider.ConfigProvider,
  root: string,
  separator: string
): Effect.fn.Return<ReadonlyArray<string>> {
  const names: Array<string> = []
  const ahead: Array<ReadonlyArray<string>> = [[root]]
  for (let looked = 0; looked < MAX_NODES; looked++) {
    const path = ahead.pop()
    if (path === undefined) break
    // A source that cannot be read is told of by whoever reads a value.
    const node = yield* provider.load(path).pipe(Effect.orElseSucceed(() => undefined))
    if (node === undefined) continue
    if (path.length > 1 && (node._tag !== "Record" || node.value !== undefined)) names.push(path.join(separator))
    if (node._tag !== "Record" || path.length >= MAX_DEPTH) continue
    for (const key of node.keys) {
      if (ahead.length < MAX_NODES) ahead.push([...path, key])
    }
  }
  return names
})

/** How many characters have to be put in, taken out or changed to make one text of the other. */
const distance = (a: string, b: string): number => {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const change = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1)
      next.push(Math.min(change, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1))
    }
    row = next
  }
  return row[b.length] ?? 0
}

/** The name of these that is most like another one; undefined when none is much like it. */
const nearest = (name: string, known: Iterable<string>): string | undefined => {
  const text = name.slice(0, MAX_NAME).toLowerCase()
  let best: string | undefined
  // What all of them begin with says nothing.
  let least = Math.ceil((text.length - COMMON_PREFIX.length) / 3)
  for (const candidate of known) {
    if (Math.abs(candidate.length - text.length) >= least) continue
    const away = distance(text, candidate.toLowerCase())
    if (away < least) [best, least] = [candidate, away]
  }
  return best
}

/** Names that a kind of client reads, as they stand in the environment and in files. */
interface Known {
  readonly variables: ReadonlySet<string>
  readonly paths: ReadonlySet<string>
}

const knownOf = (levels: Levels): Known => ({
  variables: new Set(levels.flat().map(({ environment }) => environment)),
  paths: new Set(levels.flat().flatMap(({ paths }) => paths.map((path) => path.join("."))))
})

const warningOf = (name: string, candidates: Iterable<string>) => {
  const meant = nearest(name, candidates)
  const hint = meant === undefined ? "docs/configuration.md has the names that are" : `did you mean ${meant}?`
  return `${ForeignText.clean(name, MAX_NAME)} is set and read by nobody; ${hint}`
}

/**
 * Warns of names with our prefix that nobody reads, each once, with the name that was probably meant. Those of other kinds
 * of client than that of `prefix` are left to them, and so is what is known not to be ours.
 */
export const warn = Effect.fnUntraced(function* (
  provider: ConfigProvider.ConfigProvider,
  prefix: string | undefined,
  levels: Levels
) {
  const { paths, variables } = knownOf(levels)
  const others = KINDS.filter((kind) => kind !== prefix).map((kind) => `${environmentName(kind)}_`)
  const seen = told.get(provider) ?? new Set<string>()
  told.set(provider, seen)
  const isNew = (name: string): boolean => {
    const canonical = environmentName(name)
    if (FOREIGN.has(canonical) || SERVICE_LINK.test(canonical)) return false
    if (others.some((other) => canonical.startsWith(other)) || seen.has(canonical)) return false
    seen.add(canonical)
    return true
  }
  const inEnvironment = yield* namesBelow(provider, environmentName(COMMON_PREFIX), "_")
  const inFile = yield* namesBelow(provider, COMMON_PREFIX, ".")
  const unknown = [
    ...inEnvironment
      .filter((name) => !variables.has(name) && isNew(name))
      .map((name) => () => warningOf(name, variables)),
    // A provider that changes the case of what it is asked for shows its own case here.
    ...inFile
      .filter((name) => !paths.has(name) && !(name === name.toUpperCase() && variables.has(environmentName(name))))
      .filter(isNew)
      .map((name) => () => warningOf(name, paths))
  ]
  for (const warning of unknown.slice(0, MAX_WARNINGS)) yield* Effect.logWarning(warning())
  const more = unknown.length - MAX_WARNINGS
  if (more > 0) yield* Effect.logWarning(`${more} more names of "${COMMON_PREFIX}" are set and read by nobody`)
})
