import * as ClientConfig from "../client/ClientConfig.ts"
import { ConfigProblem } from "../client/ClientError.ts"
import { checkGroup } from "../client/Names.ts"
import { COMMON_PREFIX } from "../client/options/ConfigNames.ts"
import type { Resolution } from "../client/options/OptionTable.ts"
import { type OverridesOrConfig, read, type ReadableKind } from "../client/options/ReadOptions.ts"
import { RESERVED_PRODUCER_GROUPS } from "../message/MixAll.ts"
import * as Options from "./ProducerOptions.ts"
import * as TransactionSettings from "./TransactionSettings.ts"

/** The prefix of what is a producer's own. */
export const PREFIX = `${COMMON_PREFIX}.producer`

/** Where what is a producer's own stands. */
export const ownPrefixes = [PREFIX]

/** Where what belongs to the client instance stands. */
export const sharedPrefixes = [PREFIX, COMMON_PREFIX]

/** The check of options that were read, with that of the group's name. */
export const withGroup =
  <O extends Partial<Options.ProducerOptions>, C>(resolve: (options: O) => Resolution<C>) =>
  (options: O): Resolution<C> => {
    const { config, problems } = resolve(options)
    const { producerGroup } = options
    const group =
      producerGroup === undefined || problems.some(({ path }) => path === "producerGroup")
        ? undefined
        : checkGroup(producerGroup, RESERVED_PRODUCER_GROUPS)
    return group === undefined
      ? { config, problems }
      : { config, problems: [...problems, new ConfigProblem({ path: "producerGroup", problem: group.detail })] }
  }

const kind: ReadableKind<Options.ProducerOptions, Options.ProducerConfig> = {
  prefix: PREFIX,
  parts: [
    { table: Options.ownTable, prefixes: ownPrefixes },
    { table: ClientConfig.table, prefixes: sharedPrefixes }
  ],
  more: { table: TransactionSettings.table, prefixes: ownPrefixes },
  resolve: withGroup(Options.resolve)
}

/** Reads and checks a producer's options; the problems have the names under which options were found. */
export const readConfig = (given: OverridesOrConfig<Options.ProducerOptions> = {}) => read(kind, given)
