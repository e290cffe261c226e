import * as ClientConfig from "../client/ClientConfig.ts"
import { ConfigProblem } from "../client/ClientError.ts"
import { checkGroup } from "../client/Names.ts"
import { COMMON_PREFIX } from "../client/options/ConfigNames.ts"
import type { Resolution } from "../client/options/OptionTable.ts"
import { type OverridesOrConfig, read, type ReadableKind } from "../client/options/ReadOptions.ts"
import { RESERVED_CONSUMER_GROUPS } from "../message/MixAll.ts"
import * as Options from "./ConsumerOptions.ts"

/** The prefix of what is a consumer's own. */
export const PREFIX = `${COMMON_PREFIX}.consumer`

/** Where what is a consumer's own stands. */
export const ownPrefixes = [PREFIX]

/** Where what belongs to the client instance stands. */
export const sharedPrefixes = [PREFIX, COMMON_PREFIX]

const withGroup = (options: Partial<Options.PushConsumerOptions>): Resolution<Options.PushConsumerConfig> => {
  const { config, problems } = Options.resolve(options)
  const { consumerGroup } = options
  const group =
    consumerGroup === undefined || problems.some(({ path }) => path === "consumerGroup")
      ? undefined
      : checkGroup(consumerGroup, RESERVED_CONSUMER_GROUPS)
  return group === undefined
    ? { config, problems }
    : { config, problems: [...problems, new ConfigProblem({ path: "consumerGroup", problem: group.detail })] }
}

const kind: ReadableKind<Options.PushConsumerOptions, Options.PushConsumerConfig> = {
  prefix: PREFIX,
  parts: [
    { table: Options.ownTable, prefixes: ownPrefixes },
    { table: ClientConfig.table, prefixes: sharedPrefixes }
  ],
  resolve: withGroup
}

/** Reads and checks a consumer's options; the problems have the names under which options were found. */
export const readConfig = (given: OverridesOrConfig<Options.PushConsumerOptions> = {}) => read(kind, given)
